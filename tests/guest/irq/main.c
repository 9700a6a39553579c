/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of devices as events: an edge from the clock chip, a level from a PCI
 * device, and its MSI.  The device is QEMU's `edu`, which raises its interrupt
 * when told.
 */
#include "lib/event.h"
#include "lib/hypercall.h"
#include "lib/mm.h"

#define EDU_BDF     (5u << 3)
#define EDU_ID      0x11e81234
#define EDU_RAISE   0x60
#define EDU_LOWER   0x64
#define EDU_STATUS  0x24
#define PCI_COMMAND 0x04
#define PCI_BAR0    0x10
#define PCI_CAPS    0x34

static uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
    return value;
}

static void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "d"(port));
}

static uint32_t pci_read(uint32_t reg)
{
    uint32_t value;

    __asm__ volatile("outl %0, %1" ::"a"(0x80000000 | EDU_BDF << 8 | (reg & ~3u)),
                     "d"((uint16_t)0xcf8));
    __asm__ volatile("inl %1, %0" : "=a"(value) : "d"((uint16_t)0xcfc));
    return value;
}

static void pci_write(uint32_t reg, uint32_t value)
{
    __asm__ volatile("outl %0, %1" ::"a"(0x80000000 | EDU_BDF << 8 | reg), "d"((uint16_t)0xcf8));
    __asm__ volatile("outl %0, %1" ::"a"(value), "d"((uint16_t)0xcfc));
}

static long map_gsi(int gsi)
{
    struct physdev_map_pirq map = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = gsi, .pirq = gsi
    };
    long rc = hyper_physdev(PHYSDEVOP_map_pirq, &map);

    return rc ? rc : map.pirq;
}

static long bind_pirq(unsigned int pirq)
{
    struct evtchn_bind_pirq bind = { .pirq = pirq, .flags = BIND_PIRQ__WILL_SHARE };
    long rc = hyper_event(EVTCHNOP_bind_pirq, &bind);

    return rc ? rc : (long)bind.port;
}

static long setup_gsi(int gsi, bool is_level)
{
    struct physdev_setup_gsi setup = { .gsi = gsi, .triggering = is_level, .polarity = is_level };

    return hyper_physdev(PHYSDEVOP_setup_gsi, &setup);
}

static long eoi(unsigned int pirq)
{
    struct physdev_eoi eoi = { .irq = pirq };

    return hyper_physdev(PHYSDEVOP_eoi, &eoi);
}

/* Until @port is pending, for a second at most. */
static bool wait_pending(evtchn_port_t port)
{
    struct sched_poll poll = { .nr_ports = 1, .timeout = system_time() + 1000000000 };

    set_xen_guest_handle(poll.ports, &port);
    hyper_sched(SCHEDOP_poll, &poll);
    return port_is_pending(port);
}

/* ---- the clock chip: an edge ---- */

