#!/usr/bin/env python3
"""Trains Tiny-R1 on generated problems: `train.py --steps 6000 --checkpoint run.pt 2>&1 | tee training.log`.

Batches hold problems of like length (less padding). The loss counts what the model says, not the question. In the last
part of the run the forward pass sees weights as FP8 storage rounds them, so that export loses nothing. A run that was
stopped continues from its checkpoint.
"""

import argparse
import itertools
import math
import pathlib
import time

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from model import CONFIG, Linear, Experts, TinyR1
from problems import held_out_set, problems
from tokenizer import ASSISTANT, BOS, END_THINK, EOS, THINK, USER

EOS_ID = 1
HERE = pathlib.Path(__file__).parent


def prompt_text(question):
    return f"{BOS}{USER}{question}{ASSISTANT}{THINK}\n"


def completion_text(reasoning, answer):
    return f"{reasoning}\n{END_THINK}\n\n{answer}{EOS}"


def encoded(tokenizer, stream, count):
    chosen = list(itertools.islice(stream, count))
    encode = lambda texts: [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    return list(zip(encode([prompt_text(q) for q, _, _ in chosen]),
                    encode([completion_text(r, a) for _, r, a in chosen]), strict=True))


def batches(tokenizer, seed, tokens_per_batch):
    """Endless (ids, targets): rows of like length; targets are -100 where nothing is to be learnt."""
    generator = torch.Generator().manual_seed(seed)
    stream = problems(seed, held_out=False)
    while True:
        pool = sorted(encoded(tokenizer, stream, 4096), key=lambda pair: len(pair[0]) + len(pair[1]))
        groups, start = [], 0
        for end in range(1, len(pool) + 1):
            longest = len(pool[end - 1][0]) + len(pool[end - 1][1])
            if end == len(pool) or (end + 1 - start) * longest > tokens_per_batch:
                groups.append(pool[start:end])
                start = end
        for index in torch.randperm(len(groups), generator=generator).tolist():
            group = groups[index]
            width = max(len(p) + len(c) for p, c in group) - 1
            ids = torch.full((len(group), width), EOS_ID)
            targets = torch.full((len(group), width), -100)
            for row, (prompt, completion) in enumerate(group):
                whole = torch.tensor(prompt + completion)
                ids[row, : len(whole) - 1] = whole[:-1]
                targets[row, len(prompt) - 1 : len(whole) - 1] = whole[len(prompt) :]
            yield ids, targets


@torch.no_grad()
def solved(model, tokenizer, count):
    """How many of the first `count` held-out problems greedy decoding answers exactly (teacher forcing suffices: a
    greedy run equals the reference text if and only if every argmax along the reference does)."""
    model.eval()
    exact = 0
    for question, reasoning, answer in held_out_set(count):
        prompt = tokenizer.encode(prompt_text(question), add_special_tokens=False).ids
        completion = tokenizer.encode(completion_text(reasoning, answer), add_special_tokens=False).ids
        logits = model(torch.tensor([prompt + completion[:-1]]))[0, len(prompt) - 1 :]
        exact += int((logits.argmax(-1) == torch.tensor(completion)).all())
    model.train()
    return exact


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--tokens", type=int, default=6144, help="tokens of a batch")
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quantize-from", type=float, default=0.6, help="part of the run after which weights are FP8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = Tokenizer.from_file(str(HERE / "model" / "tokenizer.json"))
    model = TinyR1()
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        lr=options.rate, betas=(0.9, 0.98), fused=True)
    first = 0
    if options.checkpoint.exists():
        state = torch.load(options.checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, config {CONFIG['hidden_size']}x"
          f"{CONFIG['num_hidden_layers']}, steps {first}..{options.steps}, seed {options.seed}", flush=True)

    started, tokens_seen, losses = time.time(), 0, []
    stream = batches(tokenizer, options.seed * 1_000_003 + first, options.tokens)
    for step in range(first, options.steps):
        Linear.quantize = step >= options.quantize_from * options.steps
        warm = min(1.0, (step + 1) / 150)
        rate = options.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / options.steps)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        ids, targets = next(stream)
        loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten(), ignore_index=-100)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        for layer in model.model.layers:
            if isinstance(layer.mlp, Experts):
                layer.mlp.balance(1e-3 if step < 0.8 * options.steps else 0.0)
        tokens_seen += ids.numel()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            rate_now = tokens_seen / (time.time() - started)
            print(f"step {step + 1:5d}  loss {sum(losses) / len(losses):.4f}  lr {rate:.2e}  "
                  f"{rate_now:,.0f} tokens/s  {time.time() - started:.0f} s", flush=True)
            losses.clear()
        if (step + 1) % 500 == 0 or step + 1 == options.steps:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1},
                       options.checkpoint)
            print(f"step {step + 1:5d}  {solved(model, tokenizer, 200)} of 200 held-out problems exact", flush=True)
    Linear.quantize = True
    print(f"done: {solved(model, tokenizer, 1000)} of 1000 held-out problems exact, as stored in FP8; "
          f"{time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
