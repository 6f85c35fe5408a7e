#!/usr/bin/env bash
# elah compile killed at random: the output is the old file or the new one, whole, and what was left lying is cleaned up;
# two compiles to one output at once give the one or the other.
# long: compiles a model 120 times
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
work=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$work"' EXIT
cd "$work"

say() { echo "- $*"; }
die() { echo "FAILED: $*"; exit 1; }

python3 "$here/make_random_model.py" model bf16
mkdir out
begin=$(date +%s%N)
"$bin/elah" compile model -o out/model.elah 2>/dev/null
time=$((($(date +%s%N) - begin) / 1000000))
cp out/model.elah new
printf 'old' >old
say "a compile takes $time ms"

# A shell's background process ignores Ctrl-C, and so would what it starts.
cat >interruptible.py <<'PYTHON'
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
PYTHON

for signal in KILL TERM INT; do
  ended=0
  for i in $(seq 1 $([ $signal = KILL ] && echo 50 || echo 20)); do
    cp old out/model.elah
    delay=$((RANDOM % (time * 5 / 4 + 1)))
    # Every second one when it is about to write: that is a small part of the whole.
    if ((i % 2)); then delay=$((time * 3 / 4 + RANDOM % (time / 2 + 1))); fi
    python3 interruptible.py "$bin/elah" compile model -o out/model.elah >/dev/null 2>error &
    child=$!
    sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
    kill -$signal $child 2>/dev/null || true
    code=0
    wait $child 2>/dev/null || code=$?
    case $signal-$code in
      *-0) ended=$((ended + 1)); cmp out/model.elah new || die "a finished compile's output" ;;
      KILL-137 | TERM-143 | INT-130) cmp -s out/model.elah old || cmp out/model.elah new || die "a torn output" ;;
      *) cat error; die "killed by $signal after $delay ms: status $code" ;;
    esac
    left=$(ls -A out | grep -cv '^model.elah$' || true)
    case $signal in
      KILL) [ "$left" -le 1 ] || { ls -A out; die "more than one temporary file"; } ;;
      *) [ "$left" -eq 0 ] || { ls -A out; die "a temporary file after SIG$signal"; } ;;
    esac
  done
  "$bin/elah" compile model -o out/model.elah 2>/dev/null
  cmp out/model.elah new || die "the next compile"
  [ "$(ls -A out)" = model.elah ] || die "the next compile cleans up"
  say "SIG$signal: $ended compiles were faster"
done

say "two at once"
"$bin/elah" compile model -o other --max-context 256 2>/dev/null
for i in 1 2 3 4 5; do
  "$bin/elah" compile model -o out/model.elah 2>/dev/null &
  first=$!
  "$bin/elah" compile model -o out/model.elah --max-context 256 2>/dev/null
  wait $first
  cmp -s out/model.elah new || cmp out/model.elah other || die "neither the one nor the other"
  [ "$(ls -A out)" = model.elah ] || die "a temporary file"
done
echo "killed compiles leave whole files"
