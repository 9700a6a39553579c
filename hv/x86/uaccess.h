/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing memory at a guest's own addresses, in the address space
 * that is loaded.  What cannot be reached makes the access fail, nothing else.
 *
 * The address must have come through user_addr(): it makes one in our part of
 * the address space invalid, without a branch that could be mispredicted.
 */
#pragma once

#include "abi/errno.h"
#include "lib/compiler.h"
#include "x86/alternative.h"
#include "x86/extable.h"
#include "x86/feature_bits.h"
#include "x86/layout.h"

/* Our part of the address space is all that has certain highest bits. */
#define USER_HV_SHIFT 43
static_assert(LAYOUT_HV_END - LAYOUT_HV_START == 1ull << USER_HV_SHIFT &&
                  LAYOUT_HV_START % (1ull << USER_HV_SHIFT) == 0,
              "user_addr() knows our part by its highest bits");

/* @va; or if that is ours, an address that is not canonical, so that any access to it fails. */
static inline void *user_addr(uint64_t va)
{
#ifndef MANSIO_HOST
    uint64_t is_ours = va >> USER_HV_SHIFT;

    /* All ones if the highest bits are those of our part, else 0. */
    __asm__("sub %1, %0\n\t"
            "cmp $1, %0\n\t"
            "sbb %0, %0"
            : "+r"(is_ours)
            : "i"(LAYOUT_HV_START >> USER_HV_SHIFT)
            : "cc");
    va ^= is_ours << 63;
#endif
    return (void *)va;
}

/*
 * Bits to and an index with that is to be below @limit: all ones if it is, 0 if
 * not, even in speculation.
 */
static inline uint64_t array_index_mask(uint64_t index, uint64_t limit)
{
    uint64_t mask;

    __asm__("cmp %2, %1\n\t"
            "sbb %0, %0"
            : "=r"(mask)
            : "r"(index), "r"(limit)
            : "cc");
    return mask;
}

#define array_index_nospec(index, limit) ((index)&array_index_mask(index, limit))

/* What follows is not begun before what was decided until here is certain. */
static inline void speculation_barrier(void)
{
    __asm__ volatile("lfence" ::: "memory");
}

/*
 * Copy @n bytes, one side or both at a guest's address.  Returns how many bytes
 * at the end were not copied: 0 is success.
 */
size_t must_check copy_user(void *dst, const void *src, size_t n);

/* Zero @n bytes at a guest's address; returns as copy_user(). */
size_t must_check clear_user(void *dst, size_t n);

/*
 * Several stores in a row: user_open(), any number of user_store(), which go to
 * the label @fault when they fail, and user_close() on both ways.
 */
#ifdef MANSIO_HOST
int must_check get_user64(uint64_t *value, const uint64_t *addr);
int must_check put_user64(uint64_t value, uint64_t *addr);
int must_check cmpxchg_user64(uint64_t *addr, uint64_t *old, uint64_t new);
int must_check copy_user_words(void *to, const void *from, unsigned int words);
int must_check get_user32(uint32_t *value, const uint32_t *addr);
int must_check put_user32(uint32_t value, uint32_t *addr);
#define user_open()  ((void)0)
#define user_close() ((void)0)
#define user_store(value, addr, fault)                                                             \
    do {                                                                                           \
        if (put_user64(value, addr) != 0) {                                                        \
            goto fault;                                                                            \
        }                                                                                          \
    } while (0)
#else

