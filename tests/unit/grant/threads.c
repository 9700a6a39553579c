/* SPDX-License-Identifier: MIT */
/* The host's threads. */
#include "grant/threads.h"

#include <pthread.h>
#include <stdlib.h>

unsigned long thread_start(thread_fn *fn, void *arg)
{
    pthread_t t;

    if (pthread_create(&t, NULL, fn, arg) != 0) {
        abort();
    }
    return t;
}

void *thread_join(unsigned long thread)
{
    void *result;

    if (pthread_join(thread, &result) != 0) {
        abort();
    }
    return result;
}
