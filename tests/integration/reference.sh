#!/usr/bin/env bash
# What r1 means is what Hugging Face transformers computes: every golden checkpoint, imported, decomposed and interpreted
# in f64, gives transformers' logits, in one piece and token by token through the cache.
# long: 46 runs
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

for golden in "$here"/goldens/*/; do
  name=$(basename "$golden")
  for chunk in 4096 1; do
    # Goldens hold f32 logits of a model in f64: 1e-13 is their last bit.
    if "$bin/elah-interpret" "$golden" --tokens "$(cat "$golden/tokens.txt")" --chunk $chunk --logits "$work/logits.npy" &&
      difference=$(python3 "$here/compare_logits.py" "$work/logits.npy" "$golden/logits.npy" 1e-9); then
      echo "$name, chunks of $chunk: $difference"
    else
      echo "$name, chunks of $chunk: FAILED: ${difference:-}"
      failures=$((failures + 1))
    fi
  done
done
[ $failures -eq 0 ] || { echo "$failures failures"; exit 1; }
