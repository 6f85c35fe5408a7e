"""bench.py FILE: every figure is there and follows from the others."""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    found = json.load(file)
PARAMETERS = 262
assert found["threads"] == 1 and found["batch"] == 2 and found["prompt_tokens"] == 12 and found["generate_tokens"] == 4


def near(a, b):
    assert abs(a - b) <= 0.01 * max(abs(a), abs(b)) + 1e-4, (a, b)


near(found["prefill_flops_per_second"], 2 * PARAMETERS * found["prefill_tokens_per_second"])
near(found["decode_bytes_per_second"], 4 * PARAMETERS * found["decode_tokens_per_second"] / 2)
near(found["prefill_fraction_of_peak"], found["prefill_flops_per_second"] / found["peak_flops"])
near(found["decode_fraction_of_bandwidth"], found["decode_bytes_per_second"] / found["read_bytes_per_second"])
assert found["peak"] == "f32" and found["peak_flops"] > 1e8 and found["read_bytes_per_second"] > 1e7
