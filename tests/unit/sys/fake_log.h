/* SPDX-License-Identifier: MIT */
/* The log of a test: counts lines and keeps the last one. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sys/log.h"

void fake_log_reset(void);
unsigned int fake_log_nr_lines(void);
const char *fake_log_last(void);
