/* SPDX-License-Identifier: MIT */
/*
 * User mode: a second L4 table with the user's text, data and stack, whose
 * lower half the kernel shares.  The pages that hold them are the kernel's own,
 * mapped a second time.
 */
#include "hypercall.h"
#include "mm.h"

uint8_t user_data[PAGE_SIZE] page_aligned;
uint8_t user_stack[PAGE_SIZE] page_aligned;
uint64_t *user_l4, *user_l1;

static void map_text(void)
{
    for (uint8_t *page = user_text_start; page < user_text_end; page += PAGE_SIZE) {
        pt_map(kernel_l4, user_address(page), pte_of(page, PTE_RW_PAGE));
    }
}

void user_init(void)
{
    uint64_t shared;

    map_text();
    pt_map(kernel_l4, USER_DATA, pte_of(user_data, PTE_RW_PAGE));
    pt_map(kernel_l4, USER_STACK - PAGE_SIZE, pte_of(user_stack, PTE_RW_PAGE));
    pt_map(kernel_l4, USER_HOLE, 0);

    user_l1 = pt_entry(kernel_l4, USER_DATA, 1) - pt_index(USER_DATA, 1);
    shared = *pt_entry(kernel_l4, USER_DATA, 4);
    user_l4 = page_alloc();
    user_l4[0] = shared & ~(PTE_A | PTE_D);
    if (page_make_ro(user_l4) || mmuext(MMUEXT_PIN_L4_TABLE, virt_to_mfn(user_l4), 0) ||
        mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(user_l4), 0)) {
        guest_die("cannot set up user mode");
    }
}

void user_regs(struct regs *regs, const void *entry)
{
    *regs = (struct regs){
        .rip = user_address(entry),
        .cs = FLAT_USER_CS,
        .rflags = 0x202,
        .rsp = USER_STACK,
        .ss = FLAT_USER_SS,
    };
}

void user_run(struct regs *regs)
{
    struct cpu *cpu = this_cpu();
    struct regs copy = *regs;

    cpu->user = regs;
    if (context_save(&cpu->user_return) == 0) {
        regs_resume(&copy);
    }
}
