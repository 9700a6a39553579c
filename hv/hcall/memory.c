/* SPDX-License-Identifier: MIT */
/*
 * memory_op: what a domain owns, and what the machine has.
 *
 * The low bits of the command are the operation, the others the extent to go
 * on with: a call that restarts has them rewritten.  Operations on extents
 * answer how many are done, which is fewer than asked for when one fails.
 */
#include "hcall/hcall.h"

#include <xen/memory.h>

#include "domain/memory.h"
#include "drivers/acpi.h"
#include "mm/m2p.h"
#include "mm/phys.h"
#include "sys/boot_info.h"
#include "sys/log.h"
#include "sys/softirq.h"

#define MEMOP_EXTENT_SHIFT 6u /* of the command: above it, the extent to go on with */
#define CMD_MASK           ((1u << MEMOP_EXTENT_SHIFT) - 1)
#define EXTENTS_A_BATCH    32u
#define MSI_FIRST          0xfee00000ull /* what is written there is an interrupt */
#define MSI_BYTES          0x100000ull
#define ORDER_MAX_DOMU     9u
#define ORDER_MAX_DOM0     18u

/* ----------------------------------------------------------- reservations -- */

struct extents {
    struct domain *d;
    struct guest_ptr list;
    unsigned int order;
    unsigned int address_bits;
};

static void set_m2p(mfn_t mfn, unsigned int order, uint64_t pfn)
{
    for (uint64_t i = 0; i < 1ull << order; i++) {
        m2p_set(MFN(mfn.n + i), pfn == M2P_INVALID ? M2P_INVALID : pfn + i);
    }
}

static long take_back(struct domain *d, mfn_t mfn, unsigned int order)
{
    for (uint64_t i = 0; i < 1ull << order; i++) {
        if (memory_free(d, MFN(mfn.n + i)) != 0) {
            log_guest(d->id, "frame %#lx cannot be given back", mfn.n + i);
        }
    }
    return -EFAULT;
}

/* Extent @i of the list: memory that the domain's frame numbers from list[i] on shall stand for. */
static long populate_one(const struct extents *x, uint64_t i)
{
    uint64_t pfn, mfn;
    mfn_t got;

    if (copy_elem_from_guest(&pfn, x->list, i, sizeof(pfn)) != 0) {
        return -EFAULT;
    }
    got = memory_alloc(x->d, x->order, x->address_bits, ALLOC_ZERO);
    if (mfn_eq(got, MFN_INVALID)) {
        return -ENOMEM;
    }
    set_m2p(got, x->order, pfn);
    mfn = got.n;
    return copy_elem_to_guest(x->list, i, &mfn, sizeof(mfn)) == 0 ? 0
                                                                  : take_back(x->d, got, x->order);
}

static long increase_one(const struct extents *x, uint64_t i)
{
    mfn_t got = memory_alloc(x->d, x->order, x->address_bits, ALLOC_ZERO);
    uint64_t mfn = got.n;

    if (mfn_eq(got, MFN_INVALID)) {
        return -ENOMEM;
    }
    if (guest_ptr_null(x->list) || copy_elem_to_guest(x->list, i, &mfn, sizeof(mfn)) == 0) {
        return 0;
    }
    return take_back(x->d, got, x->order);
}

static long decrease_one(const struct extents *x, uint64_t i)
{
    uint64_t mfn;

    if (copy_elem_from_guest(&mfn, x->list, i, sizeof(mfn)) != 0) {
        return -EFAULT;
    }
    for (uint64_t k = 0; k < 1ull << x->order; k++) {
        if (!frame_valid(MFN(mfn + k)) || memory_free(x->d, MFN(mfn + k)) != 0) {
            log_guest(x->d->id, "frame %#lx is not its own to give back", mfn + k);
            return -EINVAL;
        }
    }
    return 0;
}

