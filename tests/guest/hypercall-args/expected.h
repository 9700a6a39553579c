/* SPDX-License-Identifier: MIT */
/* Debian's Xen 4.17's answers: a row for each of calls.h, a column for each kind of pointer. */
{ 127, 0, -14, -14, 0, -14, -14, -14, 0, -14 },           /* set_trap_table */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -22 }, /* set_gdt 512 */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -22 }, /* set_gdt 7168 */
    { -22, -22, -22, -22, -22, -22, -22, -22, -22, -22 }, /* set_gdt 7169 */
    { -22, -22, -22, -22, -22, -22, -22, -22, -22, -22 }, /* set_gdt -1 */
    { -14, 127, -14, -14, 127, -14, -14, -14, 127, 127 }, /* callback_op CALLBACKOP_register */
    { -14, 127, -14, -14, 127, -14, -22, -14, 127, 127 }, /* callback_op CALLBACKOP_unregister */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* callback_op 77 */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -38 }, /* mmu_update 1 */
    { 0, 0, -14, -14, 0, 0, 0, -14, 0, 0 },               /* mmu_update 0 */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -38 }, /* mmu_update 0x7fffffff */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -38 }, /* mmu_update 0xffffffff */
    { 1, 0, -14, -14, 0, 0, 0, -14, 0, 0 },               /* mmu_update 0x80000000 */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                     /* mmu_update, done */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -38 }, /* mmuext_op 1 */
    { 0, 0, -14, -14, 0, 0, 0, -14, 0, 0 },               /* mmuext_op 0 */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -38 }, /* mmuext_op 0x7fffffff */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -38 }, /* mmuext_op 0xffffffff */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                     /* mmuext_op, done */
    { -22, 127, -22, -22, 127, 0, 127, -22, 127, 127 },   /* update_va_mapping */
    { -3, -3, -3, -3, -3, -3, -3, -3, -3, -3 },           /* update_va_mapping_otherdomain */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                    /* memory_op XENMEM_increase_reservation */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                    /* memory_op XENMEM_decrease_reservation */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                    /* memory_op XENMEM_populate_physmap */
    { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },                    /* memory_op XENMEM_maximum_ram_page */
    { -14, 1, -14, -14, 1, -14, 1, -14, 1, -3 },         /* memory_op XENMEM_current_reservation */
    { -14, 1, -14, -14, 1, -14, 1, -14, 1, -3 },         /* memory_op XENMEM_maximum_reservation */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, -14 },    /* memory_op XENMEM_machphys_mfn_list */
    { -14, -13, -14, -14, -13, -14, -14, -14, -13, -3 }, /* memory_op XENMEM_add_to_physmap */
    { -14, -38, -14, -14, -38, -14, -14, -14, -38, -38 }, /* memory_op XENMEM_memory_map */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, -14 },     /* memory_op XENMEM_machine_memory_map */
    { -14, 0, -14, -14, 0, -14, -14, -14, 0, -1 },        /* memory_op XENMEM_exchange */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },       /* memory_op XENMEM_machphys_mapping */
    { -14, 0, -14, -14, 0, -14, -14, -14, 0, -22 },       /* memory_op XENMEM_set_memory_map */
    { -14, 0, -14, -14, 0, -14, 0, -14, 0, -3 },          /* memory_op XENMEM_maximum_gpfn */
    { -14, -13, -14, -14, -13, -14, -14, -14, -13, -3 },  /* memory_op XENMEM_remove_from_physmap */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -3 },  /* memory_op XENMEM_set_pod_target */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -3 },  /* memory_op XENMEM_get_pod_target */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },               /* memory_op XENMEM_get_sharing_freed_pages */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },               /* memory_op XENMEM_get_sharing_shared_pages */
    { -14, 0, -14, -14, 0, -14, -14, -14, 0, -22 }, /* memory_op XENMEM_claim_pages */
    { -14, -1, -14, -14, -1, -14, -14, -14, -1, -22 },    /* memory_op XENMEM_acquire_resource */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* memory_op 60 */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },       /* multicall 1 */
    { 0, 0, -14, -14, 0, 0, 0, -14, 0, 0 },               /* multicall 0 */
    { -14, -14, -14, -14, -14, -14, -14, -14, -14, -14 }, /* multicall 1000 */
    { -14, -14, -14, -14, -14, -14, -14, -14, -14, -14 }, /* multicall -1 */
    { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },                     /* xen_version XENVER_version */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },       /* xen_version XENVER_extraversion */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },       /* xen_version XENVER_compile_info */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },       /* xen_version XENVER_capabilities */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },       /* xen_version XENVER_changeset */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },     /* xen_version XENVER_platform_parameters */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, -22 },   /* xen_version XENVER_get_features */
    { 1, -22, -22, -22, -22, -22, -22, -22, -22, -22 }, /* xen_version XENVER_pagesize */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },     /* xen_version XENVER_guest_handle */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },     /* xen_version XENVER_commandline */
    { 1, -22, -14, -14, -22, -14, -22, -14, -22, 1 },   /* xen_version XENVER_build_id */
    { -14, 127, -14, -14, 127, -14, -14, -14, 127, 127 }, /* console_io write */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                     /* console_io read */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* console_io 77 */
    { -14, -13, -14, -14, -13, -14, -14, -14, -13, -13 }, /* sysctl */
    { -14, -13, -14, -14, -13, -14, -14, -14, -13, -13 }, /* domctl */
    { -14, -13, -14, -14, -13, -14, -14, -14, -13, -13 }, /* platform_op */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* xsm_op */
    { -14, -14, -14, -14, -14, -14, -14, -14, -14, -14 }, /* vcpu_op VCPUOP_initialise */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                     /* vcpu_op VCPUOP_up */
    { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },                     /* vcpu_op VCPUOP_is_up */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },       /* vcpu_op VCPUOP_get_runstate_info */
    { -14, 0, -14, -14, 0, -14, -14, -14, 0, 0 }, /* vcpu_op VCPUOP_register_runstate_memory_area */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -22 }, /* vcpu_op VCPUOP_set_periodic_timer */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                     /* vcpu_op VCPUOP_stop_periodic_timer */
    { -14, 0, -14, -14, 0, -14, -14, -14, 0, 0 },         /* vcpu_op VCPUOP_set_singleshot_timer */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                     /* vcpu_op VCPUOP_stop_singleshot_timer */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -6 },  /* vcpu_op VCPUOP_register_vcpu_info */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },       /* vcpu_op VCPUOP_get_physid */
    {
        -14, 0, -14, -14, 0, -14, -14, -14, 0, 0
    }, /* vcpu_op VCPUOP_register_vcpu_time_memory_area */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* vcpu_op 77 */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                     /* sched_op SCHEDOP_yield */
    { -14, 127, -14, -14, 127, -14, 127, -14, 127, 127 }, /* sched_op SCHEDOP_shutdown */
    { -14, 127, -14, -14, 127, -14, 127, -14, 127, 127 }, /* sched_op SCHEDOP_poll */
    { -14, 127, -14, -14, 127, -14, -14, -14, 127, 127 }, /* sched_op SCHEDOP_remote_shutdown */
    { -14, 127, -14, -14, 127, -14, 127, -14, 127, 127 }, /* sched_op SCHEDOP_shutdown_code */
    { -14, 127, -14, -14, 127, -14, 127, -14, 127, 127 }, /* sched_op SCHEDOP_watchdog */
    { -14, 127, -14, -14, 127, -14, 127, -14, 127, 127 }, /* sched_op SCHEDOP_pin_override */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* sched_op 77 */
    {
        -14, -22, -14, -14, -22, -14, -14, -14, -22, -3
    }, /* event_channel_op EVTCHNOP_bind_interdomain */
    { -14, 0, -14, -14, -17, -14, -14, -14, -17, -22 },   /* event_channel_op EVTCHNOP_bind_virq */
    { -14, -1, -14, -14, -1, -14, -14, -14, -1, -22 },    /* event_channel_op EVTCHNOP_bind_pirq */
    { -14, -22, -14, -14, -22, -14, -22, -14, -22, -22 }, /* event_channel_op EVTCHNOP_close */
    { -14, -22, -14, -14, -22, -14, -22, -14, -22, -22 }, /* event_channel_op EVTCHNOP_send */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, -3 },      /* event_channel_op EVTCHNOP_status */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, -3 }, /* event_channel_op EVTCHNOP_alloc_unbound */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, -2 }, /* event_channel_op EVTCHNOP_bind_ipi */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -2 }, /* event_channel_op EVTCHNOP_bind_vcpu */
    { -14, 0, -14, -14, 0, -14, 0, -14, 0, -22 },        /* event_channel_op EVTCHNOP_unmask */
    {
        -14, 127, -14, -14, 127, -14, -14, -14, 127, 127
    }, /* event_channel_op EVTCHNOP_init_control */
    {
        -14, -95, -14, -14, -95, -14, -14, -14, -95, -95
    }, /* event_channel_op EVTCHNOP_expand_array */
    {
        -14, -38, -14, -14, -38, -14, -14, -14, -38, -22
    }, /* event_channel_op EVTCHNOP_set_priority */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* event_channel_op 77 */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, -22 }, /* physdev_op PHYSDEVOP_irq_status_query */
    { -14, 0, -14, -14, 0, -14, 0, -14, 0, -22 },     /* physdev_op PHYSDEVOP_set_iopl */
    { -14, 0, -14, -14, 0, -14, -14, -14, 0, -22 },   /* physdev_op PHYSDEVOP_set_iobitmap */
    { -14, -22, -14, -14, -14, -14, -14, -14, -22, -22 }, /* physdev_op PHYSDEVOP_apic_read */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -22 }, /* physdev_op PHYSDEVOP_apic_write */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 }, /* physdev_op PHYSDEVOP_alloc_irq_vector */
    { -14, -22, -14, -14, -22, -14, -22, -14, -22, -22 }, /* physdev_op PHYSDEVOP_eoi */
    { -14, -22, -14, -14, -14, -14, -14, -14, -22, -3 },  /* physdev_op PHYSDEVOP_map_pirq */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -3 },  /* physdev_op PHYSDEVOP_unmap_pirq */
    { -14, 127, -14, -14, 127, -14, -14, -14, 127, 127 }, /* physdev_op PHYSDEVOP_setup_gsi */
    { -14, 0, -14, -14, 0, -14, -14, -14, 0, 0 },         /* physdev_op PHYSDEVOP_pci_device_add */
    { -14, 0, -14, -14, -19, -14, -19, -14, -19, 0 }, /* physdev_op PHYSDEVOP_pci_device_remove */
    {
        -14, -19, -14, -14, -19, -14, -14, -14, -19, -22
    }, /* physdev_op PHYSDEVOP_pci_mmcfg_reserved */
    {
        -14, -22, -14, -14, -22, -14, -14, -14, -22, -22
    },                                              /* physdev_op PHYSDEVOP_pirq_eoi_gmfn_v2 */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 }, /* physdev_op PHYSDEVOP_get_free_pirq */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* physdev_op 77 */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 }, /* grant_table_op GNTTABOP_map_grant_ref */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 }, /* grant_table_op GNTTABOP_unmap_grant_ref */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 }, /* grant_table_op GNTTABOP_setup_table */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 }, /* grant_table_op GNTTABOP_query_size */
    { -14, -22, -14, -14, -14, -14, -22, -14, -22, -22 }, /* grant_table_op GNTTABOP_set_version */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, -3 },      /* grant_table_op GNTTABOP_get_version */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },       /* grant_table_op GNTTABOP_copy */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* grant_table_op 77 */
    { -22, -22, -22, -22, -22, -22, -22, -22, -22, -22 }, /* grant_table_op query_size 2 */
    { -22, -22, -22, -22, -22, -22, -22, -22, -22, -22 }, /* grant_table_op copy -1 */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -22 }, /* hvm_op 0 */
    { -14, -22, -14, -14, -22, -14, -14, -14, -22, -22 }, /* hvm_op 1 */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* hvm_op 77 */
    { -14, -2, -14, -14, -2, -14, -2, -14, -2, -22 },     /* kexec_op 0 */
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },                     /* kexec_op 77 */
    { -14, 127, -14, -14, 127, -14, -14, -14, 127, 127 }, /* nmi_op 0 */
    { -14, 0, -14, -14, -14, -14, -14, -14, 0, 0 },       /* xenoprof_op */
    { -14, -1, -14, -14, -1, -14, -14, -14, -1, -1 },     /* dm_op */
    { -38, -38, -38, -38, -38, -38, -38, -38, -38, -38 }, /* argo_op */
