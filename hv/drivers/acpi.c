/* SPDX-License-Identifier: MIT */
/*
 * Finding and reading ACPI tables (ACPI specification 6.4, chapter 5).
 *
 * All fields are fetched by get(), which yields 0 for what lies beyond a
 * table's end.  That is right for old, short versions of a table, and keeps a
 * table with a wrong length from leading anywhere else.
 */
#include "drivers/acpi.h"

#include "lib/checksum.h"
#include "lib/string.h"
#include "sys/log.h"

#define HEADER_LEN 36u
#define TABLE_MAX  (16u << 20)
#define ROOT_MAX   1024u /* entries of a root table */

struct acpi_info acpi_info;

static uint64_t get(const struct acpi_table *t, uint32_t offset, uint32_t size)
{
    uint64_t value = 0;

    if (offset <= t->len && size <= t->len - offset) {
        memcpy(&value, (const uint8_t *)t->data + offset, size);
    }
    return value;
}

static uint8_t get8(const struct acpi_table *t, uint32_t offset)
{
    return (uint8_t)get(t, offset, 1);
}

static uint16_t get16(const struct acpi_table *t, uint32_t offset)
{
    return (uint16_t)get(t, offset, 2);
}

static uint32_t get32(const struct acpi_table *t, uint32_t offset)
{
    return (uint32_t)get(t, offset, 4);
}

const struct acpi_table *acpi_find(const char *signature, uint32_t index)
{
    for (uint32_t i = 0; i < acpi_info.nr_tables; i++) {
        if (!memcmp(acpi_info.tables[i].signature, signature, 4) && !index--) {
            return &acpi_info.tables[i];
        }
    }
    return NULL;
}

uint32_t acpi_id_of(uint32_t apic_id)
{
    for (uint32_t i = 0; i < acpi_info.nr_cpus; i++) {
        if (acpi_info.cpus[i].apic_id == apic_id) {
            return acpi_info.cpus[i].acpi_id;
        }
    }
    return ~0u;
}

__init const struct acpi_nmi *acpi_nmi_of(uint32_t apic_id)
{
    for (uint32_t i = 0; i < acpi_info.nr_nmis; i++) {
        const struct acpi_nmi *nmi = &acpi_info.nmis[i];

        if (nmi->acpi_id == ACPI_ALL_CPUS || nmi->acpi_id == acpi_id_of(apic_id)) {
            return nmi;
        }
    }
    return NULL;
}

/* Map and check the table at @p. */
static __init bool read_table(const struct acpi_mem_ops *mem, paddr_t p, struct acpi_table *t)
{
    t->address = p;
    t->len = HEADER_LEN;
    t->data = p.a ? mem->map(p, HEADER_LEN) : NULL;
    if (!t->data) {
        log_warn("ACPI: no table can be read at %lx", p.a);
        return false;
    }
    memcpy(t->signature, t->data, 4);
    t->len = get32(t, 4);
    if (t->len < HEADER_LEN || t->len > TABLE_MAX) {
        log_warn("ACPI: the table at %lx has a length of %u bytes; it is left out", p.a, t->len);
        return false;
    }
    t->data = mem->map(p, t->len);
    if (!t->data) {
        log_warn("ACPI: the table at %lx cannot be reached to its end", p.a);
        return false;
    }
    if (checksum8(t->data, t->len)) {
        log_warn("ACPI: the sum of table %.4s at %lx is wrong; it is left out", t->signature, p.a);
        return false;
    }
    return true;
}

static __init void add_table(const struct acpi_mem_ops *mem, paddr_t p)
{
    struct acpi_table t;

    for (uint32_t i = 0; i < acpi_info.nr_tables; i++) {
        if (acpi_info.tables[i].address.a == p.a) {
            return;
        }
    }
    if (!read_table(mem, p, &t)) {
        return;
    }
    if (acpi_info.nr_tables == ACPI_MAX_TABLES) {
        log_warn("ACPI: table %.4s is one too many; it is left out", t.signature);
        return;
    }
    acpi_info.tables[acpi_info.nr_tables++] = t;
}

/* The root table at @p, whose entries have @size bytes: note all tables it names. */
static __init bool read_root(const struct acpi_mem_ops *mem, paddr_t p, const char *signature,
                             uint32_t size)
{
    struct acpi_table root;
    uint32_t nr;

    if (!p.a || !read_table(mem, p, &root) || memcmp(root.signature, signature, 4)) {
        return false;
    }
    nr = min((root.len - HEADER_LEN) / size, ROOT_MAX);
    for (uint32_t i = 0; i < nr; i++) {
        add_table(mem, PADDR(get(&root, HEADER_LEN + i * size, size)));
    }
    return true;
}

