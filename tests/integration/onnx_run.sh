#!/usr/bin/env bash
# An ONNX graph that is no language model, compiled to one file and run on NumPy's files: dynamic sizes, sizes that depend on
# the data, branches and loops, and what is said when inputs do not fit. The models are ONNX's own (libonnx-testdata).
set -u
bin=${ELAH_BUILD:?}/bin
suite=/usr/share/libonnx-testdata/data/node
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
  echo "$1"
  failures=$((failures + 1))
}

# write FILE DESCR SHAPE VALUES...: a .npy file of little-endian numbers
write() {
  python3 - "$@" << 'PYTHON'
import struct, sys
path, descr, shape, *values = sys.argv[1:]
code = {"<f4": "f", "<i8": "q", "|b1": "?"}[descr]
header = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (descr, shape)
header += " " * (63 - (10 + len(header)) % 64) + "\n"
numbers = [v == "1" if code == "?" else int(v) if code == "q" else float(v) for v in values]
with open(path, "wb") as file:
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    file.write(struct.pack("<%d%s" % (len(numbers), code), *numbers))
PYTHON
}

# read FILE: its shape and numbers
read_npy() {
  python3 - "$1" << 'PYTHON'
import ast, struct, sys
data = open(sys.argv[1], "rb").read()
size = struct.unpack("<H", data[8:10])[0]
header = ast.literal_eval(data[10:10 + size].decode())
code = {"<f4": "f", "<i8": "q", "|b1": "?"}[header["descr"]]
body = data[10 + size:]
numbers = struct.unpack("<%d%s" % (len(body) // struct.calcsize("<" + code), code), body)
print(list(header["shape"]), *("%g" % n for n in numbers))
PYTHON
}

# expect NAME FILE TEXT
expect() {
  found=$(read_npy "$2")
  [ "$found" = "$3" ] || fail "$1: expected $3, found $found"
}

# compile NAME: the suite's model
compile() {
  "$bin/elah" compile "$suite/$1/model.onnx" -o "$work/$1.elah" 2> "$work/log" || fail "$1: $(cat "$work/log")"
}

# How many elements are not zero is only known when they are there.
compile test_nonzero_example
write "$work/x.npy" "|b1" "(2, 2)" 1 0 1 1
"$bin/elah" run "$work/test_nonzero_example.elah" --input condition="$work/x.npy" --output-dir "$work/out" > "$work/said" 2>&1 ||
  fail "test_nonzero_example: $(cat "$work/said")"
expect test_nonzero_example "$work/out/result.npy" "[2, 3] 0 1 1 0 0 1"

# A branch.
compile test_if
write "$work/cond.npy" "|b1" "()" 0
"$bin/elah-run" "$work/test_if.elah" --input cond="$work/cond.npy" --output-dir "$work/out" > /dev/null 2>&1 || fail "test_if"
expect test_if "$work/out/res.npy" "[5] 5 4 3 2 1"

# A loop that stacks what each iteration gives.
compile test_loop11
write "$work/trip.npy" "<i8" "()" 5
write "$work/go.npy" "|b1" "()" 1
write "$work/y.npy" "<f4" "(1,)" -2
"$bin/elah" run "$work/test_loop11.elah" --input trip_count="$work/trip.npy" --input cond="$work/go.npy" --input y="$work/y.npy" \
  --output-dir "$work/out" > /dev/null 2> "$work/log" || fail "test_loop11: $(cat "$work/log")"
expect test_loop11 "$work/out/res_y.npy" "[1] 13"
expect test_loop11 "$work/out/res_scan.npy" "[5, 1] -1 1 4 8 13"

# What it is, and what does not fit.
"$bin/elah" inspect "$work/test_loop11.elah" | grep -q "inputs *trip_count: i64\[\]" || fail "inspect shows no inputs"
"$bin/elah" run "$work/test_if.elah" --input cond="$work/y.npy" 2>&1 | grep -q "input 'cond' must be bool\[\], found f32\[1\]" ||
  fail "a wrong input is not named"
"$bin/elah" run "$work/test_if.elah" --prompt hello 2>&1 | grep -q "takes tensors" || fail "a prompt is not refused"
"$bin/elah" compile "$suite/test_sequence_insert_at_back/model.onnx" -o "$work/s.elah" 2>&1 |
  grep -q "a compiled graph takes and gives tensors alone" || fail "sequences from outside are not refused"
[ ! -e "$work/s.elah" ] || fail "a refused model left a file"
[ "$failures" -eq 0 ]
