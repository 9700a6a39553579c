/* SPDX-License-Identifier: MIT */
/*
 * hypfs_op: a small file system of what the hypervisor is made of and of the
 * options that may change while it runs.
 *
 * Its nodes are a const tree.  In two directories the entries all look alike
 * and come from elsewhere, /params/ from the table of options and /cpupool/
 * from the scheduler: those directories have one node for all their entries,
 * and a function that goes from one entry to the next.  A `struct entry` is
 * where such a walk is.  All lists are short: /cpupool/ with SCHED_POOLS_MAX the longest.
 */
#include "hcall/hcall.h"

#include <xen/hypfs.h>

#include "lib/format.h"
#include "lib/string.h"
#include "lib/types.h"
#include "sched/sched.h"
#include "sys/log.h"
#include "sys/options.h"
#include "sys/version.h"

#define NAME_SIZE    32u  /* of an entry's name */
#define CONTENT_SIZE 128u /* of what is read */
#define VALUE_MAX    128u /* bytes of what is written */
#define NAME_ALIGN   4u   /* names in a list are padded to this */

struct node;

struct entry {
    const struct node *node;
    uint32_t cursor;      /* of the directory it is in: the entry after this one */
    uint32_t nr;          /* which one of those that look alike */
    char name[NAME_SIZE]; /* "" for the root */
};

struct node {
    const char *name;
    uint8_t type;                  /* XEN_HYPFS_TYPE_DIR, _STRING or _UINT */
    uint8_t nr_children;           /* directories: of the tree, */
    const struct node *children;   /* or one for all entries, if next is there */
    bool (*next)(struct entry *e); /* to the first with ->nr or more: that, and name; false: none */
    const char *text;              /* contents that never change */
    uint32_t number;
    void (*tell)(uint32_t nr, char *text, size_t size);
    uint32_t max_write;                           /* for write(): bytes that every value fits in */
    long (*write)(uint32_t nr, const char *text); /* NULL: it cannot be written */
};

/* -------------------------------------------------------------- options -- */

static bool next_param(struct entry *e)
{
    return e->nr < OPTION_NR_PARAMS &&
           string_copy(e->name, option_params[e->nr].name, sizeof(e->name));
}

static void tell_param(uint32_t nr, char *text, size_t size)
{
    option_params[nr].tell(text, size);
}

static long write_param(uint32_t nr, const char *text)
{
    char now[CONTENT_SIZE];

    if (!option_params[nr].set(text)) {
        return -EINVAL;
    }
    option_params[nr].tell(now, sizeof(now));
    log_info("hypfs: %s is now \"%s\"", option_params[nr].name, now);
    return 0;
}

/* ------------------------------------------------------------ CPU pools -- */

static bool next_pool(struct entry *e)
{
    struct sched_pool_info info;

    if (sched_pool_get_info(e->nr, &info) != 0) {
        return false;
    }
    e->nr = info.id;
    format_string(e->name, sizeof(e->name), "%u", info.id);
    return true;
}

/* What is scheduled at a time: here always threads, of which any may be in any pool. */
static const char *const granularities[] = { "cpu", "core", "socket" };

/* Only of a pool without CPUs may it change, and then not to what we do not do. */
static long write_granularity(uint32_t nr, const char *text)
{
    struct sched_pool_info info;
    unsigned int i = 0;

    while (i < ARRAY_SIZE(granularities) && strcmp(text, granularities[i]) != 0) {
        i++;
    }
    if (i == ARRAY_SIZE(granularities)) {
        return -EINVAL;
    }
    if (sched_pool_get_info(nr, &info) != 0 || info.id != nr) {
        return -ENOENT;
    }
    if (!cpumask_empty(&info.cpus)) {
        return -EBUSY;
    }
    return i == 0 ? 0 : -EOPNOTSUPP;
}

/* ------------------------------------------------------------- the tree -- */

#define DIR(n, list)                                                                               \
    {                                                                                              \
        .name = n, .type = XEN_HYPFS_TYPE_DIR, .children = list, .nr_children = ARRAY_SIZE(list)   \
    }
#define LIST(n, each, next_fn)                                                                     \
    {                                                                                              \
        .name = n, .type = XEN_HYPFS_TYPE_DIR, .children = each, .next = next_fn                   \
    }
