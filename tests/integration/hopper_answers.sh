#!/usr/bin/env bash
# Tiny-R1 compiled for H800 reasons, on the emulator under the checker, word for word as the one compiled for CPUs.
# long: emulates a GPU for minutes. With a number: for that many held-out problems (3 by default; 50 take a quarter of
# an hour). With a device behind it: there (cuda), not on the emulator.
set -euo pipefail
cd "$(dirname "$0")/../.."
count=${1:-3} device=${2:-emulator} target=${3:-h800}
bin=${ELAH_BUILD:-build/dev}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -n "$count" examples/tiny_r1/held_out.tsv | cut -f1 >"$work/questions"
"$bin/elah" compile examples/tiny_r1/model --target "$target" -o "$work/h800.elah" >/dev/null
"$bin/elah" compile examples/tiny_r1/model -o "$work/cpu.elah" >/dev/null
"$bin/elah-run" "$work/cpu.elah" --prompts-file "$work/questions" --json --greedy >"$work/expected"
ELAH_EMULATOR_CHECK=1 ELAH_EMULATOR_REPORT="$work/reports" \
  "$bin/elah-run" "$work/h800.elah" --device "$device" --prompts-file "$work/questions" --json --greedy >"$work/found"
diff "$work/expected" "$work/found" >"$work/differences" || { cat "$work/differences"; echo "FAILED: other answers"; exit 1; }
[ "$(wc -l <"$work/found")" = "$count" ] || { echo "FAILED: expected $count answers"; exit 1; }
[ ! -s "$work/reports" ] || { head -n 5 "$work/reports"; echo "FAILED: expected no reports"; exit 1; }
echo "$count of $count problems: the same reasoning, the same answers, no reports"
