#!/usr/bin/env bash
# Small random checkpoints of every architecture and variant give the logits that Hugging Face transformers computes from
# them (goldens/, made by make_goldens.py), in one piece, in chunks of three tokens and token by token.
# In f32 only the order of sums differs from transformers in float64. Products in bf16 round what goes into them: two
# layers of that are 1e-4 off in transformers itself (deepseek_v3_all_dense in torch.bfloat16: 1.3e-4). Few rows and many
# go different ways through a processor (AMX's tiles add in another order), and a sum that differs in its last bit may be
# rounded to the other bf16 next to it: pieces then agree to 1e-5 instead of 1e-6.
# long: compiles 46 models
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# check <what> <command...>: a golden fails as a whole, but is looked at to its end.
check() {
  local what=$1
  shift
  local output
  if output=$("$@" 2>&1); then
    echo "  $what: $output"
  else
    echo "  $what: FAILED: $output"
    failures=$((failures + 1))
  fi
}

for golden in "$here"/goldens/*/; do
  name=$(basename "$golden")
  for precision in f32 auto; do
    case $precision-$name in
      f32-*fp8*) bound=(1e-4) chunks=1e-6 ;;
      f32-*) bound=(1e-5) chunks=1e-6 ;;
      auto-*) bound=(2e-4 --median) chunks=1e-5 ;;
    esac
    echo "$name, precision $precision"
    if ! "$bin/elah" compile "$golden" -o "$work/model.elah" --precision "$precision" --max-prefill 64 2>"$work/log"; then
      cat "$work/log"
      failures=$((failures + 1))
      continue
    fi
    for chunk in 64 3 1; do
      "$bin/elah-run" "$work/model.elah" --tokens "$(cat "$golden/tokens.txt")" --chunk $chunk \
        --logits "$work/$chunk.npy" || failures=$((failures + 1))
    done
    check "against transformers" python3 "$here/compare_logits.py" "$work/64.npy" "$golden/logits.npy" "${bound[@]}"
    for chunk in 3 1; do
      check "chunks of $chunk against the whole" python3 "$here/compare_logits.py" "$work/$chunk.npy" "$work/64.npy" $chunks
    done
  done
done
[ $failures -eq 0 ] || { echo "$failures failures"; exit 1; }
