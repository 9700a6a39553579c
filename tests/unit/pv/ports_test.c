/* SPDX-License-Identifier: MIT */
/* Which ports a domain reaches, also while its rights change. */
/* sources: hv/pv/ports.c hv/lib/rangeset.c hv/lib/string.c tests/unit/grant/threads.c */
/* libs: -lpthread */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/pci.h"
#include "grant/threads.h"
#include "guest/guest.h"
#include "pv/internal.h"
#include "x86/insn.h"
#include "x86/smp.h"

#define OWN      0x300 /* and the following 16: always the domain's */
#define OTHERS   0x100 /* and the following 128: it never has all of them */
#define NR_TURNS 400000

static struct domain domain;
static struct vcpu vcpu;
static unsigned int nr_real; /* accesses to real ports */

/* ---- fakes ---- */

uint8_t inb(uint16_t port)
{
    nr_real++;
    return (uint8_t)port;
}

uint16_t inw(uint16_t port)
{
    nr_real++;
    return port;
}

uint32_t inl(uint16_t port)
{
    nr_real++;
    return port;
}

void outb(uint16_t port, uint8_t value)
{
    nr_real++;
}

void outw(uint16_t port, uint16_t value)
{
    nr_real++;
}

void outl(uint16_t port, uint32_t value)
{
    nr_real++;
}

uint32_t pci_read(struct pci_address a, unsigned int reg, unsigned int bytes)
{
    return 0;
}

void pci_write(struct pci_address a, unsigned int reg, unsigned int bytes, uint32_t value)
{
}

void cr3_load(uint64_t cr3)
{
}

int guest_read(void *to, struct guest_ptr from, size_t len_bytes)
{
    return -EFAULT;
}

void spin_lock_wait(struct spinlock *lock)
{
    while (!spin_lock_take(lock)) {
    }
}

static void *range_alloc(size_t bytes)
{
    return calloc(1, bytes);
}

static void range_free(void *p, size_t bytes)
{
    free(p);
}

static const struct rangeset_alloc host_alloc = { range_alloc, range_free };

/* ---- */

static int begin(void **state)
{
    memset(&domain, 0, sizeof(domain));
    spin_lock_init(&domain.lock, LOCK_RANK_DOMAIN);
    rangeset_init(&domain.ioports, &host_alloc, 4096);
    vcpu = (struct vcpu){ .domain = &domain, .in_kernel = true, .pv.iopl = 1 };
    nr_real = 0;
    return rangeset_add(&domain.ioports, OWN, OWN + 15);
}

static int end(void **state)
{
    rangeset_destroy(&domain.ioports);
    return 0;
}

static uint32_t in(uint16_t port, unsigned int bytes)
{
    struct emul_ctxt c = { .opaque = &vcpu, .is_kernel = true };
    uint32_t val = 0;

    assert_int_equal(pv_read_io(&c, port, bytes, &val), EMUL_OK);
    return val;
}

static void only_its_own_ports_are_real(void **state)
{
    struct emul_ctxt c = { .opaque = &vcpu, .is_kernel = true };

    assert_int_equal(in(OWN, 1), OWN & 0xff);
    assert_int_equal(in(OWN + 12, 4), OWN + 12);
    assert_int_equal(nr_real, 2);
    assert_int_equal(in(OWN - 1, 1), 0xff);
    assert_int_equal(in(0xffff, 4), 0xffffffff);
    assert_int_equal(nr_real, 2);
    assert_int_equal(in(OWN + 15, 2), 0xff00 | ((OWN + 15) & 0xff)); /* half of it */
    assert_int_equal(pv_write_io(&c, OWN - 1, 1, 5), EMUL_OK);
    assert_int_equal(nr_real, 3);
    vcpu.pv.iopl = 0;
    assert_int_equal(pv_write_io(&c, OWN, 1, 5), EMUL_UNHANDLEABLE);
    assert_int_equal(nr_real, 3);
}

static volatile bool is_over;

/* The toolstack gives and takes single ports, so that the set is moved to a larger place again
 * and again. */
static void *change_rights(void *arg)
{
    while (!is_over) {
        for (unsigned int i = 0; i < 128; i += 2) {
            spin_lock(&domain.lock);
            assert_int_equal(rangeset_add(&domain.ioports, OTHERS + i, OTHERS + i), 0);
            spin_unlock(&domain.lock);
        }
        spin_lock(&domain.lock);
        rangeset_destroy(&domain.ioports);
        rangeset_init(&domain.ioports, &host_alloc, 4096);
        assert_int_equal(rangeset_add(&domain.ioports, OWN, OWN + 15), 0);
        spin_unlock(&domain.lock);
    }
    return NULL;
}

static void rights_change_under_it(void **state)
{
    unsigned long thread;

    is_over = false;
    thread = thread_start(change_rights, NULL);
    for (unsigned int i = 0; i < NR_TURNS; i++) {
        assert_int_equal(in((uint16_t)(OTHERS + 1 + i % 64 * 2), 1), 0xff); /* never given */
    }
    is_over = true;
    thread_join(thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_its_own_ports_are_real, begin, end),
        cmocka_unit_test_setup_teardown(rights_change_under_it, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
