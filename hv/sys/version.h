/* SPDX-License-Identifier: MIT */
/* Who we are. */
#pragma once

#define VERSION_OWN      "0.1"
#define VERSION_EXTRA    "-mansio " VERSION_OWN /* at most 15 characters: after the ABI's 4.17 */
#define VERSION_COMPILER __VERSION__
