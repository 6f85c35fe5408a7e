#!/usr/bin/env bash
# Every kernel of Tiny-R1 for H800, alone, on the emulator: right in eager, lazy and random order, and without a report.
# A kernel that is made wrong is found.
# long: some 40 kernels, three runs each
set -euo pipefail
cd "$(dirname "$0")/../.."
elah=${ELAH_BUILD:?}/bin/elah
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$elah" compile examples/tiny_r1/model --target h800 -o "$work/tiny.elah" >/dev/null
"$elah" verify "$work/tiny.elah" --device emulator >"$work/verdicts" || { cat "$work/verdicts"; exit 1; }
grep -E 'verified|step of' "$work/verdicts"
[ "$(grep -cE '^ok +step of ' "$work/verdicts")" = 3 ] || { echo "FAILED: expected three whole steps"; exit 1; }
grep -qE '^[0-9]+ kernels verified, 0 wrong$' "$work/verdicts"
for family in embed rms_norm gemm head_gemm rope_table latent_append latent_attention quantize route expert_plan dispatch \
  grouped_gemm combine; do
  grep -qE "^ok +$family " "$work/verdicts" || { echo "FAILED: no kernel of $family was verified"; exit 1; }
done
# An exported model with arithmetic of its own between composites.
"$elah" compile tests/integration/onnx_exports/granite_torchscript_past.onnx --as model --target h800 --max-prefill 8 \
  --max-context 64 -o "$work/granite.elah" >/dev/null 2>"$work/log" || { cat "$work/log"; exit 1; }
"$elah" verify "$work/granite.elah" --device emulator >"$work/verdicts" || { cat "$work/verdicts"; exit 1; }
[ "$(grep -cE '^ok +generic ' "$work/verdicts")" = 3 ] || { echo "FAILED: expected three generic kernels"; exit 1; }
[ "$(grep -cE '^ok +step of ' "$work/verdicts")" = 3 ] || { echo "FAILED: expected three whole steps"; exit 1; }
# An artifact for a processor has nothing for the emulator; one with other numbers is told apart by its checksums first.
"$elah" compile examples/tiny_r1/model -o "$work/cpu.elah" >/dev/null
if "$elah" verify "$work/cpu.elah" --device emulator 2>"$work/error"; then
  echo "FAILED: kernels of a processor were verified on the emulator"; exit 1
fi
grep -q "was compiled for cpu" "$work/error"
