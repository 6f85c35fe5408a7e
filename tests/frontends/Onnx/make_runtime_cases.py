#!/usr/bin/env python3
"""Makes tests/frontends/Onnx/runtime_cases: operators that ONNX's older test data does not have, above all those of ONNX
Runtime, with the outputs that ONNX Runtime gives for random inputs.

  pip install onnx onnxruntime; make_runtime_cases.py FOLDER
"""
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

random = np.random.default_rng(0)
BATCH, TOKENS, HEADS, SIZE, KV_HEADS, PAST = 2, 3, 4, 16, 2, 5


def floats(*shape):
    return random.standard_normal(shape).astype(np.float32)


def octets(*shape):
    return random.integers(0, 256, shape, dtype=np.uint8)


def i32(*values):
    return np.array(values, dtype=np.int32)


def i64(*values):
    return np.array(values, dtype=np.int64)


def save(folder, name, model, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in model.graph.input]
    outputs = session.run(None, dict(zip(names, inputs)))
    data = os.path.join(folder, "runtime", name, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    with open(os.path.join(folder, "runtime", name, "model.onnx"), "wb") as file:
        file.write(model.SerializeToString())
    for kind, values in (("input", inputs), ("output", outputs)):
        for index, value in enumerate(values):
            with open(os.path.join(data, f"{kind}_{index}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(np.asarray(value)).SerializeToString())


def case(folder, name, op, inputs, outputs=(1,), domain="com.microsoft", opset=21, **attributes):
    names = ["" if value is None else f"in{index}" for index, value in enumerate(inputs)]
    given = [(name, value) for name, value in zip(names, inputs) if value is not None]
    wanted = [f"out{index}" if want else "" for index, want in enumerate(outputs)]
    node = helper.make_node(op, names, wanted, name=op.lower(), domain=domain, **attributes)
    graph = helper.make_graph(
        [node], "graph",
        [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
         for name, value in given],
        [helper.make_empty_tensor_value_info(name) for name in wanted if name])
    model = helper.make_model(graph, ir_version=10 if opset < 23 else 11, opset_imports=[
        helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)])
    save(folder, name, model, [value for _, value in given])


def attention(folder):
    width, kv_width = HEADS * SIZE, KV_HEADS * SIZE
    cosines, sines = floats(16, SIZE // 2), floats(16, SIZE // 2)
    rotary = {"num_heads": HEADS, "kv_num_heads": KV_HEADS, "do_rotary": 1}

    def past():
        return floats(BATCH, KV_HEADS, PAST, SIZE)

    def empty():
        return floats(BATCH, KV_HEADS, 0, SIZE)

    def step(*middle):
        return [*middle, past(), past(), i32(PAST, PAST), np.array(PAST + 1, np.int32)]

    def parts():
        return floats(BATCH, 1, width), floats(BATCH, 1, kv_width), floats(BATCH, 1, kv_width)

    case(folder, "group_query_prompt", "GroupQueryAttention",
         [floats(BATCH, TOKENS, width), floats(BATCH, TOKENS, kv_width), floats(BATCH, TOKENS, kv_width), empty(),
          empty(), i32(TOKENS - 1, TOKENS - 1), np.array(TOKENS, np.int32), cosines, sines], (1, 1, 1), **rotary)
    case(folder, "group_query_step", "GroupQueryAttention", [*step(*parts()), cosines, sines], (1, 1, 1), **rotary)
    case(folder, "group_query_interleaved", "GroupQueryAttention", [*step(*parts()), cosines, sines], (1, 1, 1),
         rotary_interleaved=1, **rotary)
    case(folder, "group_query_packed", "GroupQueryAttention",
         [*step(floats(BATCH, 1, width + 2 * kv_width), None, None), cosines, sines], (1, 1, 1), **rotary)
    case(folder, "group_query_window", "GroupQueryAttention", step(*parts()), (1, 1, 1), num_heads=HEADS,
         kv_num_heads=KV_HEADS, local_window_size=3)
    case(folder, "group_query_softcap", "GroupQueryAttention", step(*parts()), (1, 1, 1), num_heads=HEADS,
         kv_num_heads=KV_HEADS, softcap=2.0, scale=0.3)
    case(folder, "multi_head", "MultiHeadAttention",
         [floats(BATCH, TOKENS, width), floats(BATCH, 5, width), floats(BATCH, 5, HEADS * 6)], num_heads=HEADS)
    case(folder, "multi_head_bias", "MultiHeadAttention",
         [floats(BATCH, TOKENS, width), floats(BATCH, 5, width), floats(BATCH, 5, width), floats(3 * width), None,
          floats(BATCH, HEADS, TOKENS, 5)], num_heads=HEADS)
    case(folder, "multi_head_mask", "MultiHeadAttention",
         [floats(BATCH, TOKENS, width), floats(BATCH, 5, width), floats(BATCH, 5, width), None,
          np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], np.int32)], num_heads=HEADS)
    case(folder, "multi_head_past", "MultiHeadAttention",
         [floats(BATCH, TOKENS, width), floats(BATCH, TOKENS, width), floats(BATCH, TOKENS, width), None, None,
          floats(BATCH, HEADS, TOKENS, TOKENS + PAST), floats(BATCH, HEADS, PAST, SIZE),
          floats(BATCH, HEADS, PAST, SIZE)], (1, 1, 1), num_heads=HEADS, unidirectional=1)
    case(folder, "rotary", "RotaryEmbedding",
         [floats(BATCH, TOKENS, width), np.array([[0, 1, 2], [4, 5, 6]], np.int64), cosines, sines])
    case(folder, "rotary_from_offset", "RotaryEmbedding",
         [floats(BATCH, HEADS, TOKENS, SIZE), i64(3), cosines, sines], interleaved=1)


def standard_attention(folder):
    options = {"domain": "", "opset": 23}
    query, key, value = floats(BATCH, HEADS, TOKENS, SIZE), floats(BATCH, KV_HEADS, 4, SIZE), floats(BATCH, KV_HEADS, 4, 8)
    case(folder, "attention", "Attention", [query, key, value], **options)
    case(folder, "attention_causal", "Attention", [query, key[:, :, :TOKENS], value[:, :, :TOKENS]], is_causal=1, **options)
    case(folder, "attention_mask", "Attention", [query, key, value, floats(TOKENS, 4)], scale=0.2, **options)
    case(folder, "attention_bool_mask", "Attention",
         [query, key, value, np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]], bool)], softcap=3.0, **options)
    case(folder, "attention_past", "Attention",
         [query, key, value, None, floats(BATCH, KV_HEADS, PAST, SIZE), floats(BATCH, KV_HEADS, PAST, 8)], (1, 1, 1),
         **options)
    case(folder, "attention_flat", "Attention",
         [floats(BATCH, TOKENS, HEADS * SIZE), floats(BATCH, 4, KV_HEADS * SIZE), floats(BATCH, 4, KV_HEADS * SIZE)],
         q_num_heads=HEADS, kv_num_heads=KV_HEADS, **options)
    cosines, sines = floats(16, SIZE // 2), floats(16, SIZE // 2)
    for interleaved in (0, 1):
        case(folder, f"rotary_embedding_{interleaved}", "RotaryEmbedding",
             [query, cosines, sines, np.array([[0, 1, 2], [4, 5, 6]], np.int64)], interleaved=interleaved, **options)
    case(folder, "rotary_embedding_part", "RotaryEmbedding",
         [floats(BATCH, TOKENS, HEADS * SIZE), floats(BATCH, TOKENS, 4), floats(BATCH, TOKENS, 4)],
         rotary_embedding_dim=8, num_heads=HEADS, **options)
    case(folder, "rms_normalization", "RMSNormalization", [floats(BATCH, TOKENS, 16), floats(16)], epsilon=1e-6, **options)


def normalization(folder):
    rows, weight = (BATCH, TOKENS, 16), floats(16)
    case(folder, "skip_simplified", "SkipSimplifiedLayerNormalization", [floats(*rows), floats(*rows), weight],
         (1, 0, 0, 1), epsilon=1e-5)
    case(folder, "skip_simplified_bias", "SkipSimplifiedLayerNormalization",
         [floats(*rows), floats(*rows), weight, floats(16)], (1, 0, 0, 1), epsilon=1e-5)
    case(folder, "skip_layer", "SkipLayerNormalization",
         [floats(*rows), floats(*rows), weight, floats(16), floats(16)], (1, 0, 0, 1), epsilon=1e-5)
    case(folder, "simplified", "SimplifiedLayerNormalization", [floats(*rows), weight], domain="", axis=-1, epsilon=1e-5,
         stash_type=1)


def quantized(folder):
    outputs, inner, block = 6, 40, 16
    blocks = (inner + block - 1) // block
    for bits in (4, 8):
        packed = octets(outputs, blocks, block * bits // 8)
        common = {"K": inner, "N": outputs, "bits": bits, "block_size": block}
        case(folder, f"n_bits_{bits}", "MatMulNBits", [floats(2, inner), packed, floats(outputs, blocks)], **common)
        case(folder, f"n_bits_{bits}_zeros", "MatMulNBits",
             [floats(2, inner), packed, floats(outputs, blocks), octets(outputs, (blocks * bits + 7) // 8)], **common)
    common = {"K": 32, "N": outputs, "bits": 4, "block_size": block}
    packed = octets(outputs, 2, 8)
    case(folder, "n_bits_float_zeros", "MatMulNBits",
         [floats(2, 32), packed, floats(outputs, 2), floats(outputs, 2) * 3], **common)
    case(folder, "n_bits_flat", "MatMulNBits", [floats(2, 32), packed, floats(2 * outputs)], **common)
    case(folder, "n_bits_bias", "MatMulNBits",
         [floats(2, 32), packed, floats(outputs, 2), None, None, floats(outputs)], **common)
    case(folder, "n_bits_groups", "MatMulNBits",
         [floats(2, 32), packed, floats(outputs, 2), None, i32(*([0, 1] * 16))], **common)
    common = {"gather_axis": 0, "quantize_axis": 1, "block_size": 16, "bits": 4}
    indices = np.array([[1, 3], [9, 0]], np.int64)
    case(folder, "gather_blocks", "GatherBlockQuantized", [octets(10, 16), indices, floats(10, 2)], **common)
    case(folder, "gather_blocks_zeros", "GatherBlockQuantized", [octets(10, 16), indices, floats(10, 2), octets(10, 1)],
         **common)
    case(folder, "dequantize_blocks", "DequantizeLinear",
         [random.integers(-128, 128, (4, 32), dtype=np.int8), floats(4, 2)], domain="", axis=1, block_size=16)


def experts(folder):
    count, hidden, inner = 4, 8, 6
    rows, logits = floats(5, hidden), floats(5, count)
    layers = [floats(count, inner, hidden), floats(count, inner), floats(count, hidden, inner), floats(count, hidden)]
    for activation in ("relu", "silu", "gelu", "identity"):
        case(folder, f"experts_{activation}", "MoE", [rows, logits, *layers], k=2, activation_type=activation,
             normalize_routing_weights=1)
    case(folder, "experts_raw", "MoE", [rows, logits, layers[0], None, layers[2]], k=2, activation_type="silu")
    swiglu = {"k": 2, "activation_type": "swiglu", "swiglu_fusion": 1, "normalize_routing_weights": 1}
    case(folder, "experts_swiglu", "MoE",
         [rows, logits, floats(count, 2 * inner, hidden), floats(count, 2 * inner), layers[2], layers[3]],
         activation_alpha=1.702, activation_beta=1.0, swiglu_limit=7.0, **swiglu)
    rows, size = floats(5, 32), 32
    for bits in (4, 8):
        packed = size * bits // 8
        case(folder, f"experts_{bits}_bits", "QMoE",
             [rows, logits, octets(count, 2 * size, packed), floats(count, 2 * size) * 0.1, floats(count, 2 * size),
              octets(count, size, packed), floats(count, size) * 0.1, floats(count, size)], expert_weight_bits=bits,
             **swiglu)
    case(folder, "experts_blocks", "QMoE",
         [rows, logits, octets(count, 2 * size, 16), floats(count, 2 * size, 2) * 0.1, None, octets(count, size, 16),
          floats(count, size, 2) * 0.1], expert_weight_bits=4, block_size=16, **swiglu)


def other(folder):
    case(folder, "fused_product", "FusedMatMul", [floats(2, 4, 3), floats(2, 5, 4)], transA=1, transB=1, alpha=0.5)
    case(folder, "quick_gelu", "QuickGelu", [floats(3, 4)], alpha=1.5)
    case(folder, "bias_gelu", "BiasGelu", [floats(3, 4), floats(4)])
    case(folder, "fast_gelu", "FastGelu", [floats(3, 4), floats(4)])


def function(folder):
    """A function of the model with an attribute that its body refers to, once given and once by default."""
    node = helper.make_node("Concat", ["a", "b"], ["c"])
    axis = node.attribute.add()
    axis.name, axis.ref_attr_name, axis.type = "axis", "along", onnx.AttributeProto.INT
    joined = helper.make_function("local", "Join", ["a", "b"], ["c"], [node], [helper.make_opsetid("", 21)],
                                  attribute_protos=[helper.make_attribute("along", 1)])
    graph = helper.make_graph(
        [helper.make_node("Join", ["x", "y"], ["u"], domain="local", name="by_default"),
         helper.make_node("Join", ["u", "u"], ["z"], domain="local", name="given", along=0)], "graph",
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2, 3]) for name in "xy"],
        [helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [4, 6])])
    model = helper.make_model(graph, ir_version=10, functions=[joined],
                              opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("local", 1)])
    save(folder, "function_attributes", model, [floats(2, 3), floats(2, 3)])


if __name__ == "__main__":
    for make in (attention, standard_attention, normalization, quantized, experts, other, function):
        make(sys.argv[1])
