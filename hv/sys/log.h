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
    LOG_ERR,   /* something is lost: always shown */
    LOG_WARN,  /* something is refused or odd */
    LOG_INFO,  /* what was found and done */
    LOG_DEBUG, /* details for developers */
};

/* Print one line; @fmt without the newline at its end.  See lib/format.h for the conversions. */
void log_print(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_err(...)   log_print(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_print(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_DEBUG, __VA_ARGS__)

/*
 * A line about what a guest did wrong: `(mansio) dN: ...`.  Goes by the guest
 * log level and a rate limit per domain (@domid), so that no guest can flood
 * the log; what was left out is counted in a line that follows.
 */
void log_guest(unsigned int domid, const char *fmt, ...) printf_like(2, 3);

/* Text that domain @domid prints itself: each line gets `(dN) `, control characters are made
 * harmless. */
void log_domain_output(unsigned int domid, const char *text, size_t len_bytes);

/* dom0's console text: passed on to the serial line and screen as it is, not into the ring. */
void log_dom0_console(const char *text, size_t len_bytes);

/*
 * Which levels are shown: those below @always without limit, those below
 * @limited at a limited rate.  0 is none, LOG_ERR + 1 errors alone, and so on.
 * Our own errors are shown whatever @always says.
 */
void log_set_levels(unsigned int always, unsigned int limited);
void log_set_guest_levels(unsigned int always, unsigned int limited);

/* What was set, or is so by default; @limited is not less than @always. */
struct log_levels {
    unsigned int always, limited;
};
struct log_levels log_levels(void);
struct log_levels log_guest_levels(void);

/*
 * Copy from the ring for XEN_SYSCTL_readconsole.  *@index: position to start
 * from when @incremental, else that is the oldest byte; what has been
 * overwritten or cleared is skipped.  Set to the position after what was copied.
 * Returns the number of bytes stored in @buf, at most @len_bytes.
 */
size_t log_read(char *buf, size_t len_bytes, uint32_t *index, bool incremental);

/* Forget what is in the ring. */
void log_clear(void);

/*
 * Has the ring grown since the last log_take_news()?  Whenever it grows, SOFTIRQ_CONSOLE is raised
 * here: whoever tells the readers (VIRQ_CON_RING) asks there, and takes the news when it does.
 */
bool log_has_news(void);
bool log_take_news(void);

/* Use the lasting memory @buf of @size bytes, a power of two, as the ring; its text moves there. */
void log_use_ring(char *buf, uint32_t size);

/* From now on no lock is taken: the machine is about to stop and its holder may never come back. */
void log_begin_panic(void);

/* Where text goes beside the ring; each write is bounded in time by the device's speed alone. */
struct log_sink {
    const char *name;
    void (*write)(const char *text,
                  size_t len_bytes); /* under the log's lock; drops text while off */
};

/* The sinks, ended by NULL; drivers/console.c supplies them. */
extern const struct log_sink *const log_sinks[];

/* Write all that is in the ring to @sink, which has come up only now. */
void log_replay(const struct log_sink *sink);

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
