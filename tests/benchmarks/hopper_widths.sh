#!/usr/bin/env bash
# Two layers of R1's widths (7168, 128 heads, 256 experts of 2048 of which 16 are filled, FP8 blocks) and of a distill's
# (bf16) for H800, on the emulator: each launch of a prompt and of two tokens more on the operands that the step hands
# it, then whole steps, against the operations in f64. Minutes, 14 GB of disk, 13 GB of memory.
#   tests/benchmarks/hopper_widths.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
elah=${ELAH_BUILD:-$PWD/build/dev}/bin/elah
work=$(mktemp -d -p "${1:-${TMPDIR:-/tmp}}")
trap 'rm -rf "$work"' EXIT

try() { # what it is called, options of the compile, options of verify
  "$elah" compile "$work/model" --target h800 --max-context 256 $2 -o "$work/model.elah" >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
  local begin=$SECONDS
  python3 - "$work/peak" "$elah" verify "$work/model.elah" --device emulator --steps $3 >"$work/verdicts" <<'PYTHON' ||
import resource
import subprocess
import sys

status = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1], "w") as file:
    file.write(f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20:.1f} GiB")
sys.exit(status)
PYTHON
    { grep -v '^ok' "$work/verdicts"; echo "FAILED: $1"; exit 1; }
  echo "$1: $((SECONDS - begin)) s, $(cat "$work/peak")"
  # The farthest launch of each operation, then the steps.
  grep -v 'step of' "$work/verdicts" | sed -E 's/^ok +([a-z_]+) .*difference ([^ ]+) .*/\1 \2/' | sort -k1,1 -k2,2gr |
    sort -u -k1,1 | sed 's/^/  /'
  grep 'step of' "$work/verdicts"
  [ "$(grep -c 'step of' "$work/verdicts")" = 3 ] || { echo "FAILED: expected three steps"; exit 1; }
}

python3 tests/benchmarks/make_random_checkpoint.py qwen-two-layers "$work/model"
try "qwen-two-layers, 13 tokens and 2" "--max-batch 4 --max-prefill 64" ""
try "qwen-two-layers, token by token" "--max-batch 1 --max-prefill 1" ""
rm -r "$work/model"
python3 tests/benchmarks/make_random_checkpoint.py r1-two-layers "$work/model" --experts 16
try "r1-two-layers, 13 tokens and 2" "--max-batch 4 --max-prefill 64" "--unchecked"
