/* SPDX-License-Identifier: MIT */
/* Who we are. */
#pragma once

#define VERSION_ABI_MAJOR 4u
#define VERSION_ABI_MINOR 17u

#define VERSION_OWN      "0.1"
#define VERSION_BUILDER  "mansio"
#define VERSION_BUILD    VERSION_BUILDER " " VERSION_OWN
#define VERSION_EXTRA    "-mansio " VERSION_OWN /* at most 15 characters: after the ABI's 4.17 */
#define VERSION_COMPILER __VERSION__
