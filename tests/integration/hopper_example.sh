#!/usr/bin/env bash
# The README's second example gives the right answer from the emulator, under the checker, without a report, in 60 s.
# long: runs half a minute of emulated GPU
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ELAH_PRESET=$(basename "${ELAH_BUILD:?}") ELAH_EMULATOR_REPORT="$work/reports" \
  timeout 120 examples/1_hopper_without_a_gpu.sh "What is 12 + 7?" >"$work/answer" 2>"$work/log" || { cat "$work/log"; exit 1; }
cat "$work/answer"
[ "$(tail -n 1 "$work/answer")" = 19 ] || { echo "FAILED: expected the last line to be 19"; exit 1; }
[ ! -s "$work/reports" ] || { cat "$work/reports"; echo "FAILED: expected no reports"; exit 1; }
