/* SPDX-License-Identifier: MIT */
/* Serial ports: settings, absent and stuck devices. */
/* sources: hv/drivers/uart.c hv/lib/string.c tests/unit/sys/fake_log.c */
#include "drivers/uart.h"

#include "sys/fake_log.h"
#include "x86/insn.h"

/* A 16550 at one place; all other ports read as ones. */
static struct {
    bool is_there, is_stuck;
    uint16_t base;
    uint8_t ier, lcr, mcr, fcr, scratch;
    uint16_t divisor;
    char sent[4096];
    size_t nr_sent, nr_queued;
    const char *input;
} device;

static uint64_t now;

uint64_t rdtsc(void)
{
    return now += 1000000;
}

uint8_t inb(uint16_t port)
{
    if (!device.is_there || port < device.base || port > device.base + 7) {
        return 0xff;
    }
    switch (port - device.base) {
    case 0:
        return device.input && *device.input ? (uint8_t)*device.input++ : 0;
    case 4:
        return device.mcr;
    case 5:
        device.nr_queued = 0;
        return (uint8_t)((device.is_stuck ? 0 : 0x60) | (device.input && *device.input ? 1 : 0));
    case 6:
        return device.mcr & 0x10 ? 0x90 : 0xb0;
    case 7:
        return device.scratch;
    default:
        return 0;
    }
}

void outb(uint16_t port, uint8_t value)
{
    bool dlab = device.lcr & 0x80;

    if (!device.is_there || port < device.base || port > device.base + 7) {
        return;
    }
    switch (port - device.base) {
    case 0:
        if (dlab) {
            device.divisor = (uint16_t)((device.divisor & 0xff00) | value);
        } else {
            assert_true(++device.nr_queued <= 16);
            device.sent[device.nr_sent++] = (char)value;
            device.sent[device.nr_sent] = '\0';
        }
        break;
    case 1:
        if (dlab) {
            device.divisor = (uint16_t)((device.divisor & 0xff) | value << 8);
        } else {
            device.ier = value;
        }
        break;
    case 2:
        device.fcr = value;
        break;
    case 3:
        device.lcr = value;
        break;
    case 4:
        device.mcr = value;
        break;
    case 7:
        device.scratch = value;
        break;
    default:
        break;
    }
}

static int plug(void **state)
{
    memset(&device, 0, sizeof(device));
    device.is_there = true;
    device.base = 0x3f8;
    fake_log_reset();
    return 0;
}

static void settings_reach_the_device(void **state)
{
    static const struct {
        const char *config;
        uint16_t divisor;
        uint8_t lcr;
    } cases[] = {
        { "", 1, 0x03 },      { "115200,8n1", 1, 0x03 },          { "9600,7e2", 12, 0x1e },
        { "38400", 3, 0x03 }, { "1200/1843200,8o1", 1536, 0x0b }, { "115200,8n1,0x3f8,4", 1, 0x03 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        plug(state);
        assert_true(uart_init(UART_COM1, cases[i].config));
        assert_int_equal(device.divisor, cases[i].divisor);
        assert_int_equal(device.lcr, cases[i].lcr);
        assert_int_equal(device.mcr, 0x0b);
        assert_int_equal(fake_log_nr_lines(), 0);
    }
}

static void auto_keeps_the_speed(void **state)
{
    device.divisor = 7;
    assert_true(uart_init(UART_COM1, "auto,8n1"));
    assert_int_equal(device.divisor, 7);
}

static void nonsense_is_named(void **state)
{
    static const char *const cases[] = {
        "x", "115200,9n1", "115200,8x1", "115200,8n1,0x10000", "0", "230400", "115200,8n1,0x3f8,4,5"
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        plug(state);
        uart_init(UART_COM1, cases[i]);
        assert_int_equal(fake_log_nr_lines(), 1);
    }
}

static void another_place_may_be_named(void **state)
{
    device.base = 0x2e0;
    assert_true(uart_init(UART_COM2, "115200,8n1,0x2e0,10"));
    assert_int_equal(uart_base(UART_COM2), 0x2e0);
    assert_int_equal(uart_irq(UART_COM2), 10);
    uart_enable_irq(UART_COM2);
    assert_int_equal(device.ier, 1);
}

static void an_absent_port_is_left_alone(void **state)
{
    device.is_there = false;
    assert_false(uart_init(UART_COM1, ""));
    assert_false(uart_is_present(UART_COM1));
    uart_write(UART_COM1, "text", 4);
    assert_int_equal(uart_poll(UART_COM1), -1);
}

static void output_keeps_to_the_queue_and_ends_lines(void **state)
{
    uart_init(UART_COM1, "");
    uart_write(UART_COM1, "a line that is longer than the queue\n", 37);
    assert_string_equal(device.sent, "a line that is longer than the queue\r\n");
}

static void a_stuck_device_costs_one_wait(void **state)
{
    char text[200];
    uint64_t before;

    memset(text, 'x', sizeof(text));
    uart_init(UART_COM1, "");
    device.is_stuck = true;
    uart_write(UART_COM1, text, sizeof(text));
    before = now;
    uart_write(UART_COM1, text, sizeof(text));
    assert_true(now - before <= sizeof(text) * 2000000);
    device.is_stuck = false;
    uart_write(UART_COM1, "back", 4);
    assert_string_equal(device.sent + device.nr_sent - 4, "back");
}

static void input_is_taken_one_by_one(void **state)
{
    uart_init(UART_COM1, "");
    device.input = "ab";
    assert_int_equal(uart_poll(UART_COM1), 'a');
    assert_int_equal(uart_poll(UART_COM1), 'b');
    assert_int_equal(uart_poll(UART_COM1), -1);
    device.is_there = false;
    assert_int_equal(uart_poll(UART_COM1), -1);
}

#define TEST(name) cmocka_unit_test_setup(name, plug)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settings_reach_the_device),
        TEST(auto_keeps_the_speed),
        TEST(nonsense_is_named),
        TEST(another_place_may_be_named),
        TEST(an_absent_port_is_left_alone),
        TEST(output_keeps_to_the_queue_and_ends_lines),
        TEST(a_stuck_device_costs_one_wait),
        TEST(input_is_taken_one_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
