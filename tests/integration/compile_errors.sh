#!/usr/bin/env bash
# What goes wrong gets one clear line, the right exit status, and leaves an older output as it was.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
work=$(mktemp -d)
trap 'mountpoint -q "$work/disk" && umount "$work/disk"; rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
python3 "$here/make_random_model.py" model bf16

# expect <status> <words> <command...>: one line on stderr that begins the way ours do, with these words in it.
expect() {
  local status=$1 words=$2 code=0
  shift 2
  "$@" >stdout 2>stderr || code=$?
  echo "[$code] $(head -n 3 stderr)"
  if [ $code -ne "$status" ]; then
    echo "FAILED: expected status $status of: $*"
    failures=$((failures + 1))
  elif ! grep -qF -- "$words" stderr; then
    echo "FAILED: expected '$words' of: $*"
    failures=$((failures + 1))
  elif [ -s stdout ]; then
    echo "FAILED: errors go to stderr: $*"
    failures=$((failures + 1))
  fi
}
fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

elah=$bin/elah
foreign=aarch64
[ "$(uname -m)" = x86_64 ] || foreign=x86-64-v3
# The verbs.
expect 2 "usage: elah VERB" "$elah"
expect 2 "unknown verb 'complie': expected compile, run, inspect, tokenize, verify, bench or selftest; did you mean compile?" "$elah" complie
expect 2 "elah compile model" "$elah" model
expect 2 "unknown option '--wieghts'; did you mean --weights?" "$elah" compile model --wieghts embed
expect 2 "expected one model, found 'model2', too" "$elah" compile model model2
expect 2 "model is required" "$elah" compile
expect 2 "--target: expected cpu, gh200, h100, h100-pcie, h20, h200, h800, found 'b200'" "$elah" compile model --target b200
expect 2 "unknown CPU 'pentium': expected one of host, aarch64" "$elah" compile model --cpu pentium
expect 2 "--max-context: expected a number from 1 to 16777216, found '0'" "$elah" compile model --max-context 0
expect 2 "--threads: expected a number from 1 to 1024, found 'many'" "$elah" compile model --threads many
expect 2 "--max-context 4096 is more than the 512 tokens" "$elah" compile model --max-context 4096
expect 2 "--max-prefill 4 is less than --max-batch 8" "$elah" compile model --max-prefill 4
expect 2 "--stop-after: expected import, r1, kernel, exec, object or artifact, found 'parse'" "$elah" compile model --stop-after parse

# The model.
expect 66 "there is no such folder" "$elah" compile nowhere
expect 66 "huggingface-cli download deepseek-ai/DeepSeek-R1 --local-dir DeepSeek-R1" "$elah" compile deepseek-ai/DeepSeek-R1
expect 65 "found one file of a checkpoint, expected a Hugging Face model folder (config.json, *.safetensors, tokenizer.json) or an ONNX graph (.onnx); give its folder: model" "$elah" compile model/model.safetensors
expect 65 "give its folder: model" "$elah" compile model/config.json
printf 'GGUF\3\0\0\0' >some.gguf
expect 65 "found a GGUF file" "$elah" compile some.gguf
: >graph.onnx
expect 65 "is no ONNX model: it has no graph" "$elah" compile graph.onnx
: >pytorch_model.bin
expect 65 "found a PyTorch pickle" "$elah" compile pytorch_model.bin
mkdir empty
expect 66 "there is no config.json in this folder" "$elah" compile empty
mkdir weights && cp some.gguf weights
expect 65 "found a GGUF file" "$elah" compile weights
cp -r model broken && sed -i 's/DeepseekV3ForCausalLM/MambaForCausalLM/' broken/config.json
expect 65 "MambaForCausalLM" "$elah" compile broken
cp model/config.json broken/config.json && head -c 5000 model/model.safetensors >broken/model.safetensors
expect 65 "model.safetensors" "$elah" compile broken
rm broken/model.safetensors
expect 65 "model.safetensors" "$elah" compile broken

# The output.
expect 69 "--emit exe makes a program with this machine's runner" "$elah" compile model --emit exe --cpu "$foreign"
expect 73 "there is no folder nowhere" "$elah" compile model -o nowhere/out.elah
expect 73 "is a folder" "$elah" compile model -o empty
expect 73 "is one of the model's own files" "$elah" compile model -o model/config.json
expect 73 "is neither a regular file nor free" "$elah" compile model -o /dev/null
expect 73 "cannot create the folder" "$elah" compile model --dump-ir some.gguf/dump --stop-after import
expect 74 "stdout: error: cannot write: No space left on device" bash -c "'$elah' compile model --stop-after r1 >/dev/full"

# An older output stays as it was, and nothing is left beside it.
mkdir out
"$elah" compile model -o out/model.elah 2>/dev/null || fail "compile"
cp out/model.elah whole.elah
unchanged() {
  cmp -s whole.elah "$1/model.elah" || fail "$2: the old output has changed"
  local left
  left=$(find "$1" -mindepth 1 -not -name model.elah)
  [ -z "$left" ] || fail "$2: left behind: $left"
}
expect 74 "out/model.elah: error: cannot" bash -c "ulimit -f 512; exec '$elah' compile model -o out/model.elah"
unchanged out "a limit on file sizes"
mkdir disk
if mount -t tmpfs -o size=4m tmpfs disk 2>/dev/null; then
  cp whole.elah disk/model.elah
  expect 74 "disk/model.elah: error: cannot" "$elah" compile model -o disk/model.elah
  unchanged disk "a full disk"
  umount disk
else
  echo "- no right to mount a small disk: skipped"
fi

# Signals, at any time: before, while and after the output is being written.
stopped=0
for signal in INT:130 TERM:143; do
  for wait in 0.02 0.1 0.3 0.6 1.0 1.5 2.0; do
    # Background processes ignore SIGINT in a script, so it is started the way a terminal starts it.
    code=0
    python3 - "$signal" "$wait" "$elah" compile model -o out/model.elah <<'PYTHON' || code=$?
import signal, subprocess, sys, time
process = subprocess.Popen(sys.argv[3:], stderr=subprocess.DEVNULL,
                           preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
time.sleep(float(sys.argv[2]))
process.send_signal(getattr(signal, "SIG" + sys.argv[1].split(":")[0]))
code = process.wait()
sys.exit(code if code >= 0 else 128 - code)  # As a shell says it.
PYTHON
    case $code in
      "${signal#*:}") stopped=$((stopped + 1)) ;;
      0) ;; # It was faster.
      *) fail "SIG$signal after $wait s: found status $code" ;;
    esac
    unchanged out "SIG$signal after $wait s"
  done
done
[ $stopped -gt 3 ] || fail "no compile was interrupted"
echo "$stopped compiles were interrupted"

[ $failures -eq 0 ] || { echo "$failures failures"; exit 1; }
