/* SPDX-License-Identifier: MIT */
/*
 * The log: a ring of text, and the sinks (serial line, screen) that get the
 * same text at once.
 *
 * Positions in the ring are counted from the start of the machine and wrap at
 * 32 bits, as XEN_SYSCTL_readconsole wants; the byte at position p lies at
 * p modulo the ring's size, a power of two.
 *
 * What domains print reaches us in pieces.  They are put together to lines in
 * a few buffers, so that lines of several domains do not mix; whoever needs a
 * buffer when all are taken ends the line that has waited longest.
 */
#include "sys/log.h"

#include "lib/format.h"
#include "lib/string.h"
#include "sys/lock.h"
#include "sys/softirq.h"
#include "x86/insn.h"

#define RING_SIZE    32768u
#define LINE_MAX     400u
#define NR_PARTIAL   4u
#define PARTIAL_MAX  160u
#define NR_LIMITS    64u
#define LIMIT_LINES  10u
#define LIMIT_CYCLES (1ull << 31) /* about a second */
#define OUR_LIMIT    (NR_LIMITS - 1)

/* A line a domain has begun. */
struct partial {
    unsigned int domid;
    uint32_t len;   /* 0: free */
    uint64_t since; /* TSC at its first character */
    char text[PARTIAL_MAX];
};

/* Domains whose numbers are equal modulo NR_LIMITS - 1 share one; our own lines have the last. */
struct limit {
    uint64_t since;    /* TSC at the begin of this period */
    uint32_t nr_lines; /* printed in it */
    uint32_t nr_dropped;
};

static char first_ring[RING_SIZE];

/* All below is guarded by log_lock. */
static struct spinlock log_lock = SPINLOCK_INIT(LOCK_RANK_LOG);
static char *ring = first_ring;
static uint32_t ring_size = RING_SIZE;
static uint32_t ring_end;  /* position after the last byte */
static uint32_t ring_held; /* bytes in it */
static uint32_t nr_lines;  /* of our own, up to 2 */
static bool has_news;
static struct partial partials[NR_PARTIAL];
static struct limit limits[NR_LIMITS];

static struct log_levels our_levels = { LOG_INFO + 1, LOG_INFO + 1 };
static struct log_levels guest_levels = { 0, LOG_WARN + 1 };
static bool in_panic;

static void lock_log(void) ACQUIRES(log_lock)
NO_THREAD_SAFETY
{
    if (!in_panic) {
        spin_lock(&log_lock);
    }
}

static void unlock_log(void) RELEASES(log_lock)
NO_THREAD_SAFETY
{
    if (!in_panic) {
        spin_unlock(&log_lock);
    }
}

void log_begin_panic(void)
{
    in_panic = true;
}

static void ring_put(const char *text, size_t len) REQUIRES(log_lock)
{
    for (size_t i = 0; i < len; i++) {
        ring[ring_end++ & (ring_size - 1)] = text[i];
    }
    ring_held = (uint32_t)min((size_t)ring_size, ring_held + len);
    WRITE_ONCE(has_news, true);
    softirq_raise(SOFTIRQ_CONSOLE);
}

static void sinks_put(const char *text, size_t len) REQUIRES(log_lock)
{
    for (const struct log_sink *const *s = log_sinks; *s; s++) {
        (*s)->write(text, len);
    }
}

static void put(const char *text, size_t len) REQUIRES(log_lock)
{
    ring_put(text, len);
    sinks_put(text, len);
}

/*
 * Scripts, and people, look in `xl dmesg` for the mark `(XEN)` to tell that
 * the log of a hypervisor with this ABI is before them.  So the second line
 * of the log bears it, and says what it means.
 */
static void put_abi_mark(void) REQUIRES(log_lock)
{
    static const char mark[] = "(XEN) ABI of Xen 4.17, spoken by Mansio\n";

    put(mark, sizeof(mark) - 1);
}

/* One line of ours: prefix, text, newline; too long a text is cut. */
static void put_line(const char *prefix, const char *fmt, va_list args) REQUIRES(log_lock)
printf_like(2, 0);

static void put_line(const char *prefix, const char *fmt, va_list args)
{
    char line[LINE_MAX];
    size_t len = format_string(line, sizeof(line), "(mansio) %s", prefix);

    len += format_vstring(line + len, sizeof(line) - len, fmt, args);
    len = min(len, sizeof(line) - 2);
    line[len++] = '\n';
    put(line, len);
    if (nr_lines < 2 && ++nr_lines == 1) {
        put_abi_mark();
    }
}

static void put_formatted(const char *prefix, const char *fmt, ...) REQUIRES(log_lock)
printf_like(2, 3);

static void put_formatted(const char *prefix, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    put_line(prefix, fmt, args);
    va_end(args);
}

