#!/usr/bin/env bash
# What torch.onnx exports of a model is, after import and fusion, the model again: each layer one attention and one MLP, or
# router and experts, with nothing decomposed between; DeepSeek's cache holds latents. The fused step computes transformers'
# logits, interpreted and compiled, in one piece and token by token through the cache, whether the export had past keys and
# values or not.
# (make_onnx_exports.py made the samples.)
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
  echo "$1"
  failures=$((failures + 1))
}

# The operations of the fused model, but for weights: "2 r1.attention, ...".
operations() {
  grep -v '^module' "$1" | grep -oE ' r1\.[a-z_]+ ' | grep -v ' r1.weight ' | sort | uniq -c | awk '{printf "%s%s %s", sep, $1, $2; sep = ", "}'
}

dense="4 r1.add, 2 r1.attention, 1 r1.embedding, 15 r1.linear, 5 r1.rms_norm, 2 r1.swiglu"
mixture="5 r1.add, 1 r1.embedding, 1 r1.experts, 2 r1.latent_attention, 16 r1.linear, 7 r1.rms_norm, 1 r1.route, 2 r1.swiglu"
for model in "$here"/onnx_exports/*.onnx; do
  name=$(basename "$model" .onnx)
  case $name in
  deepseek_v3_*) golden=deepseek_v3_f32 expected=$mixture cache="!r1.cache<latent, layers = 2, key_width = 28, value_width = 0>" ;;
  llama_*) golden=llama_f32 expected=$dense cache="!r1.cache<kv, layers = 2" ;;
  qwen2_*) golden=qwen2_f32 expected=$dense cache="!r1.cache<kv, layers = 2" ;;
  esac
  rm -f "$work"/*
  if ! "$bin/elah" compile "$model" --as model --stop-after r1 -o "$work/fused.mlir" 2> "$work/log"; then
    fail "$name: cannot be imported and fused: $(cat "$work/log")"
    continue
  fi
  found=$(operations "$work/fused.mlir")
  [ "$found" = "$expected" ] || fail "$name: expected $expected, found $found"
  grep -q "func.func @forward.*$cache" "$work/fused.mlir" || fail "$name: expected a cache $cache"
  "$bin/elah" compile "$model" -o "$work/model.elah" --as model 2> "$work/log" || fail "$name: $(cat "$work/log")"
  for chunk in 0 1; do
    if "$bin/elah-run" "$work/model.elah" --chunk $chunk --tokens "$(cat "$here/goldens/$golden/tokens.txt")" \
      --logits "$work/compiled.npy" &&
      difference=$(python3 "$here/compare_logits.py" "$work/compiled.npy" "$here/goldens/$golden/logits.npy" 1e-5); then
      echo "$name, compiled, chunks of $chunk: $difference"
    else
      fail "$name, compiled, chunks of $chunk: FAILED: ${difference:-}"
    fi
    if "$bin/elah-interpret" "$work/fused.mlir" --weights "$here/onnx_exports" --chunk $chunk \
      --tokens "$(cat "$here/goldens/$golden/tokens.txt")" --logits "$work/logits.npy" &&
      difference=$(python3 "$here/compare_logits.py" "$work/logits.npy" "$here/goldens/$golden/logits.npy" 1e-5); then
      echo "$name, chunks of $chunk: $difference"
    else
      fail "$name, chunks of $chunk: FAILED: ${difference:-}"
    fi
  done
done
[ $failures -eq 0 ] || { echo "$failures failures"; exit 1; }
