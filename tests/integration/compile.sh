#!/usr/bin/env bash
# elah compile from end to end on a small random model: what it makes runs, is the same every time, and can be looked at
# in each phase.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

say() { echo "- $*"; }
die() { echo "FAILED: $*"; exit 1; }
# same <file> <file> <what>
same() { cmp "$1" "$2" || die "$3"; }

for kind in bf16 f8; do python3 "$here/make_random_model.py" $kind $kind; done

say "compile, verify, inspect, run"
"$bin/elah" compile bf16 -o model.elah --threads 1 2>log || { cat log; die "compile"; }
cat log
grep -q "^model.elah: .* for " log || die "the summary names the file and the processor"
"$bin/elah" verify model.elah | grep -q intact || die "verify"
"$bin/elah" inspect model.elah >inspected
grep -q "DeepseekV3ForCausalLM for cpu" inspected || { cat inspected; die "inspect"; }
grep -q "context 512, 8 sequences and 512 tokens" inspected || { cat inspected; die "limits: the model's own context"; }
"$bin/elah" run model.elah --prompt "What is 347 + 589?" --greedy --max-tokens 12 --json >one.json
"$bin/elah-run" model.elah --prompt "What is 347 + 589?" --greedy --max-tokens 12 --json --threads 1 >two.json
same one.json two.json "elah run and elah-run, any number of threads: the same answer"
python3 - one.json <<'PYTHON' || die "twelve tokens or an end"
import json, sys
answer = json.load(open(sys.argv[1]))
assert answer["stop"] == "eos" or len(answer["tokens"]) == 12, answer
PYTHON

say "the same input gives the same bytes: other folders, other places, other threads"
mkdir -p elsewhere/deeper
cp -r bf16 elsewhere/deeper/copy
(cd elsewhere && "$bin/elah" compile deeper/copy/ -o other.elah --threads 2 2>/dev/null)
same model.elah elsewhere/other.elah "two compiles"
(cd bf16 && "$bin/elah" compile . -o ../dot.elah 2>/dev/null)
same model.elah dot.elah "a compile from within the folder"
"$bin/elah" compile f8 -o f8-1.elah --threads 1 2>/dev/null
"$bin/elah" compile f8 -o f8-2.elah --threads 2 2>/dev/null
same f8-1.elah f8-2.elah "two compiles of FP8 weights"
if cmp -s model.elah f8-1.elah; then die "two models are not one"; fi

say "the output is named after the folder, if it is not named"
"$bin/elah" compile bf16 2>/dev/null
same model.elah bf16.elah "default output"

say "a self-contained program"
"$bin/elah" compile bf16 -o ask --emit exe 2>/dev/null
./ask --prompt "What is 347 + 589?" --greedy --max-tokens 12 --json >three.json
same one.json three.json "the program's answer"
./ask verify | grep -q intact || die "the program verifies itself"

say "weights that stay in the model's folder"
"$bin/elah" compile bf16 -o reference.elah --weights reference 2>/dev/null
[ "$(stat -c %s reference.elah)" -lt 1000000 ] || die "the weights are not in the file"
"$bin/elah" run reference.elah --prompt "What is 347 + 589?" --greedy --max-tokens 12 --json >four.json
same one.json four.json "the answer with weights from the folder"
mv bf16 moved
code=0
"$bin/elah" run reference.elah --prompt x 2>error || code=$?
cat error
[ $code -eq 66 ] && grep -q "bf16/model.safetensors" error || die "a model that has moved: status 66 and the shard, found $code"
mv moved bf16

say "every phase can be stopped after and read again"
for phase in import r1 kernel exec; do
  "$bin/elah" compile bf16 --stop-after $phase --dump-ir dump-$phase >$phase.mlir 2>/dev/null || die "--stop-after $phase"
  "$bin/elah-opt" $phase.mlir -o /dev/null || die "$phase does not read again"
  "$bin/elah" compile bf16 --stop-after $phase -o $phase-2.mlir 2>/dev/null
  same $phase.mlir $phase-2.mlir "stdout and -o"
  grep -q 'loc("model.layers.2.self_attn' $phase.mlir || die "$phase: locations are the model's own names"
done
# Each phase begins with the one before it: the pipeline on the import's IR gives the exec module.
"$bin/elah-opt" import.mlir --elah-pipeline="max-context=512" -mlir-print-debuginfo -o piped.mlir
same exec.mlir piped.mlir "elah-opt's pipeline and elah compile's"
"$bin/elah" compile bf16 --dump-ir dump -o dumped.elah 2>/dev/null
same model.elah dumped.elah "--dump-ir changes nothing"
for file in 1-import 2-r1 3-kernel 4-exec; do
  "$bin/elah-opt" "dump/$file.mlir" -o /dev/null || die "$file.mlir does not read again"
done
same dump/4-exec.mlir exec.mlir "the dump is what --stop-after prints"
ls dump/5-object/*.ll >/dev/null || die "no kernel was dumped"
"$bin/elah" compile bf16 --stop-after object -o object.so 2>/dev/null
readelf -h object.so | grep -q "DYN" || die "the object is a shared object"
[ "$(readelf -d object.so | grep -c NEEDED)" -eq 0 ] || die "the object depends on nothing"

say "on a terminal progress is one line that goes away"
python3 - "$bin/elah" compile bf16 -o terminal.elah <<'PYTHON' || die "progress on a terminal"
import os, pty, subprocess, sys
master, slave = pty.openpty()
process = subprocess.Popen(sys.argv[1:], stderr=slave)
os.close(slave)
shown = b""
while True:
    try:
        data = os.read(master, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
assert process.wait() == 0
assert b"\r\033[Kcompiling " in shown, shown
left = shown.split(b"\r\033[K")[-1]
assert left.startswith(b"terminal.elah: "), left
PYTHON

say "for other processors"
for cpu in x86-64-v3 x86-64-v4 aarch64; do
  "$bin/elah" compile bf16 -o $cpu.elah --cpu $cpu 2>/dev/null || die "--cpu $cpu"
  "$bin/elah" inspect $cpu.elah | grep -q "for cpu ($cpu)" || die "inspect names $cpu"
  "$bin/elah" verify $cpu.elah >/dev/null || die "verify $cpu"
done
foreign=aarch64
[ "$(uname -m)" = x86_64 ] || foreign=x86-64-v3
code=0
"$bin/elah" run $foreign.elah --prompt x 2>error || code=$?
cat error
[ $code -eq 69 ] || die "running a foreign artifact gives 69, found $code"
grep -q "compiled for $foreign" error || die "the error names the processor"
if [ "$(uname -m)" = x86_64 ] && grep -q avx2 /proc/cpuinfo; then
  "$bin/elah" run x86-64-v3.elah --prompt "What is 347 + 589?" --greedy --max-tokens 4 >/dev/null || die "run x86-64-v3"
fi

say "limits"
"$bin/elah" compile bf16 -o small.elah --max-context 16 --max-batch 1 --max-prefill 8 2>/dev/null
"$bin/elah" run small.elah --raw --prompt "1 + 1" --greedy >/dev/null 2>error || { cat error; die "a small context"; }
code=0
"$bin/elah" run small.elah --prompt "What is 347 + 589, and what is 589 + 347?" 2>error || code=$?
cat error
[ $code -eq 65 ] && grep -q "16" error || die "a prompt beyond the context: status 65 and the limit, found $code"
