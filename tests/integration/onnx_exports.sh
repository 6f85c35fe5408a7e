#!/usr/bin/env bash
# What other tools export of a model is, after import and fusion, the model again: each layer one attention and one MLP, or
# router and experts, with nothing decomposed between; DeepSeek's cache holds latents. The fused step computes the logits
# that ONNX Runtime computes from the graph, to 1e-5 of their norm, and those that transformers computes from the
# checkpoint, interpreted and compiled, in one piece and token by token through the cache, whether the export had past keys
# and values or not. (make_onnx_exports.py made the samples.)
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
  grep -v '^module' "$1" | grep -oE ' r1\.[a-z_]+ ' | grep -v ' r1.weight ' | sort | uniq -c |
    awk '{printf "%s%s %s", sep, $1, $2; sep = ", "}'
}

# agrees NAME LOGITS [LIMIT]: with ONNX Runtime's logits to 1e-5 of their norm, which is 5e-11 in the measure of
# compare_logits.py, and with transformers'.
agrees() {
  local difference expected=$here/onnx_exports/$name.npy
  [ -f "$expected" ] || expected=$golden_logits
  if difference=$(python3 "$here/compare_logits.py" "$2" "$expected" "${3:-5e-11}") &&
    { [ -z "$golden_logits" ] || python3 "$here/compare_logits.py" "$2" "$golden_logits" 1e-9 > /dev/null; }; then
    echo "$1: $difference"
  else
    fail "$1: FAILED: $difference"
  fi
}

dense="4 r1.add, 2 r1.attention, 1 r1.embedding, 15 r1.linear, 5 r1.rms_norm, 2 r1.swiglu"
# The GenAI builder makes one projection of queries, keys and values, of which attention reads three parts.
packed="4 r1.add, 2 r1.attention, 1 r1.embedding, 11 r1.linear, 5 r1.rms_norm, 6 r1.slice, 2 r1.swiglu"
multiplied="4 r1.add, 2 r1.attention, 3 r1.constant, 1 r1.div, 1 r1.embedding, 15 r1.linear, 5 r1.mul, 5 r1.rms_norm, 2 r1.swiglu"
mixture="5 r1.add, 1 r1.embedding, 1 r1.experts, 2 r1.latent_attention, 16 r1.linear, 7 r1.rms_norm, 1 r1.route, 2 r1.swiglu"
latents="!r1.cache<latent, layers = 2, key_width = 28, value_width = 0>"
for model in "$here"/onnx_exports/*.onnx "$here"/onnx_exports/*/model.onnx; do
  [ $# -eq 0 ] || [[ $model =~ $1 ]] || continue
  folder=$(dirname "$model")
  name=$(basename "${model%/model.onnx}" .onnx)
  case $name in
  # ONNX Runtime has no kernel for such experts on CPUs: transformers alone says what they compute.
  deepseek_v3_moe | deepseek_v3_qmoe_*) golden=deepseek_v3_f32_softmax expected=$mixture cache=$latents ;;
  deepseek_v3_*) golden=deepseek_v3_f32 expected=$mixture cache=$latents ;;
  # Multipliers between composites stay; the golden has its tokens only.
  granite_*) golden=llama_heads_of_16 expected=$multiplied cache="!r1.cache<kv, layers = 2" ;;
  *_genai_*) golden=${name%%_*}_heads_of_16 expected=$packed cache="!r1.cache<kv, layers = 2" ;;
  *) golden=${name%%_*}_f32 expected=$dense cache="!r1.cache<kv, layers = 2" ;;
  esac
  tokens=$(cat "$here/goldens/$golden/tokens.txt")
  golden_logits=$here/goldens/$golden/logits.npy
  [[ $name != granite_* ]] || golden_logits=
  # Rounded weights are another model: ONNX Runtime alone says what it computes.
  [[ $name != *_int* ]] || golden_logits=
  rm -f "$work"/*
  if ! "$bin/elah" compile "$model" --as model --stop-after r1 -o "$work/fused.mlir" 2> "$work/log"; then
    fail "$name: cannot be imported and fused: $(cat "$work/log")"
    continue
  fi
  found=$(operations "$work/fused.mlir")
  [ "$found" = "$expected" ] || fail "$name: expected $expected, found $found"
  grep -q "func.func @forward.*$cache" "$work/fused.mlir" || fail "$name: expected a cache $cache"
  precision=auto
  if [[ $name == *_int* ]]; then # In f32 as the others, and with split values, as is the default for integers.
    "$bin/elah" compile "$model" -o "$work/model.elah" --as model 2> "$work/log" || fail "$name: $(cat "$work/log")"
    "$bin/elah-run" "$work/model.elah" --tokens "$tokens" --logits "$work/compiled.npy" &&
      agrees "$name, compiled, split values" "$work/compiled.npy" 1e-9 || fail "$name: does not run"
    precision=f32
  fi
  "$bin/elah" compile "$model" -o "$work/model.elah" --as model --precision $precision 2> "$work/log" ||
    fail "$name: $(cat "$work/log")"
  for chunk in 0 1; do
    "$bin/elah-run" "$work/model.elah" --chunk $chunk --tokens "$tokens" --logits "$work/compiled.npy" &&
      agrees "$name, compiled, chunks of $chunk" "$work/compiled.npy" || fail "$name: does not run"
    "$bin/elah-interpret" "$work/fused.mlir" --weights "$folder" --chunk $chunk --tokens "$tokens" \
      --logits "$work/interpreted.npy" && agrees "$name, interpreted, chunks of $chunk" "$work/interpreted.npy" ||
      fail "$name: cannot be interpreted"
  done
done
[ $failures -eq 0 ] || { echo "$failures failures"; exit 1; }