/* May one more line be printed under limit @i?  Tells of dropped ones when a new period begins. */
static bool limit_allows(unsigned int i, const char *prefix) REQUIRES(log_lock)
{
    struct limit *l = &limits[i];
    uint64_t now = rdtsc();

    if (now - l->since >= LIMIT_CYCLES) {
        if (l->nr_dropped) {
            put_formatted(prefix, "%u lines left out here", l->nr_dropped);
        }
        *l = (struct limit){ .since = now };
    }
    if (l->nr_lines >= LIMIT_LINES) {
        l->nr_dropped++;
        return false;
    }
    l->nr_lines++;
    return true;
}

static bool is_shown(const struct log_levels *levels, enum log_level level, unsigned int limit,
                     const char *prefix) REQUIRES(log_lock)
{
    return level < levels->always || (level < levels->limited && limit_allows(limit, prefix));
}

void log_print(enum log_level level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    lock_log();
    if (level == LOG_ERR || is_shown(&our_levels, level, OUR_LIMIT, "")) {
        put_line("", fmt, args);
    }
    unlock_log();
    va_end(args);
}

void log_guest(unsigned int domid, const char *fmt, ...)
{
    char prefix[16];
    va_list args;

    format_string(prefix, sizeof(prefix), "d%u: ", domid);
    va_start(args, fmt);
    lock_log();
    if (is_shown(&guest_levels, LOG_WARN, domid % (NR_LIMITS - 1), prefix)) {
        put_line(prefix, fmt, args);
    }
    unlock_log();
    va_end(args);
}

static void partial_flush(struct partial *p) REQUIRES(log_lock)
{
    char prefix[16];
    size_t len = format_string(prefix, sizeof(prefix), "(d%u) ", p->domid);

    put(prefix, len);
    put(p->text, p->len);
    put("\n", 1);
    p->len = 0;
}

/* The buffer of @domid's line, taken from the line that is oldest if it has none. */
static struct partial *partial_of(unsigned int domid) REQUIRES(log_lock)
{
    struct partial *best = &partials[0];

    for (struct partial *p = partials; p < partials + NR_PARTIAL; p++) {
        if (p->len && p->domid == domid) {
            return p;
        }
        if (best->len && (!p->len || p->since < best->since)) {
            best = p;
        }
    }
    if (best->len) {
        partial_flush(best);
    }
    best->domid = domid;
    best->since = rdtsc();
    return best;
}

void log_domain_output(unsigned int domid, const char *text, size_t len_bytes)
{
    struct partial *p;

    lock_log();
    p = partial_of(domid);
    for (size_t i = 0; i < len_bytes; i++) {
        char c = text[i];

        if (c == '\n' || p->len == PARTIAL_MAX) {
            partial_flush(p);
        }
        if (c == '\n' || c == '\r') {
            continue;
        }
        p->text[p->len++] = (c >= ' ' && c < 0x7f) || c == '\t' ? c : '?';
    }
    unlock_log();
}

void log_dom0_console(const char *text, size_t len_bytes)
{
    lock_log();
    sinks_put(text, len_bytes);
    unlock_log();
}

static void set_levels(struct log_levels *levels, unsigned int always, unsigned int limited)
{
    lock_log();
    *levels = (struct log_levels){ always, max(always, limited) };
    unlock_log();
}

void log_set_levels(unsigned int always, unsigned int limited)
{
    set_levels(&our_levels, always, limited);
}

void log_set_guest_levels(unsigned int always, unsigned int limited)
{
    set_levels(&guest_levels, always, limited);
}

static struct log_levels get_levels(const struct log_levels *levels)
{
    struct log_levels copy;

    lock_log();
    copy = *levels;
    unlock_log();
    return copy;
}

struct log_levels log_levels(void)
{
    return get_levels(&our_levels);
}

struct log_levels log_guest_levels(void)
{
    return get_levels(&guest_levels);
}

size_t log_read(char *buf, size_t len_bytes, uint32_t *index, bool incremental)
{
    uint32_t start, nr;

    lock_log();
    start = *index;
    if (!incremental || ring_end - start > ring_held) {
        start = ring_end - ring_held; /* gone, or never written: from the oldest */
    }
    nr = (uint32_t)min((size_t)(ring_end - start), len_bytes);
    for (uint32_t i = 0; i < nr; i++) {
        buf[i] = ring[(start + i) & (ring_size - 1)];
    }
    *index = start + nr;
    unlock_log();
    return nr;
}

void log_clear(void)
{
    lock_log();
    ring_held = 0;
    unlock_log();
}

bool log_has_news(void)
{
    return READ_ONCE(has_news);
}

bool log_take_news(void)
{
    bool news;

    lock_log();
    news = has_news;
    has_news = false;
    unlock_log();
    return news;
}

void log_use_ring(char *buf, uint32_t size)
{
    lock_log();
    ring_held = min(ring_held, size);
    for (uint32_t p = ring_end - ring_held; p != ring_end; p++) {
        buf[p & (size - 1)] = ring[p & (ring_size - 1)];
    }
    ring = buf;
    ring_size = size;
    unlock_log();
}

void log_replay(const struct log_sink *sink)
{
    lock_log();
    for (uint32_t p = ring_end - ring_held; p != ring_end; p++) {
        sink->write(&ring[p & (ring_size - 1)], 1);
    }
    unlock_log();
}