/* FEATURE_SMAP of x86/feature_bits.h, as text. */
#define USER_TEXT_(x) #x
#define USER_TEXT(x)  USER_TEXT_(x)
#define USER_OPEN     ALT_INSN_IF("stac", USER_TEXT(FEATURE_SMAP))
#define USER_CLOSE    ALT_INSN_IF("clac", USER_TEXT(FEATURE_SMAP))
#define user_open()   __asm__ volatile(USER_OPEN ::: "memory", "cc")
#define user_close()  __asm__ volatile(USER_CLOSE ::: "memory", "cc")
#define user_store(value, addr, fault)                                                             \
    __asm__ goto volatile("1: mov %0, %1\n\t" EXTABLE("1b", "%l[" #fault "]")                      \
                          :                                                                        \
                          : "r"((uint64_t)(value)), "m"(*(uint64_t *)(addr))                       \
                          : "memory"                                                               \
                          : fault)

/* All of these: 0, or -EFAULT. */
static inline int must_check get_user64(uint64_t *value, const uint64_t *addr)
{
    uint64_t v;

    __asm__ goto volatile(USER_OPEN "1: mov (%1), %0\n\t" EXTABLE("1b", "%l[fault]") USER_CLOSE
                          : "=r"(v)
                          : "r"(addr)
                          : "memory", "cc"
                          : fault);
    ASM_GOTO_OUTPUT();
    *value = v;
    return 0;
fault:
    user_close();
    return -EFAULT;
}

static inline int must_check put_user64(uint64_t value, uint64_t *addr)
{
    __asm__ goto volatile(USER_OPEN "1: mov %0, (%1)\n\t" EXTABLE("1b", "%l[fault]") USER_CLOSE
                          :
                          : "r"(value), "r"(addr)
                          : "memory", "cc"
                          : fault);
    return 0;
fault:
    user_close();
    return -EFAULT;
}

/* If *@addr is *@old, make it @new; *@old becomes what was there. */
static inline int must_check cmpxchg_user64(uint64_t *addr, uint64_t *old, uint64_t new)
{
    uint64_t was = *old;

    __asm__ goto volatile(USER_OPEN "1: lock cmpxchg %2, (%1)\n\t" EXTABLE("1b", "%l[fault]")
                              USER_CLOSE
                          : "+a"(was)
                          : "r"(addr), "r"(new)
                          : "memory", "cc"
                          : fault);
    ASM_GOTO_OUTPUT();
    *old = was;
    return 0;
fault:
    user_close();
    return -EFAULT;
}

/*
 * Copy @words words of eight bytes, a constant number, one side at a guest's
 * address: as long as its instructions, without a loop.
 */
/* clang-format off */
#define USER_WORDS                                                                                 \
    USER_OPEN                                                                                      \
    ".set user_words_at, 0\n\t"                                                                    \
    ".rept %c[words]\n\t"                                                                          \
    "1: mov user_words_at(%[from]), %[word]\n\t"                                                   \
    EXTABLE("1b", "%l[fault]")                                                                     \
    "2: mov %[word], user_words_at(%[to])\n\t"                                                     \
    EXTABLE("2b", "%l[fault]")                                                                     \
    ".set user_words_at, user_words_at + 8\n\t"                                                    \
    ".endr\n\t"                                                                                    \
    USER_CLOSE
/* clang-format on */

static always_inline int must_check copy_user_words(void *to, const void *from, unsigned int words)
{
    uint64_t word;

    __asm__ goto volatile(USER_WORDS
                          : [word] "=&r"(word)
                          : [to] "r"(to), [from] "r"(from), [words] "i"(words)
                          : "memory", "cc"
                          : fault);
    ASM_GOTO_OUTPUT();
    return 0;
fault:
    user_close();
    return -EFAULT;
}

static inline int must_check get_user32(uint32_t *value, const uint32_t *addr)
{
    uint32_t v;

    __asm__ goto volatile(USER_OPEN "1: mov (%1), %0\n\t" EXTABLE("1b", "%l[fault]") USER_CLOSE
                          : "=r"(v)
                          : "r"(addr)
                          : "memory", "cc"
                          : fault);
    ASM_GOTO_OUTPUT();
    *value = v;
    return 0;
fault:
    user_close();
    return -EFAULT;
}

/* Smaller ones, each in one store. */
#define USER_SMALL(bits, suffix)                                                                   \
    static inline int must_check put_user##bits(uint##bits##_t value, uint##bits##_t *addr)        \
    {                                                                                              \
        __asm__ goto volatile(USER_OPEN "1: mov" suffix " %0, (%1)\n\t" EXTABLE("1b", "%l[fault]") \
                                  USER_CLOSE                                                       \
                              :                                                                    \
                              : "q"(value), "r"(addr)                                              \
                              : "memory", "cc"                                                     \
                              : fault);                                                            \
        return 0;                                                                                  \
    fault:                                                                                         \
        user_close();                                                                              \
        return -EFAULT;                                                                            \
    }
USER_SMALL(8, "b")
USER_SMALL(16, "w")
USER_SMALL(32, "l")
#undef USER_SMALL
#endif