/* Do @one for each extent from @start on; how many are done, or a restart. */
static long for_extents(uint64_t cmd, uint64_t arg, const struct extents *x, uint64_t nr,
                        long (*one)(const struct extents *, uint64_t))
{
    uint64_t i = cmd >> MEMOP_EXTENT_SHIFT;

    for (; i < nr; i++) {
        if (i % EXTENTS_A_BATCH == EXTENTS_A_BATCH - 1 && preempt_pending()) {
            const uint64_t args[] = { (cmd & CMD_MASK) | i << MEMOP_EXTENT_SHIFT, arg };

            return hcall_restart(args, ARRAY_SIZE(args));
        }
        if (one(x, i) != 0) {
            break;
        }
    }
    return (long)i;
}

static long op_reservation(uint64_t cmd, uint64_t arg,
                           long (*one)(const struct extents *, uint64_t))
{
    uint64_t start = cmd >> MEMOP_EXTENT_SHIFT;
    struct xen_memory_reservation r;
    struct extents x;
    long rc;

    if (copy_from_guest(&r, GUEST_PTR(arg), sizeof(r)) != 0) {
        return (long)start;
    }
    if (start >= r.nr_extents || r.nr_extents > (~0ull >> MEMOP_EXTENT_SHIFT) ||
        !guest_range_ok(guest_ptr_of(r.extent_start), r.nr_extents * sizeof(xen_pfn_t)) ||
        r.extent_order > (current()->domain->is_privileged ? ORDER_MAX_DOM0 : ORDER_MAX_DOMU)) {
        return (long)start;
    }
    x.d = hcall_target(r.domid, &rc);
    if (x.d == NULL) {
        return (long)start;
    }
    x.list = guest_ptr_of(r.extent_start);
    x.order = r.extent_order;
    x.address_bits = XENMEMF_get_address_bits(r.mem_flags);
    rc = for_extents(cmd, arg, &x, r.nr_extents, one);
    domain_put(x.d);
    return rc;
}

/* --------------------------------------------------------------- exchange -- */

#define CHUNK_ORDER_MAX 9u /* frames of one step: 2^9 */
#define CHUNK_EXTENTS   (1u << CHUNK_ORDER_MAX)

/* Frame numbers of one step, one array for in and out; a step never sleeps, so one for each CPU
 * will do. */
static DEFINE_PER_CPU(uint64_t *, chunk);

struct exchange {
    struct domain *d;
    struct xen_memory_exchange x;
    uint32_t nr_in, nr_out; /* extents of one step */
};

static long exchange_step(struct exchange *e, uint64_t in_at)
{
    uint64_t *in = *this_cpu_ptr(chunk), *out = in + CHUNK_EXTENTS, *pfns = out + CHUNK_EXTENTS;
    struct memory_blocks give = { .mfns = in, .nr = e->nr_in, .order = e->x.in.extent_order };
    struct memory_blocks take = { .mfns = out, .nr = e->nr_out, .order = e->x.out.extent_order };
    uint64_t out_at = in_at / e->nr_in * e->nr_out;
    struct guest_ptr in_list = guest_ptr_add(guest_ptr_of(e->x.in.extent_start), in_at * 8);
    struct guest_ptr out_list = guest_ptr_add(guest_ptr_of(e->x.out.extent_start), out_at * 8);
    long rc;

    if (copy_from_guest(in, in_list, e->nr_in * 8ul) != 0 ||
        copy_from_guest(pfns, out_list, e->nr_out * 8ul) != 0) {
        return -EFAULT;
    }
    rc = memory_exchange(e->d, &give, &take, XENMEMF_get_address_bits(e->x.out.mem_flags));
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < e->nr_out; i++) {
        set_m2p(MFN(out[i]), take.order, pfns[i]);
    }
    /* They are the domain's now, told or not: its M2P says which they are. */
    return copy_to_guest(out_list, out, e->nr_out * 8ul);
}

