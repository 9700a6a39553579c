/* SPDX-License-Identifier: MIT */
/*
 * What the unpackers' libraries expect of a C program around them: a CPU that
 * runs SSE code, a word at %fs:0x28 that stack guards are compared with, a
 * function for when they differ, and an allocator.  The last is never asked in
 * earnest, since every library is given memory by unpack.c; it has none to give.
 */
#include "builder/unpack.h"
#include "lib/string.h"
#include "sys/log.h"
#include "x86/insn.h"

#define CR0_MP         (1ull << 1)
#define CR0_EM         (1ull << 2)
#define CR0_TS         (1ull << 3)
#define CR4_OSFXSR     (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define MSR_FS_BASE    0xc0000100u
#define FS_BLOCK_WORDS 8

/* What %fs points to; the guard is its word 5.  Any value will do against mere accidents. */
static uint64_t fs_block[FS_BLOCK_WORDS] __initdata = { [5] = 0x9e3779b97f4a7c15 };

void __init unpack_enter(struct unpack_cpu_state *saved)
{
    saved->cr0 = read_cr0();
    saved->cr4 = read_cr4();
    saved->fs_base = rdmsr(MSR_FS_BASE);
    write_cr0((saved->cr0 & ~(CR0_EM | CR0_TS)) | CR0_MP);
    write_cr4(saved->cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT);
    wrmsr(MSR_FS_BASE, (uintptr_t)fs_block);
    __asm__ volatile("fninit");
}

void __init unpack_leave(const struct unpack_cpu_state *saved)
{
    wrmsr(MSR_FS_BASE, saved->fs_base);
    write_cr4(saved->cr4);
    write_cr0(saved->cr0);
}

void *malloc(size_t bytes);
void *calloc(size_t items, size_t bytes);
void free(void *memory);
noreturn void __stack_chk_fail(void);
uint64_t ZSTD_trace_decompress_begin(const void *context);
void ZSTD_trace_decompress_end(uint64_t trace, const void *what);

void *__init malloc(size_t bytes)
{
    (void)bytes;
    return NULL;
}

void *__init calloc(size_t items, size_t bytes)
{
    (void)items;
    (void)bytes;
    return NULL;
}

void __init free(void *memory)
{
    (void)memory;
}

noreturn void __init __stack_chk_fail(void)
{
    panic("unpacking the dom0 kernel wrote beyond a buffer on the stack");
}

/* Optional to zstd, but code at our addresses cannot call a missing function. */
uint64_t __init ZSTD_trace_decompress_begin(const void *context)
{
    (void)context;
    return 0; /* no trace: the end is not reported */
}

void __init ZSTD_trace_decompress_end(uint64_t trace, const void *what)
{
    (void)trace;
    (void)what;
}
