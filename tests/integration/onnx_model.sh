#!/usr/bin/env bash
# An exported language model is compiled like the checkpoint it came from: `elah run --prompt` answers with the same text,
# the files beside the graph say what the tokens and limits are, wherever exporters put them; and where a graph cannot be
# run so, it is said why. (onnx_exports/ are torch.onnx's exports of goldens/.)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
work=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$work"' EXIT
cd "$work"

say() { echo "- $*"; }
die() { echo "FAILED: $*"; exit 1; }
# fails <status> <text> <command...>: the command fails with that status and says that text.
fails() {
  local expected=$1 text=$2 code=0
  shift 2
  "$@" >output 2>error || code=$?
  [ $code -eq "$expected" ] || die "$*: expected status $expected, found $code: $(cat error)"
  grep -qF -- "$text" error || die "$*: expected '$text', found $(cat error)"
}
# warns <text> <command...>: the command succeeds and says that text.
warns() {
  local text=$1
  shift
  "$@" >output 2>error || die "$*: $(cat error)"
  grep -qF -- "$text" error || die "$*: expected '$text', found $(cat error)"
}
field() { "$bin/elah" inspect "$1" --json | python3 -c "import json, sys; print(json.load(sys.stdin)$2)"; }

say "the same answer as the checkpoint's, greedy and sampled, in every kind of export"
# A tokenizer of single bytes: those that are typed are tokens of the goldens' small vocabulary, the others are beyond it.
python3 - tokenizer.json << 'PYTHON'
import json, sys
printable = [*range(0x61, 0x7B), *range(0x21, 0x61), *range(0x7B, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
others = [byte for byte in range(256) if byte not in printable]
letters = [chr(256 + others.index(0x20))] + [chr(byte) for byte in printable]
letters += [chr(256 + index) for index in range(len(others)) if chr(256 + index) not in letters]
special = [{"id": index, "content": content, "special": True, "normalized": False, "single_word": False, "lstrip": False,
            "rstrip": False} for index, content in enumerate(["<s>", "</s>"])]
json.dump({"version": "1.0", "normalizer": None, "added_tokens": special,
           "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
           "decoder": {"type": "ByteLevel"}, "post_processor": None,
           "model": {"type": "BPE", "unk_token": None, "byte_fallback": False, "merges": [],
                     "vocab": {"<s>": 0, "</s>": 1, **{letter: index + 2 for index, letter in enumerate(letters)}}}},
          open(sys.argv[1], "w"))
PYTHON
for name in qwen2_torchscript qwen2_dynamo18_past llama_dynamo18 deepseek_v3_torchscript deepseek_v3_dynamo18_past; do
  case $name in
  qwen2_*) golden=$here/goldens/qwen2_f32 ;;
  llama_*) golden=$here/goldens/llama_f32 ;;
  deepseek_v3_*) golden=$here/goldens/deepseek_v3_f32 ;;
  esac
  rm -rf checkpoint export
  mkdir export
  cp -r "$golden" checkpoint
  cp tokenizer.json checkpoint/
  cp "$here/onnx_exports/$name.onnx" export/model.onnx
  cp tokenizer.json "$golden/config.json" export/
  "$bin/elah" compile checkpoint -o checkpoint.elah 2>log || die "$(cat log)"
  "$bin/elah" compile export/model.onnx -o export.elah --as model 2>log || die "$name: $(cat log)"
  ! grep -q warning log || die "$name: $(cat log)"
  for question in "--prompt why" "--prompt dig --temperature 0.8 --seed 7"; do
    for file in checkpoint export; do
      # shellcheck disable=SC2086
      "$bin/elah" run $file.elah $question --raw --max-tokens 24 >$file.txt 2>log || die "$name: $(cat log)"
    done
    [ -s export.txt ] && cmp checkpoint.txt export.txt || die "$name: $(cat export.txt), expected $(cat checkpoint.txt)"
  done
  for part in "['cache']" "['limits']" "['vocabulary']" "['architecture']" "['parameters']"; do
    [ "$(field checkpoint.elah "$part")" = "$(field export.elah "$part")" ] || die "$name: inspect differs in $part"
  done
done

say "the receipt names the graph by its bytes"
[ "$(field export.elah "['receipt']['inputs']['model.onnx']")" = "$(sha256sum export/model.onnx | cut -d' ' -f1)" ] ||
  die "$(field export.elah "['receipt']")"

