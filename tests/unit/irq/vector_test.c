/* SPDX-License-Identifier: MIT */
/* sources: hv/irq/vector.c tests/unit/irq/fake.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "abi/errno.h"
#include "irq/fake.h"
#include "irq/internal.h"
#include "x86/vectors.h"

#define NR_USABLE (VEC_DEVICE_LAST - VEC_DEVICE_FIRST + 1u - 2u)

static struct irq_line lines[256];

static int alloc(unsigned int cpu, unsigned int nr, struct irq_line *first)
{
    struct irq_line *list[32];

    for (unsigned int i = 0; i < nr; i++) {
        list[i] = first + i;
    }
    return vector_alloc(cpu, nr, list);
}

static int begin(void **state)
{
    fake_reset();
    return 0;
}

static void all_vectors_can_be_had_once(void **state)
{
    bool taken[256] = { false };

    for (unsigned int i = 0; i < NR_USABLE; i++) {
        int v = alloc(0, 1, &lines[i]);

        assert_in_range(v, VEC_DEVICE_FIRST, VEC_DEVICE_LAST);
        assert_int_not_equal(v, VEC_INT80);
        assert_int_not_equal(v, VEC_INT82);
        assert_false(taken[v]);
        assert_ptr_equal(vector_line((unsigned int)v), &lines[i]);
        taken[v] = true;
    }
    assert_int_equal(alloc(0, 1, lines), -ENOSPC);
    for (unsigned int v = 0; v < 256; v++) {
        if (taken[v]) {
            vector_free(0, v);
            assert_null(vector_line(v));
        }
    }
}

static void neighbours_in_time_are_in_different_classes(void **state)
{
    int a = alloc(0, 1, &lines[0]), b = alloc(0, 1, &lines[1]);

    assert_int_not_equal(a >> 4, b >> 4);
    vector_free(0, (unsigned int)a);
    vector_free(0, (unsigned int)b);
}

static void groups_are_aligned_and_whole(void **state)
{
    for (unsigned int nr = 1; nr <= 32; nr *= 2) {
        int got[8];
        unsigned int n = 0;

        while (n < 8 && (got[n] = alloc(1, nr, &lines[n * nr % 128])) >= 0) {
            assert_int_equal(got[n] % (int)nr, 0);
            assert_in_range(got[n], VEC_DEVICE_FIRST, VEC_DEVICE_LAST + 1 - nr);
            n++;
        }
        assert_in_range(n, 4, 8); /* 0x80 and 0x82 spoil one group of 32 */
        while (n-- > 0) {
            for (unsigned int i = 0; i < nr; i++) {
                vector_free(1, (unsigned int)got[n] + i);
            }
        }
    }
}

static void a_vector_unused_everywhere_is_preferred(void **state)
{
    int a = alloc(0, 1, &lines[0]);

    for (unsigned int i = 0; i < NR_USABLE - 1; i++) {
        int v = alloc(1, 1, &lines[1]);

        assert_int_not_equal(v, a);
    }
    assert_int_equal(alloc(1, 1, &lines[1]), a); /* the last that CPU 1 has */
    for (unsigned int v = VEC_DEVICE_FIRST; v <= VEC_DEVICE_LAST; v++) {
        if (v != VEC_INT80 && v != VEC_INT82) {
            vector_free(1, v);
        }
    }
    vector_free(0, (unsigned int)a);
}

static void taking_one_fails_where_it_is_taken(void **state)
{
    int a = alloc(0, 1, &lines[0]);

    assert_true(vector_take(1, (unsigned int)a, &lines[0]));
    assert_false(vector_take(1, (unsigned int)a, &lines[1]));
    assert_false(vector_take(1, VEC_INT80, &lines[1]));
    fake_be_cpu(1);
    assert_ptr_equal(vector_line((unsigned int)a), &lines[0]);
    vector_free(1, (unsigned int)a);
    vector_free(0, (unsigned int)a);
}

/* Random use of all CPUs against a plain table. */
static void random_use_agrees_with_a_model(void **state)
{
    static struct irq_line *model[FAKE_CPUS][256];

    for (int step = 0; step < 20000; step++) {
        unsigned int cpu = (unsigned int)random() % FAKE_CPUS,
                     v = 0x30 + (unsigned int)random() % 0xc0;
        unsigned int nr = 1u << random() % 4;

        if (random() % 2 && model[cpu][v]) {
            vector_free(cpu, v);
            model[cpu][v] = NULL;
        } else {
            int got = alloc(cpu, nr, &lines[step % 128]);

            for (unsigned int i = 0; got >= 0 && i < nr; i++) {
                assert_null(model[cpu][(unsigned int)got + i]);
                model[cpu][(unsigned int)got + i] = &lines[step % 128 + i];
            }
        }
        fake_be_cpu(cpu);
        assert_ptr_equal(vector_line(v), model[cpu][v]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_vectors_can_be_had_once, begin),
        cmocka_unit_test_setup(neighbours_in_time_are_in_different_classes, begin),
        cmocka_unit_test_setup(groups_are_aligned_and_whole, begin),
        cmocka_unit_test_setup(a_vector_unused_everywhere_is_preferred, begin),
        cmocka_unit_test_setup(taking_one_fails_where_it_is_taken, begin),
        cmocka_unit_test_setup(random_use_agrees_with_a_model, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
