/* SPDX-License-Identifier: MIT */
/* The rows of `calls` in main.c: what is called, and with which kinds of pointer better not. */

/* Traps and tables. */
CALL(set_trap_table, "set_trap_table", 0, SKIP(KIND_BIT(KIND_NULL))),
    CALL(set_gdt, "set_gdt 512", 0, ARGS(0, 512)), CALL(set_gdt, "set_gdt 7168", 0, ARGS(0, 7168)),
    CALL(set_gdt, "set_gdt 7169", 0, ARGS(0, 7169)), CALL(set_gdt, "set_gdt -1", 0, ARGS(0, ~0u)),
    SUB(callback_op, CALLBACKOP_register, SKIP(KINDS_VALID)),
    SUB(callback_op, CALLBACKOP_unregister, SKIP(KINDS_VALID)), SUB(callback_op, 77),

    /* Page tables. */
    CALL(mmu_update, "mmu_update 1", 0, ARGS(0, 1, 0, DOMID_SELF)),
    CALL(mmu_update, "mmu_update 0", 0, ARGS(0, 0, 0, DOMID_SELF)),
    CALL(mmu_update, "mmu_update 0x7fffffff", 0, ARGS(0, 0x7fffffff, 0, DOMID_SELF)),
    CALL(mmu_update, "mmu_update 0xffffffff", 0, ARGS(0, 0xffffffff, 0, DOMID_SELF)),
    CALL(mmu_update, "mmu_update 0x80000000", 0, ARGS(0, 0x80000000, 0, DOMID_SELF)),
    CALL(mmu_update, "mmu_update, done", 2, ARGS(VA_RW, 0, 0, DOMID_SELF)),
    CALL(mmuext_op, "mmuext_op 1", 0, ARGS(0, 1, 0, DOMID_SELF)),
    CALL(mmuext_op, "mmuext_op 0", 0, ARGS(0, 0, 0, DOMID_SELF)),
    CALL(mmuext_op, "mmuext_op 0x7fffffff", 0, ARGS(0, 0x7fffffff, 0, DOMID_SELF)),
    CALL(mmuext_op, "mmuext_op 0xffffffff", 0, ARGS(0, 0xffffffff, 0, DOMID_SELF)),
    CALL(mmuext_op, "mmuext_op, done", 2, ARGS(VA_RW, 0, 0, DOMID_SELF)),
    CALL(update_va_mapping, "update_va_mapping", 0, ARGS(0, 0, 0),
         SKIP(KIND_BIT(KIND_UNALIGNED) | KIND_BIT(KIND_READ_ONLY) | KIND_BIT(KIND_CROSSING) |
              KIND_BIT(KIND_ZEROES) | KIND_BIT(KIND_ONES))),
    CALL(update_va_mapping_otherdomain, "update_va_mapping_otherdomain", 0, ARGS(0, 0, 0, 77)),

    /* Memory. */
    SUB(memory_op, XENMEM_increase_reservation), SUB(memory_op, XENMEM_decrease_reservation),
    SUB(memory_op, XENMEM_populate_physmap), SUB(memory_op, XENMEM_maximum_ram_page),
    SUB(memory_op, XENMEM_current_reservation), SUB(memory_op, XENMEM_maximum_reservation),
    OPT(memory_op, XENMEM_machphys_mfn_list), OPT(memory_op, XENMEM_add_to_physmap),
    OPT(memory_op, XENMEM_memory_map), SUB(memory_op, XENMEM_machine_memory_map),
    SUB(memory_op, XENMEM_exchange), SUB(memory_op, XENMEM_machphys_mapping),
    OPT(memory_op, XENMEM_set_memory_map), OPT(memory_op, XENMEM_maximum_gpfn),
    OPT(memory_op, XENMEM_remove_from_physmap), OPT(memory_op, XENMEM_set_pod_target),
    OPT(memory_op, XENMEM_get_pod_target), SUB(memory_op, XENMEM_get_sharing_freed_pages),
    SUB(memory_op, XENMEM_get_sharing_shared_pages), OPT(memory_op, XENMEM_claim_pages),
    OPT(memory_op, XENMEM_acquire_resource), SUB(memory_op, 60),

    /* Batches. */
    CALL(multicall, "multicall 1", 0, ARGS(0, 1)), CALL(multicall, "multicall 0", 0, ARGS(0, 0)),
    CALL(multicall, "multicall 1000", 0, ARGS(0, 1000)),
    CALL(multicall, "multicall -1", 0, ARGS(0, ~0u)),

    /* Inspection. */
    SUB(xen_version, XENVER_version), SUB(xen_version, XENVER_extraversion),
    SUB(xen_version, XENVER_compile_info), SUB(xen_version, XENVER_capabilities),
    SUB(xen_version, XENVER_changeset), SUB(xen_version, XENVER_platform_parameters),
    SUB(xen_version, XENVER_get_features), SUB(xen_version, XENVER_pagesize),
    SUB(xen_version, XENVER_guest_handle), SUB(xen_version, XENVER_commandline),
    OPT(xen_version, XENVER_build_id),
    CALL(console_io, "console_io write", 2, ARGS(CONSOLEIO_write, 8), SKIP(KINDS_VALID)),
    CALL(console_io, "console_io read", 2, ARGS(CONSOLEIO_read, 8)),
    CALL(console_io, "console_io 77", 2, ARGS(77, 8)), CALL(sysctl, "sysctl", 0),
    CALL(domctl, "domctl", 0), CALL(platform_op, "platform_op", 0), CALL(xsm_op, "xsm_op", 0),

    /* Processors. */
    VCPU(VCPUOP_initialise), VCPU(VCPUOP_up), VCPU(VCPUOP_is_up), VCPU(VCPUOP_get_runstate_info),
    VCPU(VCPUOP_register_runstate_memory_area), VCPU(VCPUOP_set_periodic_timer),
    VCPU(VCPUOP_stop_periodic_timer), VCPU(VCPUOP_set_singleshot_timer),
    VCPU(VCPUOP_stop_singleshot_timer), VCPU(VCPUOP_register_vcpu_info),
    VCPU(VCPUOP_get_physid, OPTIONAL), VCPU(VCPUOP_register_vcpu_time_memory_area), VCPU(77),

    /* Scheduling. */
    SUB(sched_op, SCHEDOP_yield),
    SUB(sched_op, SCHEDOP_shutdown, SKIP(KINDS_VALID | KIND_BIT(KIND_CROSSING))),
    SUB(sched_op, SCHEDOP_poll, SKIP(KINDS_VALID | KIND_BIT(KIND_CROSSING))),
    SUB(sched_op, SCHEDOP_remote_shutdown, SKIP(KINDS_VALID), OPTIONAL),
    SUB(sched_op, SCHEDOP_shutdown_code, SKIP(KINDS_VALID | KIND_BIT(KIND_CROSSING)), OPTIONAL),
    SUB(sched_op, SCHEDOP_watchdog, SKIP(KINDS_VALID | KIND_BIT(KIND_CROSSING)), OPTIONAL),
    SUB(sched_op, SCHEDOP_pin_override, SKIP(KINDS_VALID | KIND_BIT(KIND_CROSSING)), OPTIONAL),
    SUB(sched_op, 77),

    /* Events. */
    SUB(event_channel_op, EVTCHNOP_bind_interdomain), SUB(event_channel_op, EVTCHNOP_bind_virq),
    SUB(event_channel_op, EVTCHNOP_bind_pirq), SUB(event_channel_op, EVTCHNOP_close),
    SUB(event_channel_op, EVTCHNOP_send), SUB(event_channel_op, EVTCHNOP_status),
    SUB(event_channel_op, EVTCHNOP_alloc_unbound), SUB(event_channel_op, EVTCHNOP_bind_ipi),
    SUB(event_channel_op, EVTCHNOP_bind_vcpu), SUB(event_channel_op, EVTCHNOP_unmask),
    SUB(event_channel_op, EVTCHNOP_init_control, OPTIONAL, SKIP(KINDS_VALID)),
    SUB(event_channel_op, EVTCHNOP_expand_array, OPTIONAL),
    SUB(event_channel_op, EVTCHNOP_set_priority, OPTIONAL), SUB(event_channel_op, 77),

    /* Devices. */
    SUB(physdev_op, PHYSDEVOP_irq_status_query), SUB(physdev_op, PHYSDEVOP_set_iopl),
    SUB(physdev_op, PHYSDEVOP_set_iobitmap), SUB(physdev_op, PHYSDEVOP_apic_read),
    SUB(physdev_op, PHYSDEVOP_apic_write), SUB(physdev_op, PHYSDEVOP_alloc_irq_vector),
    SUB(physdev_op, PHYSDEVOP_eoi), SUB(physdev_op, PHYSDEVOP_map_pirq),
    SUB(physdev_op, PHYSDEVOP_unmap_pirq), SUB(physdev_op, PHYSDEVOP_setup_gsi, SKIP(KINDS_VALID)),
    SUB(physdev_op, PHYSDEVOP_pci_device_add), OPT(physdev_op, PHYSDEVOP_pci_device_remove),
    OPT(physdev_op, PHYSDEVOP_pci_mmcfg_reserved), OPT(physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v2),
    OPT(physdev_op, PHYSDEVOP_get_free_pirq), SUB(physdev_op, 77),

    /* Grants. */
    GRANT(GNTTABOP_map_grant_ref, OPTIONAL), GRANT(GNTTABOP_unmap_grant_ref, OPTIONAL),
    GRANT(GNTTABOP_setup_table), GRANT(GNTTABOP_query_size), GRANT(GNTTABOP_set_version),
    GRANT(GNTTABOP_get_version, OPTIONAL), GRANT(GNTTABOP_copy, OPTIONAL), GRANT(77),
    CALL(grant_table_op, "grant_table_op query_size 2", 1, ARGS(GNTTABOP_query_size, 0, 2)),
    CALL(grant_table_op, "grant_table_op copy -1", 1, ARGS(GNTTABOP_copy, 0, ~0u), OPTIONAL),

    /* What a paravirtual control domain has no business with. */
    SUB(hvm_op, 0), SUB(hvm_op, 1), SUB(hvm_op, 77), OPT(kexec_op, 0), OPT(kexec_op, 77),
    CALL(nmi_op, "nmi_op 0", 1, ARGS(0), OPTIONAL, SKIP(KINDS_VALID)),
    CALL(xenoprof_op, "xenoprof_op", 1, ARGS(0), OPTIONAL),
    CALL(dm_op, "dm_op", 2, ARGS(0, 1), OPTIONAL), CALL(argo_op, "argo_op", 1, ARGS(0)),
