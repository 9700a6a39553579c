/* SPDX-License-Identifier: MIT */
/*
 * What a guest reads about its vCPUs without asking: the run-state area and
 * the clock (struct vcpu_time_info, <xen/xen.h>).
 *
 * Both live in guest memory at a guest virtual address that may be unmapped at
 * any time; a failed copy is no error, the next switch tries again.
 */
#include "domain/domain.h"
#include "guest/guest.h"
#include "time/time.h"

static int effective_state(const struct vcpu *v, int runstate)
{
    if (runstate == RUNSTATE_blocked && (!v->is_online || READ_ONCE(v->pause_count) != 0)) {
        return RUNSTATE_offline;
    }
    return runstate;
}

void vcpu_state_changed(struct sched_unit *u, int runstate, uint64_t now)
{
    struct vcpu *v = container_of(u, struct vcpu, unit);
    struct vcpu_runstate_info *r = &v->runstate;

    now = max(now, r->state_entry_time); /* set by a CPU whose clock may be a little ahead */
    r->time[r->state] += now - r->state_entry_time;
    r->state_entry_time = now;
    r->state = effective_state(v, runstate);
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *r)
{
    *r = v->runstate;
    r->time[r->state] += time_now() - r->state_entry_time;
}

/* With the assist, the reader is told by the top bit of state_entry_time that an update is under
 * way. */
static void publish_runstate(struct vcpu *v)
{
    struct guest_ptr to = GUEST_PTR(v->runstate_guest);
    struct guest_ptr stamp =
        guest_ptr_add(to, offsetof(struct vcpu_runstate_info, state_entry_time));
    struct vcpu_runstate_info r = v->runstate;
    bool is_flagged = v->domain->vm_assist & (1u << VMASST_TYPE_runstate_update_flag);

    if (is_flagged) {
        r.state_entry_time |= XEN_RUNSTATE_UPDATE;
        if (copy_to_guest(stamp, &r.state_entry_time, sizeof(r.state_entry_time)) != 0) {
            return;
        }
    }
    if (copy_to_guest(to, &r, sizeof(r)) == 0 && is_flagged) {
        barrier();
        if (copy_to_guest(stamp, &v->runstate.state_entry_time, sizeof(uint64_t)) != 0) {
            return;
        }
    }
}

static void publish_time(struct vcpu *v)
{
    uint32_t generation;
    struct time_scale scale = time_scale_get(&generation);

    if (generation == v->time_generation) {
        return;
    }
    v->time_generation = generation;
    if (unlikely(v->domain->is_tsc_emulated)) {
        scale = domain_tsc_scale(v->domain, scale.base_ns);
    }
    time_fill_guest(&v->info->time, &scale, time_tsc_is_stable());
    if (v->time_info_guest != 0 &&
        copy_to_guest(GUEST_PTR(v->time_info_guest), &v->info->time, sizeof(v->info->time)) != 0) {
        v->time_generation = 0; /* try again at the next switch */
    }
}

/*
 * The clock is read under the lock: of two that publish at once, the later one
 * writes what is set by then.  The version is odd meanwhile, which makes a
 * reader try again, and even afterwards whatever the guest has made of it.
 */
void domain_publish_wallclock(struct domain *d)
{
    struct shared_info *s = d->shared_info;
    uint32_t nsec, version;
    uint64_t sec;

    spin_lock(&d->lock);
    time_wallclock_get(&sec, &nsec);
    sec += (uint64_t)d->time_offset_s;
    version = READ_ONCE(s->wc_version) & ~1u;
    __atomic_store_n(&s->wc_version, version + 1, __ATOMIC_SEQ_CST);
    WRITE_ONCE(s->wc_sec, (uint32_t)sec);
    WRITE_ONCE(s->wc_sec_hi, (uint32_t)(sec >> 32));
    WRITE_ONCE(s->wc_nsec, nsec);
    __atomic_store_n(&s->wc_version, version + 2, __ATOMIC_SEQ_CST);
    spin_unlock(&d->lock);
}

void domain_wallclock_changed(void)
{
    struct domain *d;
    domid_t id = 0;

    while ((d = domain_get_next(id)) != NULL) {
        id = (domid_t)(d->id + 1);
        domain_publish_wallclock(d);
        domain_put(d);
    }
}

void vcpu_time_changed(void)
{
    if (!current()->is_idle) {
        publish_time(current());
    }
}

void vcpu_publish(struct vcpu *v)
{
    publish_time(v);
    if (v->runstate_guest != 0) {
        publish_runstate(v);
    }
}
