/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's file system: what its directories say can be read, paths and
 * buffers are judged before they are used, options change by writing and by
 * nothing else that is written, and only the control domain gets in.
 */
#include "lib/child.h"
#include "lib/hypercall.h"

#include <xen/hypfs.h>
#include <xen/sysctl.h>

#define POOL        5u
#define HYPERVISOR  ((void *)0xffff830000000000) /* an address that is not ours */
#define LEVEL_PATH  "/params/guest_loglvl"
#define BUFFER_SIZE (PAGE_SIZE - 1) /* something behind it must stay as it is */

static char buffer[PAGE_SIZE] page_aligned;
static const struct xen_hypfs_direntry *const head = (void *)buffer;
static const char *const content = buffer + sizeof(struct xen_hypfs_direntry);

static size_t length(const char *s)
{
    size_t n = 0;

    while (READ_ONCE(s[n]) != '\0') {
        n++;
    }
    return n;
}

static bool is_same(const char *a, const char *b)
{
    return length(a) == length(b) && __builtin_memcmp(a, b, length(a)) == 0;
}

static long hypfs(unsigned int op, const void *path, uint64_t len, const void *data, uint64_t size)
{
    return hypercall(__HYPERVISOR_hypfs_op, op, (uint64_t)path, len, (uint64_t)data, size);
}

static long read_some(const char *path, uint64_t size)
{
    __builtin_memset(buffer, 0xaa, sizeof(buffer));
    return hypfs(XEN_HYPFS_OP_read, path, length(path) + 1, buffer, size);
}

static long read_all(const char *path)
{
    return read_some(path, BUFFER_SIZE);
}

static long write_bytes(const char *path, const char *value, uint64_t size)
{
    return hypfs(XEN_HYPFS_OP_write_contents, path, length(path) + 1, value, size);
}

static long write_text(const char *path, const char *value)
{
    return write_bytes(path, value, length(value) + 1);
}

TEST(its_version_is_asked_without_arguments)
{
    EXPECT(hypfs(XEN_HYPFS_OP_get_version, NULL, 0, NULL, 0), XEN_HYPFS_VERSION);
    EXPECT(hypfs(XEN_HYPFS_OP_get_version, "/", 0, NULL, 0), -EINVAL);
    EXPECT(hypfs(XEN_HYPFS_OP_get_version, NULL, 2, NULL, 0), -EINVAL);
    EXPECT(hypfs(XEN_HYPFS_OP_get_version, NULL, 0, buffer, 0), -EINVAL);
    EXPECT(hypfs(XEN_HYPFS_OP_get_version, NULL, 0, NULL, 1), -EINVAL);
    EXPECT(hypfs(3, NULL, 0, NULL, 0), -EINVAL);
    EXPECT(hypfs(3, "/nothing", 9, NULL, 0), -ENOENT);
    EXPECT(hypfs(3, "/", 2, NULL, 0), -EOPNOTSUPP);
}

TEST(paths)
{
    static const struct {
        const char *path;
        long rc;
    } cases[] = {
        { "/", 0 },
        { "/params", 0 },
        { "/params/", 0 },
        { LEVEL_PATH, 0 },
        { "/cpupool/0/", 0 },
        { "/cpupool/0/sched-gran", 0 },
        { "/buildinfo/version/extra", 0 },
        { "/buildinfo/changeset", 0 },
        { "/buildinfo/compileinfo/compiler", 0 },
        { "", -EINVAL },
        { "params", -EINVAL },
        { "//", -ENOENT },
        { "//params", -ENOENT },
        { "/params//loglvl", -ENOENT },
        { "/params/loglvl/", -ENOENT },
        { "/params/loglvl/x", -ENOENT },
        { "/params/loglv", -ENOENT },
        { "/params/loglvll", -ENOENT },
        { "/Params", -ENOENT },
        { "/.", -ENOENT },
        { "/params/..", -ENOENT },
        { "/cpupool/1", -ENOENT },
        { "/cpupool/0x0", -ENOENT },
        { "/cpupool/-0", -ENOENT },
        { "/cpupool/0/x", -ENOENT },
        { "/cpupool/4294967296", -ENOENT },
        { "/cpupool/4294967295", -ENOENT },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        long rc = read_all(cases[i].path);

        if (rc != cases[i].rc) {
            FAIL("%s: %ld, not %ld", cases[i].path, rc, cases[i].rc);
        }
    }
}

static char long_path[XEN_HYPFS_MAX_PATHLEN + 2];

