#!/usr/bin/env bash
# Small random checkpoints of every architecture and variant give the logits that Hugging Face transformers computes from
# them (goldens/, made by make_goldens.py), in one piece, in chunks of three tokens and token by token: with the default
# precision on every kind of processor that this one can stand for, and with the others.
# In f32 only the order of sums differs from transformers in float64. The default splits what bf16 products read: 2^-17
# of a value is lost, which is 1e-10 of the logits; FP8 blocks that heads or panels do not respect are multiplied out
# to bf16. `--precision bf16` rounds instead: two layers of that are 1e-4 off in transformers itself
# (deepseek_v3_all_dense in torch.bfloat16: 1.3e-4), and its pieces agree less well, as a sum that differs in its last bit
# may be rounded to the other bf16 next to it.
# long: compiles a hundred models
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
if [ $# -eq 0 ]; then
  # Several at a time, the output of each in one piece.
  ls -d "$here"/goldens/*/ |
    xargs -P "$(nproc)" -I {} bash -c 'output=$(bash "$0" "$1" 2>&1); code=$?; echo "$output"; exit $code' "$0" {}
  exit
fi
golden=$1
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

kinds=("f32 host" "auto host" "auto x86-64-v3" "bf16 host")
grep -q avx512_bf16 /proc/cpuinfo && kinds+=("auto znver4")

name=$(basename "$golden")
for kind in "${kinds[@]}"; do
  read -r precision cpu <<<"$kind"
  case $precision-$name in
    bf16-*) bound=(2e-4 --median) chunks=(1e-5 --median) ;;
    *fp8*) bound=(1e-4) chunks=(1e-6) ;;
    *) bound=(1e-5) chunks=(1e-6) ;;
  esac
  echo "$name, precision $precision, $cpu"
  if ! "$bin/elah" compile "$golden" -o "$work/model.elah" --precision "$precision" --cpu "$cpu" --max-prefill 64 \
    2>"$work/log"; then
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
    check "chunks of $chunk against the whole" python3 "$here/compare_logits.py" "$work/$chunk.npy" "$work/64.npy" \
      "${chunks[@]}"
  done
done
[ $failures -eq 0 ] || { echo "$failures failures with $(basename "$golden")"; exit 1; }
