#!/usr/bin/env python3
"""Makes the goldens: small random checkpoints of every architecture and variant that the importer accepts, with the
logits that Hugging Face transformers computes from them. Needs torch, transformers, safetensors and numpy; tests read
only what it wrote.

    make_goldens.py [NAME ...]     (without names: all)

A golden is a folder: config.json, model*.safetensors (an index where there are shards), tokens.txt (comma-separated
ids), logits.npy ([tokens, vocabulary], float32). The reference runs in float64 on the stored weights: bf16, f16 and FP8
weights are widened first, so that a difference is the compiler's arithmetic and not this file's. (transformers takes
norms, router and softmax down to float32 even so.) Sizes are deliberately no multiples of vector widths or of pages.

Two things transformers' DeepseekV3 cannot do and R1's own code can: softmax scoring and the group choices of V2
(`greedy`, `group_limited_greedy`). `route` below is that router; it replaces transformers' one in those goldens.
"""

import json
import pathlib
import shutil
import sys

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, \
    Qwen2ForCausalLM
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter

HERE = pathlib.Path(__file__).parent / "goldens"
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
BLOCK = 128

DEEPSEEK = {
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "attention_bias": False,
    "bos_token_id": 0, "eos_token_id": 1, "hidden_act": "silu", "hidden_size": 40, "intermediate_size": 52,
    "moe_intermediate_size": 14, "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 3,
    "q_lora_rank": 28, "kv_lora_rank": 20, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8, "v_head_dim": 14,
    "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_routed_experts": 6, "n_shared_experts": 1,
    "num_experts_per_tok": 3, "n_group": 3, "topk_group": 2, "topk_method": "noaux_tc", "scoring_func": "sigmoid",
    "norm_topk_prob": True, "routed_scaling_factor": 2.5, "max_position_embeddings": 256, "num_nextn_predict_layers": 0,
    "rms_norm_eps": 1e-6, "rope_theta": 10000, "rope_scaling": None, "tie_word_embeddings": False, "vocab_size": 67,
}
YARN = {"type": "yarn", "factor": 8, "original_max_position_embeddings": 32, "beta_fast": 32, "beta_slow": 1,
        "mscale": 1.0, "mscale_all_dim": 0.7}
QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "bos_token_id": 0, "eos_token_id": 1,
    "hidden_act": "silu", "hidden_size": 50, "intermediate_size": 66, "num_hidden_layers": 2,
    "num_attention_heads": 5, "num_key_value_heads": 1, "max_position_embeddings": 256, "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0, "tie_word_embeddings": False, "use_sliding_window": False, "vocab_size": 71,
}
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "mlp_bias": False,
    "bos_token_id": 0, "eos_token_id": [1, 2], "hidden_act": "silu", "hidden_size": 40, "intermediate_size": 68,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": False, "vocab_size": 67,
}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 64, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0}
# Wide enough that a matrix has whole and partial blocks in both directions.
FP8 = {"hidden_size": 144, "intermediate_size": 136, "moe_intermediate_size": 12, "q_lora_rank": 24, "vocab_size": 53,
       "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                               "weight_block_size": [BLOCK, BLOCK]}}

# name: (base, changes to it, how to write it)
GOLDENS = {
    "deepseek_v3_f32": (DEEPSEEK, {}, {}),
    "deepseek_v3_bf16": (DEEPSEEK, {}, {"type": "bf16"}),
    "deepseek_v3_f16": (DEEPSEEK, {}, {"type": "f16"}),
    "deepseek_v3_fp8": (DEEPSEEK, FP8, {"type": "fp8"}),
    "deepseek_v3_fp8_sharded": (DEEPSEEK, {**FP8, "n_routed_experts": 4, "n_group": 2, "topk_group": 2},
                                {"type": "fp8", "shards": 3}),
    "deepseek_v3_direct_query": (DEEPSEEK, {"q_lora_rank": None}, {"type": "bf16"}),
    "deepseek_v3_no_groups": (DEEPSEEK, {"n_group": 1, "topk_group": 1, "n_routed_experts": 7,
                                         "num_experts_per_tok": 2}, {"type": "bf16"}),
    "deepseek_v3_raw_weights": (DEEPSEEK, {"norm_topk_prob": False, "routed_scaling_factor": 1.5,
                                           "n_shared_experts": 2}, {"type": "bf16"}),
    "deepseek_v3_softmax": (DEEPSEEK, {"scoring_func": "softmax", "topk_method": "group_limited_greedy",
                                       "norm_topk_prob": False, "routed_scaling_factor": 4.0}, {"type": "bf16"}),
    # What ONNX Runtime's MoE computes.
    "deepseek_v3_f32_softmax": (DEEPSEEK, {"scoring_func": "softmax", "topk_method": "greedy",
                                           "routed_scaling_factor": 1.0}, {}),
    "deepseek_v3_softmax_greedy": (DEEPSEEK, {"scoring_func": "softmax", "topk_method": "greedy"}, {"type": "bf16"}),
    "deepseek_v3_all_moe": (DEEPSEEK, {"first_k_dense_replace": 0}, {"type": "bf16"}),
    "deepseek_v3_all_dense": (DEEPSEEK, {"first_k_dense_replace": 2}, {"type": "bf16"}),
    "deepseek_v3_yarn": (DEEPSEEK, {"rope_scaling": YARN}, {"type": "bf16", "tokens": 150}),
    "deepseek_v3_half_rope": (DEEPSEEK, {"rope_interleave": False}, {"type": "bf16"}),
    "deepseek_v3_fused_experts": (DEEPSEEK, {}, {"type": "bf16", "fused": True}),
    "qwen2_f32": (QWEN2, {}, {}),
    "qwen2_bf16": (QWEN2, {}, {"type": "bf16", "shards": 2}),
    "qwen2_tied": (QWEN2, {"tie_word_embeddings": True, "num_key_value_heads": 5}, {"type": "bf16"}),
    "qwen2_yarn": (QWEN2, {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}},
                   {"type": "bf16", "tokens": 120}),
    # Heads of 16 elements: ONNX Runtime's GroupQueryAttention takes multiples of 8.
    "qwen2_heads_of_16": (QWEN2, {"hidden_size": 80}, {}),
    "llama_heads_of_16": (LLAMA, {"hidden_size": 64, "num_key_value_heads": 2, "rope_scaling": LLAMA3}, {"tokens": 100}),
    "llama_f32": (LLAMA, {}, {}),
    "llama_llama3_rope": (LLAMA, {"rope_scaling": LLAMA3, "num_key_value_heads": 2, "tie_word_embeddings": True},
                          {"type": "bf16", "tokens": 140}),
    "llama_biases": (LLAMA, {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 1},
                     {"type": "bf16"}),
    "llama_wide_heads": (LLAMA, {"head_dim": 22, "num_key_value_heads": 2,
                                 "rope_scaling": {"type": "linear", "factor": 2.5}}, {"type": "f16"}),
}


def route(self, hidden):
    """DeepSeek's own gate (deepseek-ai/DeepSeek-V3, inference/model.py) for softmax scores and V2's group choice."""
    config, hidden = self.config, hidden.view(-1, self.hidden_dim)
    logits = F.linear(hidden.double(), self.weight.double())
    scores = logits.softmax(-1) if config.scoring_func == "softmax" else logits.sigmoid()
    choice = scores
    if config.topk_method == "group_limited_greedy":
        groups = scores.unflatten(-1, (config.n_group, -1))
        best = groups.amax(-1).topk(config.topk_group, -1).indices
        keep = torch.zeros(groups.shape[:2], dtype=torch.bool).scatter_(1, best, True)
        choice = groups.masked_fill(~keep.unsqueeze(-1), -torch.inf).flatten(1)
    experts = choice.topk(config.num_experts_per_tok, -1).indices
    weights = scores.gather(1, experts)
    if config.norm_topk_prob:
        weights = weights / weights.sum(-1, keepdim=True)
    return logits, weights * config.routed_scaling_factor, experts


def reference(config):
    values = {k: v for k, v in config.items() if k not in ("architectures", "quantization_config")}
    kind = {"deepseek_v3": (DeepseekV3Config, DeepseekV3ForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM),
            "llama": (LlamaConfig, LlamaForCausalLM)}[config["model_type"]]
    model = kind[1](kind[0](**values, attn_implementation="eager", experts_implementation="eager")).double().eval()
    for module in model.modules():
        if isinstance(module, DeepseekV3TopkRouter) and (
                config["scoring_func"] != "sigmoid" or config["topk_method"] != "noaux_tc"):
            module.config = model.config
            module.forward = route.__get__(module)
    return model


