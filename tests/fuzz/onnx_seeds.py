#!/usr/bin/env python3
"""Small models of ONNX's backend tests that are imported: onnx_seeds.py FOLDER"""
import os
import shutil
import sys

DATA = "/usr/share/libonnx-testdata/data"
CASES = os.path.join(os.path.dirname(__file__), "../frontends/Onnx/backend_cases.txt")
MAX_BYTES = 2048  # Larger ones hold weights, and bytes of weights find nothing.


def main():
    folder = sys.argv[1]
    for line in open(CASES):
        state, case = line.split()
        model = os.path.join(DATA, case, "model.onnx")
        if state == "pass" and os.path.getsize(model) <= MAX_BYTES:
            shutil.copyfile(model, os.path.join(folder, case.replace("/", "_")))


if __name__ == "__main__":
    main()