static long exchange_check(struct exchange *e)
{
    const struct xen_memory_reservation *in = &e->x.in, *out = &e->x.out;
    unsigned int order = max(in->extent_order, out->extent_order);

    if (in->extent_order > CHUNK_ORDER_MAX || out->extent_order > CHUNK_ORDER_MAX) {
        return -EPERM;
    }
    if (in->domid != out->domid || in->nr_extents > (~0ull >> 16) ||
        out->nr_extents > (~0ull >> 16) ||
        in->nr_extents << in->extent_order != out->nr_extents << out->extent_order ||
        e->x.nr_exchanged > in->nr_extents) {
        return -EINVAL;
    }
    if (!guest_range_ok(guest_ptr_of(in->extent_start), in->nr_extents * 8) ||
        !guest_range_ok(guest_ptr_of(out->extent_start), out->nr_extents * 8)) {
        return -EFAULT;
    }
    e->nr_in = 1u << (order - in->extent_order);
    e->nr_out = 1u << (order - out->extent_order);
    return e->x.nr_exchanged % e->nr_in != 0 || in->nr_extents % e->nr_in != 0 ? -EINVAL : 0;
}

static long exchange_all(struct exchange *e)
{
    while (e->x.nr_exchanged < e->x.in.nr_extents) {
        long rc = exchange_step(e, e->x.nr_exchanged);

        if (rc != 0) {
            return rc;
        }
        e->x.nr_exchanged += e->nr_in;
        if (e->x.nr_exchanged < e->x.in.nr_extents && preempt_pending()) {
            return -ERESTART;
        }
    }
    return 0;
}

static long op_exchange(uint64_t cmd, uint64_t arg)
{
    struct guest_ptr p = GUEST_PTR(arg);
    struct exchange e;
    uint64_t before;
    long rc;

    (void)cmd;
    if (copy_from_guest(&e.x, p, sizeof(e.x)) != 0) {
        return -EFAULT;
    }
    rc = exchange_check(&e);
    if (rc != 0) {
        return rc;
    }
    if (*this_cpu_ptr(chunk) == NULL) {
        *this_cpu_ptr(chunk) = pages_alloc_hv(2);
        if (*this_cpu_ptr(chunk) == NULL) {
            return -ENOMEM;
        }
    }
    e.d = hcall_target(e.x.in.domid, &rc);
    if (e.d == NULL) {
        return rc;
    }
    before = e.x.nr_exchanged;
    rc = exchange_all(&e);
    domain_put(e.d);
    if (e.x.nr_exchanged != before &&
        copy_to_guest(guest_ptr_add(p, offsetof(struct xen_memory_exchange, nr_exchanged)),
                      &e.x.nr_exchanged, sizeof(e.x.nr_exchanged)) != 0) {
        return -EFAULT;
    }
    return rc == -ERESTART ? hcall_restart(NULL, 0) : rc;
}

/* --------------------------------------------------------------- inquiries -- */

static long op_maximum_ram_page(uint64_t cmd, uint64_t arg)
{
    (void)cmd, (void)arg;
    return (long)(nr_frames_max - 1);
}

enum account {
    ACCOUNT_PAGES,
    ACCOUNT_LIMIT,
    ACCOUNT_MAX_PFN
};

static long tell_account(uint64_t arg, enum account which)
{
    struct domain *d;
    domid_t id;
    long rc;

    if (copy_from_guest(&id, GUEST_PTR(arg), sizeof(id)) != 0) {
        return -EFAULT;
    }
    d = hcall_target(id, &rc);
    if (d == NULL) {
        return rc;
    }
    if (which == ACCOUNT_PAGES) {
        rc = (long)d->nr_pages;
    } else if (which == ACCOUNT_LIMIT) {
        rc = (long)d->max_pages;
    } else {
        rc = (long)max(READ_ONCE(d->shared_info->arch.max_pfn), 1ul) - 1;
    }
    domain_put(d);
    return rc;
}

static long op_current_reservation(uint64_t cmd, uint64_t arg)
{
    (void)cmd;
    return tell_account(arg, ACCOUNT_PAGES);
}

