/* SPDX-License-Identifier: MIT */
/* The host's threads, whose header does not go together with ours. */
#pragma once

typedef void *thread_fn(void *arg);

unsigned long thread_start(thread_fn *fn, void *arg);
void *thread_join(unsigned long thread);
