#!/bin/bash
# What commands did at a3f3782 and what they do now: a line for each, "command | before | after | as it should be", and
# how many are not. The column "before" is what that commit answered, word for word where it is in quotes.
#
#   show-06-commands.sh            programs of COFFER_BUILD (build/dev); another pair of programs: programs=DIR
#   rows=N                         the first N alone
#   before=DIR                     fills the column "before" from the programs in DIR
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=${programs:-${COFFER_BUILD:-$here/../../build/dev}/cli}
exec python3 -B "$here/commands_table.py" "$programs" ${before:+"$before"}
