#!/usr/bin/env python3
"""Makes ONNX exports of golden checkpoints: what users get from torch.onnx, committed as samples beside the goldens'
logits. Needs torch, transformers, onnx and onnxscript; tests read only what it wrote.

    make_onnx_exports.py [NAME ...]     (without names: all)

An export is onnx_exports/NAME.onnx, of one golden: by TorchScript, or by dynamo at opset 18 or 23; with past keys and
values or without. Experts run as transformers writes them for export: the `batched_mm` form gathers weights, the `eager`
form loops over experts.
"""

import pathlib
import sys

import onnx
import torch
import transformers
from transformers import AutoModelForCausalLM, DynamicCache

HERE = pathlib.Path(__file__).parent

# name: (golden, exporter, opset, with past, experts)
EXPORTS = {
    "qwen2_torchscript": ("qwen2_f32", "torchscript", 17, False, None),
    "qwen2_torchscript_past": ("qwen2_f32", "torchscript", 17, True, None),
    "qwen2_dynamo18": ("qwen2_f32", "dynamo", 18, False, None),
    "qwen2_dynamo18_past": ("qwen2_f32", "dynamo", 18, True, None),
    "qwen2_dynamo23": ("qwen2_f32", "dynamo", 23, False, None),
    "llama_torchscript": ("llama_f32", "torchscript", 17, False, None),
    "llama_dynamo18": ("llama_f32", "dynamo", 18, False, None),
    "llama_dynamo23_past": ("llama_f32", "dynamo", 23, True, None),
    "deepseek_v3_torchscript": ("deepseek_v3_f32", "torchscript", 17, False, "batched_mm"),
    "deepseek_v3_dynamo18": ("deepseek_v3_f32", "dynamo", 18, False, "batched_mm"),
    "deepseek_v3_dynamo18_past": ("deepseek_v3_f32", "dynamo", 18, True, "batched_mm"),
    "deepseek_v3_dynamo23": ("deepseek_v3_f32", "dynamo", 23, False, "batched_mm"),
}


class WithoutPast(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
                          use_cache=False).logits


class WithPast(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids, *past):
        cache = DynamicCache([(past[i], past[i + 1]) for i in range(0, len(past), 2)])
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
                            past_key_values=cache, use_cache=True)
        present = [tensor for layer in output.past_key_values.layers for tensor in (layer.keys, layer.values)]
        return (output.logits, *present)


def strip(path):
    """Leaves out what nothing depends on: stack traces, the shapes that the exporter inferred, and the names of values
    between nodes (nodes keep theirs). These are half of the bytes."""
    model = onnx.load(path)
    del model.graph.value_info[:]
    kept = {value.name for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]} | {""}
    short = {}
    if not any(attribute.HasField("g") for node in model.graph.node for attribute in node.attribute):
        for node in model.graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name not in kept:
                        names[index] = short.setdefault(name, f"v{len(short)}")
    for thing in [model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        del thing.metadata_props[:]
        thing.doc_string = ""
    onnx.save(model, path)


def export(name):
    golden, exporter, opset, has_past, experts = EXPORTS[name]
    arguments = {"experts_implementation": experts} if experts else {}
    model = AutoModelForCausalLM.from_pretrained(HERE / "goldens" / golden, dtype=torch.float32,
                                                 attn_implementation="eager" if opset < 23 else "sdpa", **arguments)
    model.eval()
    tokens, past_length = 5, 4 if has_past else 0
    ids = torch.arange(2 * tokens).reshape(2, tokens) + 3
    mask = torch.ones(2, past_length + tokens, dtype=torch.int64)
    positions = torch.arange(past_length, past_length + tokens).expand(2, tokens).contiguous()
    inputs, names = [ids, mask, positions], ["input_ids", "attention_mask", "position_ids"]
    outputs = ["logits"]
    axes = {"input_ids": {0: "batch", 1: "sequence"}, "attention_mask": {0: "batch", 1: "total"},
            "position_ids": {0: "batch", 1: "sequence"}}
    if has_past:
        with torch.no_grad():
            cache = model(input_ids=ids[:, :past_length], use_cache=True).past_key_values
        for index, layer in enumerate(cache.layers):
            for part, tensor in (("key", layer.keys), ("value", layer.values)):
                inputs.append(tensor)
                names.append(f"past_key_values.{index}.{part}")
                outputs.append(f"present.{index}.{part}")
                axes[names[-1]] = {0: "batch", 2: "past"}
    wrapped = WithPast(model) if has_past else WithoutPast(model)
    path = HERE / "onnx_exports" / f"{name}.onnx"
    path.parent.mkdir(exist_ok=True)
    with torch.no_grad():
        if exporter == "torchscript":
            for output in outputs:
                axes[output] = {0: "batch", 1: "sequence"} if output == "logits" else {0: "batch", 2: "total"}
            torch.onnx.export(wrapped, tuple(inputs), path, dynamo=False, opset_version=opset, input_names=names,
                              output_names=outputs, dynamic_axes=axes)
        else:
            dims = {}
            shapes = [{axis: dims.setdefault(dim, torch.export.Dim.DYNAMIC) for axis, dim in axes[n].items()} for n in names]
            if has_past:
                shapes = shapes[:3] + [tuple(shapes[3:])]
            torch.onnx.export(wrapped, tuple(inputs), path, dynamo=True, opset_version=opset, input_names=names,
                              output_names=outputs, dynamic_shapes=shapes, external_data=False)
    strip(path)
    print(f"{path.name}: {path.stat().st_size:,} bytes, transformers {transformers.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    failed = []
    for export_name in sys.argv[1:] or EXPORTS:
        try:
            export(export_name)
        except Exception as error:  # One exporter's failure must not hide the others.
            print(f"{export_name}: {type(error).__name__}: {str(error)[:600]}", file=sys.stderr)
            failed.append(export_name)
    sys.exit(bool(failed))