/* --- the root pointer --- */

static __init bool is_rsdp(const uint8_t *p)
{
    return !memcmp(p, "RSD PTR ", 8) && !checksum8(p, 20);
}

/* Search [@start, @end) on 16-byte borders. */
static __init paddr_t search_rsdp(const struct acpi_mem_ops *mem, uint64_t start, uint64_t end)
{
    const uint8_t *area = mem->map(PADDR(start), end - start);

    for (uint64_t i = 0; area && i + 20 <= end - start; i += 16) {
        if (is_rsdp(area + i)) {
            return PADDR(start + i);
        }
    }
    return PADDR(0);
}

/* In the first KiB of the extended BIOS data area, and in the BIOS itself. */
static __init paddr_t search_bios(const struct acpi_mem_ops *mem)
{
    const uint8_t *segment = mem->map(PADDR(0x40e), 2);
    uint64_t ebda = segment ? (uint64_t)(segment[0] | segment[1] << 8) << 4 : 0;
    paddr_t found = PADDR(0);

    if (ebda >= 0x400 && ebda <= 0x9fc00) {
        found = search_rsdp(mem, ebda, ebda + 1024);
    }
    return found.a ? found : search_rsdp(mem, 0xe0000, 0x100000);
}

static __init bool read_from_rsdp(const struct acpi_mem_ops *mem, paddr_t p)
{
    const uint8_t *rsdp = mem->map(p, 20);
    struct acpi_table t = { .data = rsdp, .len = 20 };
    uint32_t rsdt;

    if (!rsdp || !is_rsdp(rsdp)) {
        log_warn("ACPI: there is no root pointer at %lx", p.a);
        return false;
    }
    rsdt = get32(&t, 16);
    if (rsdp[15] >= 2) {
        t.data = mem->map(p, 36);
        t.len = 36;
        if (t.data && !checksum8(t.data, 36) && read_root(mem, PADDR(get(&t, 24, 8)), "XSDT", 8)) {
            return true;
        }
    }
    return read_root(mem, PADDR(rsdt), "RSDT", 4);
}

/* --- MADT: CPUs and interrupt controllers --- */

static __init void add_cpu(uint32_t apic_id, uint32_t acpi_id, uint32_t flags)
{
    if (!(flags & 1)) {
        acpi_info.nr_disabled_cpus++;
        return;
    }
    for (uint32_t i = 0; i < acpi_info.nr_cpus; i++) {
        if (acpi_info.cpus[i].apic_id == apic_id) {
            return; /* small numbers may be listed in both forms */
        }
    }
    if (acpi_info.nr_cpus == ACPI_MAX_CPUS) {
        log_warn("ACPI: CPU with APIC ID %u is one too many; it is not used", apic_id);
        return;
    }
    acpi_info.cpus[acpi_info.nr_cpus++] = (struct acpi_cpu){ apic_id, acpi_id };
}

static __init void add_ioapic(const struct acpi_table *t, uint32_t at)
{
    if (acpi_info.nr_ioapics == ACPI_MAX_IOAPICS) {
        log_warn("ACPI: IOAPIC %u is one too many; it is not used", get8(t, at + 2));
        return;
    }
    acpi_info.ioapics[acpi_info.nr_ioapics++] = (struct acpi_ioapic){
        .id = get8(t, at + 2), .address = get32(t, at + 4), .first_gsi = get32(t, at + 8)
    };
}

static __init void add_override(const struct acpi_table *t, uint32_t at)
{
    uint16_t flags = get16(t, at + 8);

    if (acpi_info.nr_overrides == ACPI_MAX_OVERRIDES || get8(t, at + 2) != 0) {
        log_warn("ACPI: interrupt override of bus %u irq %u is left out", get8(t, at + 2),
                 get8(t, at + 3));
        return;
    }
    acpi_info.overrides[acpi_info.nr_overrides++] = (struct acpi_override){
        .isa_irq = get8(t, at + 3),
        .gsi = get32(t, at + 4),
        .is_active_low = (flags & 3) == 3,
        .is_level = (flags >> 2 & 3) == 3,
    };
}

static __init void add_nmi(uint32_t acpi_id, uint16_t flags, uint8_t lint)
{
    if (acpi_info.nr_nmis < ACPI_MAX_NMIS && lint < 2) {
        acpi_info.nmis[acpi_info.nr_nmis++] = (struct acpi_nmi){
            .acpi_id = acpi_id,
            .lint = lint,
            .is_active_low = (flags & 3) == 3,
            .is_level = (flags >> 2 & 3) == 3,
        };
    }
}

