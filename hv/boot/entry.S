/* SPDX-License-Identifier: MIT */
/*
 * From the loader to C.  Multiboot 1, multiboot 2 and PVH all enter in 32-bit
 * protected mode without paging, interrupts off, ebx pointing to what the
 * loader has to tell; neither a stack nor a descriptor table can be counted on.
 * Only a multiboot 2 loader on EFI that leaves the firmware's boot services to
 * us enters in 64-bit mode; when these are left, we go back to 32 bits.
 * The image may lie at any 2 MiB border below 4 GiB: ebp holds where, from the
 * first instructions on, and every access is relative to it.
 *
 * The way: find ourselves, check the processor, clear bss, build page tables
 * (low 4 GiB as they are; the image at its link address, each part with its
 * rights), go to long mode, jump to the link address, call boot_start().
 */
#include "asm-offsets.h"
#include "boot/layout.h"

#define MB1_MAGIC        0x1BADB002
#define MB1_FLAGS        0x00000003 /* modules on page borders, tell the memory map */
#define MB2_MAGIC        0xE85250D6
#define MB2_ARCH_I386    0

#define CR0_BITS         0x80010033 /* PG, WP, NE, ET, MP, PE */
#define CR0_PG           0x80000000
#define CR4_BITS         0x000006a0 /* OSXMMEXCPT, OSFXSR, PGE, PAE */
#define MSR_EFER         0xc0000080
#define EFER_LME         (1 << 8)
#define EFER_NXE         (1 << 11)
#define CPUID_NX         (1 << 20)
#define CPUID_LONG_MODE  (1 << 29)

#define PTE_TABLE        0x003      /* present, writable: rights are decided at the last level */
#define PTE_RX           0x121      /* present, accessed, global */
#define PTE_R            0x121
#define PTE_RW           0x163      /* and writable, dirty */
#define PTE_LARGE_RW     0x0e3      /* not global: these go away */
#define PTE_LARGE_RX     0x0a1
#define PTE_NX_HIGH      0x80000000 /* in the upper half of the entry */

#define COM1             0x3f8
#define VGA_TEXT         0xb8000

#define OFFSET(symbol)   (symbol - BOOT_LINK_VA) /* in the image */
#define IMAGE(symbol)    OFFSET(symbol)(%ebp)

    .section .boot.head, "ax"
    .code32

/* --- headers that loaders look for --- */

    .balign 8
mb2_header:
    .long MB2_MAGIC, MB2_ARCH_I386, mb2_header_end - mb2_header
    .long -(MB2_MAGIC + MB2_ARCH_I386 + (mb2_header_end - mb2_header))

    /* Information request: the memory map, without which nothing works. */
    .balign 8
    .short 1, 0
    .long 12, 6

    /* Wishes, all optional: ACPI, screen, EFI. */
    .balign 8
    .short 1, 1
    .long 24, 8, 12, 14, 15

    /* Modules on page borders. */
    .balign 8
    .short 6, 0
    .long 8

    /* Either kind of screen will do, and none as well. */
    .balign 8
    .short 4, 1
    .long 12, 2

    /* Relocatable, as low as possible. */
    .balign 8
    .short 10, 1
    .long 24, BOOT_LOAD_PADDR, 0xffffffff, BOOT_ALIGN, 1

    /* On EFI: leave boot services to us, and enter here. */
    .balign 8
    .short 7, 1
    .long 8
    .balign 8
    .short 9, 1
    .long 12, OFFSET(boot_efi_entry) + BOOT_LOAD_PADDR

    .balign 8
    .short 0, 0
    .long 8
mb2_header_end:

    .balign 4
    .long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

/* --- 64-bit code, while EFI's boot services are there --- */

/*
 * Multiboot 2 on EFI: eax and ebx as below; stack, page tables (all memory at
 * its own address) and interrupts are the firmware's.  Goes on in 32-bit mode.
 */
    .code64
boot_efi_entry:
    cld
    and     $-16, %rsp
    mov     %eax, %ebp
    mov     %ebx, %edi
    call    boot_leave_multiboot2

    cli
    lea     boot_gdt(%rip), %rax
    mov     %rax, boot_gdt_pointer + 2(%rip)
    lgdt    boot_gdt_pointer(%rip)
    lea     1f(%rip), %rax
    pushq   $0x18
    push    %rax
    lretq

    .code32
1:  mov     %cr0, %eax
    and     $~CR0_PG, %eax
    mov     %eax, %cr0
    mov     $0x10, %ecx
    mov     %ecx, %ds
    mov     %ebp, %eax
    jmp     boot_multiboot_entry

/* --- 32-bit code --- */

/* PVH: the one protocol that leaves no magic in eax. */
    .globl boot_pvh_entry
boot_pvh_entry:
    mov     $PVH_MAGIC, %eax

/* Multiboot 1 and 2: eax magic, ebx what the loader tells. */
    .globl boot_multiboot_entry
