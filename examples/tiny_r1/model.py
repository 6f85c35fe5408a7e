"""Tiny-R1 in PyTorch: the DeepSeek-V3 architecture, written for training on a CPU.

Module names follow the Hugging Face checkpoint, so that a state_dict is a checkpoint. The mathematics is that of
transformers' DeepseekV3ForCausalLM: multi-head latent attention with interleaved rotary pairs and YaRN, sigmoid routing
with a selection bias and group-limited top-k, a shared expert.

Two things make a step fast. Every token passes every expert, and the router's weights, zero for those it did not
choose, scale what comes out: sixteen experts of this size are one large matrix product, which costs less than gathering
tokens. And all but the attention itself works on a flat list of tokens, so that the compiler sees one shape whatever the
length of the rows.
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


def quantize_blocks(weight):
    """e4m3 values and one scale per 128x128 block of the last two dimensions."""
    rows, columns = weight.shape[-2:]
    padded = F.pad(weight, (0, -columns % 128, 0, -rows % 128))
    blocks = padded.unflatten(-1, (-1, 128)).unflatten(-3, (-1, 128))
    scales = blocks.abs().amax((-3, -1)).clamp_min(1e-8) / 448.0
    return (weight / block_scales(scales, weight.shape)).to(torch.float8_e4m3fn), scales


def block_scales(scales, shape):
    return scales.repeat_interleave(128, -2)[..., : shape[-2], :].repeat_interleave(128, -1)[..., : shape[-1]]


def dequantize_blocks(quantized, scales):
    return quantized.float() * block_scales(scales, quantized.shape)


def linear(x, weight):
    return F.linear(x.to(TinyR1.compute), weight.to(TinyR1.compute))


def normal(*shape, std):
    return nn.Parameter(torch.randn(*shape) * std)


class Norm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(size)), epsilon

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.rank = config["num_attention_heads"], config["kv_lora_rank"]
        self.nope, self.rope, self.value = (config[k] for k in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
        hidden, q_rank, epsilon = config["hidden_size"], config["q_lora_rank"], config["rms_norm_eps"]
        std = 2 * config["initializer_range"]
        self.q_a_proj = normal(q_rank, hidden, std=std)
        self.q_a_layernorm = Norm(q_rank, epsilon)
        self.q_b_proj = normal(self.heads * (self.nope + self.rope), q_rank, std=std)
        self.kv_a_proj_with_mqa = normal(self.rank + self.rope, hidden, std=std)
        self.kv_a_layernorm = Norm(self.rank, epsilon)
        self.kv_b_proj = normal(self.heads * (self.nope + self.value), self.rank, std=std)
        self.o_proj = normal(hidden, self.heads * self.value, std=std / math.sqrt(2 * config["num_hidden_layers"]))
        self.scale = softmax_scale(config)

    def project(self, x, cos, sin):
        """Queries (with the scale of the scores), keys and values, [tokens, heads, size] each."""
        tokens = x.shape[0]
        q = linear(self.q_a_layernorm(linear(x, self.q_a_proj)), self.q_b_proj)
        q_nope, q_rope = q.view(tokens, self.heads, -1).split([self.nope, self.rope], -1)
        latent, k_rope = linear(x, self.kv_a_proj_with_mqa).split([self.rank, self.rope], -1)
        kv = linear(self.kv_a_layernorm(latent), self.kv_b_proj)
        k_nope, v = kv.view(tokens, self.heads, -1).split([self.nope, self.value], -1)
        k_rope = rotate(k_rope.unsqueeze(1), cos, sin).expand(-1, self.heads, -1)
        return (torch.cat([q_nope, rotate(q_rope, cos, sin)], -1) * self.scale, torch.cat([k_nope, k_rope], -1), v)

    def attend(self, q, k, v, rows):
        length = q.shape[0] // rows
        # The scores of short rows are small: writing them out costs a tenth of a fused kernel's backward pass on a CPU.
        q, k, v = (t.unflatten(0, (rows, length)).transpose(1, 2).flatten(0, 1) for t in (q, k, v))
        future = torch.full((length, length), -math.inf, dtype=q.dtype).triu(1)
        out = torch.baddbmm(future.expand(len(q), -1, -1), q, k.transpose(1, 2)).softmax(-1) @ v
        return out.unflatten(0, (rows, self.heads)).transpose(1, 2).flatten(0, 1).flatten(1)


def rotate(x, cos, sin):
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2).to(x.dtype)


class Mlp(nn.Module):
    """SwiGLU; with several experts their weights lie stacked, the shared one last."""

    def __init__(self, config, intermediate, experts=1):
        super().__init__()
        hidden, std = config["hidden_size"], 2 * config["initializer_range"]
        self.gate_up = normal(experts, 2, intermediate, hidden, std=std)
        self.down = normal(experts, hidden, intermediate, std=std / math.sqrt(2 * config["num_hidden_layers"]))

    def forward(self, x, weights=None):
        gate, up = linear(x, self.gate_up.flatten(0, 2)).unflatten(-1, self.gate_up.shape[:3]).unbind(-2)
        inner = F.silu(gate.float()) * up.float()
        if weights is not None:
            inner = inner * weights.unsqueeze(-1)
        return linear(inner.flatten(1), self.down.transpose(0, 1).flatten(1))


def largest(values, count):
    """Marks the `count` largest along the last dimension; of equal ones the first win."""
    mine, other = values.unsqueeze(-1), values.unsqueeze(-2)
    index = torch.arange(values.shape[-1])
    ahead = (other > mine) | ((other == mine) & (index < index.unsqueeze(-1)))
    return ahead.sum(-1) < count


class Router(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.groups, self.kept_groups = config["n_group"], config["topk_group"]
        self.chosen, self.scaling = config["num_experts_per_tok"], config["routed_scaling_factor"]
        self.weight = normal(config["n_routed_experts"], config["hidden_size"], std=config["initializer_range"])
        self.register_buffer("e_score_correction_bias", torch.zeros(config["n_routed_experts"]))

    def forward(self, x):
        """The weight of every expert for every token, zero for those not chosen, and the number of tokens of each."""
        scores = F.linear(x, self.weight).sigmoid()
        biased = (scores + self.e_score_correction_bias).detach().unflatten(-1, (self.groups, -1))
        best = (biased * largest(biased, 2)).sum(-1)
        biased = biased.masked_fill(~largest(best, self.kept_groups).unsqueeze(-1), -math.inf).flatten(1)
        mask = largest(biased, self.chosen)
        weights = scores * mask
        return weights / (weights.sum(-1, keepdim=True) + 1e-20) * self.scaling, mask.sum(0)


class Experts(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate = Router(config)
        self.experts = Mlp(config, config["moe_intermediate_size"], config["n_routed_experts"] + 1)

    def forward(self, x):
        weights, load = self.gate(x)
        return self.experts(x, torch.cat([weights, torch.ones_like(weights[:, :1])], -1)), load

    @torch.no_grad()
    def balance(self, load, speed):
        """Auxiliary-loss-free balancing (DeepSeek-V3, section 2.1.2): nudges the bias of over- and underloaded ones."""
        load = load.float()
        self.gate.e_score_correction_bias += speed * (load.mean() - load).sign()


class Layer(nn.Module):
    def __init__(self, config, index):
        super().__init__()
        hidden, epsilon = config["hidden_size"], config["rms_norm_eps"]
        self.self_attn = Attention(config)
        self.dense = index < config["first_k_dense_replace"]
        self.mlp = Mlp(config, config["intermediate_size"]) if self.dense else Experts(config)
        self.input_layernorm = Norm(hidden, epsilon)
        self.post_attention_layernorm = Norm(hidden, epsilon)

    def before_attention(self, x, cos, sin):
        return self.self_attn.project(self.input_layernorm(x), cos, sin)

    def after_attention(self, x, attended):
        x = x + linear(attended, self.self_attn.o_proj).float()
        y = self.mlp(self.post_attention_layernorm(x))
        y, load = (y, None) if self.dense else y
        return x + y.float(), load


class TinyR1(nn.Module):
    compute = torch.float32  # what the matrix products read and write; training sets bfloat16

    def __init__(self, config=CONFIG):
        super().__init__()
        self.config = config
        hidden, vocabulary = config["hidden_size"], config["vocab_size"]
        self.embed_tokens = normal(vocabulary, hidden, std=0.05)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config["num_hidden_layers"]))
        self.norm = Norm(hidden, config["rms_norm_eps"])
        self.lm_head = normal(vocabulary, hidden, std=config["initializer_range"])
        self.register_buffer("frequencies", yarn_frequencies(config), persistent=False)
        self.before, self.after = Layer.before_attention, Layer.after_attention

    def compile(self):
        self.before = torch.compile(self.before, dynamic=False)
        self.after = torch.compile(self.after, dynamic=False)

    def forward(self, ids, kept):
        """Logits of the positions that `kept` marks, and the tokens that each layer's experts got."""
        rows, length = ids.shape
        angles = (torch.arange(length).float()[:, None] * self.frequencies).repeat(rows, 1)
        cos, sin = angles.cos(), angles.sin()
        x, loads = F.embedding(ids.flatten(), self.embed_tokens), []
        for layer in self.layers:
            q, k, v = self.before(layer, x, cos, sin)
            x, load = self.after(layer, x, layer.self_attn.attend(q, k, v, rows))
            loads.append(load)
        return linear(self.norm(x[kept.flatten()]), self.lm_head).float(), loads

    def quantized(self):
        """The parameters that storage rounds to FP8 blocks: every projection."""
        return [p for name, p in self.layers.named_parameters() if p.dim() > 1 and "gate.weight" not in name]
