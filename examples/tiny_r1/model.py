"""Tiny-R1 in PyTorch: the DeepSeek-V3 architecture, written for training on a CPU.

Module names follow the Hugging Face checkpoint, so that a state_dict is a checkpoint. The mathematics is that of
transformers' DeepseekV3ForCausalLM: multi-head latent attention with interleaved rotary pairs and YaRN, sigmoid routing
with a selection bias and group-limited top-k, a shared expert. Experts run on gathered tokens, so that a step costs
what the active parameters cost.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "ep_size": 1,
    "first_k_dense_replace": 1,
    "hidden_act": "silu",
    "hidden_size": 256,
    "initializer_range": 0.02,
    "intermediate_size": 640,
    "kv_lora_rank": 96,
    "max_position_embeddings": 512,
    "model_type": "deepseek_v3",
    "moe_intermediate_size": 64,
    "moe_layer_freq": 1,
    "n_group": 4,
    "n_routed_experts": 16,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 8,
    "num_experts_per_tok": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 8,
    "num_nextn_predict_layers": 0,
    "q_lora_rank": 160,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "quantization_config": {
        "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]},
    "rms_norm_eps": 1e-06,
    "rope_scaling": {
        "beta_fast": 32, "beta_slow": 1, "factor": 4, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 128, "type": "yarn"},
    "rope_theta": 10000,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "tie_word_embeddings": False,
    "topk_group": 2,
    "topk_method": "noaux_tc",
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "v_head_dim": 32,
    "vocab_size": 320,
}


def yarn_frequencies(config):
    """Inverse frequencies after YaRN (Peng et al. 2023, as in DeepSeek's own code)."""
    scaling, dim, base = config["rope_scaling"], config["qk_rope_head_dim"], config["rope_theta"]
    original = scaling["original_max_position_embeddings"]
    frequencies = base ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    correction = lambda turns: dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))
    low = max(math.floor(correction(scaling["beta_fast"])), 0)
    high = min(math.ceil(correction(scaling["beta_slow"])), dim - 1)
    ramp = ((torch.arange(dim // 2, dtype=torch.float64) - low) / max(high - low, 0.001)).clamp(0, 1)
    return (frequencies / scaling["factor"] * ramp + frequencies * (1 - ramp)).float()


def softmax_scale(config):
    scaling = config["rope_scaling"]
    mscale = 0.1 * scaling["mscale_all_dim"] * math.log(scaling["factor"]) + 1
    return (config["qk_nope_head_dim"] + config["qk_rope_head_dim"]) ** -0.5 * mscale * mscale


class RoundToFp8(torch.autograd.Function):
    """A weight as it is after storage in e4m3 with one scale per 128x128 block; the gradient passes straight through."""

    @staticmethod
    def forward(context, weight):
        quantized, scales = quantize_blocks(weight)
        return dequantize_blocks(quantized, scales)

    @staticmethod
    def backward(context, gradient):
        return gradient


def block_scales(scales, shape):
    return scales.repeat_interleave(128, 0)[: shape[0]].repeat_interleave(128, 1)[:, : shape[1]]


def quantize_blocks(weight):
    rows, columns = weight.shape
    padded = F.pad(weight, (0, -columns % 128, 0, -rows % 128))
    blocks = padded.view(padded.shape[0] // 128, 128, padded.shape[1] // 128, 128)
    scales = blocks.abs().amax((1, 3)).clamp_min(1e-8) / 448.0
    return (weight / block_scales(scales, weight.shape)).to(torch.float8_e4m3fn), scales


def dequantize_blocks(quantized, scales):
    return quantized.float() * block_scales(scales, quantized.shape)


class Linear(nn.Module):
    """A projection that is stored in FP8; `quantize` makes the forward pass see the stored weight."""

    quantize = False

    def __init__(self, inputs, outputs, std):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * std)

    def forward(self, x):
        return F.linear(x, RoundToFp8.apply(self.weight) if Linear.quantize else self.weight)


class Norm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(size)), epsilon

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.rank = config["num_attention_heads"], config["kv_lora_rank"]
        self.nope, self.rope, self.value = (config[k] for k in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
        hidden, std, epsilon = config["hidden_size"], config["initializer_range"], config["rms_norm_eps"]
        output_std = std / math.sqrt(2 * config["num_hidden_layers"])
        self.q_a_proj = Linear(hidden, config["q_lora_rank"], std * 2)
        self.q_a_layernorm = Norm(config["q_lora_rank"], epsilon)
        self.q_b_proj = Linear(config["q_lora_rank"], self.heads * (self.nope + self.rope), std * 2)
        self.kv_a_proj_with_mqa = Linear(hidden, self.rank + self.rope, std * 2)
        self.kv_a_layernorm = Norm(self.rank, epsilon)
        self.kv_b_proj = Linear(self.rank, self.heads * (self.nope + self.value), std * 2)
        self.o_proj = Linear(self.heads * self.value, hidden, output_std * 2)
        self.scale = softmax_scale(config)

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x)))
        q = q.view(batch, length, self.heads, self.nope + self.rope).transpose(1, 2)
        latent, k_rope = self.kv_a_proj_with_mqa(x).split([self.rank, self.rope], -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent))
        k_nope, v = kv.view(batch, length, self.heads, -1).transpose(1, 2).split([self.nope, self.value], -1)
        q = torch.cat([q[..., : self.nope], rotate(q[..., self.nope :], cos, sin)], -1)
        k_rope = rotate(k_rope.unsqueeze(1), cos, sin).expand(-1, self.heads, -1, -1)
        out = F.scaled_dot_product_attention(q, torch.cat([k_nope, k_rope], -1), v, is_causal=True, scale=self.scale)
        return self.o_proj(out.transpose(1, 2).reshape(batch, length, -1))