boot_multiboot_entry:
    cli
    cld

    /*
     * Where are we?  The only memory sure to be ours to write is what ebx
     * points to, so its first word serves as a stack for one call.
     */
    mov     (%ebx), %ecx
    lea     4(%ebx), %esp
    call    1f
1:  pop     %ebp
    sub     $OFFSET(1b), %ebp
    mov     %ecx, (%ebx)
    lea     IMAGE(boot_stack_end), %esp

    /* Our own flat segments, in place of the loader's. */
    lea     IMAGE(boot_gdt), %ecx
    mov     %ecx, IMAGE(boot_gdt_pointer + 2)
    lgdt    IMAGE(boot_gdt_pointer)
    mov     $0x10, %ecx
    mov     %ecx, %ds
    mov     %ecx, %es
    mov     %ecx, %ss
    xor     %ecx, %ecx
    mov     %ecx, %fs
    mov     %ecx, %gs

    /* For the end of this journey: boot_start()'s arguments. */
    mov     %eax, IMAGE(boot_magic)
    mov     %ebx, IMAGE(boot_info_paddr)

    call    check_processor
    call    clear_bss
    call    map_low_memory
    call    map_image

    /*
     * Long mode.  The far return's frame is written now: once paging is on,
     * this stack cannot be written at its physical address any more.
     */
    lea     IMAGE(1f), %ecx
    push    $0x08
    push    %ecx
    mov     $CR4_BITS, %ecx
    mov     %ecx, %cr4
    lea     IMAGE(boot_l4), %ecx
    mov     %ecx, %cr3
    mov     $MSR_EFER, %ecx
    rdmsr
    or      $(EFER_LME | EFER_NXE), %eax
    wrmsr
    mov     $CR0_BITS, %ecx
    mov     %ecx, %cr0
    lret

    .code64
1:  movabs  $2f, %rax
    jmp     *%rax

/* At the link address now.  No one runs at the physical one after this. */
2:  lea     boot_gdt(%rip), %rax
    mov     %rax, boot_gdt_pointer + 2(%rip)
    lgdt    boot_gdt_pointer(%rip)
    lea     boot_stack_end(%rip), %rsp
    mov     %ebp, %ebp
    mov     %rbp, %rcx
    shr     $21, %rcx
    lea     boot_l2(%rip), %rax
    mov     $PTE_NX_HIGH, %edx
    or      %edx, 4(%rax, %rcx, 8)
    mov     %cr3, %rax
    mov     %rax, %cr3

    /* boot_start(magic, where the loader's information is, where the image is) */
    mov     boot_magic(%rip), %edi
    mov     boot_info_paddr(%rip), %esi
    mov     %rbp, %rdx
    xor     %ebp, %ebp
    call    boot_start
3:  hlt
    jmp     3b

    .code32

/*
 * Return if the processor has what the image cannot do without, else say what
 * is missing and stop.  Clobbers eax, ebx, ecx, edx, esi.
 */
check_processor:
    /* CPUID is there if its flag can be changed. */
    lea     IMAGE(text_no_long_mode), %esi
    pushf
    pop     %eax
    mov     %eax, %ecx
    xor     $(1 << 21), %eax
    push    %eax
    popf
    pushf
    pop     %eax
    cmp     %eax, %ecx
    je      refuse

    mov     $0x80000000, %eax
    cpuid
    cmp     $0x80000001, %eax
    jb      refuse
    mov     $0x80000001, %eax
    cpuid
    test    $CPUID_LONG_MODE, %edx
    jz      refuse
    lea     IMAGE(text_no_nx), %esi
    test    $CPUID_NX, %edx
    jz      refuse
    ret

/* Print the text at esi on the serial line and on the text screen, and stop. */
refuse:
    mov     $(VGA_TEXT), %edi
    lea     IMAGE(serial_setup), %ebx
1:  movzwl  (%ebx), %edx
    mov     2(%ebx), %al
    add     $3, %ebx
    test    %edx, %edx
    jz      2f
    out     %al, (%dx)
    jmp     1b

2:  lodsb
    test    %al, %al
    jz      4f
    mov     %al, (%edi)
    movb    $0x0f, 1(%edi)
    add     $2, %edi
    mov     %al, %ah
    mov     $100000, %ecx       /* a line that is not there must not hold us up */
3:  mov     $(COM1 + 5), %edx
    in      (%dx), %al
    test    $0x20, %al
    loopz   3b
    mov     $COM1, %edx
    mov     %ah, %al
    out     %al, (%dx)
    jmp     2b
4:  hlt
    jmp     4b

/* Clobbers eax, ecx, edi. */
clear_bss:
    lea     IMAGE(__bss_start), %edi
    lea     IMAGE(__bss_end), %ecx
    sub     %edi, %ecx
    shr     $2, %ecx
    xor     %eax, %eax
    rep stosl
    ret

/*
 * Low 4 GiB at their physical addresses, so that C can read what the loader
 * left; writable but for the 2 MiB that this code runs in.
 * Clobbers eax, ebx, ecx, edx, edi.
 */
