/* SPDX-License-Identifier: MIT */
/* See fake_log.h. */
#include "sys/fake_log.h"

static unsigned int nr_lines;
static char last[512];

void fake_log_reset(void)
{
    nr_lines = 0;
    last[0] = '\0';
}

unsigned int fake_log_nr_lines(void)
{
    return nr_lines;
}

const char *fake_log_last(void)
{
    return last;
}

void log_print(enum log_level level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(last, sizeof(last), fmt, args);
    va_end(args);
    nr_lines++;
}