def rotate(x, cos, sin):
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


class Mlp(nn.Module):
    def __init__(self, config, intermediate):
        super().__init__()
        hidden, std = config["hidden_size"], config["initializer_range"] * 2
        self.gate_proj = Linear(hidden, intermediate, std)
        self.up_proj = Linear(hidden, intermediate, std)
        self.down_proj = Linear(intermediate, hidden, std / math.sqrt(2 * config["num_hidden_layers"]))

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Router(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.randn(config["n_routed_experts"], config["hidden_size"]) * 0.02)
        self.register_buffer("e_score_correction_bias", torch.zeros(config["n_routed_experts"]))
        self.load = None  # tokens an expert got in the last step, for the balancing of the bias

    def forward(self, x):
        config = self.config
        scores = F.linear(x, self.weight).sigmoid()
        biased = (scores + self.e_score_correction_bias).detach()
        groups = biased.view(len(x), config["n_group"], -1)
        best = groups.topk(2, -1).values.sum(-1).topk(config["topk_group"], -1).indices
        keep = torch.zeros(groups.shape[:2], dtype=torch.bool).scatter_(1, best, True)
        biased = groups.masked_fill(~keep.unsqueeze(-1), -math.inf).flatten(1)
        experts = biased.topk(config["num_experts_per_tok"], -1).indices
        weights = scores.gather(1, experts)
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20) * config["routed_scaling_factor"]
        self.load = torch.bincount(experts.flatten(), minlength=config["n_routed_experts"])
        return experts, weights


class Experts(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate = Router(config)
        self.experts = nn.ModuleList(
            Mlp(config, config["moe_intermediate_size"]) for _ in range(config["n_routed_experts"]))
        self.shared_experts = Mlp(config, config["moe_intermediate_size"] * config["n_shared_experts"])

    def forward(self, x):
        tokens = x.flatten(0, 1)
        experts, weights = self.gate(tokens)
        order = experts.flatten().argsort(stable=True)
        owners = order // experts.shape[1]
        outputs = [expert(part) for expert, part in
                   zip(self.experts, tokens[owners].split(self.gate.load.tolist()), strict=True)]
        scaled = torch.cat(outputs) * weights.flatten()[order].unsqueeze(-1)
        routed = torch.zeros_like(tokens).index_add(0, owners, scaled)
        return (routed + self.shared_experts(tokens)).view_as(x)

    @torch.no_grad()
    def balance(self, speed):
        """Auxiliary-loss-free balancing (DeepSeek-V3, section 2.1.2): nudge the bias of over- and underloaded experts."""
        load = self.gate.load.float()
        self.gate.e_score_correction_bias += speed * (load.mean() - load).sign()


class Layer(nn.Module):
    def __init__(self, config, index):
        super().__init__()
        hidden, epsilon = config["hidden_size"], config["rms_norm_eps"]
        self.self_attn = Attention(config)
        dense = index < config["first_k_dense_replace"]
        self.mlp = Mlp(config, config["intermediate_size"]) if dense else Experts(config)
        self.input_layernorm = Norm(hidden, epsilon)
        self.post_attention_layernorm = Norm(hidden, epsilon)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class TinyR1(nn.Module):
    def __init__(self, config=CONFIG):
        super().__init__()
        self.config = config
        hidden, vocabulary = config["hidden_size"], config["vocab_size"]
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(vocabulary, hidden)
        nn.init.normal_(self.model.embed_tokens.weight, std=0.05)
        self.model.layers = nn.ModuleList(Layer(config, i) for i in range(config["num_hidden_layers"]))
        self.model.norm = Norm(hidden, config["rms_norm_eps"])
        self.lm_head = nn.Linear(hidden, vocabulary, bias=False)
        nn.init.normal_(self.lm_head.weight, std=0.02)
        self.register_buffer("frequencies", yarn_frequencies(config), persistent=False)

    def forward(self, ids):
        angles = torch.arange(ids.shape[1]).float()[:, None] * self.frequencies
        cos, sin = angles.cos(), angles.sin()
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return self.lm_head(self.model.norm(x))
