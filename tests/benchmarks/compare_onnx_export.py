#!/usr/bin/env python3
"""Compares an ONNX graph with the Hugging Face import of the same weights: what the cache keeps, and how fast both decode.

    compare_onnx_export.py FOLDER [--runs N] [--threads N] [--again]     (ELAH_BUILD: the build folder)

FOLDER gets a random checkpoint in f32 at R1-small's widths (R1's ranks: 512 and 64; two layers, 16 experts) and the graph that
tools write for it that do not trace: keys and values of all heads in and out, and every expert on every token. Both are
compiled and benchmarked in turns; the last line is the ratio of the medians. --again measures what is there. Needs numpy, onnx and safetensors.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

import numpy
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "integration")]
import onnx_by_hand
from make_random_checkpoint import R1_SMALL
from make_random_model import shapes

CONFIG = R1_SMALL | {"num_hidden_layers": 2, "n_routed_experts": 16, "vocab_size": 8192, "max_position_embeddings": 4096,
                     "rope_scaling": None, "torch_dtype": "float32"}


def write_models(folder):
    generator = numpy.random.default_rng(1)
    weights = {}
    for name, shape, *_ in shapes(CONFIG):
        scale = shape[-1] ** -0.5 if len(shape) > 1 else 0.1
        weights[name] = (generator.standard_normal(shape, numpy.float32) * scale + ("norm" in name)).astype(numpy.float32)
    (folder / "checkpoint").mkdir(parents=True, exist_ok=True)
    (folder / "graph").mkdir(exist_ok=True)
    (folder / "checkpoint/config.json").write_text(json.dumps(CONFIG))
    save_file(weights, folder / "checkpoint/model.safetensors")
    for old in (folder / "graph").iterdir():
        old.unlink()
    onnx_by_hand.build(folder / "graph/model.onnx", folder / "checkpoint", True, "dense", external=True)


def compile_models(elah, folder, sources):
    for name, source in sources.items():
        options = ["--as", "model"] if name == "graph" else []
        subprocess.run([elah, "compile", source, "--stop-after", "r1", "-o", folder / f"{name}.mlir", *options], check=True)
        cache = re.search(r"!r1\.cache<(\w+), layers = \d+, key_width = (\d+), value_width = (\d+)>",
                          (folder / f"{name}.mlir").read_text())
        print(f"{name}: a {cache[1]} cache of {int(cache[2]) + int(cache[3])} values a token and layer")
        subprocess.run([elah, "compile", source, "-o", folder / f"{name}.elah", "--max-context", "256", *options], check=True)
    heads = CONFIG["num_attention_heads"] * (CONFIG["qk_nope_head_dim"] + CONFIG["qk_rope_head_dim"] + CONFIG["v_head_dim"])
    print(f"the graph's own pasts: {heads} values a token and layer")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    elah = f"{os.environ.get('ELAH_BUILD', 'build/dev')}/bin/elah"
    folder = arguments.folder
    sources = {"checkpoint": folder / "checkpoint", "graph": folder / "graph/model.onnx"}
    if not arguments.again:
        write_models(folder)
        compile_models(elah, folder, sources)
    rates = {name: [] for name in sources}
    for _ in range(arguments.runs):
        for name in sources:
            found = subprocess.run([elah, "bench", folder / f"{name}.elah", "--json", "--repeats", "1", "--prompt-tokens", "32",
                                    "--generate-tokens", "64", "--threads", arguments.threads],
                                   check=True, capture_output=True, text=True)
            rates[name].append(json.loads(found.stdout)["decode_tokens_per_second"])
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name}: {medians[name]:.1f} tokens/s, of {' '.join(f'{value:.1f}' for value in values)}")
    print(f"the graph decodes at {medians['graph'] / medians['checkpoint']:.3f} of the checkpoint's speed")


if __name__ == "__main__":
    main()
