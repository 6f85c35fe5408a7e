#!/usr/bin/env python3
"""Writes DeepSeek-R1 without its weights: the real config.json, and 163 shards whose headers name all 91,991 tensors
with their types and shapes. The shards have their sizes, 641 GiB in all, but their bodies are holes that take no space.

    make_r1_headers.py FOLDER

How the tensors are spread over the shards is this script's; everything else is as in the published checkpoint.
"""
import math
import os
import sys

from checkpoint_files import size_of, split_into, write_checkpoint, write_json

CONFIG = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "auto_map": {
        "AutoConfig": "configuration_deepseek.DeepseekV3Config",
        "AutoModel": "modeling_deepseek.DeepseekV3Model",
        "AutoModelForCausalLM": "modeling_deepseek.DeepseekV3ForCausalLM",
    },
    "bos_token_id": 0,
    "eos_token_id": 1,
    "ep_size": 1,
    "first_k_dense_replace": 3,
    "hidden_act": "silu",
    "hidden_size": 7168,
    "initializer_range": 0.02,
    "intermediate_size": 18432,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163840,
    "model_type": "deepseek_v3",
    "moe_intermediate_size": 2048,
    "moe_layer_freq": 1,
    "n_group": 8,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "num_nextn_predict_layers": 1,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "quantization_config": {
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
    },
    "rms_norm_eps": 1e-06,
    "rope_scaling": {
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": 40,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096,
        "type": "yarn",
    },
    "rope_theta": 10000,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "tie_word_embeddings": False,
    "topk_group": 4,
    "topk_method": "noaux_tc",
    "torch_dtype": "bfloat16",
    "transformers_version": "4.46.3",
    "use_cache": True,
    "v_head_dim": 128,
    "vocab_size": 129280,
}
GENERATION_CONFIG = {
    "_from_model_config": True,
    "bos_token_id": 0,
    "do_sample": True,
    "eos_token_id": 1,
    "temperature": 0.6,
    "top_p": 0.95,
    "transformers_version": "4.39.3",
}
HIDDEN, VOCABULARY, BLOCK = 7168, 129280, 128


def fp8(name, rows, columns):
    scales = [math.ceil(rows / BLOCK), math.ceil(columns / BLOCK)]
    return [(f"{name}.weight", "F8_E4M3", [rows, columns]), (f"{name}.weight_scale_inv", "F32", scales)]


def bf16(name, *shape):
    return [(f"{name}.weight", "BF16", list(shape))]


def mlp(name, inner):
    return (fp8(f"{name}.gate_proj", inner, HIDDEN) + fp8(f"{name}.up_proj", inner, HIDDEN) +
            fp8(f"{name}.down_proj", HIDDEN, inner))


def layer(number):
    name = f"model.layers.{number}"
    attention = f"{name}.self_attn"
    tensors = (bf16(f"{name}.input_layernorm", HIDDEN) + fp8(f"{attention}.q_a_proj", 1536, HIDDEN) +
               bf16(f"{attention}.q_a_layernorm", 1536) + fp8(f"{attention}.q_b_proj", 128 * 192, 1536) +
               fp8(f"{attention}.kv_a_proj_with_mqa", 512 + 64, HIDDEN) + bf16(f"{attention}.kv_a_layernorm", 512) +
               fp8(f"{attention}.kv_b_proj", 128 * 256, 512) + fp8(f"{attention}.o_proj", HIDDEN, 128 * 128) +
               bf16(f"{name}.post_attention_layernorm", HIDDEN))
    if number < 3:
        return tensors + mlp(f"{name}.mlp", 18432)
    tensors += bf16(f"{name}.mlp.gate", 256, HIDDEN)
    tensors.append((f"{name}.mlp.gate.e_score_correction_bias", "F32", [256]))
    for expert in range(256):
        tensors += mlp(f"{name}.mlp.experts.{expert}", 2048)
    return tensors + mlp(f"{name}.mlp.shared_experts", 2048)


def r1_tensors():
    tensors = bf16("model.embed_tokens", VOCABULARY, HIDDEN)
    for number in range(61):
        tensors += layer(number)
    tensors += bf16("model.norm", HIDDEN) + bf16("lm_head", VOCABULARY, HIDDEN)
    # The multi-token prediction layer, with its copies of the embedding and the head.
    name = "model.layers.61"
    return (tensors + bf16(f"{name}.embed_tokens", VOCABULARY, HIDDEN) + bf16(f"{name}.enorm", HIDDEN) +
            bf16(f"{name}.hnorm", HIDDEN) + bf16(f"{name}.eh_proj", HIDDEN, 2 * HIDDEN) + layer(61) +
            bf16(f"{name}.shared_head.norm", HIDDEN) + bf16(f"{name}.shared_head.head", VOCABULARY, HIDDEN))


def check_totals(tensors):
    """The published checkpoint's own totals: this script has forgotten nothing."""
    def elements(which):
        return sum(math.prod(shape) for name, dtype, shape in tensors if which(name, dtype))

    totals = {
        "tensors": (len(tensors), 91_991),
        "fp8": (elements(lambda name, dtype: dtype == "F8_E4M3"), 680_571_043_840),
        "scales": (elements(lambda name, dtype: name.endswith("_scale_inv")), 41_540_496),
        "bf16": (elements(lambda name, dtype: dtype == "BF16"), 3_918_786_560),
        "bias": (elements(lambda name, dtype: name.endswith("e_score_correction_bias")), 15_104),
        "bytes": (sum(size_of(dtype, shape) for _, dtype, shape in tensors), 688_574_839_360),
    }
    for what, (found, expected) in totals.items():
        if found != expected:
            sys.exit(f"make_r1_headers.py: {what}: expected {expected}, found {found}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    tensors = r1_tensors()
    check_totals(tensors)
    write_checkpoint(folder, split_into(tensors, 163))
    write_json(os.path.join(folder, "config.json"), CONFIG)
    write_json(os.path.join(folder, "generation_config.json"), GENERATION_CONFIG)


if __name__ == "__main__":
    main()