static __init void read_madt_entry(const struct acpi_table *t, uint32_t at)
{
    uint8_t id = get8(t, at + 2);

    switch (get8(t, at)) {
    case 0: /* local APIC */
        if (get8(t, at + 3) != 0xff) {
            add_cpu(get8(t, at + 3), id, get32(t, at + 4));
        }
        break;
    case 1:
        add_ioapic(t, at);
        break;
    case 2:
        add_override(t, at);
        break;
    case 3: /* a GSI that is an NMI */
        log_info("ACPI: the NMI at GSI %u is not used", get32(t, at + 4));
        break;
    case 4: /* local APIC NMI */
        add_nmi(id == 0xff ? ACPI_ALL_CPUS : id, get16(t, at + 3), get8(t, at + 5));
        break;
    case 5: /* the local APICs' address in 64 bits */
        acpi_info.lapic = PADDR(get(t, at + 4, 8));
        break;
    case 9: /* local x2APIC */
        add_cpu(get32(t, at + 4), get32(t, at + 12), get32(t, at + 8));
        break;
    case 10: /* local x2APIC NMI */
        add_nmi(get32(t, at + 4), get16(t, at + 2), get8(t, at + 8));
        break;
    default:
        break;
    }
}

/* Shortest length of each entry that read_madt_entry() looks into. */
static const uint8_t madt_entry_len[] = {
    [0] = 8, [1] = 12, [2] = 10, [3] = 8, [4] = 6, [5] = 12, [9] = 16, [10] = 12
};

static __init void read_madt(const struct acpi_table *t)
{
    uint32_t at = 44;

    acpi_info.lapic = PADDR(get32(t, 36));
    acpi_info.has_8259 = get32(t, 40) & 1;
    while (at + 2 <= t->len) {
        uint8_t type = get8(t, at), len = get8(t, at + 1);
        uint8_t least = type < ARRAY_SIZE(madt_entry_len) ? madt_entry_len[type] : 0;

        if (len < max(least, (uint8_t)2) || len > t->len - at) {
            log_warn("ACPI: the MADT's entry at %u is broken; the rest is left out", at);
            return;
        }
        read_madt_entry(t, at);
        at += len;
    }
}

/* --- FADT: power management --- */

static __init struct acpi_register get_register(const struct acpi_table *t, uint32_t at)
{
    struct acpi_register r = { get8(t, at), get8(t, at + 1), get(t, at + 4, 8) };

    if (!r.address) {
        r.bits = 0;
    }
    return r;
}

/* A register block that old tables give as a port and new ones in full. */
static __init struct acpi_register get_block(const struct acpi_table *t, uint32_t port_at,
                                             uint32_t full_at, uint8_t bits)
{
    struct acpi_register r = get_register(t, full_at);
    uint32_t port = get32(t, port_at);

    if (!r.bits && port && port <= 0xffff) {
        r = (struct acpi_register){ ACPI_SPACE_IO, bits, port };
    }
    return r;
}

static __init void read_fadt(const struct acpi_table *t)
{
    struct acpi_info *a = &acpi_info;
    uint64_t facs = get(t, 132, 8);

    a->has_fadt = true;
    a->sci_irq = get16(t, 46);
    a->smi_command = get16(t, 48);
    a->acpi_enable = get8(t, 52);
    a->boot_flags = get16(t, 109);
    a->flags = get32(t, 112);
    a->pm1a_event = get_block(t, 56, 148, (uint8_t)(get8(t, 88) * 8));
    a->pm1b_event = get_block(t, 60, 160, (uint8_t)(get8(t, 88) * 8));
    a->pm1a_control = get_block(t, 64, 172, (uint8_t)(get8(t, 89) * 8));
    a->pm1b_control = get_block(t, 68, 184, (uint8_t)(get8(t, 89) * 8));
    a->pm_timer = get_block(t, 76, 208, 32);
    if (a->pm_timer.bits) {
        a->pm_timer.bits = a->flags & 1u << 8 ? 32 : 24;
    }
    if (a->flags & 1u << 10) {
        a->reset = get_register(t, 116);
        a->reset_value = get8(t, 128);
    }
    a->facs = PADDR(facs ? facs : get32(t, 36));
}

/* --- the sleep types, found in byte code by their pattern --- */

