"""Writes and prints .npy files without numpy: npy_file.py write FILE TYPE COUNT [SHAPE], npy_file.py show FILE FIRST LAST."""

import array
import ast
import struct
import sys

codes = {"f4": "f", "u4": "I", "i4": "i"}
if sys.argv[1] == "write":
    _, _, path, kind, count = sys.argv[:5]
    shape = sys.argv[5] if len(sys.argv) > 5 else count
    values = array.array(codes[kind], range(int(count)))
    header = "{'descr': '<%s', 'fortran_order': False, 'shape': (%s,), }" % (kind, shape)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values.tobytes())
else:
    _, _, path, first, last = sys.argv
    data = open(path, "rb").read()
    length = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10 : 10 + length].decode())
    values = array.array(codes[header["descr"][1:]], data[10 + length :])
    print(header["shape"], list(values[int(first) : int(last)]))
