#!/usr/bin/env bash
# elah compile --explain-fusion names what each layer of a model is, as text and as JSON, and asks for a file where the IR
# would go to stdout, too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$bin/elah" compile "$here/goldens/deepseek_v3_f32" --explain-fusion --stop-after r1 -o "$work/r1.mlir" > "$work/text"
grep -qx "layer 1: r1.experts, r1.latent_attention, r1.linear x 8, r1.rms_norm x 3, r1.route, r1.swiglu; left as they are: r1.add x 3" \
  "$work/text" || { cat "$work/text"; exit 1; }
"$bin/elah" compile "$here/goldens/qwen2_f32" --explain-fusion --json --stop-after r1 -o "$work/r1.mlir" > "$work/json"
python3 - "$work/json" << 'PYTHON'
import json, sys
layers = {layer["layer"]: layer for layer in json.load(open(sys.argv[1]))["layers"]}
assert layers[0]["composites"]["r1.attention"] == 1, layers[0]
assert layers[1]["near_misses"] == [], layers[1]
PYTHON
# An ONNX graph: its nodes' names say which layer they are of.
"$bin/elah" compile "$here/onnx_exports/qwen2_torchscript.onnx" --explain-fusion --stop-after r1 -o "$work/r1.mlir" > "$work/text"
grep -q "^layer 1: r1.attention, r1.linear x 7, r1.rms_norm x 2, r1.swiglu" "$work/text" || { cat "$work/text"; exit 1; }
grep -q "operations became r1.attention at /model/model/layers.1/self_attn/" "$work/text" || { cat "$work/text"; exit 1; }
if grep -q "near miss" "$work/text"; then
  cat "$work/text"
  exit 1
fi
for arguments in "--json" "--explain-fusion --stop-after r1" "--explain-fusion --stop-after import -o $work/x"; do
  # shellcheck disable=SC2086
  if "$bin/elah" compile "$here/goldens/qwen2_f32" $arguments > "$work/out" 2>&1; then
    echo "expected a usage error for $arguments"
    exit 1
  elif [ $? -ne 2 ]; then
    cat "$work/out"
    exit 1
  fi
done
