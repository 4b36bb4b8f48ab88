# shellcheck shell=bash disable=SC2034
# What the scripts share: source it with `. "$(dirname "$0")/lib.sh"`. It goes to the project's root.
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
cache=$root/.cache
jobs=${YITI_JOBS:-$(nproc)}
model=${YITI_SMOLLM2:-$cache/models/SmolLM2-135M-Instruct.Q4_1.gguf}
python=$cache/venv/bin/python

# Objects are shared between the build folders of the presets, and between checkouts.
export CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=$root

say() { printf '\n==> %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Reads the options that all scripts take; what is left is in "${rest[@]}".
parse_options() {
  rest=()
  while [ $# -gt 0 ]; do
    case $1 in
      -j)
        [ $# -ge 2 ] || die "-j wants a number of jobs"
        jobs=$2
        shift
        ;;
      -j*) jobs=${1#-j} ;;
      -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$self"
        exit 0
        ;;
      *) rest+=("$1") ;;
    esac
    shift
  done
  [[ $jobs =~ ^[1-9][0-9]*$ ]] || die "-j wants a number of jobs; got '$jobs'"
}

# Runs a command whose output matters only where it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    die "failed: $*"
  fi
  rm -f "$log"
}

# build_preset PRESET [TARGET…]
build_preset() {
  local preset=$1
  shift
  quietly cmake --preset "$preset"
  cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"}
}
