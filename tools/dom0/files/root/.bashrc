# SPDX-License-Identifier: MIT
PS1='dom0# '
HISTFILE=
