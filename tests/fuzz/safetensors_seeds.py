#!/usr/bin/env python3
"""Small headers that are right, in the form that the safetensors fuzzer reads: safetensors_seeds.py FOLDER"""
import json
import os
import sys

SIZES = {"F32": 4, "BF16": 2, "F8_E4M3": 1, "I64": 8, "BOOL": 1}
SEEDS = {
    "empty": [],
    "scalar": [("a", "F32", [])],
    "block_scales": [("model.w", "F8_E4M3", [5, 3]), ("model.w_scale_inv", "F32", [1, 1])],
    "empty_tensors": [("a", "BF16", [0]), ("b", "I64", [2]), ("c", "BF16", [3, 0])],
    "ranks": [("a", "BOOL", [1, 1, 1, 1, 1, 1, 1, 2]), ("b", "BOOL", [3])],
}


def main():
    folder = sys.argv[1]
    for name, tensors in SEEDS.items():
        header, end = {"__metadata__": {"format": "pt"}}, 0
        for tensor, dtype, shape in tensors:
            begin, size = end, SIZES[dtype]
            for dimension in shape:
                size *= dimension
            end += size
            header[tensor] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
        with open(os.path.join(folder, name), "wb") as file:
            file.write(end.to_bytes(2, "little") + json.dumps(header).encode() + b"  ")


if __name__ == "__main__":
    main()
