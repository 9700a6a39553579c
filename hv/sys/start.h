/* SPDX-License-Identifier: MIT */
/* The start-up sequence, main.c; boot/ enters it when boot_info is complete. */
#pragma once

#include "lib/compiler.h"

noreturn void hv_main(void);