static uint8_t cmos(uint8_t reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

TEST(the_clock_chip_interrupts)
{
    struct physdev_set_iopl iopl = { .iopl = 1 };
    struct physdev_irq_status_query status = { .irq = 8 };
    struct physdev_irq vector = { .irq = 8 };
    long pirq, port;

    EXPECT(hyper_physdev(PHYSDEVOP_set_iopl, &iopl), 0);
    pirq = map_gsi(8);
    EXPECT(pirq, 8);
    EXPECT(hyper_physdev(PHYSDEVOP_alloc_irq_vector, &vector), 0);
    EXPECT(hyper_physdev(PHYSDEVOP_irq_status_query, &status), 0);
    port = bind_pirq(8);
    CHECK(port > 0);
    EXPECT(bind_pirq(8), -EEXIST);
    outb(0x70, 0xb);
    outb(0x71, inb(0x71) | 0x40); /* periodic, 1024 a second */
    for (unsigned int i = 0; i < 10; i++) {
        CHECK(wait_pending((evtchn_port_t)port));
        port_clear((unsigned int)port);
        cmos(0xc); /* the chip's own acknowledgement */
        if (status.flags & XENIRQSTAT_needs_eoi) {
            eoi(8);
        }
    }
    outb(0x70, 0xb);
    outb(0x71, inb(0x71) & ~0x40);
    cmos(0xc);
    EXPECT(event_close((unsigned int)port), 0);
}

/* ---- the PCI device ---- */

static volatile uint32_t *edu = (volatile uint32_t *)FREE_VA;

TEST(the_device_is_found_and_mapped)
{
    struct physdev_pci_device_add add = { .bus = 0, .devfn = EDU_BDF };
    uint64_t bar;

    EXPECT(pci_read(0), EDU_ID);
    bar = pci_read(PCI_BAR0) & ~0xful;
    CHECK(bar != 0);
    pci_write(PCI_COMMAND, pci_read(PCI_COMMAND) | 6); /* memory, bus master */
    hyper_physdev(PHYSDEVOP_pci_device_add, &add);
    pt_map(kernel_l4, FREE_VA, bar | PTE_RW_PAGE | PTE_PCD | PTE_PWT);
    EXPECT(edu[0], 0x010000ed);
    edu[1] = 0x12345678;
    EXPECT(edu[1], ~0x12345678u);
}

static void lower(void)
{
    edu[EDU_LOWER / 4] = edu[EDU_STATUS / 4];
}

/* Which input of the IOAPIC the device's pin goes to depends on the board: all are tried. */
TEST(a_level_interrupt)
{
    long ports[24] = { 0 };
    int found = 0;

    for (int gsi = 16; gsi < 24; gsi++) {
        long rc = setup_gsi(gsi, true);

        CHECK(rc == 0 || rc == -EEXIST);
        EXPECT(map_gsi(gsi), gsi);
        ports[gsi] = bind_pirq((unsigned int)gsi);
        CHECK(ports[gsi] > 0);
        port_mask((unsigned int)ports[gsi]);
    }
    edu[EDU_RAISE / 4] = 1;
    wait_pending((evtchn_port_t)ports[16]);
    for (int gsi = 16; gsi < 24; gsi++) {
        found = port_is_pending((unsigned int)ports[gsi]) ? gsi : found;
    }
    CHECK(found);
    for (unsigned int i = 0; i < 10; i++) {
        struct physdev_irq_status_query status = { .irq = (unsigned int)found };

        EXPECT(hyper_physdev(PHYSDEVOP_irq_status_query, &status), 0);
        EXPECT(status.flags & XENIRQSTAT_needs_eoi, XENIRQSTAT_needs_eoi);
        lower();
        port_clear((unsigned int)ports[found]);
        EXPECT(eoi((unsigned int)found), 0);
        edu[EDU_RAISE / 4] = 1;
        CHECK(wait_pending((evtchn_port_t)ports[found]));
    }
    /* Still raised at its end: it comes once more, and only once until then. */
    port_clear((unsigned int)ports[found]);
    EXPECT(port_is_pending((unsigned int)ports[found]), 0);
    EXPECT(eoi((unsigned int)found), 0);
    CHECK(wait_pending((evtchn_port_t)ports[found]));
    lower();
    port_clear((unsigned int)ports[found]);
    EXPECT(eoi((unsigned int)found), 0);
    for (int gsi = 16; gsi < 24; gsi++) {
        EXPECT(event_close((unsigned int)ports[gsi]), 0);
    }
}

/* Where the MSI capability lies; 0: none. */
static uint32_t find_msi(void)
{
    uint32_t at = pci_read(PCI_CAPS) & 0xfc;

    while (at && (pci_read(at) & 0xff) != 5) {
        at = pci_read(at) >> 8 & 0xfc;
    }
    return at;
}

TEST(a_message_signalled_interrupt)
{
    struct physdev_map_pirq map = {
        .domid = DOMID_SELF,
        .type = MAP_PIRQ_TYPE_MSI_SEG,
        .index = -1,
        .pirq = -1,
        .bus = 0,
        .devfn = EDU_BDF,
    };
    struct physdev_unmap_pirq unmap = { .domid = DOMID_SELF };
    uint32_t msi = find_msi();
    long port;

    CHECK(msi);
    EXPECT(hyper_physdev(PHYSDEVOP_map_pirq, &map), 0);
    CHECK(map.pirq > 0);
    port = bind_pirq((unsigned int)map.pirq);
    CHECK(port > 0);
    port_mask((unsigned int)port);
    CHECK(pci_read(msi + 4) != 0);            /* the hypervisor has written the address */
    pci_write(msi, pci_read(msi) | 1u << 16); /* the enable bit is the kernel's to set */
    for (unsigned int i = 0; i < 10; i++) {
        edu[EDU_RAISE / 4] = 1;
        CHECK(wait_pending((evtchn_port_t)port));
        lower();
        port_clear((unsigned int)port);
    }
    EXPECT(event_close((unsigned int)port), 0);
    unmap.pirq = map.pirq;
    EXPECT(hyper_physdev(PHYSDEVOP_unmap_pirq, &unmap), 0);
    EXPECT(hyper_physdev(PHYSDEVOP_unmap_pirq, &unmap), -EINVAL);
}

TEST(bad_interrupts_are_refused)
{
    struct physdev_map_pirq map = {
        .domid = DOMID_SELF,
        .type = MAP_PIRQ_TYPE_MSI_SEG,
        .index = -1,
        .pirq = -1,
        .bus = 0,
        .devfn = 0xf8 | 7,
    };

    EXPECT(hyper_physdev(PHYSDEVOP_map_pirq, &map), -ENODEV);
    EXPECT(map_gsi(1000), -EINVAL);
    CHECK(map_gsi(-5) < 0);
    CHECK(bind_pirq(200) < 0);
    EXPECT(bind_pirq(100000), -EINVAL);
    EXPECT(eoi(100000), -EINVAL);
}
