#!/usr/bin/env python3
"""Writes a small DeepSeek-V3 model with random weights and Tiny-R1's tokenizer: make_random_model.py FOLDER [TYPE] [SEED]

TYPE is what the matrices are stored in: f32, bf16 or f8 (128x128 blocks with scales, as R1 is stored). The same arguments
write the same bytes. What the model says is nonsense, but it says it the way a real one does.
"""

import array
import json
import math
import pathlib
import random
import shutil
import struct
import sys

TOKENIZER = pathlib.Path(__file__).parents[2] / "examples/tiny_r1/model"
CONFIG = {
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "attention_bias": False,
    "bos_token_id": 0, "eos_token_id": 1, "hidden_act": "silu", "hidden_size": 192, "intermediate_size": 256,
    "moe_intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4,
    "q_lora_rank": 96, "kv_lora_rank": 64, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 32,
    "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_routed_experts": 8, "n_shared_experts": 1,
    "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2, "topk_method": "noaux_tc", "scoring_func": "sigmoid",
    "norm_topk_prob": True, "routed_scaling_factor": 2.5, "max_position_embeddings": 512, "num_nextn_predict_layers": 0,
    "rms_norm_eps": 1e-6, "rope_theta": 10000, "tie_word_embeddings": False, "vocab_size": 304,
    "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 128, "beta_fast": 32,
                     "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0},
}


def shapes(config):
    """Every tensor's name and shape, and whether R1 stores it in FP8."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    nope, rope, value = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
    query, latent = config["q_lora_rank"], config["kv_lora_rank"]
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden), False
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", (hidden,), False
        yield prefix + "post_attention_layernorm.weight", (hidden,), False
        attention = prefix + "self_attn."
        yield attention + "q_a_proj.weight", (query, hidden), True
        yield attention + "q_a_layernorm.weight", (query,), False
        yield attention + "q_b_proj.weight", (heads * (nope + rope), query), True
        yield attention + "kv_a_proj_with_mqa.weight", (latent + rope, hidden), True
        yield attention + "kv_a_layernorm.weight", (latent,), False
        yield attention + "kv_b_proj.weight", (heads * (nope + value), latent), True
        yield attention + "o_proj.weight", (hidden, heads * value), True
        mlps = [(prefix + "mlp.", config["intermediate_size"])]
        if layer >= config["first_k_dense_replace"]:
            yield prefix + "mlp.gate.weight", (config["n_routed_experts"], hidden), False
            yield prefix + "mlp.gate.e_score_correction_bias", (config["n_routed_experts"],), False
            width = config["moe_intermediate_size"]
            mlps = [(f"{prefix}mlp.experts.{expert}.", width) for expert in range(config["n_routed_experts"])]
            mlps.append((prefix + "mlp.shared_experts.", width * config["n_shared_experts"]))
        for mlp, width in mlps:
            yield mlp + "gate_proj.weight", (width, hidden), True
            yield mlp + "up_proj.weight", (width, hidden), True
            yield mlp + "down_proj.weight", (hidden, width), True
    yield "model.norm.weight", (hidden,), False
    yield "lm_head.weight", (config["vocab_size"], hidden), False


def floats(values):
    return array.array("f", values).tobytes()


def bf16(values):
    raw = array.array("H", floats(values))
    return raw[1::2].tobytes()  # little-endian: the upper half is behind the lower


def tensors(config, kind, seed):
    """(name, dtype, shape, bytes) of everything that the checkpoint holds."""
    source = random.Random(seed)
    for name, shape, is_matrix in shapes(config):
        count = math.prod(shape)
        if len(shape) == 1:
            center = 0.0 if name.endswith("bias") else 1.0
            yield name, "F32", shape, floats(source.gauss(center, 0.1) for _ in range(count))
        elif kind == "f8" and is_matrix:
            # Magnitudes from 1/8 to 2, either sign: exponents 4 to 8 of e4m3.
            data = bytes(source.randrange(0x20, 0x40) | source.randrange(2) << 7 for _ in range(count))
            blocks = tuple((size + 127) // 128 for size in shape)
            scale = 1.0 / math.sqrt(shape[1])
            yield name, "F8_E4M3", shape, data
            yield name + "_scale_inv", "F32", blocks, floats(
                scale * source.uniform(0.5, 1.5) for _ in range(math.prod(blocks)))
        else:
            values = (source.gauss(0, 1 / math.sqrt(shape[1])) for _ in range(count))
            yield (name, "F32", shape, floats(values)) if kind == "f32" else (name, "BF16", shape, bf16(values))


def main():
    folder = pathlib.Path(sys.argv[1])
    kind = sys.argv[2] if len(sys.argv) > 2 else "bf16"
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    config = dict(CONFIG)
    if kind == "f8":
        config["quantization_config"] = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                         "weight_block_size": [128, 128]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    header, data, offset = {}, [], 0
    for name, dtype, shape, content in tensors(config, kind, seed):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(content)]}
        data.append(content)
        offset += len(content)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(data)
    for name in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]:
        shutil.copyfile(TOKENIZER / name, folder / name)


if __name__ == "__main__":
    main()
