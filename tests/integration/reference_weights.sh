#!/usr/bin/env bash
# --weights reference: the artifact leaves the weights in the model's folder, and computes the same with them, bit for
# bit; and when they are not what they were, it says so instead.
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
  cat error
  [ $code -eq "$expected" ] || die "$*: expected status $expected, found $code"
  grep -qF -- "$text" error || die "$*: expected '$text'"
  [ "$(wc -l <error)" -eq 1 ] || die "$*: one line says it"
}
# logits <artifact> <file> [argument...]
logits() {
  local artifact=$1 file=$2
  shift 2
  "$bin/elah-run" "$artifact" --tokens 5,9,17,3,42,8,100,7 --chunk 3 --logits "$file" "$@"
}

for kind in f32 bf16 f8; do
  say "$kind: the same logits"
  python3 "$here/make_random_model.py" $kind $kind
  "$bin/elah" compile $kind -o $kind.elah 2>/dev/null
  "$bin/elah" compile $kind -o $kind-reference.elah --weights reference 2>/dev/null
  "$bin/elah" verify $kind-reference.elah | grep -q intact || die "verify"
  logits $kind.elah embedded.npy
  for threads in 1 2; do
    logits $kind-reference.elah referenced.npy --threads $threads
    cmp embedded.npy referenced.npy || die "$kind with $threads threads: other logits"
  done
done

say "no weight is in the artifact, and none is read to make it"
embedded=$(stat -c %s bf16.elah) referenced=$(stat -c %s bf16-reference.elah)
weights=$("$bin/elah" inspect bf16.elah --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["weights"]["bytes"])')
[ $((embedded - referenced)) -gt $((weights - 100000)) ] || die "$referenced bytes, with the weights $embedded"
"$bin/elah" inspect bf16-reference.elah | grep -q "in the shards of bf16" || die "inspect says where they are"
cp -r bf16 sparse
for shard in sparse/*.safetensors; do
  # The header stays; what was weights is a hole.
  header=$(python3 -c 'import sys; print(8 + int.from_bytes(open(sys.argv[1], "rb").read(8), "little"))' "$shard")
  size=$(stat -c %s "$shard")
  truncate -s "$header" "$shard"
  truncate -s "$size" "$shard"
done
mkdir apart
mv sparse apart/bf16
"$bin/elah" compile apart/bf16 -o apart/model.elah --weights reference 2>/dev/null
cmp apart/model.elah bf16-reference.elah || die "headers alone give the same artifact"

say "moved together, moved apart"
logits bf16.elah embedded.npy
mkdir -p moved/deeper
cp -r bf16 bf16-reference.elah moved/deeper/
(cd moved && logits deeper/bf16-reference.elah "$work/moved.npy")
cmp embedded.npy moved.npy || die "moved together"
mv moved/deeper/bf16-reference.elah moved/
fails 66 "moved/bf16/model" logits moved/bf16-reference.elah moved.npy
grep -q -- "--model-folder" error || die "the error says what to do"
logits moved/bf16-reference.elah moved.npy --model-folder moved/deeper/bf16
cmp embedded.npy moved.npy || die "moved apart, with --model-folder"

say "one program that refers to its weights"
"$bin/elah" compile bf16 -o ask --emit exe --weights reference 2>/dev/null
./ask --tokens 5,9,17,3,42,8,100,7 --chunk 3 --logits program.npy
cmp embedded.npy program.npy || die "the program's logits"

say "weights that are not what they were"
shard=$(ls bf16/*.safetensors | head -1)
name=$(basename "$shard")
cp "$shard" whole
size=$(stat -c %s whole)
rm "$shard"
fails 66 "$name: cannot open: No such file or directory; the artifact takes its weights from this shard ($size bytes)" \
  logits bf16-reference.elah out.npy
cp whole "$shard"
truncate -s -1 "$shard"
fails 65 "$name: expected the shard that the artifact was compiled from, of $size bytes, found $((size - 1))" \
  logits bf16-reference.elah out.npy
cp whole "$shard"
printf 'X' | dd of="$shard" bs=1 seek=20 conv=notrunc 2>/dev/null
fails 65 "$name: the header is not the one that the artifact was compiled from" logits bf16-reference.elah out.npy
rm "$shard"
mkdir "$shard"
fails 65 "$name: expected a regular file" logits bf16-reference.elah out.npy
rmdir "$shard"
cp whole "$shard"
fails 66 "nowhere/$name: cannot open" logits bf16-reference.elah out.npy --model-folder nowhere
logits bf16-reference.elah again.npy
cmp embedded.npy again.npy || die "and all is well again"
echo "weights by reference: the same logits, and every change of a shard is noticed"
