#!/usr/bin/env python3
"""Writes a training checkpoint as a Hugging Face folder, stored as R1 is: `export.py run.pt`.

Every projection is FP8 e4m3 with one scale per 128x128 block, the scale that multiplies back (`weight_scale_inv`).
Embedding, norms, head and the router's matrix are bfloat16, the router's selection bias float32. The same checkpoint
gives the same bytes.
"""

import argparse
import json
import pathlib

import torch
from safetensors.torch import save_file

from model import CONFIG, TinyR1, quantize_blocks

HERE = pathlib.Path(__file__).parent


def matrices(name, parameter):
    """The checkpoint's names for one of the model's parameters, whose stacked parts become a tensor each."""
    if name.endswith(".mlp.gate_up") or name.endswith(".mlp.down"):  # the dense layer
        owners = [name.rpartition(".")[0]]
    elif name.endswith(".mlp.experts.gate_up") or name.endswith(".mlp.experts.down"):
        experts = name.rpartition(".")[0]
        owners = [f"{experts}.{i}" for i in range(CONFIG["n_routed_experts"])]
        owners.append(experts.replace(".experts", ".shared_experts"))
    else:
        yield name.removesuffix(".weight"), parameter
        return
    for owner, part in zip(owners, parameter, strict=True):
        if name.endswith("gate_up"):
            yield f"{owner}.gate_proj", part[0]
            yield f"{owner}.up_proj", part[1]
        else:
            yield f"{owner}.down_proj", part


def tensors(state):
    result = {}
    for parameter_name, parameter in state.items():
        for name, part in matrices(parameter_name, parameter):
            name = name if name == "lm_head" else f"model.{name}"
            if name.endswith("e_score_correction_bias"):
                result[name] = part.float()
            elif name.endswith("_proj") or name.endswith("_proj_with_mqa"):
                result[f"{name}.weight"], result[f"{name}.weight_scale_inv"] = quantize_blocks(part)
            else:
                result[f"{name}.weight"] = part.bfloat16()
    return {name: tensor.contiguous() for name, tensor in sorted(result.items())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--folder", type=pathlib.Path, default=HERE / "model")
    options = parser.parse_args()
    model = TinyR1()
    state = torch.load(options.checkpoint)
    model.load_state_dict(state["model"])
    options.folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors(model.state_dict()), options.folder / "model.safetensors", metadata={"format": "pt"})
    (options.folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    size = (options.folder / "model.safetensors").stat().st_size
    print(f"{options.folder}: step {state['step']}, {size:,} bytes")


if __name__ == "__main__":
    main()
