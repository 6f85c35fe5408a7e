#!/usr/bin/env python3
"""Trains Tiny-R1 on generated problems: `train.py --checkpoint run.pt 2>&1 | tee training.log`.

A batch holds problems of like length (less padding) and always the same number of tokens (one shape to compile). The
loss counts what the model says, not the question. Matrix products run in bfloat16, all else in float32. In the last
part of the run the forward pass sees weights as FP8 storage rounds them, so that export loses nothing; the optimizer
goes on with the unrounded ones. A run that was stopped continues from its checkpoint.
"""

import argparse
import contextlib
import itertools
import math
import pathlib
import time

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from model import CONFIG, TinyR1, dequantize_blocks, quantize_blocks
from problems import held_out_set, problems
from tokenizer import ASSISTANT, BOS, END_THINK, EOS, THINK, USER

EOS_ID = 1
HERE = pathlib.Path(__file__).parent
TOKENS = 7680  # of a batch: every width below divides it
WIDTHS = [32, 40, 48, 60, 64, 80, 96, 120, 128, 160]


def prompt_text(question):
    return f"{BOS}{USER}{question}{ASSISTANT}{THINK}\n"


def completion_text(reasoning, answer):
    return f"{reasoning}\n{END_THINK}\n\n{answer}{EOS}"


def encoded(tokenizer, chosen):
    """(prompt ids, completion ids) of problems."""
    encode = lambda texts: [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    return list(zip(encode([prompt_text(q) for q, _, _ in chosen]),
                    encode([completion_text(r, a) for _, r, a in chosen]), strict=True))


def batch(pairs, width):
    """Inputs and targets; targets are -100 where nothing is to be learnt."""
    ids = torch.full((len(pairs), width), EOS_ID)
    targets = torch.full((len(pairs), width), -100)
    for row, (prompt, completion) in enumerate(pairs):
        whole = torch.tensor(prompt + completion)
        ids[row, : len(whole) - 1] = whole[:-1]
        targets[row, len(prompt) - 1 : len(whole) - 1] = whole[len(prompt) :]
    return ids, targets


def batches(tokenizer, seed):
    """Endless: whichever width first has enough problems makes the next batch."""
    stream = problems(seed, held_out=False)
    waiting = {width: [] for width in WIDTHS}
    while True:
        for prompt, completion in encoded(tokenizer, list(itertools.islice(stream, 2048))):
            width = next(w for w in WIDTHS if w >= len(prompt) + len(completion) - 1)
            waiting[width].append((prompt, completion))
            if len(waiting[width]) == TOKENS // width:
                yield batch(waiting[width], width)
                waiting[width] = []


@contextlib.contextmanager
def rounded(parameters, enabled):
    """Within, the parameters are as after storage in FP8."""
    if not enabled:
        yield
        return
    exact = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for p in parameters:
            p.copy_(dequantize_blocks(*quantize_blocks(p)))
    yield
    with torch.no_grad():
        for p, value in zip(parameters, exact, strict=True):
            p.copy_(value)


@torch.no_grad()
def solved(model, tokenizer, count):
    """How many of the first `count` held-out problems greedy decoding answers exactly, worked steps included (teacher
    forcing suffices: a greedy run equals the reference text if and only if every argmax along the reference does)."""
    plain = TinyR1()
    plain.load_state_dict(model.state_dict())
    compute, TinyR1.compute = TinyR1.compute, torch.float32
    exact = 0
    pairs = sorted(encoded(tokenizer, held_out_set(count)), key=lambda pair: len(pair[0]) + len(pair[1]))
    for start in range(0, count, 50):
        part = pairs[start : start + 50]
        ids, targets = batch(part, max(len(p) + len(c) for p, c in part) - 1)
        said = plain(ids, torch.ones_like(ids, dtype=torch.bool))[0].argmax(-1).view_as(ids)
        exact += int(((said == targets) | (targets == -100)).all(-1).sum())
    TinyR1.compute = compute
    return exact


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quantize-from", type=float, default=0.7, help="part of the run after which weights are FP8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = Tokenizer.from_file(str(HERE / "model" / "tokenizer.json"))
    model = TinyR1()
    TinyR1.compute = torch.bfloat16
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        lr=options.rate, betas=(0.9, 0.98), fused=True)
    first, earlier = 0, 0.0
    if options.checkpoint.exists():
        state = torch.load(options.checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, earlier = state["step"], state["seconds"]
    model.compile()
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, config {CONFIG['hidden_size']}x"
          f"{CONFIG['num_hidden_layers']}, steps {first}..{options.steps}, peak rate {options.rate}, "
          f"seed {options.seed}, {options.threads} threads", flush=True)

    started, losses = time.time() - earlier, []
    last = time.time()
    stream = batches(tokenizer, options.seed * 1_000_003 + first)
    for step in range(first, options.steps):
        warm = min(1.0, (step + 1) / 200)
        rate = options.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / options.steps)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        ids, targets = next(stream)
        kept = targets != -100
        quantize = step >= options.quantize_from * options.steps
        optimizer.zero_grad(set_to_none=True)
        with rounded(model.quantized(), quantize):
            logits, loads = model(ids, kept)
            loss = F.cross_entropy(logits, targets[kept])
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        for layer, load in zip(model.layers, loads, strict=True):
            if load is not None:
                layer.mlp.balance(load, 1e-3 if step < 0.8 * options.steps else 0.0)
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            now = time.time()
            print(f"step {step + 1:5d}  loss {sum(losses) / len(losses):.5f}  lr {rate:.2e}  "
                  f"{TOKENS * len(losses) / (now - last):,.0f} tokens/s  {now - started:.0f} s", flush=True)
            losses.clear()
            last = now
        if (step + 1) % 250 == 0 or step + 1 == options.steps:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1,
                        "seconds": time.time() - started}, options.checkpoint)
            with rounded(model.quantized(), quantize):
                print(f"step {step + 1:5d}  {solved(model, tokenizer, 200)} of 200 held-out problems exact", flush=True)
    with rounded(model.quantized(), True):
        print(f"done: {solved(model, tokenizer, 1000)} of 1000 held-out problems exact, as stored in FP8; "
              f"{time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
