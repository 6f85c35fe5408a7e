#!/usr/bin/env bash
# The emulator under sanitizers: builds its unit tests by the presets `tsan` (ThreadSanitizer) and `asan` (AddressSanitizer
# and UndefinedBehaviorSanitizer), runs each program, and under `asan` the fuzzers of its two parsers. One line a target:
# "PRESET/NAME passed (N tests)" or "PRESET/NAME failed"; what failed says why on stderr.
#   tests/runtime/emulator/sanitizers.sh [--fuzz SECONDS] [tsan|asan]...   default: --fuzz 60 tsan asan
set -uo pipefail
cd "$(dirname "$0")/../../.."

seconds=60
presets=()
usage() { echo "usage: tests/runtime/emulator/sanitizers.sh [--fuzz SECONDS] [tsan|asan]..." >&2; exit 2; }
while [ $# -gt 0 ]; do
  case "$1" in
    --fuzz) seconds=${2:-}; [[ "$seconds" =~ ^[0-9]+$ ]] || usage; shift 2 ;;
    tsan | asan) presets+=("$1"); shift ;;
    *) usage ;;
  esac
done
[ ${#presets[@]} -gt 0 ] || presets=(tsan asan)

export TSAN_OPTIONS=halt_on_error=0:exitcode=66:second_deadlock_stack=1
export ASAN_OPTIONS=detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# result NAME CODE LOG
result() {
  if [ "$2" -eq 0 ]; then
    echo "$1 passed ($(sed -n 's/^\[  PASSED  \] \([0-9]*\) tests\?\..*/\1 tests/p; s/^stat::number_of_executed_units: \([0-9]*\)/\1 inputs/p' "$3" | head -n 1))"
  else
    echo "$1 failed"
    tail -n 60 "$3" >&2
    failed=1
  fi
}

for preset in "${presets[@]}"; do
  build=build/$preset
  targets=(emulator_tests)
  [ "$preset" = asan ] && targets+=(fuzz_ptx fuzz_fatbin)
  if [ ! -f "$build/build.ninja" ]; then
    cmake --preset "$preset" >"$work/configure.log" 2>&1 || { cat "$work/configure.log" >&2; exit 1; }
  fi
  cmake --build --preset "$preset" --target "${targets[@]}" -- -j "$(nproc)" >"$work/build.log" 2>&1 ||
    { tail -n 40 "$work/build.log" >&2; exit 1; }
  for program in "$build"/bin/unit/emulator_*; do
    "$program" --gtest_brief=1 >"$work/log" 2>&1
    result "$preset/$(basename "$program")" $? "$work/log"
  done
  [ "$preset" = asan ] || continue
  for name in ptx fatbin; do
    mkdir -p "$work/$name"
    python3 "tests/fuzz/${name}_seeds.py" "$work/$name" || exit 1
    dictionary=()
    [ -f "tests/fuzz/$name.dict" ] && dictionary=(-dict="tests/fuzz/$name.dict")
    "$build/bin/fuzz/$name" -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=20 \
      -max_len=131072 -print_final_stats=1 -artifact_prefix="$work/crash-$name-" "${dictionary[@]}" "$work/$name" \
      >"$work/log" 2>&1
    result "$preset/fuzz_$name" $? "$work/log"
  done
done
exit $failed
