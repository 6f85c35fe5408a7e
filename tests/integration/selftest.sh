#!/usr/bin/env bash
# The self-test names the layer whose weights are not what they were: Tiny-R1 for an H800, on the emulator.
# long: compiles Tiny-R1's kernels where the cache has none
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${ELAH_BUILD:-$PWD/build/dev}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

$bin/elah compile examples/tiny_r1/model --target h800 --max-batch 4 --max-prefill 64 -o "$work/tiny.elah"
# A disk that is full when the digests are written loses nothing, and leaves nothing behind.
mkdir "$work/full"
cp "$work/tiny.elah" "$work/full/tiny.elah"
if (trap "" XFSZ; ulimit -f 1024; exec $bin/elah selftest "$work/full/tiny.elah" --record --device emulator) 2>"$work/error"; then
  echo "expected the recording to fail where there is no room"; exit 1
fi
grep -q "full/tiny.elah: cannot write: File too large" "$work/error" || { cat "$work/error"; exit 1; }
cmp "$work/tiny.elah" "$work/full/tiny.elah"
[ "$(ls "$work/full")" = tiny.elah ] || { ls "$work/full"; exit 1; }
$bin/elah selftest "$work/tiny.elah" --record --device emulator
$bin/elah selftest "$work/tiny.elah" --device emulator | tee "$work/right"
grep -q 'results are right' "$work/right"
# Another machine adds in another order, and rounds as its tensor cores do.
ELAH_EMULATOR_ORDER=random ELAH_EMULATOR_NUMERICS=hardware $bin/elah selftest "$work/tiny.elah" --device emulator

# The signs of 64 rows of one weight.
for layer in 0 2; do
  cp "$work/tiny.elah" "$work/off.elah"
  python3 tests/runtime/commands/Inputs/corrupt_weight.py "$work/off.elah" model.layers.$layer.self_attn.o_proj.weight 0 16384
  if $bin/elah selftest "$work/off.elah" --device emulator >"$work/off"; then
    echo "layer $layer: expected an operation that is off"; exit 1
  fi
  cat "$work/off"
  grep -q "^model.layers.$layer.self_attn.o_proj.* is off" "$work/off"
done