#define TEXT(n, t)                                                                                 \
    {                                                                                              \
        .name = n, .type = XEN_HYPFS_TYPE_STRING, .text = t                                        \
    }
#define NUMBER(n, v)                                                                               \
    {                                                                                              \
        .name = n, .type = XEN_HYPFS_TYPE_UINT, .number = v                                        \
    }

static const struct node compile_nodes[] = {
    TEXT("compile_by", VERSION_BUILDER),
    TEXT("compile_date", ""), /* the same sources make the same image */
    TEXT("compile_domain", VERSION_BUILD),
    TEXT("compiler", VERSION_COMPILER),
};

static const struct node version_nodes[] = {
    TEXT("extra", VERSION_EXTRA),
    NUMBER("major", VERSION_ABI_MAJOR),
    NUMBER("minor", VERSION_ABI_MINOR),
};

static const struct node build_nodes[] = {
    TEXT("changeset", VERSION_BUILD),
    DIR("compileinfo", compile_nodes),
    DIR("version", version_nodes),
};

static const struct node pool_nodes[] = {
    {
        .name = "sched-gran",
        .type = XEN_HYPFS_TYPE_STRING,
        .text = "cpu",
        .max_write = 8,
        .write = write_granularity,
    },
};

static const struct node each_pool[] = { DIR(NULL, pool_nodes) };

static const struct node each_param[] = {
    {
        .type = XEN_HYPFS_TYPE_STRING,
        .tell = tell_param,
        .max_write = 16,
        .write = write_param,
    },
};

static const struct node root_nodes[] = {
    DIR("buildinfo", build_nodes),
    LIST("cpupool", each_pool, next_pool),
    LIST("params", each_param, next_param),
};

static const struct node root = DIR("", root_nodes);

/* ---------------------------------------------------------- directories -- */

/* From one entry of directory @dir to the next, the first after { .cursor = 0 }; false: no more. */
static bool dir_next(const struct entry *dir, struct entry *e)
{
    const struct node *n = dir->node;

    if (n->next != NULL) {
        e->node = n->children;
        e->nr = e->cursor;
        if (!n->next(e)) {
            return false;
        }
        e->cursor = e->nr + 1;
        return true;
    }
    if (e->cursor >= n->nr_children) {
        return false;
    }
    e->node = &n->children[e->cursor++];
    e->nr = dir->nr;
    return string_copy(e->name, e->node->name, sizeof(e->name));
}

/* Replace *@e, a directory, by its entry whose name is the @len bytes at @name. */
static bool dir_enter(struct entry *e, const char *name, size_t len)
{
    struct entry child = { .cursor = 0 };

    while (dir_next(e, &child)) {
        if (strlen(child.name) == len && memcmp(child.name, name, len) == 0) {
            *e = child;
            return true;
        }
    }
    return false;
}

/* What @e takes in a list. */
static uint32_t list_len(const struct entry *e)
{
    return (uint32_t)(offsetof(struct xen_hypfs_dirlistentry, name) +
                      align_up(strlen(e->name) + 1, NAME_ALIGN));
}

/* Describe @e; if it is no directory, its contents go to @content of CONTENT_SIZE bytes. */
static struct xen_hypfs_direntry describe(const struct entry *e, char *content)
{
    const struct node *n = e->node;
    struct xen_hypfs_direntry d = { .type = n->type, .max_write_len = n->max_write };
    struct entry child = { .cursor = 0 };

    if (n->type == XEN_HYPFS_TYPE_DIR) {
        while (dir_next(e, &child)) {
            d.content_len += list_len(&child);
        }
    } else if (n->type == XEN_HYPFS_TYPE_UINT) {
        d.content_len = sizeof(n->number);
        memcpy(content, &n->number, sizeof(n->number));
    } else {
        if (n->tell != NULL) {
            n->tell(e->nr, content, CONTENT_SIZE);
        } else {
            string_copy(content, n->text, CONTENT_SIZE);
        }
        d.content_len = (uint32_t)strlen(content) + 1;
    }
    return d;
}

