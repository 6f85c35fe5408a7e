#!/usr/bin/env bash
# R1 itself for H800, from its headers: every kernel that a step of up to 128 sequences, 4096 tokens and 16k of context
# can reach. Bounds: 5 minutes cold, 20 s with a warm cache, 3 GiB, 20 MB of kernels; a spill fails the compile.
# long: compiles some 70 kernels
set -euo pipefail
cd "$(dirname "$0")/../.."
elah=${ELAH_BUILD:?}/bin/elah
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME="$work/cache"
python3 tests/benchmarks/make_r1_headers.py "$work/r1" >/dev/null
compile() { # bound in seconds
  python3 - "$1" "$elah" compile "$work/r1" --target h800 --weights reference --max-context 16384 --max-batch 128 \
    --max-prefill 4096 -o "$work/r1.elah" <<'PYTHON'
import resource
import subprocess
import sys
import time

bound, command = float(sys.argv[1]), sys.argv[2:]
begin = time.monotonic()
run = subprocess.run(command, capture_output=True, text=True)
took = time.monotonic() - begin
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{took:.1f} s of {bound:.0f}, {peak:.0f} MiB of 3072", flush=True)
if run.returncode:
    print(run.stdout, run.stderr)
sys.exit(run.returncode != 0 or took > bound or peak > 3072)
PYTHON
}
compile 300
cp "$work/r1.elah" "$work/cold.elah"
compile 20
cmp "$work/cold.elah" "$work/r1.elah" || { echo "FAILED: the cache changed the artifact"; exit 1; }
size=$(stat -c %s "$work/r1.elah")
echo "artifact: $size bytes"
[ "$size" -lt $((20 << 20)) ] || { echo "FAILED: more than 20 MiB"; exit 1; }
