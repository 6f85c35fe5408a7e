#!/usr/bin/env python3
"""Writes a checkpoint of random weights in the shape of a real model: for measuring speed, where only shapes count.

    make_random_checkpoint.py SHAPE FOLDER [--seed N] [--headers]

SHAPE is one of r1-small (1.69 B parameters, DeepSeek-V3 architecture), r1-small-fp8 (the same in FP8 blocks),
r1-distill-qwen-1.5b and r1-distill-llama-8b (the distills' exact shapes), and two-layer models: r1-two-layers (R1's
widths and FP8 blocks, a dense and a sparse layer, a vocabulary of 8,192) and qwen-two-layers. With --headers the weights
are holes that read as zeros and take no space. With --experts N only the first N routed experts are no holes, and the
routers' biases choose among them. tokenizer.json knows made-up words; the conversation format is the R1 family's.
The same shape and seed give the same files.
"""
import argparse
import array
import math
import os
import random
import re

from checkpoint_files import size_of, split, write_checkpoint, write_json

BOS, EOS, USER, ASSISTANT = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"
SHARD_BYTES = 5_000_000_000  # as transformers cuts them

R1_SMALL = {
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "attention_bias": False,
    "bos_token_id": 0, "eos_token_id": 1, "first_k_dense_replace": 1, "hidden_act": "silu", "hidden_size": 2048,
    "intermediate_size": 5632, "kv_lora_rank": 512, "max_position_embeddings": 163840, "moe_intermediate_size": 512,
    "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 64, "n_shared_experts": 1, "norm_topk_prob": True,
    "num_attention_heads": 16, "num_experts_per_tok": 8, "num_hidden_layers": 8, "num_key_value_heads": 16,
    "num_nextn_predict_layers": 0, "q_lora_rank": 768, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "rms_norm_eps": 1e-06,
    "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
                     "original_max_position_embeddings": 4096, "type": "yarn"},
    "rope_theta": 10000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "tie_word_embeddings": False,
    "topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "v_head_dim": 128, "vocab_size": 32000,
}
R1_SMALL_FP8 = R1_SMALL | {"quantization_config": {
    "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}}
R1_TWO_LAYERS = R1_SMALL_FP8 | {
    "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048, "n_routed_experts": 256,
    "num_attention_heads": 128, "num_hidden_layers": 2, "num_key_value_heads": 128, "q_lora_rank": 1536,
    "vocab_size": 8192,
}
QWEN_1_5B = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 1536, "intermediate_size": 8960,
    "max_position_embeddings": 131072, "max_window_layers": 21, "num_attention_heads": 12, "num_hidden_layers": 28,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 10000, "sliding_window": 4096,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_mrope": False, "use_sliding_window": False,
    "vocab_size": 151936,
}
QWEN_TWO_LAYERS = QWEN_1_5B | {"num_hidden_layers": 2, "vocab_size": 8192, "bos_token_id": 1, "eos_token_id": 1}
LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "attention_dropout": 0.0,
    "bos_token_id": 128000, "eos_token_id": 128001, "head_dim": 128, "hidden_act": "silu", "hidden_size": 4096,
    "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": False, "num_attention_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
    "rope_scaling": {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                     "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    "rope_theta": 500000.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "vocab_size": 128256,
}
# Configuration, number of parameters, and where the special tokens are: BOS, EOS, user, assistant, <think>, </think>.
SHAPES = {
    "r1-small": (R1_SMALL, 1_689_170_368, [0, 1, 2, 3, 4, 5]),
    "r1-small-fp8": (R1_SMALL_FP8, 1_689_170_368, [0, 1, 2, 3, 4, 5]),
    "r1-two-layers": (R1_TWO_LAYERS, 12_208_217_344, [0, 1, 2, 3, 4, 5]),
    "qwen-two-layers": (QWEN_TWO_LAYERS, 118_763_008, [0, 1, 2, 3, 4, 5]),
    "r1-distill-qwen-1.5b": (QWEN_1_5B, 1_777_088_000, [151646, 151643, 151644, 151645, 151648, 151649]),
    "r1-distill-llama-8b": (LLAMA_8B, 8_030_261_248, [128000, 128001, 128011, 128012, 128013, 128014]),
}

SPLIT_NUMBERS = r"\p{N}{1,3}"
SPLIT_R1 = [
    SPLIT_NUMBERS,
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
]
SPLIT_LLAMA = [
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"""
    r"""|\s+(?!\S)|\s+""",
]
SPLIT_QWEN = [SPLIT_LLAMA[0].replace(SPLIT_NUMBERS, r"\p{N}")]


def matrix(config, name, rows, columns, bias=False):
    if "quantization_config" in config and not name.endswith((".gate", "embed_tokens", "lm_head")):
        scales = [math.ceil(rows / 128), math.ceil(columns / 128)]
        tensors = [(f"{name}.weight", "F8_E4M3", [rows, columns]), (f"{name}.weight_scale_inv", "F32", scales)]
    else:
        tensors = [(f"{name}.weight", "BF16", [rows, columns])]
    return tensors + ([(f"{name}.bias", "BF16", [rows])] if bias else [])


def norm(name, width):
    return [(f"{name}.weight", "BF16", [width])]


def mlp(config, name, inner):
    hidden = config["hidden_size"]
    return (matrix(config, f"{name}.gate_proj", inner, hidden) + matrix(config, f"{name}.up_proj", inner, hidden) +
            matrix(config, f"{name}.down_proj", hidden, inner))


def latent_attention(config, name):
    hidden, heads, rank = config["hidden_size"], config["num_attention_heads"], config["kv_lora_rank"]
    nope, rope, value = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
    query_rank = config["q_lora_rank"]
    return (matrix(config, f"{name}.q_a_proj", query_rank, hidden) + norm(f"{name}.q_a_layernorm", query_rank) +
            matrix(config, f"{name}.q_b_proj", heads * (nope + rope), query_rank) +
            matrix(config, f"{name}.kv_a_proj_with_mqa", rank + rope, hidden) + norm(f"{name}.kv_a_layernorm", rank) +
            matrix(config, f"{name}.kv_b_proj", heads * (nope + value), rank) +
            matrix(config, f"{name}.o_proj", hidden, heads * value))


def grouped_attention(config, name):
    hidden, heads, groups = config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"]
    width, bias = hidden // heads, config["model_type"] == "qwen2"
    return (matrix(config, f"{name}.q_proj", heads * width, hidden, bias) +
            matrix(config, f"{name}.k_proj", groups * width, hidden, bias) +
            matrix(config, f"{name}.v_proj", groups * width, hidden, bias) +
            matrix(config, f"{name}.o_proj", hidden, heads * width))


def routed_mlp(config, name):
    inner, experts = config["moe_intermediate_size"], config["n_routed_experts"]
    tensors = matrix(config, f"{name}.gate", experts, config["hidden_size"])
    tensors.append((f"{name}.gate.e_score_correction_bias", "F32", [experts]))
    for expert in range(experts):
        tensors += mlp(config, f"{name}.experts.{expert}", inner)
    return tensors + mlp(config, f"{name}.shared_experts", inner * config["n_shared_experts"])


def model_tensors(config):
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    is_deepseek = config["model_type"] == "deepseek_v3"
    tensors = matrix(config, "model.embed_tokens", vocabulary, hidden)
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}"
        tensors += norm(f"{name}.input_layernorm", hidden)
        tensors += (latent_attention if is_deepseek else grouped_attention)(config, f"{name}.self_attn")
        tensors += norm(f"{name}.post_attention_layernorm", hidden)
        if is_deepseek and layer >= config["first_k_dense_replace"]:
            tensors += routed_mlp(config, f"{name}.mlp")
        else:
            tensors += mlp(config, f"{name}.mlp", config["intermediate_size"])
    return tensors + norm("model.norm", hidden) + matrix(config, "lm_head", vocabulary, hidden)


class RandomWeights:
    """Weights of standard deviation near 0.016, so that activations neither die nor explode. They are cut from a pool
    at random places: drawing billions of numbers one by one would take Python an hour."""

    POOL_ELEMENTS, CHUNK = 1 << 25, 1 << 22

    def __init__(self, seed, experts):
        self.experts = experts
        self.random = random.Random(seed)
        # The upper half of a bf16: its sign and all of its exponent but the last bit.
        exponents = [0x3C] * 76 + [0x3B] * 32 + [0x3A] * 14 + [0x39] * 6
        upper = bytes(exponents + [0x80 | exponent for exponent in exponents])
        pool = bytearray(2 * self.POOL_ELEMENTS)
        pool[0::2] = self.random.randbytes(self.POOL_ELEMENTS)
        pool[1::2] = self.random.randbytes(self.POOL_ELEMENTS).translate(upper)
        self.bf16 = memoryview(bytes(pool))
        # e4m3 from 0.25 to 3.75: the block scales bring it to the same size.
        values = [exponent << 3 | mantissa for exponent in (5, 6, 7, 7) for mantissa in range(8)] * 4
        values = bytes(values + [0x80 | value for value in values])
        self.e4m3 = memoryview(self.random.randbytes(self.POOL_ELEMENTS).translate(values))

    def write(self, file, tensor):
        name, dtype, shape = tensor
        expert = re.search(r"\.experts\.(\d+)\.", name)
        if expert and int(expert[1]) >= self.experts:
            file.truncate(file.tell() + size_of(dtype, shape))
            file.seek(0, os.SEEK_END)
        elif name.endswith("e_score_correction_bias") and self.experts < shape[0]:
            # Scores are at most one: whoever has the bias is chosen.
            file.write(array.array("f", (10.0 * (i < self.experts) for i in range(shape[0]))).tobytes())
        elif "norm" in name:
            file.write(b"\x80\x3f" * shape[0])  # ones
        elif dtype == "F32":
            low, high = (-0.05, 0.05) if name.endswith("bias") else (0.006, 0.012)
            file.write(array.array("f", (self.random.uniform(low, high) for _ in range(math.prod(shape)))).tobytes())
        else:
            pool, left = self.e4m3 if dtype == "F8_E4M3" else self.bf16, size_of(dtype, shape)
            while left > 0:
                size = min(left, self.CHUNK)
                begin = self.random.randrange(0, len(pool) - size + 1, 2)
                file.write(pool[begin:begin + size])
                left -= size


def byte_letters():
    """The letters that stand for the 256 bytes in a byte-level vocabulary."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def words():
    """Made-up words of two, three and four letters, each with the two parts that merge into it."""
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    parts = list(letters)
    while True:
        longer = []
        for part in parts:
            for letter in letters:
                yield part, letter
                longer.append(part + letter)
        parts = longer


def tokenizer_json(config, special):
    vocabulary, merges = {}, []
    names = dict(zip(special, [BOS, EOS, USER, ASSISTANT, "<think>", "</think>"]))
    free = [token for token in range(config["vocab_size"]) if token not in names]
    for letter in byte_letters():
        vocabulary[letter] = free[len(vocabulary)]
    for left, right in words():
        if len(vocabulary) == len(free):
            break
        vocabulary[left + right] = free[len(vocabulary)]
        merges.append(f"{left} {right}")
    # Added tokens that have words before and behind them must be in the vocabulary, too, to keep their places.
    vocabulary |= {name: token for token, name in names.items()}
    patterns = {"deepseek_v3": SPLIT_R1, "qwen2": SPLIT_QWEN, "llama": SPLIT_LLAMA}[config["model_type"]]
    splits = [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
              for pattern in patterns]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    added = [{"id": token, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": name in (BOS, EOS)} for token, name in sorted(names.items())]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "NFC"} if config["model_type"] == "qwen2" else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": splits + [byte_level]},
        "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": vocabulary, "merges": merges},
    }


CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}{{ '" + USER + "' + message['content'] }}"
    "{% else %}{{ '" + ASSISTANT + "' + message['content'].split('</think>')[-1] + '" + EOS + "' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '" + ASSISTANT + "<think>\\n' }}{% endif %}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES, metavar="SHAPE")
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--headers", action="store_true")
    parser.add_argument("--experts", type=int, default=1 << 30)
    arguments = parser.parse_args()

    config, parameters, special = SHAPES[arguments.shape]
    tensors = model_tensors(config)
    found = sum(math.prod(shape) for name, _, shape in tensors if not name.endswith("_scale_inv"))
    assert found == parameters, f"{arguments.shape}: expected {parameters} parameters, found {found}"
    write = None if arguments.headers else RandomWeights(arguments.seed, arguments.experts).write
    write_checkpoint(arguments.folder, split(tensors, SHARD_BYTES), write)

    def place(name):
        return os.path.join(arguments.folder, name)

    write_json(place("config.json"), config)
    write_json(place("generation_config.json"), {
        "_from_model_config": True, "bos_token_id": special[0], "do_sample": True, "eos_token_id": special[1],
        "temperature": 0.6, "top_p": 0.95})
    write_json(place("tokenizer.json"), tokenizer_json(config, special))
    write_json(place("tokenizer_config.json"), {
        "add_bos_token": True, "add_eos_token": False, "bos_token": BOS, "eos_token": EOS, "model_max_length": 16384,
        "tokenizer_class": "LlamaTokenizerFast", "chat_template": CHAT_TEMPLATE})


if __name__ == "__main__":
    main()
