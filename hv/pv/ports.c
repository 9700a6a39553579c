/* SPDX-License-Identifier: MIT */
/*
 * I/O ports of PV guests.  A port that the domain owns is the real one.  The
 * two pairs of index and data registers that we use ourselves are shared by a
 * latch per domain: PCI configuration (0xcf8, 0xcfc) and the real-time clock
 * (0x70, 0x71).  Any other port reads as ones and swallows what is written: a
 * kernel that probes for hardware finds none.
 */
#include "pv/internal.h"

#include "drivers/pci.h"
#include "guest/guest.h"
#include "x86/insn.h"
#include "x86/smp.h"

#define PORT_PCI_ADDRESS 0xcf8
#define PORT_PCI_DATA    0xcfc
#define PORT_RTC_INDEX   0x70
#define PORT_RTC_DATA    0x71
#define PCI_ENABLE       0x80000000u

static struct spinlock rtc_lock = SPINLOCK_INIT(LOCK_RANK_LEAF);

/* The bitmap is at an address of the guest's kernel, whoever runs. */
static bool read_bitmap(const struct vcpu *v, uint16_t port, unsigned int bytes, uint16_t *bits)
{
    size_t len_bytes = port % 8 + bytes > 8 ? 2 : 1; /* it may end with its page */
    bool is_read;

    *bits = 0;
    if (!v->in_kernel) {
        cr3_load(v->pv.cr3_kernel);
    }
    is_read = copy_from_guest(bits, GUEST_PTR(v->pv.iobmp + port / 8), len_bytes) == 0;
    if (!v->in_kernel) {
        cr3_load(v->pv.cr3_user);
    }
    return is_read;
}

/* User code may use a port if the guest kernel gave it IOPL 3 or a bit in its bitmap. */
static bool bitmap_allows(const struct vcpu *v, uint16_t port, unsigned int bytes)
{
    uint16_t bits;

    if ((uint32_t)port + bytes > v->pv.iobmp_limit || !read_bitmap(v, port, bytes, &bits)) {
        return false;
    }
    return (bits >> (port % 8) & ((1u << bytes) - 1)) == 0;
}

static bool may_try(const struct emul_ctxt *c, uint16_t port, unsigned int bytes)
{
    const struct vcpu *v = c->opaque;

    return v->pv.iopl >= (c->is_kernel ? 1u : 3u) || bitmap_allows(v, port, bytes);
}

static uint32_t ones(unsigned int bytes)
{
    return bytes == 4 ? 0xffffffffu : (1u << (8 * bytes)) - 1;
}

static uint32_t real_in(uint16_t port, unsigned int bytes)
{
    return bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
}

static void real_out(uint16_t port, unsigned int bytes, uint32_t val)
{
    if (bytes == 1) {
        outb(port, (uint8_t)val);
    } else if (bytes == 2) {
        outw(port, (uint16_t)val);
    } else {
        outl(port, val);
    }
}

/* ------------------------------------------------- shared register pairs -- */

static bool is_pci_data(uint16_t port, unsigned int bytes)
{
    return port >= PORT_PCI_DATA && port + bytes <= PORT_PCI_DATA + 4;
}

static struct pci_address latched_device(uint32_t cf8)
{
    return (struct pci_address){ .segment = 0, .bus = cf8 >> 16 & 0xff, .devfn = cf8 >> 8 & 0xff };
}

static uint32_t pci_data_in(const struct domain *d, uint16_t port, unsigned int bytes)
{
    uint32_t cf8 = d->pci_cf8;

    if (!d->is_hardware || !(cf8 & PCI_ENABLE)) {
        return ones(bytes);
    }
    return pci_read(latched_device(cf8), (cf8 & 0xfc) | (port & 3), bytes);
}

static void pci_data_out(const struct domain *d, uint16_t port, unsigned int bytes, uint32_t val)
{
    uint32_t cf8 = d->pci_cf8;

    if (d->is_hardware && (cf8 & PCI_ENABLE)) {
        pci_write(latched_device(cf8), (cf8 & 0xfc) | (port & 3), bytes, val);
    }
}

static uint8_t rtc_in(const struct domain *d)
{
    uint8_t val;

    spin_lock(&rtc_lock);
    outb(PORT_RTC_INDEX, d->rtc_index);
    val = inb(PORT_RTC_DATA);
    spin_unlock(&rtc_lock);
    return val;
}

static void rtc_out(const struct domain *d, uint8_t val)
{
    spin_lock(&rtc_lock);
    outb(PORT_RTC_INDEX, d->rtc_index);
    outb(PORT_RTC_DATA, val);
    spin_unlock(&rtc_lock);
}

/* ----------------------------------------------------------- one access -- */

/* Are they the domain's?  Its rights change under it. */
static bool is_own(struct domain *d, uint16_t port, unsigned int bytes)
{
    bool is;

    spin_lock(&d->lock);
    is = rangeset_contains(&d->ioports, port, port + bytes - 1);
    spin_unlock(&d->lock);
    return is;
}

static uint32_t port_in(struct domain *d, uint16_t port, unsigned int bytes)
{
    uint32_t val = 0;

    if (port == PORT_PCI_ADDRESS && bytes == 4) {
        return d->pci_cf8;
    }
    if (is_pci_data(port, bytes)) {
        return pci_data_in(d, port, bytes);
    }
    if (d->is_hardware && port == PORT_RTC_DATA && bytes == 1) {
        return rtc_in(d);
    }
    if (d->is_hardware && port == PORT_RTC_INDEX && bytes == 1) {
        return d->rtc_index;
    }
    if (is_own(d, port, bytes)) {
        return real_in(port, bytes);
    }
    if (bytes == 1) {
        return 0xff;
    }
    /* Part of it may be the domain's. */
    for (unsigned int i = 0; i < bytes; i++) {
        val |= port_in(d, (uint16_t)(port + i), 1) << (8 * i);
    }
    return val;
}

static void port_out(struct domain *d, uint16_t port, unsigned int bytes, uint32_t val)
{
    if (port == PORT_PCI_ADDRESS && bytes == 4) {
        d->pci_cf8 = val;
    } else if (is_pci_data(port, bytes)) {
        pci_data_out(d, port, bytes, val);
    } else if (d->is_hardware && port == PORT_RTC_INDEX && bytes == 1) {
        d->rtc_index = val & 0x7f;
    } else if (d->is_hardware && port == PORT_RTC_DATA && bytes == 1) {
        rtc_out(d, (uint8_t)val);
    } else if (is_own(d, port, bytes)) {
        real_out(port, bytes, val);
    } else if (bytes > 1) {
        for (unsigned int i = 0; i < bytes; i++) {
            port_out(d, (uint16_t)(port + i), 1, val >> (8 * i) & 0xff);
        }
    }
}

int pv_read_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t *val)
{
    struct vcpu *v = c->opaque;

    if (!may_try(c, port, bytes)) {
        return EMUL_UNHANDLEABLE;
    }
    *val = (uint32_t)port + bytes > 0x10000 ? ones(bytes) : port_in(v->domain, port, bytes);
    return EMUL_OK;
}

int pv_write_io(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t val)
{
    struct vcpu *v = c->opaque;

    if (!may_try(c, port, bytes)) {
        return EMUL_UNHANDLEABLE;
    }
    if ((uint32_t)port + bytes <= 0x10000) {
        port_out(v->domain, port, bytes, val);
    }
    return EMUL_OK;
}