TEST(lengths_of_paths)
{
    static const char path[] = "/params\0x";
    const uint64_t most = XEN_HYPFS_MAX_PATHLEN;

    EXPECT(hypfs(XEN_HYPFS_OP_read, path, 8, buffer, BUFFER_SIZE), 0);
    EXPECT(hypfs(XEN_HYPFS_OP_read, path, 0, buffer, BUFFER_SIZE), -EINVAL);
    EXPECT(hypfs(XEN_HYPFS_OP_read, path, 7, buffer, BUFFER_SIZE), -EINVAL);
    EXPECT(hypfs(XEN_HYPFS_OP_read, path, 9, buffer, BUFFER_SIZE), -EINVAL);
    EXPECT(hypfs(XEN_HYPFS_OP_read, path, 1ul << 32 | 8, buffer, BUFFER_SIZE), -EINVAL);
    EXPECT(hypfs(XEN_HYPFS_OP_read, path, -1ul, buffer, BUFFER_SIZE), -EINVAL);
    __builtin_memset(long_path, 'a', sizeof(long_path) - 1);
    long_path[0] = '/';
    EXPECT(hypfs(XEN_HYPFS_OP_read, long_path, most + 2, buffer, BUFFER_SIZE), -EINVAL);
    EXPECT(hypfs(XEN_HYPFS_OP_read, long_path, most, buffer, BUFFER_SIZE), -EINVAL); /* no end */
    long_path[most - 1] = '\0';
    EXPECT(hypfs(XEN_HYPFS_OP_read, long_path, most, buffer, BUFFER_SIZE), -ENOENT);
}

TEST(bad_pointers)
{
    EXPECT(hypfs(XEN_HYPFS_OP_read, NULL, 8, buffer, BUFFER_SIZE), -EFAULT);
    EXPECT(hypfs(XEN_HYPFS_OP_read, HYPERVISOR, 8, buffer, BUFFER_SIZE), -EFAULT);
    EXPECT(hypfs(XEN_HYPFS_OP_read, "/params", 8, NULL, BUFFER_SIZE), -EFAULT);
    EXPECT(hypfs(XEN_HYPFS_OP_read, "/params", 8, HYPERVISOR, BUFFER_SIZE), -EFAULT);
    EXPECT(hypfs(XEN_HYPFS_OP_read, "/params", 8, NULL, 0), -EINVAL);
    EXPECT(hypfs(XEN_HYPFS_OP_read, "/nothing", 9, HYPERVISOR, BUFFER_SIZE), -ENOENT);
    EXPECT(hypfs(XEN_HYPFS_OP_read, "/params", 8, buffer, -1ul), 0);
    EXPECT(hypfs(XEN_HYPFS_OP_write_contents, NULL, 8, "all", 4), -EFAULT);
    EXPECT(write_bytes(LEVEL_PATH, NULL, 4), -EFAULT);
    EXPECT(write_bytes(LEVEL_PATH, HYPERVISOR, 4), -EFAULT);
}

static bool is_untouched(size_t from)
{
    while (from < sizeof(buffer) && (uint8_t)buffer[from] == 0xaa) {
        from++;
    }
    return from == sizeof(buffer);
}

/* The description tells how much room there must be; contents come whole or not at all. */
TEST(short_buffers)
{
    static const char *const paths[] = { "/", "/params", "/buildinfo/version/major" };

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        uint64_t all;

        EXPECT(read_some(paths[i], sizeof(*head) - 1), -EINVAL);
        CHECK(is_untouched(0));
        EXPECT(read_some(paths[i], sizeof(*head)), -ENOBUFS);
        CHECK(is_untouched(sizeof(*head)));
        all = sizeof(*head) + head->content_len;
        EXPECT(read_some(paths[i], all - 1), -ENOBUFS);
        CHECK(is_untouched(sizeof(*head)));
        EXPECT(head->content_len, all - sizeof(*head));
        EXPECT(read_some(paths[i], all), 0);
        CHECK(is_untouched(all));
    }
    EXPECT(read_some("/nothing", 0), -ENOENT);
}

/* ---- what there is ---- */

#define DEPTH_MAX 4u

static unsigned int nr_files;
static char lists[DEPTH_MAX][PAGE_SIZE]; /* of the directories we are in */
static char walked[256];                 /* the path to where we are */

static void visit(unsigned int depth, size_t path_len, const struct xen_hypfs_direntry *said);

/* The entry @item of the list of a directory whose path is @path_len bytes long. */
static void visit_item(const struct xen_hypfs_dirlistentry *item, unsigned int depth,
                       size_t path_len)
{
    size_t len = length(item->name);

    walked[path_len] = '/';
    __builtin_memcpy(walked + path_len + 1, item->name, len + 1);
    visit(depth + 1, path_len + 1 + len, &item->e);
}

