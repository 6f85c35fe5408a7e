#!/usr/bin/env python3
"""Compares two .npy files of float32 logits: compare_logits.py FOUND EXPECTED BOUND [--median]

The difference of two vectors is 1 - 2<x,y> / (|x|^2 + |y|^2): 0 if they are equal, about half the square of the relative
error if they are near. Holds the whole matrix and every row of it to BOUND, and prints the matrix's difference. Also checks that the likeliest token of each row agrees, where the expected logits tell it apart from the
second by more than the error can be.

With --median it is the median row that BOUND holds: where a router's scores are nearly equal, a rounding error chooses
another expert, and such a row is another row.
"""

import array
import ast
import math
import struct
import sys


def read(path):
    data = open(path, "rb").read()
    if data[:6] != b"\x93NUMPY":
        sys.exit(f"{path}: not a .npy file")
    (size,) = struct.unpack_from("<H", data, 8) if data[6] == 1 else struct.unpack_from("<I", data, 8)
    begin = 10 if data[6] == 1 else 12
    header = ast.literal_eval(data[begin:begin + size].decode())
    if header["descr"] != "<f4" or header["fortran_order"]:
        sys.exit(f"{path}: expected float32 in row-major order, found {header}")
    values = array.array("f", data[begin + size:])
    rows, columns = header["shape"]
    if len(values) != rows * columns:
        sys.exit(f"{path}: expected {rows} x {columns} values, found {len(values)}")
    return [values[row * columns:(row + 1) * columns] for row in range(rows)]


def difference(pairs):
    both = sum(x * x + y * y for x, y in pairs)
    return sum((x - y) ** 2 for x, y in pairs) / both if both else 0.0


def main():
    found, expected, bound = read(sys.argv[1]), read(sys.argv[2]), float(sys.argv[3])
    if len(found) != len(expected) or len(found[0]) != len(expected[0]):
        sys.exit(f"shapes differ: found {len(found)} x {len(found[0])}, expected {len(expected)} x {len(expected[0])}")
    whole = difference([pair for x, y in zip(found, expected) for pair in zip(x, y)])
    print(f"{whole:.2e}")
    if not all(math.isfinite(value) for row in found for value in row):
        sys.exit("found logits that are not finite")
    if "--median" in sys.argv[4:]:
        rows = sorted(difference(list(zip(x, y))) for x, y in zip(found, expected))
        median = rows[len(rows) // 2]
        if not median < bound:
            sys.exit(f"difference {median:.3e} of the median row, expected less than {bound:g}")
        return
    if not whole < bound:
        sys.exit(f"difference {whole:.3e}, expected less than {bound:g}")
    for index, (x, y) in enumerate(zip(found, expected)):
        row = difference(list(zip(x, y)))
        if not row < bound:
            sys.exit(f"difference {row:.3e} in row {index}, expected less than {bound:g}")
        likeliest = max(range(len(y)), key=y.__getitem__)
        second = max(y[:likeliest] + y[likeliest + 1:])
        error = math.sqrt(2 * row / len(y) * sum(value * value for value in y)) if row else 0.0
        if y[likeliest] - second > 8 * error and max(range(len(x)), key=x.__getitem__) != likeliest:
            sys.exit(f"row {index}: expected token {likeliest} to be the likeliest")


if __name__ == "__main__":
    main()