/* List directory @dir at @to, as far as @room bytes go: pools may come while we are at it. */
static long list(const struct entry *dir, struct guest_ptr to, uint32_t room)
{
    struct entry e = { .cursor = 0 }, following;
    bool is_there = dir_next(dir, &e) && list_len(&e) <= room;

    while (is_there) {
        char content[CONTENT_SIZE], item[sizeof(struct xen_hypfs_dirlistentry) + NAME_SIZE] = { 0 };
        struct xen_hypfs_dirlistentry head = { .e = describe(&e, content) };
        uint32_t len = list_len(&e);

        room -= len;
        following = e;
        is_there = dir_next(dir, &following) && list_len(&following) <= room;
        head.off_next = is_there ? (uint16_t)len : 0;
        memcpy(item, &head, offsetof(struct xen_hypfs_dirlistentry, name));
        memcpy(item + offsetof(struct xen_hypfs_dirlistentry, name), e.name, strlen(e.name));
        if (copy_to_guest(to, item, len) != 0) {
            return -EFAULT;
        }
        to = guest_ptr_add(to, len);
        e = following;
    }
    return 0;
}

/* ------------------------------------------------------------ operations -- */

/* The entry that a guest's path of @len bytes leads to. */
static long find(struct guest_ptr at, uint64_t len, struct entry *e)
{
    char path[XEN_HYPFS_MAX_PATHLEN];
    const char *name = path + 1, *end;

    *e = (struct entry){ .node = &root };
    if (len == 0 || len > sizeof(path)) {
        return -EINVAL;
    }
    if (copy_from_guest(path, at, len) != 0) {
        return -EFAULT;
    }
    if (strnlen(path, len) != len - 1 || path[0] != '/') {
        return -EINVAL;
    }
    while (*name != '\0') {
        end = strchr(name, '/');
        end = end != NULL ? end : path + len - 1;
        if (!dir_enter(e, name, (size_t)(end - name))) {
            return -ENOENT;
        }
        if (*end == '/' && e->node->type != XEN_HYPFS_TYPE_DIR) {
            return -ENOENT;
        }
        name = *end == '/' ? end + 1 : end;
    }
    return 0;
}

static long read_entry(const struct entry *e, struct guest_ptr to, uint64_t size)
{
    char content[CONTENT_SIZE];
    struct xen_hypfs_direntry d = describe(e, content);

    if (size < sizeof(d)) {
        return -EINVAL;
    }
    if (copy_to_guest(to, &d, sizeof(d)) != 0) {
        return -EFAULT;
    }
    if (size - sizeof(d) < d.content_len) {
        return -ENOBUFS;
    }
    to = guest_ptr_add(to, sizeof(d));
    return d.type == XEN_HYPFS_TYPE_DIR ? list(e, to, d.content_len)
                                        : copy_to_guest(to, content, d.content_len);
}

static long write_entry(const struct entry *e, struct guest_ptr from, uint64_t size)
{
    char value[VALUE_MAX];

    if (e->node->write == NULL) {
        return -EACCES;
    }
    if (size > sizeof(value)) {
        return -ENOSPC;
    }
    if (copy_from_guest(value, from, size) != 0) {
        return -EFAULT;
    }
    if (size == 0 || strnlen(value, size) != size - 1) {
        return -EDOM; /* no text, or one that ends too early */
    }
    return e->node->write(e->nr, value);
}

long hcall_hypfs_op(uint64_t cmd, uint64_t path, uint64_t path_len, uint64_t buf, uint64_t size,
                    uint64_t f)
{
    struct entry e;
    bool is_there;
    long rc;

    UNUSED(f);
    if (!current()->domain->is_privileged) {
        return -EPERM;
    }
    if ((uint32_t)cmd == XEN_HYPFS_OP_get_version) {
        return (path | path_len | buf | size) != 0 ? -EINVAL : XEN_HYPFS_VERSION;
    }
    rc = find(GUEST_PTR(path), path_len, &e);
    switch ((uint32_t)cmd) {
    case XEN_HYPFS_OP_read:
        return rc != 0 ? rc : read_entry(&e, GUEST_PTR(buf), size);
    case XEN_HYPFS_OP_write_contents:
        is_there = rc == 0;
        rc = is_there ? write_entry(&e, GUEST_PTR(buf), size) : rc;
        if (rc != 0) {
            log_warn("hypfs: cannot write %lu bytes to %s (error %ld)", size,
                     is_there ? e.name : "an entry that is not there", -rc);
        }
        return rc;
    default:
        return rc != 0 ? rc : -EOPNOTSUPP;
    }
}
