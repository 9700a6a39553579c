/* SPDX-License-Identifier: MIT */
/*
 * What processors are like, for the toolstack: sets of feature words, and
 * policies, which are lists of CPUID leaves and MSRs as a kind of domain would
 * read them.
 *
 * There are three kinds: the processor itself (raw and host are one, since we
 * hide nothing from ourselves), and what paravirtual domains see (the most they
 * may and what they get are one).  No domain is of the other kind.
 */
#include "hcall/cpu_policy.h"

#include <xen/sysctl.h>

#include "pv/pv.h"
#include "sys/log.h"
#include "x86/features.h"
#include "x86/insn.h"
#include "x86/msr.h"

#define XSTATE_LEAF   0xdu
#define SUBLEAVES_MAX 64u
#define LEAVES_MAX    128u /* more than any processor has in the ranges told */
#define CACHE_LEAF    4u
#define HV_LEAF       0x40000000u
#define EXTENDED_LEAF 0x80000000u
#define FEATURE_MTRRS (1u << 12)
#define AMD_WORD      2u /* of leaf 0x80000001: repeats features of leaf 1 */
#define AMD_COMMON    0x0183f3ffu

static void read_leaf(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    if (v != NULL) {
        pv_cpuid_of(v, leaf, subleaf, out);
        if (leaf == 1 || leaf == EXTENDED_LEAF + 1) {
            out[3] &= ~FEATURE_MTRRS; /* dom0 sees them, and no policy has them */
        }
    } else {
        struct cpuid_regs r = cpuid(leaf, subleaf);

        out[0] = r.a;
        out[1] = r.b;
        out[2] = r.c;
        out[3] = r.d;
    }
}

/* ------------------------------------------------------------ features -- */

/* Subleaves and leaves beyond the last one read as another's. */
static bool leaf_exists(const struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
    uint32_t out[4];

    read_leaf(v, leaf & 0xf0000000, 0, out);
    if (leaf == 0 || leaf > out[0]) {
        return false;
    }
    if (leaf == 7 && subleaf != 0) {
        read_leaf(v, leaf, 0, out);
        return subleaf <= out[0];
    }
    return true;
}

uint32_t cpu_policy_word(const struct vcpu *v, unsigned int i)
{
    uint32_t out[4] = { 0 };

    if (leaf_exists(v, pv_cpuid_words[i].leaf, pv_cpuid_words[i].subleaf)) {
        read_leaf(v, pv_cpuid_words[i].leaf, pv_cpuid_words[i].subleaf, out);
    }
    if (i == AMD_WORD && v != NULL && cpu_features.vendor == VENDOR_AMD) {
        out[3] &= ~AMD_COMMON; /* which the tools put there again */
    }
    return out[pv_cpuid_words[i].reg];
}

long cpu_policy_features(const struct vcpu *v, struct guest_ptr to, uint32_t *nr)
{
    uint32_t room = *nr;

    *nr = PV_CPUID_WORDS;
    if (guest_ptr_null(to)) {
        return 0;
    }
    for (uint32_t i = 0; i < min(room, *nr); i++) {
        uint32_t word = cpu_policy_word(v, i);

        if (copy_elem_to_guest(to, i, &word, sizeof(word)) != 0) {
            return -EFAULT;
        }
    }
    return room < *nr ? -ENOBUFS : 0;
}

/* ------------------------------------------------------------ policies -- */

/* A guest's array that is being filled. */
struct leaves {
    const struct vcpu *v;
    struct guest_ptr to;
    uint32_t room, nr;
};

static long put_leaf(struct leaves *l, uint32_t leaf, uint32_t subleaf)
{
    uint32_t out[4];
    struct xen_cpuid_leaf entry = { .leaf = leaf, .subleaf = subleaf };

    read_leaf(l->v, leaf, subleaf == XEN_CPUID_NO_SUBLEAF ? 0 : subleaf, out);
    if (l->nr >= l->room) {
        return -ENOBUFS;
    }
    entry.a = out[0];
    entry.b = out[1];
    entry.c = out[2];
    entry.d = out[3];
    return copy_elem_to_guest(l->to, l->nr++, &entry, sizeof(entry));
}

/* How many subleaves @leaf has; 0: it has none to tell apart. */
static uint32_t nr_subleaves(const struct vcpu *v, uint32_t leaf)
{
    uint32_t out[4], n = 0;

    switch (leaf) {
    case CACHE_LEAF:
        do {
            read_leaf(v, leaf, n++, out);
        } while ((out[0] & 0x1f) != 0 && n < SUBLEAVES_MAX);
        return n;
    case 7:
        read_leaf(v, leaf, 0, out);
        return min(out[0], SUBLEAVES_MAX - 1) + 1;
    case 0xb:
        return 2;
    case XSTATE_LEAF:
        return SUBLEAVES_MAX - 1;
    default:
        return 0;
    }
}

static bool is_empty(const struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
    uint32_t out[4];

    read_leaf(v, leaf, subleaf, out);
    return (out[0] | out[1] | out[2] | out[3]) == 0;
}

static long put_range(struct leaves *l, uint32_t first)
{
    uint32_t out[4];
    long rc = 0;

    read_leaf(l->v, first, 0, out);
    for (uint32_t leaf = first; leaf <= min(out[0], first + 0x21) && rc == 0; leaf++) {
        uint32_t nr = nr_subleaves(l->v, leaf);

        if (nr == 0) {
            rc = put_leaf(l, leaf, XEN_CPUID_NO_SUBLEAF);
        }
        for (uint32_t i = 0; i < nr && rc == 0; i++) {
            if (i < 2 || !is_empty(l->v, leaf, i)) {
                rc = put_leaf(l, leaf, i);
            }
        }
    }
    return rc;
}