static long op_maximum_reservation(uint64_t cmd, uint64_t arg)
{
    (void)cmd;
    return tell_account(arg, ACCOUNT_LIMIT);
}

static long op_maximum_gpfn(uint64_t cmd, uint64_t arg)
{
    (void)cmd;
    return tell_account(arg, ACCOUNT_MAX_PFN);
}

/* Where dom0 must not put devices, and the firmware may not say so: interrupt controllers, ours. */
static int tell_controllers(struct guest_ptr list, uint32_t at)
{
    struct e820_entry r = { .start = MSI_FIRST, .len = MSI_BYTES, .type = E820_RESERVED };

    for (uint32_t i = 0; i < acpi_info.nr_ioapics; i++) {
        const struct e820_entry io = { .start = acpi_info.ioapics[i].address,
                                       .len = PAGE_SIZE,
                                       .type = E820_RESERVED };

        if (copy_elem_to_guest(list, at++, &io, sizeof(io)) != 0) {
            return -EFAULT;
        }
    }
    return copy_elem_to_guest(list, at, &r, sizeof(r));
}

/* The machine's own map, our memory not cut out: dom0 lays its frames out over it. */
static long op_machine_memory_map(uint64_t cmd, uint64_t arg)
{
    struct xen_memory_map map;

    (void)cmd;
    if (!current()->domain->is_privileged) {
        return -EPERM;
    }
    if (copy_from_guest(&map, GUEST_PTR(arg), sizeof(map)) != 0) {
        return -EFAULT;
    }
    if (guest_ptr_null(guest_ptr_of(map.buffer))) {
        map.nr_entries = 0;
    } else if (map.nr_entries < boot_info.nr_e820 + acpi_info.nr_ioapics + 1) {
        return -EINVAL;
    } else {
        map.nr_entries = boot_info.nr_e820 + acpi_info.nr_ioapics + 1;
        if (copy_to_guest(guest_ptr_of(map.buffer), boot_info.e820,
                          boot_info.nr_e820 * sizeof(boot_info.e820[0])) != 0 ||
            tell_controllers(guest_ptr_of(map.buffer), boot_info.nr_e820) != 0) {
            return -EFAULT;
        }
    }
    return copy_to_guest(GUEST_PTR(arg), &map, sizeof(map));
}

static long op_machphys_mapping(uint64_t cmd, uint64_t arg)
{
    struct xen_machphys_mapping m = { .v_start = MACH2PHYS_VIRT_START,
                                      .v_end = MACH2PHYS_VIRT_END,
                                      .max_mfn = nr_frames_max - 1 };

    (void)cmd;
    return copy_to_guest(GUEST_PTR(arg), &m, sizeof(m));
}

/* Where the M2P's memory is, in pieces of 2 MiB; a piece that is not there is told as the one
 * before. */
static long op_machphys_mfn_list(uint64_t cmd, uint64_t arg)
{
    struct xen_machphys_mfn_list l;
    xen_pfn_t mfn = 0;
    uint32_t i;

    (void)cmd;
    if (copy_from_guest(&l, GUEST_PTR(arg), sizeof(l)) != 0) {
        return -EFAULT;
    }
    for (i = 0; i < min((uint64_t)l.max_extents, m2p_nr_pieces()); i++) {
        mfn_t piece = m2p_piece(i);

        mfn = mfn_eq(piece, MFN_INVALID) ? mfn : piece.n;
        if (copy_elem_to_guest(guest_ptr_of(l.extent_start), i, &mfn, sizeof(mfn)) != 0) {
            return -EFAULT;
        }
    }
    l.nr_extents = i;
    return copy_to_guest(GUEST_PTR(arg), &l, sizeof(l));
}

/*
 * Tools ask before they build a domain whether its memory is there.  Nothing is
 * set aside: who allocates first has it.
 */
