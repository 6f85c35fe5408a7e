#!/usr/bin/env bash
# What r1 means is what Hugging Face transformers computes: every golden checkpoint, imported, decomposed and interpreted
# in f64, gives transformers' logits, in one piece, token by token through the cache, and after the canonicalizations.
# long: 69 runs
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# check <what> <golden> <elah-interpret's arguments...>
# Goldens hold f32 logits of a model in f64: 1e-13 is their last bit.
check() {
  local what=$1 golden=$2 difference=
  shift 2
  if "$bin/elah-interpret" "$@" --tokens "$(cat "$golden/tokens.txt")" --logits "$work/logits.npy" &&
    difference=$(python3 "$here/compare_logits.py" "$work/logits.npy" "$golden/logits.npy" 1e-9); then
    echo "$(basename "$golden"), $what: $difference"
  else
    echo "$(basename "$golden"), $what: FAILED: $difference"
    failures=$((failures + 1))
  fi
}

for golden in "$here"/goldens/*/; do
  check "in one piece" "$golden" "$golden"
  check "token by token" "$golden" "$golden" --chunk 1
  rm -f "$work/model.mlir"
  "$bin/elah" compile "$golden" --stop-after import -o "$work/import.mlir" &&
    "$bin/elah-opt" "$work/import.mlir" -r1-decompose -canonicalize -cse -o "$work/model.mlir"
  check "canonicalized" "$golden" "$work/model.mlir" --weights "$golden"
done
[ $failures -eq 0 ] || { echo "$failures failures"; exit 1; }
