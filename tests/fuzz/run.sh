#!/usr/bin/env bash
# Builds the fuzzers with AddressSanitizer and UndefinedBehaviorSanitizer and runs each for some seconds, and once the
# runtime's unit tests in the same build. One line a target: "NAME passed" or "NAME failed".
#   tests/fuzz/run.sh [SECONDS]   default 60
set -uo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[[ "$seconds" =~ ^[0-9]+$ ]] || { echo "usage: tests/fuzz/run.sh [SECONDS]" >&2; exit 2; }
jobs=$(nproc)
build=build/asan
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -f $build/build.ninja ]; then
  cmake --preset asan >"$work/configure.log" 2>&1 || { cat "$work/configure.log" >&2; exit 1; }
fi
cmake --build --preset asan --target fuzzers runtime_tests -- -j "$jobs" >"$work/build.log" 2>&1 ||
  { tail -n 40 "$work/build.log" >&2; exit 1; }

# Seeds: small files that are right, made here.
for fuzzer in $build/bin/fuzz/*; do mkdir -p "$work/$(basename "$fuzzer")"; done
$build/bin/write-echo-model "$work/artifact/echo" || exit 1
$build/bin/write-echo-model --reference "$work/artifact/referring" || exit 1
$build/bin/write-echo-model --tokenizer "$work/tokenizer_json/echo" || exit 1
printf '\0The quick 中文 brown <think> fox 😀 12345\n' >"$work/tail"
cat "$work/tokenizer_json/echo" "$work/tail" >"$work/tokenizer_json/echo_text"
cat examples/tiny_r1/model/tokenizer.json "$work/tail" >"$work/tokenizer_json/tiny_r1"
tail -c +2 "$work/tail" >"$work/text/words"
for script in tests/fuzz/*_seeds.py; do # <name>_seeds.py FOLDER
  [ -e "$script" ] || continue
  python3 "$script" "$work/$(basename "$script" _seeds.py)" || exit 1
done

export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=0
export UBSAN_OPTIONS=print_stacktrace=1

# fuzz <program>
fuzz() {
  local name folder dictionary=()
  name=$(basename "$1")
  folder=$work/$name
  [ -f "tests/fuzz/$name.dict" ] && dictionary=(-dict="tests/fuzz/$name.dict")
  if "$1" -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=20 -max_len=131072 \
    -print_final_stats=1 -artifact_prefix="$work/crash-$name-" "${dictionary[@]}" "$folder" >"$work/$name.log" 2>&1; then
    echo "fuzz/$name passed ($(sed -n 's/stat::number_of_executed_units: //p' "$work/$name.log") inputs)"
  else
    tail -n 60 "$work/$name.log" >&2
    for crash in "$work/crash-$name-"*; do
      [ -e "$crash" ] && { echo "$name: base64 of the input:" >&2; base64 "$crash" | head -n 200 >&2; }
    done
    echo "fuzz/$name failed"
  fi
}

# test <program>
check() {
  local name
  name=$(basename "$1")
  if "$1" --gtest_brief=1 >"$work/$name.log" 2>&1; then
    echo "asan/$name passed"
  else
    tail -n 60 "$work/$name.log" >&2
    echo "asan/$name failed"
  fi
}

{
  running=0
  for fuzzer in $build/bin/fuzz/*; do
    fuzz "$fuzzer" &
    running=$((running + 1))
    if [ "$running" -ge "$jobs" ]; then
      wait -n
      running=$((running - 1))
    fi
  done
  wait
  for program in $build/bin/unit/runtime_*; do check "$program"; done
} | tee "$work/results"
! grep -q ' failed$' "$work/results"