static long put_leaves(const struct vcpu *v, struct guest_ptr to, uint32_t *nr)
{
    struct leaves l = { .v = v, .to = to, .room = *nr };
    long rc;

    if (guest_ptr_null(to)) {
        *nr = LEAVES_MAX;
        return 0;
    }
    rc = put_range(&l, 0);
    if (rc == 0 && v != NULL) {
        rc = put_leaf(&l, HV_LEAF, XEN_CPUID_NO_SUBLEAF);
    }
    if (rc == 0) {
        rc = put_range(&l, EXTENDED_LEAF);
    }
    *nr = l.nr;
    return rc;
}

/* Both describe features that nobody is shown. */
static long put_msrs(struct guest_ptr to, uint32_t *nr)
{
    static const struct xen_msr_entry msrs[] = { { .idx = MSR_PLATFORM_INFO },
                                                 { .idx = MSR_ARCH_CAPABILITIES } };
    uint32_t room = *nr;

    *nr = ARRAY_SIZE(msrs);
    if (guest_ptr_null(to)) {
        return 0;
    }
    if (room < *nr) {
        return -ENOBUFS;
    }
    return copy_to_guest(to, msrs, sizeof(msrs));
}

long cpu_policy_tell(const struct vcpu *v, struct guest_ptr leaves, uint32_t *nr_leaves,
                     struct guest_ptr msrs, uint32_t *nr_msrs)
{
    long rc = put_leaves(v, leaves, nr_leaves);

    return rc != 0 ? rc : put_msrs(msrs, nr_msrs);
}

/* -------------------------------------------------------------- setting -- */

static bool is_known_leaf(uint32_t leaf)
{
    return leaf <= 0x1d || leaf - HV_LEAF <= 0x1ff || leaf - EXTENDED_LEAF <= 0x21;
}

/* More than it may see is told, and left out: the domain may come from another machine. */
static void tell_excess(const struct vcpu *v, const struct xen_cpuid_leaf *leaf,
                        const uint32_t asked[4])
{
    for (unsigned int i = 0; i < PV_CPUID_WORDS; i++) {
        const struct pv_cpuid_word *w = &pv_cpuid_words[i];
        uint32_t excess;

        /* Words of leaf 0 are those of MSRs. */
        if (w->leaf == 0 || w->leaf != leaf->leaf || w->subleaf != leaf->subleaf) {
            continue;
        }
        excess = asked[w->reg] & ~(cpu_policy_word(v, i) | (i == AMD_WORD ? AMD_COMMON : 0));
        if (excess != 0) {
            log_info("d%u: CPUID leaf %#x, subleaf %#x: it cannot have features %#x of word %u",
                     v->domain->id, leaf->leaf, leaf->subleaf, excess, i);
        }
    }
}

static long take_leaf(const struct vcpu *v, struct xen_cpuid_leaf *leaf)
{
    const uint32_t asked[] = { leaf->a, leaf->b, leaf->c, leaf->d };

    if (!is_known_leaf(leaf->leaf)) {
        log_warn("d%u: CPUID leaf %#x is not part of a policy", v->domain->id, leaf->leaf);
        return -ERANGE;
    }
    leaf->subleaf = leaf->subleaf == XEN_CPUID_NO_SUBLEAF ? 0 : leaf->subleaf;
    tell_excess(v, leaf, asked);
    return pv_cpuid_limit(v->domain, leaf->leaf, leaf->subleaf, asked);
}

static long check_msr(const struct vcpu *v, const struct xen_msr_entry *e)
{
    if (e->flags != 0) {
        return -EINVAL;
    }
    if (e->idx != MSR_PLATFORM_INFO && e->idx != MSR_ARCH_CAPABILITIES) {
        log_warn("d%u: MSR %#x is not part of a policy", v->domain->id, e->idx);
        return -ERANGE;
    }
    return 0;
}

long cpu_policy_set(const struct vcpu *v, struct xen_domctl_cpu_policy *p)
{
    struct xen_cpuid_leaf leaf;
    struct xen_msr_entry msr;
    long rc;

    if (p->nr_leaves > LEAVES_MAX || p->nr_msrs > 2) {
        log_warn("d%u: a policy of %u leaves and %u MSRs is too long", v->domain->id, p->nr_leaves,
                 p->nr_msrs);
        return -E2BIG;
    }
    for (uint32_t i = 0; i < p->nr_leaves; i++) {
        if (copy_elem_from_guest(&leaf, guest_ptr_of(p->leaves), i, sizeof(leaf)) != 0) {
            return -EFAULT;
        }
        rc = take_leaf(v, &leaf);
        if (rc != 0) {
            p->err_leaf = leaf.leaf;
            p->err_subleaf = leaf.subleaf;
            return rc;
        }
    }
    for (uint32_t i = 0; i < p->nr_msrs; i++) {
        if (copy_elem_from_guest(&msr, guest_ptr_of(p->msrs), i, sizeof(msr)) != 0) {
            return -EFAULT;
        }
        rc = check_msr(v, &msr);
        if (rc != 0) {
            p->err_msr = msr.idx;
            return rc;
        }
    }
    return 0;
}
