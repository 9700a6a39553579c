/* SPDX-License-Identifier: MIT */
/*
 * The hypercall page of 64-bit paravirtual guests.  SYSCALL overwrites rcx and
 * r11, so each routine keeps them on the stack.  That of the iret hypercall
 * does not come back: it makes the top of a struct iret_context instead.
 */
#include "pv/hypercall_page.h"

#include "abi/xen.h"
#include "lib/string.h"

#define STUB_BYTES 32u
#define NUMBER_AT  4u /* in the stub; one byte further in that of iret */
#define INT3       0xcc

static const uint8_t stub[] = {
    0x51,                /* push %rcx */
    0x41, 0x53,          /* push %r11 */
    0xb8, 0,    0, 0, 0, /* mov $number, %eax */
    0x0f, 0x05,          /* syscall */
    0x41, 0x5b,          /* pop %r11 */
    0x59,                /* pop %rcx */
    0xc3,                /* ret */
};

static const uint8_t iret_stub[] = {
    0x51,                /* push %rcx */
    0x41, 0x53,          /* push %r11 */
    0x50,                /* push %rax */
    0xb8, 0,    0, 0, 0, /* mov $number, %eax */
    0x0f, 0x05,          /* syscall */
};

void pv_hypercall_page_fill(void *page)
{
    memset(page, INT3, PAGE_SIZE);
    for (uint32_t number = 0; number < PAGE_SIZE / STUB_BYTES; number++) {
        uint8_t *at = (uint8_t *)page + number * STUB_BYTES;

        if (number == __HYPERVISOR_iret) {
            memcpy(at, iret_stub, sizeof(iret_stub));
            memcpy(at + NUMBER_AT + 1, &number, sizeof(number));
        } else {
            memcpy(at, stub, sizeof(stub));
            memcpy(at + NUMBER_AT, &number, sizeof(number));
        }
    }
}