def fill(model, generator):
    """Weights of the size that trained ones have: logits of order one, routing that differs from token to token."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if name.endswith("e_score_correction_bias"):
            tensor.data.copy_(0.1 * noise)
        elif name.endswith("inv_freq"):
            continue
        elif "norm" in name:
            tensor.data.copy_(1 + 0.2 * noise)
        elif name.endswith("bias"):
            tensor.data.copy_(0.3 * noise)
        elif "embed_tokens" in name:
            tensor.data.copy_(noise * (0.2 if model.config.tie_word_embeddings else 1))
        else:
            tensor.data.copy_(noise * 1.5 / tensor.shape[-1] ** 0.5)


def quantize(weight):
    rows, columns = weight.shape
    padded = F.pad(weight.float(), (0, -columns % BLOCK, 0, -rows % BLOCK))
    scales = padded.unflatten(1, (-1, BLOCK)).unflatten(0, (-1, BLOCK)).abs().amax((1, 3)) / 448
    wide = scales.repeat_interleave(BLOCK, 0)[:rows].repeat_interleave(BLOCK, 1)[:, :columns]
    values = (weight.float() / wide).to(torch.float8_e4m3fn)
    return values, scales, values.double() * wide.double()


def store(model, config, how):
    """The checkpoint's tensors; the model's weights become what those tensors say."""
    tensors, kind = {}, how.get("type", "f32")
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if name.endswith("inv_freq") or (name == "lm_head.weight" and config["tie_word_embeddings"]):
            continue
        plain = TYPES["bf16" if kind == "fp8" else kind]
        if name.endswith("e_score_correction_bias"):
            if config["topk_method"] != "noaux_tc":
                continue
            plain = torch.float32

        def put(name, part):
            projection = kind == "fp8" and "_proj" in name
            if projection:
                values, scales, exact = quantize(part)
                tensors[name], tensors[f"{name}_scale_inv"] = values, scales
            else:
                tensors[name] = part.to(plain)
                exact = tensors[name].double()
            part.copy_(exact)

        with torch.no_grad():
            if ".experts.gate_up_proj" in name and not how.get("fused"):
                for expert, (gate, up) in enumerate(part.chunk(2) for part in tensor):
                    put(name.replace("gate_up_proj", f"{expert}.gate_proj.weight"), gate)
                    put(name.replace("gate_up_proj", f"{expert}.up_proj.weight"), up)
            elif ".experts.down_proj" in name and not how.get("fused"):
                for expert, part in enumerate(tensor):
                    put(name.replace("down_proj", f"{expert}.down_proj.weight"), part)
            else:
                put(name, tensor.data)
    return {name: tensors[name].contiguous() for name in sorted(tensors)}


def write(folder, config, tensors, shards):
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    # Dealt out in turn: a projection's scales then mostly lie in another shard than its values.
    where = {name: f"model-{i % shards + 1:05d}-of-{shards:05d}.safetensors" for i, name in enumerate(tensors)}
    for file in sorted(set(where.values())):
        save_file({n: t for n, t in tensors.items() if where[n] == file}, folder / file, metadata={"format": "pt"})
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": size}, "weight_map": where}, indent=1) + "\n")


def make(name):
    base, changes, how = GOLDENS[name]
    dtype = {"f32": "float32", "f16": "float16"}.get(how.get("type", "f32"), "bfloat16")
    config = {**base, **changes, "torch_dtype": dtype}
    generator = torch.Generator().manual_seed(sum(name.encode()))
    model = reference(config)
    fill(model, generator)
    tensors = store(model, config, how)
    tokens = torch.randint(0, config["vocab_size"], (how.get("tokens", 45),), generator=generator)
    with torch.no_grad():
        logits = model(tokens[None]).logits[0]
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write(folder, config, tensors, how.get("shards", 1))
    (folder / "tokens.txt").write_text(",".join(map(str, tokens.tolist())) + "\n")
    numpy.save(folder / "logits.npy", logits.float().numpy())
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name:28} {size / 1024:6.0f} KiB, logits of {float(logits.std()):.2f} standard deviation", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in sys.argv[1:] or GOLDENS:
        make(chosen)