say "weights of four bits answer, too"
mkdir bits
cp "$here"/onnx_exports/llama_genai_int4/* tokenizer.json bits/
"$bin/elah" compile bits/model.onnx -o bits.elah 2>log || die "$(cat log)"
"$bin/elah" run bits.elah --prompt why --raw --max-tokens 24 >bits.txt 2>log && [ -s bits.txt ] || die "$(cat log)"

say "the latent cache holds latents, whatever the graph kept: 28 values a token and layer"
[ "$(field export.elah "['cache']['bytes_per_token']")" -eq $((2 * 28 * 4)) ] || die "$(field export.elah "['cache']")"

say "files beside the graph: the GenAI builder's, the hub's folder onnx/, none"
mkdir genai
cp export/model.onnx export/tokenizer.json genai/
echo '{"model": {"type": "deepseek", "context_length": 96, "bos_token_id": 0, "eos_token_id": [1, 5], "vocab_size": 67}}' \
  >genai/genai_config.json
"$bin/elah" compile genai/model.onnx -o genai.elah 2>log || die "$(cat log)"
[ "$(field genai.elah "['limits']['context']")" -eq 96 ] || die "the GenAI builder's context_length"
fails 2 "--max-context 97 is more than the 96 tokens" "$bin/elah" compile genai/model.onnx -o x.elah --max-context 97
mkdir -p hub/onnx
cp export/model.onnx hub/onnx/
cp export/config.json tokenizer.json hub/
"$bin/elah" compile hub/onnx/model.onnx -o hub.elah 2>log || die "$(cat log)"
"$bin/elah" run hub.elah --prompt "dig" --raw --max-tokens 8 >/dev/null 2>log || die "$(cat log)"
[ "$(field hub.elah "['limits']['context']")" -eq 256 ] || die "config.json above onnx/"
mkdir alone
cp export/model.onnx alone/
warns "tokenizer.json: warning: is not there" "$bin/elah" compile alone/model.onnx -o alone.elah --max-context 8192
[ "$(field alone.elah "['limits']['context']")" -eq 8192 ] || die "a context that nothing limits"
"$bin/elah-run" alone.elah --tokens 5,9,17 --logits logits.npy || die "token ids alone"
cp tokenizer.json alone/
warns "nothing here says which token ends an answer" "$bin/elah" compile alone/model.onnx -o alone.elah
echo '{"eos_token_id": 67}' >alone/generation_config.json
fails 65 "generation_config.json: error: 'eos_token_id': expected 0 to 66, found 67" "$bin/elah" compile alone/model.onnx -o x.elah
ln -sf /etc/hostname alone/generation_config.json
fails 65 "generation_config.json" "$bin/elah" compile alone/model.onnx -o x.elah
fails 69 "the weights of a graph are embedded" "$bin/elah" compile genai/model.onnx --weights reference -o x.elah

say "--as graph: named tensors in and out"
"$bin/elah" compile export/model.onnx -o graph.mlir --stop-after exec --as graph 2>log || die "$(cat log)"
! grep -q warning log || die "$(cat log)"
grep -q 'func.func @main.*input_ids' graph.mlir || die "the graph's inputs"

say "a graph that is no language model is compiled as what it is, or --as model says why not"
suite=/usr/share/libonnx-testdata/data/node
"$bin/elah" compile "$suite/test_add/model.onnx" -o add.elah 2>log || die "$(cat log)"
! grep -q warning log || die "$(cat log)"
fails 69 "cannot be compiled as a language model: a language model's step has an input 'input_ids' and an output 'logits'" \
  "$bin/elah" compile "$suite/test_add/model.onnx" -o x.elah --as model
[ ! -e x.elah ] || die "a refused model left a file"

say "one that nearly is a language model says what is in the way"
# rename FILE OLD NEW: in a message of the wire format, names of one length.
rename() { python3 -c '
import sys
path, old, new = sys.argv[1], *(word.encode() for word in sys.argv[2:])
data = open(path, "rb").read()
assert len(old) == len(new) and old in data
open(path, "wb").write(data.replace(old, new))' "$@"; }
cp export/model.onnx odd.onnx
rename odd.onnx position_ids position_idx
warns "warning: compiled as a plain graph, and not as a language model: input 'position_idx' is none that a step has" \
  "$bin/elah" compile odd.onnx --stop-after exec -o odd.mlir
grep -q 'func.func @main.*position_idx' odd.mlir || die "compiled as a plain graph"
fails 69 "odd.onnx: error: cannot be compiled as a language model: input 'position_idx' is none that a step has" \
  "$bin/elah" compile odd.onnx -o x.elah --as model
# What no kernel computes: another activation where SiLU was.
cp "$here/onnx_exports/qwen2_torchscript_past.onnx" tanh.onnx
rename tanh.onnx Sigmoid Softmax
warns "warning: compiled as a plain graph, and not as a language model: " "$bin/elah" compile tanh.onnx \
  --stop-after exec -o tanh.mlir
grep -q "has no kernel" error || die "$(cat error)"
grep -q 'func.func @main.*input_ids' tanh.mlir || die "compiled as a plain graph"
fails 69 "has no kernel" "$bin/elah" compile tanh.onnx -o x.elah --as model
[ ! -e x.elah ] || die "a refused model left a file"
