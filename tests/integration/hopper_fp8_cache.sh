#!/usr/bin/env bash
# Tiny-R1 for H800 with its KV cache in FP8: fewer bytes a token, every kernel and whole steps right on the emulator, and
# answers. How many of them are those of the cache in bf16 is printed: rounding latents to three bits of mantissa may
# change a word. On processors there is no such cache, and the compiler says so.
# long: emulates a GPU for minutes. With a number: asks that many held-out problems (2 by default).
set -euo pipefail
cd "$(dirname "$0")/../.."
count=${1:-2}
bin=${ELAH_BUILD:-build/dev}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

for cache in bf16 fp8; do
  "$bin/elah" compile examples/tiny_r1/model --target h800 --kv-cache $cache -o "$work/$cache.elah" 2>"$work/log" ||
    { cat "$work/log"; exit 1; }
  "$bin/elah" inspect "$work/$cache.elah" --json >"$work/$cache.json"
done
# 4 layers of 96 latent and 16 rotated values; in FP8 96 bytes, a scale in 16, and 32.
bytes() { python3 -c "import json, sys; print(json.load(open(sys.argv[1]))['cache']['bytes_per_token'])" "$work/$1.json"; }
[ "$(bytes bf16)" = 896 ] || fail "expected 896 bytes a token in bf16, found $(bytes bf16)"
[ "$(bytes fp8)" = 576 ] || fail "expected 576 bytes a token in FP8, found $(bytes fp8)"
# R1's: 61 layers of 656 bytes, by its headers alone.
python3 tests/benchmarks/make_r1_headers.py "$work/r1" >/dev/null
"$bin/elah" compile "$work/r1" --target h800 --kv-cache fp8 --weights reference --stop-after exec \
  -o "$work/r1.mlir" 2>"$work/log" || { cat "$work/log"; exit 1; }
grep -q 'exec.cache = array<i64: 61, 64, 656>' "$work/r1.mlir" || fail "expected rows of 656 bytes for R1"

"$bin/elah" verify "$work/fp8.elah" --device emulator --only latent >"$work/verdicts" || { cat "$work/verdicts"; exit 1; }
"$bin/elah" verify "$work/fp8.elah" --device emulator --steps >>"$work/verdicts" || { cat "$work/verdicts"; exit 1; }
grep -E 'latent|step of|verified' "$work/verdicts"
grep -qE '^[0-9]+ kernels verified, 0 wrong$' "$work/verdicts" || fail "expected kernels that are right"
[ "$(grep -cE '^ok +step of ' "$work/verdicts")" = 3 ] || fail "expected three whole steps"

head -n "$count" examples/tiny_r1/held_out.tsv | cut -f1 >"$work/questions"
for cache in bf16 fp8; do
  ELAH_EMULATOR_CHECK=1 ELAH_EMULATOR_REPORT="$work/reports" "$bin/elah-run" "$work/$cache.elah" --device emulator \
    --prompts-file "$work/questions" --json --greedy >"$work/$cache.answers"
done
[ ! -s "$work/reports" ] || { head -n 5 "$work/reports"; fail "expected no reports"; }
python3 - "$work/bf16.answers" "$work/fp8.answers" "$count" <<'PYTHON'
import sys
bf16, fp8 = (open(path).read().splitlines() for path in sys.argv[1:3])
assert len(bf16) == len(fp8) == int(sys.argv[3]), (len(bf16), len(fp8))
print(f"{sum(a == b for a, b in zip(bf16, fp8))} of {len(bf16)} answers are those of the cache in bf16, word for word")
PYTHON

if "$bin/elah" compile examples/tiny_r1/model --kv-cache fp8 -o "$work/cpu.elah" >/dev/null 2>"$work/error"; then
  fail "compiled an FP8 cache for a processor"
fi
grep -qF -- "--kv-cache is for GPUs" "$work/error" || { cat "$work/error"; fail "expected what such a cache is for"; }
