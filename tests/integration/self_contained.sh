#!/usr/bin/env bash
# --emit exe: one file that needs nothing of the build, the model or Elah's own programs; and what it holds is what the
# artifact would hold.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${ELAH_BUILD:?}/bin
work=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$work"' EXIT
cd "$work"

say() { echo "- $*"; }
die() { echo "FAILED: $*"; exit 1; }
identity() { "$@" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["identity"])'; }

python3 "$here/make_random_model.py" model bf16
"$bin/elah" compile model -o model.elah 2>/dev/null
"$bin/elah" compile model -o ask --emit exe 2>/dev/null
"$bin/elah-run" model.elah --prompt "What is 347 + 589?" --greedy --max-tokens 12 --json >expected

say "moved, renamed, without the model, from another folder, by a link"
rm -r model
mkdir -p "else where"
mv ask "else where/my model"
(cd / && "$work/else where/my model" --prompt "What is 347 + 589?" --greedy --max-tokens 12 --json) >found
cmp expected found || die "another answer"
ln -s "else where/my model" link
./link --prompt "What is 347 + 589?" --greedy --max-tokens 12 --json >found
cmp expected found || die "another answer by a link"
PATH="$work:$PATH" link run --prompt "What is 347 + 589?" --greedy --max-tokens 12 --json >found
cmp expected found || die "another answer by PATH and verb"

say "its verbs"
./link verify | grep -q intact || die "verify"
./link inspect | grep -q "DeepseekV3ForCausalLM" || die "inspect"
[ "$(identity ./link inspect)" = "$(identity "$bin/elah" inspect model.elah)" ] || die "identity"
[ "$(printf 'What is 3 + 4?' | ./link tokenize)" = "$(printf 'What is 3 + 4?' | "$bin/elah" tokenize model.elah)" ] ||
  die "tokenize"

say "it is also an artifact"
"$bin/elah-run" "else where/my model" --prompt "What is 347 + 589?" --greedy --max-tokens 12 --json >found
cmp expected found || die "another answer of elah-run on the program"
"$bin/elah" verify "else where/my model" | grep -q intact || die "elah verify on the program"

say "it links nothing of the compiler"
if ldd "else where/my model" | grep -E "MLIR|LLVM|elah"; then die "libraries that a user's machine lacks"; fi

say "one that was cut or changed says so"
cp "else where/my model" whole
for cut in 1 24 25 4096; do
  cp whole cut
  truncate -s -$cut cut
  code=0
  ./cut --prompt x >/dev/null 2>error || code=$?
  [ $code -ne 0 ] && [ -s error ] || die "$cut bytes less: status $code"
done
size=$(stat -c %s whole)
cp whole changed
printf '\xff' | dd of=changed bs=1 seek=$((size - 24 - 4)) conv=notrunc 2>/dev/null # in the checksum table
code=0
./changed --prompt x >/dev/null 2>error || code=$?
[ $code -eq 65 ] && grep -q "checksum" error || { cat error; die "a changed byte: status $code"; }
echo "a self-contained program: runs anywhere, holds what the artifact holds"
