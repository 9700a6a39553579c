# SPDX-License-Identifier: MIT
PS1="$(hostname)# "
HISTFILE=
