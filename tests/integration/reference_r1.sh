#!/usr/bin/env bash
# DeepSeek-R1 as one small file: compiled from the headers of its 163 shards, with --weights reference, to an artifact
# that says how a session makes the 628 GiB that its kernels read; in 60 s and 2 GiB, and the same every time.
# long: writes the headers and compiles R1's kernels twice
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${ELAH_BUILD:?}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die() { echo "FAILED: $*"; exit 1; }

python3 tests/benchmarks/make_r1_headers.py "$work/DeepSeek-R1"
python3 - "$bin/elah" compile "$work/DeepSeek-R1" --weights reference --max-context 4096 -o "$work/r1.elah" <<'PYTHON'
import resource
import subprocess
import sys

code = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds, mebibytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
print(f"{seconds:.1f} s of a processor, {mebibytes:.0f} MiB")
sys.exit(code != 0 or seconds > 60 or mebibytes > 2048)
PYTHON
[ "$(stat -c %s "$work/r1.elah")" -lt $((8 << 20)) ] || die "the artifact has $(stat -c %s "$work/r1.elah") bytes"
"$bin/elah" verify "$work/r1.elah" | grep -q intact || die "verify"
"$bin/elah" inspect "$work/r1.elah" --json | python3 -c '
import json, sys
artifact = json.load(sys.stdin)
weights = artifact["weights"]
assert artifact["parameters"] == 671026419200, artifact["parameters"]
assert weights["mode"] == "reference" and weights["folder"] == "DeepSeek-R1", weights["folder"]
assert len(weights["shards"]) == 159, len(weights["shards"]) # the last four hold what predicts further tokens
# FP8 stays FP8: a byte a parameter, and a little for what is not.
assert 1.0 < weights["bytes"] / artifact["parameters"] < 1.02, weights["bytes"]
' || die "inspect"
"$bin/elah" compile "$work/DeepSeek-R1" --weights reference --max-context 4096 -o "$work/again.elah" --threads 1 2>/dev/null
cmp "$work/r1.elah" "$work/again.elah" || die "another artifact the second time"
echo "R1 is one file of $(stat -c %s "$work/r1.elah") bytes"