/* It can be read, and is as the directory above it @said. */
static void visit(unsigned int depth, size_t path_len, const struct xen_hypfs_direntry *said)
{
    long rc = read_all(path_len == 0 ? "/" : walked);
    uint32_t at = 0, next, end = head->content_len;

    if (rc != 0 || head->type != said->type || head->encoding != said->encoding || head->pad != 0 ||
        head->content_len != said->content_len || head->max_write_len != said->max_write_len) {
        FAIL("%s: %ld, type %u, %u bytes", walked, rc, head->type, head->content_len);
        return;
    }
    if (head->type != XEN_HYPFS_TYPE_DIR) {
        nr_files++;
        if (head->type == XEN_HYPFS_TYPE_STRING && head->encoding == XEN_HYPFS_ENC_PLAIN) {
            EXPECT(length(content) + 1, head->content_len);
        }
        return;
    }
    CHECK(depth < DEPTH_MAX);
    __builtin_memcpy(lists[depth], content, end);
    do {
        const struct xen_hypfs_dirlistentry *item = (void *)(lists[depth] + at);

        next = item->off_next;
        CHECK(at + next < end && (next == 0 || next > sizeof(item->e)));
        visit_item(item, depth, path_len);
        at += next;
    } while (next != 0);
}

TEST(everything_listed_can_be_read)
{
    struct xen_hypfs_direntry top;

    EXPECT(read_all("/"), 0);
    top = *head;
    EXPECT(top.type, XEN_HYPFS_TYPE_DIR);
    EXPECT(top.max_write_len, 0);
    visit(0, 0, &top);
    CHECK(nr_files >= 11);
}

static uint32_t number(const char *path)
{
    EXPECT(read_all(path), 0);
    EXPECT(head->type, XEN_HYPFS_TYPE_UINT);
    EXPECT(head->content_len, 4);
    return *(const uint32_t *)content;
}

TEST(the_version_is_that_of_the_interface)
{
    EXPECT(number("/buildinfo/version/major"), hyper_version(XENVER_version, NULL) >> 16);
    EXPECT(number("/buildinfo/version/minor"), hyper_version(XENVER_version, NULL) & 0xffff);
}

/* ---- writing ---- */

static void expect_text(const char *path, const char *wanted)
{
    EXPECT(read_all(path), 0);
    if (!is_same(content, wanted)) {
        FAIL("%s: %s, not %s", path, content, wanted);
    }
}

TEST(levels_of_the_log_change)
{
    static const struct {
        const char *written, *read;
    } cases[] = {
        { "none", "none/none" },         { "none/all", "none/all" },
        { "info/warning", "info/info" }, { "warning/info", "warning/info" },
        { "debug", "all/all" },          { "error/error", "error/error" },
    };
    static const char *const paths[] = { "/params/loglvl", LEVEL_PATH };
    char before[32];

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        EXPECT(read_all(paths[i]), 0);
        EXPECT(head->max_write_len, 16);
        CHECK(head->content_len <= sizeof(before));
        __builtin_memcpy(before, content, head->content_len);
        for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
            EXPECT(write_text(paths[i], cases[k].written), 0);
            expect_text(paths[i], cases[k].read);
        }
        EXPECT(write_text(paths[i], before), 0);
        expect_text(paths[i], before);
    }
}

TEST(limits_of_grant_tables_change)
{
    expect_text("/params/gnttab_max_frames", "64");
    EXPECT(write_text("/params/gnttab_max_frames", "0x20"), 0);
    expect_text("/params/gnttab_max_frames", "32");
    EXPECT(write_text("/params/gnttab_max_frames", "some"), -EINVAL);
    EXPECT(write_text("/params/gnttab_max_frames", "-1"), -EINVAL);
    expect_text("/params/gnttab_max_frames", "32");
    EXPECT(write_text("/params/gnttab_max_frames", "64"), 0);
    expect_text("/params/gnttab_max_maptrack_frames", "1024");
    EXPECT(write_text("/params/gnttab_max_maptrack_frames", "1000"), 0);
    EXPECT(write_text("/params/gnttab_max_maptrack_frames", "1k"), -EINVAL);
    expect_text("/params/gnttab_max_maptrack_frames", "1000");
    EXPECT(write_text("/params/gnttab_max_maptrack_frames", "1024"), 0);
}

TEST(the_console_key_changes)
{
    EXPECT(write_text("/params/conswitch", "bx"), 0);
    expect_text("/params/conswitch", "bx");
    EXPECT(write_text("/params/conswitch", "a"), 0);
    expect_text("/params/conswitch", "a");
}

