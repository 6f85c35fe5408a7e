"""Builds DeepSeek-V3 graphs as tools do that write ONNX themselves, and not by tracing (ONNX Runtime's mobius): few and
large operations of opset 24, Attention with keys and values of all heads, rotary embeddings that look up tables, and each
expert on every token, masked. Or the experts as ONNX Runtime's own operators: MoE, and QMoE of 4 or 8 bits."""

import json

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

F32, I64 = TensorProto.FLOAT, TensorProto.INT64


class Graph:
    def __init__(self, golden):
        self.config = json.loads((golden / "config.json").read_text())
        self.weights = {name: tensor.astype(numpy.float32)
                        for path in sorted(golden.glob("*.safetensors")) for name, tensor in load_file(path).items()}
        self.nodes, self.initializers, self.scope, self.count = [], {}, "", 0

    def add(self, kind, *inputs, outputs=1, domain="", **attributes):
        name = f"{self.scope}/{kind}_{self.count}"
        self.count += 1
        results = [f"{name}:{index}" for index in range(outputs)] if isinstance(outputs, int) else outputs
        self.nodes.append(helper.make_node(kind, list(inputs), results, name=name, domain=domain, **attributes))
        return results[0] if len(results) == 1 else results

    def constant(self, values, dtype=numpy.int64):
        array = numpy.array(values, dtype)
        name = f"const_{array.dtype}_{'x'.join(map(str, array.shape))}_{'_'.join(map(str, array.flat))}"
        self.initializers[name] = array
        return name

    def weight(self, name, array=None):
        self.initializers[name] = self.weights[name] if array is None else array
        return name

    def linear(self, value, name):
        return self.add("MatMul", value, self.weight(name, numpy.ascontiguousarray(self.weights[name].T)))

    def norm(self, value, name):
        return self.add("RMSNormalization", value, self.weight(name), axis=-1, epsilon=self.config["rms_norm_eps"])

    def mlp(self, value, prefix):
        gate = self.linear(value, f"{prefix}.gate_proj.weight")
        gate = self.add("Mul", gate, self.add("Sigmoid", gate))
        return self.linear(self.add("Mul", gate, self.linear(value, f"{prefix}.up_proj.weight")), f"{prefix}.down_proj.weight")

    def split(self, value, sizes, axis=-1):
        return self.add("Split", value, self.constant(sizes), outputs=len(sizes), axis=axis)

    def rotated(self, value, heads):
        return self.add("RotaryEmbedding", value, "cos_cache", "sin_cache", "position_ids", interleaved=1, num_heads=heads)

    def attention(self, hidden, layer, has_past):
        c, prefix = self.config, f"model.layers.{layer}.self_attn"
        heads, nope, rope, width, rank = (c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"],
                                          c["v_head_dim"], c["kv_lora_rank"])
        query = self.norm(self.linear(hidden, f"{prefix}.q_a_proj.weight"), f"{prefix}.q_a_layernorm.weight")
        query = self.linear(query, f"{prefix}.q_b_proj.weight")
        apart = self.add("Reshape", query, self.constant([0, 0, heads, nope + rope]))
        query_nope, query_rope = self.split(apart, [nope, rope])
        query_rope = self.rotated(self.add("Reshape", query_rope, self.constant([0, 0, heads * rope])), heads)
        query_rope = self.add("Reshape", query_rope, self.constant([0, 0, heads, rope]))
        query = self.add("Concat", query_nope, query_rope, axis=-1)
        query = self.add("Reshape", query, self.constant([0, 0, heads * (nope + rope)]))
        latent, key_rope = self.split(self.linear(hidden, f"{prefix}.kv_a_proj_with_mqa.weight"), [rank, rope])
        latent = self.norm(latent, f"{prefix}.kv_a_layernorm.weight")
        expanded = self.linear(latent, f"{prefix}.kv_b_proj.weight")
        expanded = self.add("Reshape", expanded, self.constant([0, 0, heads, nope + width]))
        key_nope, value = self.split(expanded, [nope, width])
        value = self.add("Reshape", value, self.constant([0, 0, heads * width]))
        key_rope = self.add("Reshape", self.rotated(key_rope, 1), self.constant([0, 0, 1, rope]))
        key_rope = self.add("Expand", key_rope, self.constant([1, 1, heads, 1]))
        key = self.add("Concat", key_nope, key_rope, axis=-1)
        key = self.add("Reshape", key, self.constant([0, 0, heads * (nope + rope)]))
        attributes = {"q_num_heads": heads, "kv_num_heads": heads, "scale": float((nope + rope) ** -0.5), "is_causal": 1}
        if has_past:
            past = [f"past_key_values.{layer}.key", f"past_key_values.{layer}.value"]
            sums = self.add("Attention", query, key, value, "", *past,
                            outputs=[f"{prefix}:0", f"present.{layer}.key", f"present.{layer}.value"], **attributes)[0]
        else:
            sums = self.add("Attention", query, key, value, **attributes)
        return self.linear(sums, f"{prefix}.o_proj.weight")

    def chosen(self, rows, prefix):
        """The experts of each token, and their weights, as DeepSeek-V3 chooses them."""
        c, scope = self.config, f"{prefix}.gate"
        experts, groups = c["n_routed_experts"], c["n_group"]
        scores = self.add("Sigmoid", self.linear(self.add("Cast", rows, to=F32), f"{scope}.weight"))
        biased = self.add("Add", scores, self.weight(f"{scope}.e_score_correction_bias"))
        grouped = self.add("Reshape", biased, self.constant([-1, groups, experts // groups]))
        best = self.add("TopK", grouped, self.constant([2]), outputs=2, axis=-1)[0]
        ranks = self.add("ReduceSum", best, self.constant([-1]), keepdims=0)
        kept = self.add("TopK", ranks, self.constant([c["topk_group"]]), outputs=2, axis=-1)[1]
        mask = self.add("OneHot", kept, self.constant(groups), self.constant([0, 1], numpy.float32), axis=-1)
        mask = self.add("ReduceMax", mask, self.constant([1]), keepdims=0)
        mask = self.add("Greater", self.add("Unsqueeze", mask, self.constant([-1])), self.constant(0, numpy.float32))
        masked = self.add("Where", mask, grouped, self.constant(-numpy.inf, numpy.float32))
        masked = self.add("Reshape", masked, self.constant([-1, experts]))
        ids = self.add("TopK", masked, self.constant([c["num_experts_per_tok"]]), outputs=2, axis=-1)[1]
        weights = self.add("GatherElements", scores, ids, axis=-1)
        total = self.add("ReduceSum", weights, self.constant([-1]), keepdims=1)
        weights = self.add("Div", weights, self.add("Add", total, self.constant(1e-20, numpy.float32)))
        return ids, self.add("Mul", weights, self.constant(c["routed_scaling_factor"], numpy.float32))

    def dense_experts(self, rows, prefix):
        ids, weights = self.chosen(rows, prefix)
        result = None
        for expert in range(self.config["n_routed_experts"]):
            isThis = self.add("CastLike", self.add("Equal", ids, self.constant(expert)), weights)
            share = self.add("ReduceSum", self.add("Mul", weights, isThis), self.constant([-1]), keepdims=1)
            part = self.add("Mul", self.mlp(rows, f"{prefix}.experts.{expert}"), share)
            result = part if result is None else self.add("Add", result, part)
        return result

    def contrib_experts(self, rows, prefix):
        """Softmax routing: what the operator does by itself."""
        c = self.config
        stacks = []
        for part in ("gate", "down", "up"):
            arrays = [self.weights[f"{prefix}.experts.{expert}.{part}_proj.weight"] for expert in range(c["n_routed_experts"])]
            stacks.append(self.weight(f"{prefix}.experts.{part}", numpy.stack(arrays)))
        logits = self.linear(rows, f"{prefix}.gate.weight")
        return self.add("MoE", rows, logits, stacks[0], "", stacks[1], "", stacks[2], domain="com.microsoft",
                        k=c["num_experts_per_tok"], activation_type="silu", normalize_routing_weights=1)

    def quantized_experts(self, rows, prefix, bits):
        """QMoE, as ONNX Runtime's tools make it: rows of gate and up projection by turns, one scale for each row."""
        c = self.config

        def stack(part):
            arrays = [self.weights[f"{prefix}.experts.{expert}.{part}_proj.weight"] for expert in range(c["n_routed_experts"])]
            return numpy.stack(arrays)

        both = numpy.stack([stack("gate"), stack("up")], axis=2)  # [experts, inner, 2, hidden]
        inputs = []
        for name, values in (("fc1", both.reshape(len(both), -1, both.shape[-1])), ("fc2", stack("down"))):
            half = 1 << (bits - 1)
            scales = (numpy.abs(values).max(-1) / (half - 1)).astype(numpy.float32)
            numbers = numpy.clip(numpy.rint(values / scales[..., None]) + half, 0, 2 * half - 1).astype(numpy.uint8)
            numbers = numbers if bits == 8 else numbers[..., ::2] | numbers[..., 1::2] << 4
            inputs += [self.weight(f"{prefix}.experts.{name}", numbers), self.weight(f"{prefix}.experts.{name}_scales", scales), ""]
        logits = self.linear(rows, f"{prefix}.gate.weight")
        return self.add("QMoE", rows, logits, *inputs[:-1], domain="com.microsoft", k=c["num_experts_per_tok"],
                        activation_type="swiglu", swiglu_fusion=1, activation_alpha=1.0, activation_beta=0.0,
                        normalize_routing_weights=1, expert_weight_bits=bits)

    def build(self, has_past, experts):
        c = self.config
        half, positions = c["qk_rope_head_dim"] // 2, c["max_position_embeddings"]
        angles = numpy.outer(numpy.arange(positions), c["rope_theta"] ** (-numpy.arange(half) / half)).astype(numpy.float32)
        self.weight("cos_cache", numpy.cos(angles))
        self.weight("sin_cache", numpy.sin(angles))
        hidden = self.add("Gather", self.weight("model.embed_tokens.weight"), "input_ids")
        for layer in range(c["num_hidden_layers"]):
            prefix = f"model.layers.{layer}"
            self.scope = f"/{prefix.replace('.', '/')}"
            normed = self.norm(hidden, f"{prefix}.input_layernorm.weight")
            hidden = self.add("Add", hidden, self.attention(normed, layer, has_past))
            normed = self.norm(hidden, f"{prefix}.post_attention_layernorm.weight")
            if layer < c["first_k_dense_replace"]:
                result = self.mlp(normed, f"{prefix}.mlp")
            else:
                rows = self.add("Reshape", normed, self.constant([-1, c["hidden_size"]]))
                if experts == "dense":
                    result = self.dense_experts(rows, f"{prefix}.mlp")
                elif experts == "moe":
                    result = self.contrib_experts(rows, f"{prefix}.mlp")
                else:
                    result = self.quantized_experts(rows, f"{prefix}.mlp", bits=int(experts.removeprefix("qmoe")))
                result = self.add("Reshape", result, self.add("Shape", normed))
                result = self.add("Add", result, self.mlp(normed, f"{prefix}.mlp.shared_experts"))
            hidden = self.add("Add", hidden, result)
        self.scope = ""
        hidden = self.norm(hidden, "model.norm.weight")
        self.add("MatMul", hidden, self.weight("lm_head.weight", numpy.ascontiguousarray(self.weights["lm_head.weight"].T)),
                 outputs=["logits"])
        ids = [helper.make_tensor_value_info(name, I64, ["batch", "sequence"]) for name in ("input_ids", "position_ids")]
        outputs = [helper.make_tensor_value_info("logits", F32, ["batch", "sequence", c["vocab_size"]])]
        widths = {"key": c["qk_nope_head_dim"] + c["qk_rope_head_dim"], "value": c["v_head_dim"]}
        for layer in range(c["num_hidden_layers"]) if has_past else ():
            for part, width in widths.items():
                shape = ["batch", c["num_attention_heads"], "past", width]
                ids.append(helper.make_tensor_value_info(f"past_key_values.{layer}.{part}", F32, shape))
                shape = ["batch", c["num_attention_heads"], "total", width]
                outputs.append(helper.make_tensor_value_info(f"present.{layer}.{part}", F32, shape))
        tensors = [numpy_helper.from_array(array, name) for name, array in self.initializers.items()]
        opsets = [helper.make_opsetid("", 24)]
        if experts != "dense":
            opsets.append(helper.make_opsetid("com.microsoft", 1))
        graph = helper.make_graph(self.nodes, "model", ids, outputs, tensors)
        return helper.make_model(graph, opset_imports=opsets, ir_version=12)


def build(path, golden, has_past, experts, external=False):
    """Writes the graph for a checkpoint; `external`: with its weights in a file of their own."""
    data = {"save_as_external_data": True, "location": f"{path.name}.data"} if external else {}
    onnx.save(Graph(golden).build(has_past, experts), path, **data)
