#!/usr/bin/env python3
"""Holds what the compiled Tiny-R1 said against transformers' DeepseekV3ForCausalLM on the same weights.

    evaluate.py --answers answers.jsonl && compare_with_transformers.py answers.jsonl

The FP8 weights are widened to float32 by hand (transformers' own FP8 needs a GPU). Two questions: how many held-out
problems does transformers answer exactly, decoding greedily by itself; and at how many positions of the compiled
model's texts would transformers have taken the same token. Needs torch, transformers, safetensors and tokenizers.
"""

import argparse
import collections
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

from model import dequantize_blocks
from train import EOS_ID, HERE, prompt_text

SAME_TOKENS = 0.999


def widened(tensors):
    for name, tensor in tensors.items():
        if name.endswith("_scale_inv"):
            continue
        scales = tensors.get(f"{name}_scale_inv")
        yield name, tensor.float() if scales is None else dequantize_blocks(tensor, scales)


def load(folder):
    """transformers keeps a layer's experts fused; the checkpoint, as R1's, has a tensor each."""
    values = json.loads((folder / "config.json").read_text())
    values.pop("quantization_config")
    model = DeepseekV3ForCausalLM(DeepseekV3Config(**values, attn_implementation="eager",
                                                   experts_implementation="eager")).float().eval()
    state = dict(widened(load_file(folder / "model.safetensors")))
    for layer in range(values["first_k_dense_replace"], values["num_hidden_layers"]):
        experts = f"model.layers.{layer}.mlp.experts"
        parts = [{which: state.pop(f"{experts}.{i}.{which}_proj.weight") for which in ("gate", "up", "down")}
                 for i in range(values["n_routed_experts"])]
        state[f"{experts}.gate_up_proj"] = torch.stack([torch.cat([p["gate"], p["up"]]) for p in parts])
        state[f"{experts}.down_proj"] = torch.stack([p["down"] for p in parts])
    model.load_state_dict(state)
    return model


@torch.no_grad()
def decoded(model, prompts):
    """Greedy completions, in order. Prompts of one length make a batch, so that nothing is padded in front."""
    by_length = collections.defaultdict(list)
    for index, prompt in enumerate(prompts):
        by_length[len(prompt)].append(index)
    result = [None] * len(prompts)
    for length, indices in by_length.items():
        ids = torch.tensor([prompts[i] for i in indices])
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, temperature=None, top_p=None,
                             max_length=model.config.max_position_embeddings, eos_token_id=EOS_ID, pad_token_id=EOS_ID)
        for index, row in zip(indices, out[:, length:].tolist(), strict=True):
            result[index] = row[: row.index(EOS_ID) + 1] if EOS_ID in row else row
    return result


@torch.no_grad()
def agreeing(model, prompts, completions):
    """Positions of the completions at which the model's first choice is the token that stands there."""
    same = 0
    for prompt, completion in zip(prompts, completions, strict=True):
        choices = model(torch.tensor([prompt + completion[:-1]])).logits[0, len(prompt) - 1 :].argmax(-1)
        same += int((choices == torch.tensor(completion)).sum())
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, default=HERE / "model")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    right = dict(line.split("\t") for line in (HERE / "held_out.tsv").read_text().splitlines())
    said = [json.loads(line) for line in options.answers.read_text().splitlines()]
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    prompts = [tokenizer.encode(prompt_text(one["prompt"]), add_special_tokens=False).ids for one in said]
    completions = [one["tokens"] if one["stop"] != "eos" or one["tokens"][-1] == EOS_ID else [*one["tokens"], EOS_ID]
                   for one in said]
    model = load(options.model)

    own = sum(one["answer"] == right[one["prompt"]] for one in said)
    answer_of = lambda ids: tokenizer.decode(ids, skip_special_tokens=True).rpartition("</think>")[2].strip()
    theirs = sum(answer_of(ids) == right[one["prompt"]]
                 for ids, one in zip(decoded(model, prompts), said, strict=True))
    positions = sum(map(len, completions))
    same = agreeing(model, prompts, completions)
    print(f"exact answers of {len(said)}: {own} compiled, {theirs} by transformers")
    print(f"same greedy token at {same} of {positions} positions ({100 * same / positions:.3f} %)")
    return 0 if own >= theirs and same >= SAME_TOKENS * positions else 1


if __name__ == "__main__":
    sys.exit(main())
