# Sourced by the show scripts. Each runs on its own: builds what it needs, works in a directory of its own,
# cleans up, exits 0 if what it shows holds; its last line is the figure.
#   COFFER_BUILD  build directory to use (default: build/release, built here)
#   show_targets, show_options  of the script: what it needs beyond the usual, and CMake options (a build of its own)
#   SHOW_TMP      where to work (default: TMPDIR or /var/tmp; the large ones need tens of GiB)
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${COFFER_BUILD:-}
if [ -z "$build" ]; then
  build=$repo/build/show${show_options:+-failpoints}
  # shellcheck disable=SC2086
  cmake -S "$repo" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release ${show_options:-} >/dev/null
  # shellcheck disable=SC2086
  cmake --build "$build" --target ${show_targets:-coffer cofferd cold_reads large_volume scattered_writes idle_day \
    ext4_day} >/dev/null
fi
coffer=$build/cli/coffer
work=$(mktemp -d "${SHOW_TMP:-${TMPDIR:-/var/tmp}}/coffer-show-XXXXXX")
chmod 755 "$work"

fail() { echo "FAILED: $*" >&2; exit 1; }
say() { echo "# $*"; }
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }

# use_machine NAME: from now on commands run on a machine of that name: its own state, cache and runtime.
use_machine() {
  mkdir -p "$work/$1"
  export HOME=$work/$1 XDG_CONFIG_HOME=$work/$1/config XDG_STATE_HOME=$work/$1/state
  export XDG_CACHE_HOME=$work/$1/cache XDG_RUNTIME_DIR=$work/$1/run
  mkdir -p -m 700 "$XDG_RUNTIME_DIR"
  unset COFFER_LOG
}
new_password() { (umask 077 && head -c 18 /dev/urandom | base64 >"$work/password"); }
uri_of() { sed -n 's/.*"uri": *"\([^"]*\)".*/\1/p'; }
# open_volume NAME [OPTIONS…]: prints the URI.
open_volume() { "$coffer" open --json --password-file "$work/password" "$@" | uri_of; }
daemon_pid() { cat "$XDG_RUNTIME_DIR/coffer/cofferd.pid"; }
# kill_daemon: kill -9, and wait until it is gone (a zombie without threads counts as gone).
kill_daemon() {
  local pid
  pid=$(daemon_pid)
  kill -9 "$pid"
  while [ -e "/proc/$pid" ] && ! { grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null &&
    grep -q '^Threads:[[:space:]]*1$' "/proc/$pid/status" 2>/dev/null; }; do :; done
}
hash_tree() { (cd "$1" && find . -type f ! -name '*.lock' ! -name lock ! -name '*.pid' ! -name control-socket ! -path '*/log/*' \
  -print0 | sort -z | xargs -0 -r sha256sum); }

# cleanup [STATUS]: ends with it; a script's own trap saves it before its own tidying changes $?.
cleanup() {
  local status=${1:-$?}
  trap - EXIT
  for machine in "$work"/*/run; do
    [ -d "$machine" ] || continue
    XDG_RUNTIME_DIR=$machine XDG_STATE_HOME=$(dirname "$machine")/state \
      "$coffer" daemon stop --force >/dev/null 2>&1 || true
  done
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
