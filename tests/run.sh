#!/usr/bin/env bash
# Sets up, builds, and runs every test; the last line is "N passed, N failed".
#   tests/run.sh           everything
#   tests/run.sh --quick   lit and unit tests of a built tree, without fuzzing and the long integration tests
set -uo pipefail
cd "$(dirname "$0")/.."

quick=false
for argument in "$@"; do
  case "$argument" in
    --quick) quick=true ;;
    *) echo "usage: tests/run.sh [--quick]" >&2; exit 2 ;;
  esac
done

jobs=$(nproc)
build=build/dev
passed=0
failed=0
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

./setup.sh || exit 1
if [ ! -f $build/build.ninja ]; then
  cmake --preset dev >"$results/configure.log" 2>&1 || { cat "$results/configure.log" >&2; exit 1; }
fi
cmake --build --preset dev -- -j "$jobs" || exit 1

# record <name> <passed> <failed>
record() {
  passed=$((passed + $2))
  failed=$((failed + $3))
  printf '%-40s %5d passed %5d failed\n' "$1" "$2" "$3"
}

# lit: every .mlir and .test file.
/usr/lib/llvm-22/bin/lit -s -j "$jobs" --xunit-xml-output "$results/lit.xml" $build/tests >"$results/lit.log" 2>&1 ||
  grep -vE '^\s*$' "$results/lit.log"
read -r lit_passed lit_failed < <(python3 - "$results/lit.xml" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

suites = tree.parse(sys.argv[1]).getroot().iter("testsuite")
total = failed = skipped = 0
for suite in suites:
    total += int(suite.get("tests", 0))
    failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped += int(suite.get("skipped", 0))
print(total - failed - skipped, failed)
PYTHON
)
record lit "${lit_passed:-0}" "${lit_failed:-1}"

# GoogleTest: every program in bin/unit.
for program in $build/bin/unit/*; do
  name=$(basename "$program")
  "$program" --gtest_brief=1 --gtest_output="xml:$results/$name.xml" >"$results/$name.log" 2>&1
  code=$?
  counts=$(python3 - "$results/$name.xml" 2>/dev/null <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

root = tree.parse(sys.argv[1]).getroot()
total, failed, disabled = (int(root.get(key, 0)) for key in ("tests", "failures", "disabled"))
skipped = sum(1 for case in root.iter("testcase") if case.get("result") == "skipped")
print(total - failed - disabled - skipped, failed)
PYTHON
  ) || counts="0 1"
  read -r unit_passed unit_failed <<<"$counts"
  if [ $code -ne 0 ] && [ "$unit_failed" -eq 0 ]; then unit_failed=1; fi
  if [ "$unit_failed" -ne 0 ]; then tail -n 60 "$results/$name.log"; fi
  record "$name" "$unit_passed" "$unit_failed"
done

# Integration: whole programs, one script a subject; a script prints what it checks and fails by its exit code.
for script in tests/integration/*.sh; do
  [ -e "$script" ] || continue
  if $quick && grep -q '^# long:' "$script"; then continue; fi
  name=integration/$(basename "$script" .sh)
  if ELAH_BUILD=$PWD/$build bash "$script" >"$results/script.log" 2>&1; then
    record "$name" 1 0
  else
    tail -n 40 "$results/script.log"
    record "$name" 0 1
  fi
done

# Fuzzing, and the runtime's unit tests under sanitizers: one result a target.
if ! $quick; then
  tests/fuzz/run.sh 60 >"$results/fuzz.log" 2>"$results/fuzz.errors" || cat "$results/fuzz.errors"
  fuzz_results=0
  while read -r name result _; do
    fuzz_results=$((fuzz_results + 1))
    if [ "$result" = passed ]; then record "$name" 1 0; else record "$name" 0 1; fi
  done <"$results/fuzz.log"
  [ "$fuzz_results" -gt 0 ] || record fuzz 0 1
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