TEST(what_is_no_value_is_refused)
{
    static const char none[256];

    EXPECT(write_text(LEVEL_PATH, "all"), 0);
    EXPECT(write_bytes(LEVEL_PATH, "error", 5), -EDOM);     /* no end */
    EXPECT(write_bytes(LEVEL_PATH, "none\0all", 9), -EDOM); /* two */
    EXPECT(write_bytes(LEVEL_PATH, "none", 0), -EDOM);
    EXPECT(write_bytes(LEVEL_PATH, none, 128), -EDOM);
    EXPECT(write_bytes(LEVEL_PATH, none, 129), -ENOSPC);
    EXPECT(write_bytes(LEVEL_PATH, none, -1ul), -ENOSPC);
    expect_text(LEVEL_PATH, "all/all");
    EXPECT(write_text(LEVEL_PATH, "loud"), -EINVAL);
    EXPECT(write_text(LEVEL_PATH, "error/"), -EINVAL);
    EXPECT(write_text(LEVEL_PATH, "error/loud"), -EINVAL);
    EXPECT(write_text(LEVEL_PATH, "all "), -EINVAL);
    EXPECT(write_text(LEVEL_PATH,
                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
           -EINVAL);
    EXPECT(write_text(LEVEL_PATH, "none/all"), 0);
}

TEST(what_is_not_there_to_be_written_is_not)
{
    EXPECT(write_text("/params", "x"), -EACCES);
    EXPECT(write_bytes("/params", "x", 0), -EACCES);
    EXPECT(write_text("/cpupool/0", "x"), -EACCES);
    EXPECT(write_text("/buildinfo/changeset", "x"), -EACCES);
    EXPECT(write_bytes("/buildinfo/version/major", "abc", 4), -EACCES);
    EXPECT(write_text("/nothing", "x"), -ENOENT);
    EXPECT(write_text("/params/console", "com1"), -ENOENT);
    EXPECT(write_text("params", "x"), -EINVAL);
}

/* ---- CPU pools ---- */

static long pool_op(uint32_t op, uint32_t id)
{
    static struct xen_sysctl s;

    s.cmd = XEN_SYSCTL_cpupool_op;
    s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    s.u.cpupool_op.op = op;
    s.u.cpupool_op.cpupool_id = id;
    s.u.cpupool_op.sched_id = XEN_SCHEDULER_CREDIT;
    return hypercall1(__HYPERVISOR_sysctl, &s);
}

TEST(pools_come_and_go)
{
    const struct xen_hypfs_dirlistentry *item = (void *)content;

    EXPECT(pool_op(XEN_SYSCTL_CPUPOOL_OP_CREATE, POOL), 0);
    EXPECT(read_all("/cpupool"), 0);
    CHECK(is_same(item->name, "0") && item->off_next != 0);
    item = (void *)((const char *)item + item->off_next);
    CHECK(is_same(item->name, "5"));
    EXPECT(item->off_next, 0);
    expect_text("/cpupool/5/sched-gran", "cpu");
    EXPECT(write_text("/cpupool/5/sched-gran", "cpu"), 0);
    EXPECT(write_text("/cpupool/5/sched-gran", "some"), -EINVAL);
    expect_text("/cpupool/5/sched-gran", "cpu");
    EXPECT(pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, POOL), 0);
    EXPECT(read_all("/cpupool/5"), -ENOENT);
    EXPECT(write_text("/cpupool/5/sched-gran", "cpu"), -ENOENT);
}

TEST(a_pool_in_use_stays_as_it_is)
{
    EXPECT(write_text("/cpupool/0/sched-gran", "cpu"), -EBUSY);
    EXPECT(write_text("/cpupool/0/sched-gran", "core"), -EBUSY);
    EXPECT(write_text("/cpupool/0/sched-gran", "some"), -EINVAL);
    expect_text("/cpupool/0/sched-gran", "cpu");
}

/* ---- others ---- */

static struct child child;

static void ask(uint64_t arg)
{
    (void)arg;
    child_box[0] = (uint64_t)hypfs(XEN_HYPFS_OP_get_version, NULL, 0, NULL, 0);
    child_box[1] = (uint64_t)read_all("/params");
    child_box[2] = (uint64_t)write_text(LEVEL_PATH, "all");
    child_box[3] = (uint64_t)hypfs(3, NULL, 0, NULL, 0);
}

TEST(it_is_for_the_control_domain_alone)
{
    EXPECT(child_create(&child, 1, ask, 0), 0);
    child_unpause(&child);
    EXPECT(child_wait(&child), SHUTDOWN_poweroff);
    for (unsigned int i = 0; i < 4; i++) {
        EXPECT(child.box[i], -EPERM);
    }
    EXPECT(child_destroy(&child), 0);
}