static long op_claim_pages(uint64_t cmd, uint64_t arg)
{
    struct xen_memory_reservation r;
    struct domain *d;
    long rc = 0;

    (void)cmd;
    if (copy_from_guest(&r, GUEST_PTR(arg), sizeof(r)) != 0) {
        return -EFAULT;
    }
    if (!current()->domain->is_privileged) {
        return -EPERM;
    }
    if (!guest_ptr_null(guest_ptr_of(r.extent_start)) || r.extent_order != 0 || r.mem_flags != 0) {
        return -EINVAL;
    }
    d = r.domid == DOMID_SELF ? NULL : domain_get(r.domid);
    if (d == NULL) {
        return -EINVAL;
    }
    if (r.nr_extents != 0 && (r.nr_extents <= d->nr_pages || r.nr_extents > d->max_pages)) {
        rc = -EINVAL;
    } else if (r.nr_extents != 0 && r.nr_extents - d->nr_pages > pages_nr_free()) {
        log_warn("d%u: %lu pages are more than there are", d->id, r.nr_extents);
        rc = -ENOMEM;
    }
    domain_put(d);
    return rc;
}

/* Without an IOMMU no device has memory that guests must leave free for it. */
static long op_reserved_device_memory_map(uint64_t cmd, uint64_t arg)
{
    struct xen_reserved_device_memory_map m;

    (void)cmd;
    if (copy_from_guest(&m, GUEST_PTR(arg), sizeof(m)) != 0) {
        return -EFAULT;
    }
    if (m.flags & ~XENMEM_RDM_ALL) {
        return -EINVAL;
    }
    m.nr_entries = 0;
    return copy_to_guest(GUEST_PTR(arg), &m, sizeof(m));
}

/* No frames are shared between domains. */
static long op_no_sharing(uint64_t cmd, uint64_t arg)
{
    (void)cmd, (void)arg;
    return 0;
}

static long op_get_vnumainfo(uint64_t cmd, uint64_t arg)
{
    (void)cmd, (void)arg;
    return -EOPNOTSUPP;
}

static long op_increase(uint64_t cmd, uint64_t arg)
{
    return op_reservation(cmd, arg, increase_one);
}

static long op_decrease(uint64_t cmd, uint64_t arg)
{
    return op_reservation(cmd, arg, decrease_one);
}

static long op_populate(uint64_t cmd, uint64_t arg)
{
    return op_reservation(cmd, arg, populate_one);
}

static long (*const ops[])(uint64_t cmd, uint64_t arg) = {
    [XENMEM_increase_reservation] = op_increase,
    [XENMEM_decrease_reservation] = op_decrease,
    [XENMEM_populate_physmap] = op_populate,
    [XENMEM_exchange] = op_exchange,
    [XENMEM_maximum_ram_page] = op_maximum_ram_page,
    [XENMEM_current_reservation] = op_current_reservation,
    [XENMEM_maximum_reservation] = op_maximum_reservation,
    [XENMEM_maximum_gpfn] = op_maximum_gpfn,
    [XENMEM_machphys_mfn_list] = op_machphys_mfn_list,
    [XENMEM_machine_memory_map] = op_machine_memory_map,
    [XENMEM_claim_pages] = op_claim_pages,
    [XENMEM_reserved_device_memory_map] = op_reserved_device_memory_map,
    [XENMEM_machphys_mapping] = op_machphys_mapping,
    [XENMEM_get_sharing_freed_pages] = op_no_sharing,
    [XENMEM_get_sharing_shared_pages] = op_no_sharing,
    [XENMEM_get_vnumainfo] = op_get_vnumainfo,
};

long hcall_memory_op(uint64_t cmd, uint64_t arg, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    uint64_t op = cmd & CMD_MASK;

    UNUSED(c, d, e, f);
    if (op >= ARRAY_SIZE(ops) || ops[op] == NULL) {
        return -ENOSYS;
    }
    return ops[op](cmd, arg);
}
