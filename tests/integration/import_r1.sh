#!/usr/bin/env bash
# DeepSeek-R1 without its weights: 163 shards of which only the headers are there. What is promised of a model of 671
# billion parameters: importing takes less than 20 s and 1 GiB, the way to the program of launches less than 60 s and
# 2 GiB. Then the shapes that the benchmarks use, which must have the parameters of the models that they stand for.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# within SECONDS MIB COMMAND...: fails if the command does, or takes more time or memory.
within() {
  python3 - "$@" <<'PYTHON'
import resource
import subprocess
import sys
import time

seconds, mebibytes, command = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
begin = time.monotonic()
code = subprocess.run(command).returncode
took = time.monotonic() - begin
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{' '.join(command[1:])}: {took:.1f} s of {seconds:.0f}, {peak:.0f} MiB of {mebibytes:.0f}")
sys.exit(code != 0 or took > seconds or peak > mebibytes)
PYTHON
}

# expect COUNT PATTERN FILE: the file has so many lines with the pattern.
expect() {
  local found
  found=$(grep -c -- "$2" "$3" || true)
  [ "$found" -eq "$1" ] || { echo "expected $1 lines with '$2', found $found" >&2; exit 1; }
}

python3 tests/benchmarks/make_r1_headers.py "$work/r1"
elah=$ELAH_BUILD/bin/elah

within 20 1024 "$elah" compile "$work/r1" --weights reference --stop-after import -o "$work/import.mlir"
expect 1 'r1.parameters = 671026419200 : i64' "$work/import.mlir"
expect 61 ' = r1.latent_attention ' "$work/import.mlir"
expect 58 ' = r1.experts ' "$work/import.mlir"
expect 0 'model.layers.61' "$work/import.mlir"

within 20 1024 "$elah" compile "$work/r1" --weights reference --stop-after import --next-token-layers import \
  -o "$work/next.mlir"
expect 1 'r1.parameters = 671026419200 : i64' "$work/next.mlir"
expect 1 'func.func @next_token' "$work/next.mlir"
expect 62 ' = r1.latent_attention ' "$work/next.mlir"

within 60 2048 "$elah" compile "$work/r1" --weights reference --stop-after exec -o "$work/exec.mlir"
expect 1 'exec.program' "$work/exec.mlir"

for shape in r1-small:1689170368 r1-small-fp8:1689170368 r1-distill-qwen-1.5b:1777088000 \
  r1-distill-llama-8b:8030261248; do
  python3 tests/benchmarks/make_random_checkpoint.py "${shape%:*}" "$work/${shape%:*}" --headers
  within 20 1024 "$elah" compile "$work/${shape%:*}" --stop-after import -o "$work/shape.mlir"
  expect 1 "r1.parameters = ${shape#*:} : i64" "$work/shape.mlir"
done