map_low_memory:
    lea     IMAGE(boot_l3), %eax
    or      $PTE_TABLE, %eax
    mov     %eax, IMAGE(boot_l4)
    lea     IMAGE(boot_l2), %eax
    or      $PTE_TABLE, %eax
    lea     IMAGE(boot_l3), %edi
    mov     $4, %ecx
1:  mov     %eax, (%edi)
    add     $0x1000, %eax
    add     $8, %edi
    loop    1b

    lea     IMAGE(boot_l2), %edi
    mov     $PTE_LARGE_RW, %eax
    mov     $2048, %ecx
2:  mov     %eax, (%edi)
    movl    $PTE_NX_HIGH, 4(%edi)
    add     $0x200000, %eax
    add     $8, %edi
    loop    2b

    mov     %ebp, %ecx
    shr     $21, %ecx
    lea     IMAGE(boot_l2), %edi
    lea     PTE_LARGE_RX(%ebp), %eax
    mov     %eax, (%edi, %ecx, 8)
    movl    $0, 4(%edi, %ecx, 8)
    ret

/* The image at its link address.  Clobbers eax, ecx, edx, esi, edi. */
map_image:
    lea     IMAGE(image_l3), %eax
    or      $PTE_TABLE, %eax
    mov     %eax, IMAGE(boot_l4 + 257 * 8)
    lea     IMAGE(image_l2), %eax
    or      $PTE_TABLE, %eax
    mov     %eax, IMAGE(image_l3)
    lea     IMAGE(image_l1), %eax
    or      $PTE_TABLE, %eax
    mov     %eax, IMAGE(image_l2)
    add     $0x1000, %eax
    mov     %eax, IMAGE(image_l2 + 8)

    lea     IMAGE(image_parts), %esi
    lea     IMAGE(image_l1), %edi
    xor     %ecx, %ecx          /* bytes from the image's start */
1:  lea     (%ebp, %ecx), %eax
    or      4(%esi), %eax
    mov     %eax, (%edi)
    mov     8(%esi), %eax
    mov     %eax, 4(%edi)
    add     $8, %edi
    add     $0x1000, %ecx
    cmp     (%esi), %ecx
    jb      1b
    add     $12, %esi
    cmp     $OFFSET(__image_end), %ecx
    jb      1b
    ret

    .section .init.rodata, "a"

/* Ports of the serial line and what to write there: 115200 baud, 8 bits, no parity. */
serial_setup:
    .macro serial register, value
    .short COM1 + \register
    .byte \value
    .endm
    serial 1, 0x00              /* no interrupts */
    serial 3, 0x80              /* divisor 1 */
    serial 0, 0x01
    serial 1, 0x00
    serial 3, 0x03
    serial 2, 0x07              /* FIFO on and empty */
    serial 4, 0x03              /* DTR, RTS */
    .short 0
    .byte 0

text_no_long_mode:
    .asciz "(mansio) This processor has no 64-bit mode: Mansio cannot run here.\r\n"
text_no_nx:
    .asciz "(mansio) This processor has no NX bit, or the firmware turns it off: turn it on there, Mansio needs it.\r\n"

/* Where each part of the image ends, and the rights of its pages. */
    .balign 4
image_parts:
    .long OFFSET(__init_text_end), PTE_RX, 0
    .long OFFSET(__init_rodata_end), PTE_R, PTE_NX_HIGH
    .long OFFSET(__init_end), PTE_RW, PTE_NX_HIGH
    .long OFFSET(__text_end), PTE_RX, 0
    .long OFFSET(__rodata_end), PTE_R, PTE_NX_HIGH
    .long OFFSET(__bss_end), PTE_RW, PTE_NX_HIGH

    .section .init.data, "aw"

/* 64-bit code, flat data, 32-bit code; marked accessed, as the processor cannot do it on a read-only page. */
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff
boot_gdt_pointer:
    .short . - boot_gdt - 1
    .quad 0
boot_magic:
    .long 0
boot_info_paddr:
    .long 0

/* In the file, unlike bss: the part of the image that is given back stays in one piece. */
    .balign 4096
boot_l4:
    .fill 512, 8, 0
boot_l3:
    .fill 512, 8, 0
boot_l2:
    .fill 4 * 512, 8, 0

/* The first stack: a block like each CPU's own, so that this_cpu() works from the beginning. */
    .balign CPU_BLOCK_BYTES
    .fill CPU_BLOCK_BYTES - CPU_BYTES, 1, 0
boot_stack_end:
    .fill CPU_BYTES, 1, 0

    .section .bss.page_aligned, "aw", @nobits
    .balign 4096
    .globl image_l3, image_l2, image_l1
image_l3:
    .skip 0x1000
image_l2:
    .skip 0x1000
image_l1:
    .skip BOOT_IMAGE_MAX / 512

    .section .note.GNU-stack, "", @progbits
