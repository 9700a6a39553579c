/* SPDX-License-Identifier: MIT */
/*
 * Words for what the compilers offer: attributes, sections, lock annotations,
 * and the few macros that every file uses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define must_check        __attribute__((warn_unused_result))
#define noreturn          __attribute__((noreturn))
#define packed            __attribute__((packed))
#define aligned(n)        __attribute__((aligned(n)))
#define always_inline     inline __attribute__((always_inline))
#define noinline          __attribute__((noinline))
#define cold              __attribute__((cold))
#define maybe_unused      __attribute__((unused))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define likely(x)         __builtin_expect(!!(x), 1)
#define unlikely(x)       __builtin_expect(!!(x), 0)
#define static_assert _Static_assert
#define barrier() __asm__ volatile("" ::: "memory")

/* Read or write a word that another CPU or a guest may change, exactly once. */
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define min(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) min_a_ = (a);                                                                \
        __typeof__(b) min_b_ = (b);                                                                \
        min_a_ < min_b_ ? min_a_ : min_b_;                                                         \
    })
#define max(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) max_a_ = (a);                                                                \
        __typeof__(b) max_b_ = (b);                                                                \
        max_a_ > max_b_ ? max_a_ : max_b_;                                                         \
    })

/*
 * Code and data used only until the first guest runs; given back afterwards.
 * Not marked cold: that would make it small, and copies and fills go by bytes.
 */
#ifdef MANSIO_HOST
#define __init
#define __initdata
#define __initconst
#else
#define __init      __attribute__((section(".init.text")))
#define __initdata  __attribute__((section(".init.data")))
#define __initconst __attribute__((section(".init.rodata")))
#endif

/* Lock annotations, checked by clang -Wthread-safety. */
#if defined(__clang__) && !defined(MANSIO_HOST)
#define CAPABILITY(n)     __attribute__((capability(n)))
#define REQUIRES(...)     __attribute__((requires_capability(__VA_ARGS__)))
#define ACQUIRES(...)     __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASES(...)     __attribute__((release_capability(__VA_ARGS__)))
#define TRY_ACQUIRES(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#define NO_THREAD_SAFETY  __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY(n)
#define REQUIRES(...)
#define ACQUIRES(...)
#define RELEASES(...)
#define TRY_ACQUIRES(...)
#define NO_THREAD_SAFETY
#endif

/*
 * All that is declared from here on lies in this image: it is reached by its
 * distance, never through a table of addresses.
 */
#ifndef MANSIO_HOST
#pragma GCC visibility push(hidden)
#endif
