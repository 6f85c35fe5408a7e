#!/usr/bin/env python3
"""Compiles Tiny-R1 and asks it the held-out problems; passes if at least 95 % of the answers are exactly right.

    evaluate.py [--build build/dev] [--artifact FILE] [--answers FILE.jsonl]

Needs nothing but Python. The answers (a JSON object a line, as `elah-run --json` prints them) are what
compare_with_transformers.py holds against PyTorch.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
REQUIRED = 0.95


def compile_model(build, model, artifact):
    started = time.monotonic()
    subprocess.run([build / "bin/elah", "compile", model, "-o", artifact, "--target", "cpu"], check=True)
    print(f"compiled in {time.monotonic() - started:.1f} s", flush=True)


def ask(build, artifact, questions, folder, options):
    prompts = folder / "questions.txt"
    prompts.write_text("".join(f"{question}\n" for question in questions))
    run = subprocess.run([build / "bin/elah-run", artifact, "--prompts-file", prompts, "--json", *options], check=True,
                         stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parents[1] / "build/dev")
    parser.add_argument("--model", type=pathlib.Path, default=HERE / "model")
    parser.add_argument("--problems", type=pathlib.Path, default=HERE / "held_out.tsv")
    parser.add_argument("--artifact", type=pathlib.Path, help="a compiled Tiny-R1 (default: compile it now)")
    parser.add_argument("--answers", type=pathlib.Path, help="write what it said to this file")
    parser.add_argument("--sample", type=int, metavar="SEED", help="sample as the model recommends, not greedily")
    options = parser.parse_args()

    problems = [line.split("\t") for line in options.problems.read_text().splitlines()]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        artifact = options.artifact
        if not artifact:
            artifact = folder / "tiny-r1.elah"
            compile_model(options.build, options.model, artifact)
        started = time.monotonic()
        said = ask(options.build, artifact, [question for question, _ in problems], folder,
                   ["--greedy"] if options.sample is None else ["--seed", str(options.sample)])
        seconds = time.monotonic() - started
    if [one["prompt"] for one in said] != [question for question, _ in problems]:
        print(f"expected an answer to each of {len(problems)} questions, found {len(said)}")
        return 1
    if options.answers:
        options.answers.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in said))
    wrong = [(question, right, one["answer"]) for (question, right), one in zip(problems, said, strict=True)
             if one["answer"] != right]
    for question, right, answer in wrong[:5]:
        print(f"wrong: {question} is {right}, found {answer!r}")
    tokens = sum(len(one["tokens"]) for one in said)
    print(f"{len(problems) - len(wrong)} of {len(problems)} held-out problems exact; {seconds:.1f} s, "
          f"{tokens / seconds:,.0f} tokens/s")
    return 0 if len(wrong) <= (1 - REQUIRED) * len(problems) else 1


if __name__ == "__main__":
    sys.exit(main())
