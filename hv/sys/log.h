/* SPDX-License-Identifier: MIT */
/*
 * The log: lines on every console and in a ring that `xl dmesg` reads.  Each
 * line of ours starts with `(mansio) `; what a domain prints with `(dN) `.
 *
 * May be called from anywhere, NMI excepted, with no spinlock held that ranks
 * above LOCK_RANK_LOG.
 */
#pragma once

#include <stdarg.h>

#include "lib/compiler.h"

enum log_level {
    LOG_ERR,     /* something is lost: always shown */
    LOG_WARN,    /* something is refused or odd */
    LOG_INFO,    /* what was found and done */
    LOG_DEBUG,   /* details for developers */
};

/* Print one line; @fmt without the newline at its end.  See lib/format.h for the conversions. */
void log_print(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_err(...)   log_print(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_print(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_DEBUG, __VA_ARGS__)

/*
 * A line about what a guest did wrong: `(mansio) dNvM: ...`.  Goes by the
 * guest log level and a rate limit per domain (@domid), so that no guest can
 * flood the log.
 */
void log_guest(unsigned int domid, const char *fmt, ...) printf_like(2, 3);

/* Text that domain @domid prints itself: each line gets `(dN) `, control characters are made harmless. */
void log_domain_output(unsigned int domid, const char *text, size_t len_bytes);

/* dom0's console text: passed on to the serial line and screen as it is, not into the ring. */
void log_dom0_console(const char *text, size_t len_bytes);

/*
 * Copy from the ring for XEN_SYSCTL_readconsole.  *@index: position to start
 * from when @incremental, set to the position after what was copied.
 * Returns the number of bytes stored in @buf, at most @len_bytes.
 */
size_t log_read(char *buf, size_t len_bytes, uint32_t *index, bool incremental);

/* Forget what is in the ring. */
void log_clear(void);

/* The broken promise in words; prints registers and a backtrace and stops the machine. */
noreturn void panic(const char *fmt, ...) printf_like(1, 2);

#ifdef MANSIO_HOST
#include <assert.h>
#define ASSERT(x) assert(x)
#elif defined(NDEBUG)
#define ASSERT(x) ((void)sizeof(x))
#else
#define ASSERT(x)                                                                                  \
    do {                                                                                           \
        if (unlikely(!(x))) {                                                                      \
            panic("%s:%d: %s does not hold", __FILE__, __LINE__, #x);                              \
        }                                                                                          \
    } while (0)
#endif