/* A small constant at *@at, which moves behind it. */
static __init bool take_constant(const struct acpi_table *t, uint32_t *at, uint8_t *value)
{
    uint8_t op = get8(t, *at);

    if (*at >= t->len) {
        return false;
    }
    if (op <= 1) { /* Zero, One */
        *value = op;
        *at += 1;
        return true;
    }
    if (op < 0x0a || op > 0x0c) { /* Byte, Word, DWord */
        return false;
    }
    *value = get8(t, *at + 1);
    *at += op == 0x0a ? 2 : op == 0x0b ? 3 : 5;
    return true;
}

/* At @at follows what the name _S5_ stands for: Package, its length, its count, two constants. */
static __init bool read_s5_package(const struct acpi_table *t, uint32_t at)
{
    uint8_t a, b;

    if (get8(t, at) != 0x12) {
        return false;
    }
    at += 2u + (get8(t, at + 1) >> 6) + 1u;
    if (!take_constant(t, &at, &a) || !take_constant(t, &at, &b)) {
        return false;
    }
    acpi_info.has_s5 = true;
    acpi_info.s5_type_a = a & 7;
    acpi_info.s5_type_b = b & 7;
    return true;
}

static __init void search_s5(const struct acpi_table *t)
{
    const uint8_t *code = t->data;

    for (uint32_t i = HEADER_LEN + 2; i + 4 < t->len && !acpi_info.has_s5; i++) {
        if (code[i] == '_' && !memcmp(code + i, "_S5_", 4) &&
            (code[i - 1] == 0x08 || (code[i - 2] == 0x08 && code[i - 1] == '\\'))) {
            read_s5_package(t, i + 4);
        }
    }
}

/* --- HPET, MCFG --- */

static __init void read_hpet(const struct acpi_table *t)
{
    struct acpi_register r = get_register(t, 40);

    if (!r.address || r.space != ACPI_SPACE_MEMORY) {
        log_warn("ACPI: the HPET is not in memory; it is not used");
        return;
    }
    acpi_info.hpet = PADDR(r.address);
    acpi_info.hpet_id = get8(t, 52);
    acpi_info.hpet_min_tick = get16(t, 53);
}

static __init void read_mcfg(const struct acpi_table *t)
{
    for (uint32_t at = 44; at + 16 <= t->len; at += 16) {
        struct acpi_pci_segment s = { get(t, at, 8), get16(t, at + 8), get8(t, at + 10),
                                      get8(t, at + 11) };

        if (!s.base || s.base & 0xfffff || s.first_bus > s.last_bus ||
            acpi_info.nr_segments == ACPI_MAX_SEGMENTS) {
            log_warn("ACPI: PCI configuration space at %lx is left out", s.base);
            continue;
        }
        acpi_info.segments[acpi_info.nr_segments++] = s;
    }
}

static __init void read_dsdt(const struct acpi_mem_ops *mem)
{
    const struct acpi_table *fadt = acpi_find("FACP", 0);
    uint64_t dsdt = get(fadt, 140, 8);

    add_table(mem, PADDR(dsdt ? dsdt : get32(fadt, 40)));
    for (uint32_t i = 0; i < acpi_info.nr_tables; i++) {
        if (!memcmp(acpi_info.tables[i].signature, "DSDT", 4) ||
            !memcmp(acpi_info.tables[i].signature, "SSDT", 4)) {
            search_s5(&acpi_info.tables[i]);
        }
    }
}

static const struct {
    const char *signature;
    void (*read)(const struct acpi_table *t);
} readers[] __initconst = {
    { "APIC", read_madt },
    { "FACP", read_fadt },
    { "HPET", read_hpet },
    { "MCFG", read_mcfg },
};

__init bool acpi_init(const struct acpi_mem_ops *mem, paddr_t rsdp)
{
    memset(&acpi_info, 0, sizeof(acpi_info));
    if (!rsdp.a) {
        rsdp = search_bios(mem);
    }
    if (!rsdp.a || !read_from_rsdp(mem, rsdp)) {
        log_warn("ACPI: no tables found");
        memset(&acpi_info, 0, sizeof(acpi_info));
        return false;
    }
    acpi_info.rsdp = rsdp;
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
        const struct acpi_table *t = acpi_find(readers[i].signature, 0);

        if (t) {
            readers[i].read(t);
        }
    }
    if (acpi_info.has_fadt) {
        read_dsdt(mem);
    }
    log_info("ACPI: %u tables, %u CPUs (%u disabled), %u IOAPICs, HPET %s, PM timer %s",
             acpi_info.nr_tables, acpi_info.nr_cpus, acpi_info.nr_disabled_cpus,
             acpi_info.nr_ioapics, acpi_info.hpet.a ? "yes" : "no",
             acpi_info.pm_timer.bits ? "yes" : "no");
    return true;
}
