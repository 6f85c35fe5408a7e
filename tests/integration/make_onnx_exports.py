#!/usr/bin/env python3
"""Makes ONNX exports of golden checkpoints: what users get from other tools, committed as samples, each with the logits
that ONNX Runtime computes from it for the golden's tokens. Tests read only what it wrote.

    make_onnx_exports.py [--logits] [NAME ...]     (without names: all; --logits: of the exports that are there)

An export is onnx_exports/NAME.onnx, or NAME/model.onnx where weights lie beside the graph, and NAME.npy: of one golden, by
TorchScript, by dynamo at opset 18 or 23, by optimum, by the ONNX Runtime GenAI builder, or as tools write that do not trace
(onnx_by_hand.py); with past keys and values or without. Experts run as transformers writes them for export: the `batched_mm` form gathers weights, the `eager` form loops
over experts.

Needs torch, transformers, onnx, onnxscript and onnxruntime; for the GenAI builder onnxruntime-genai. Optimum has been made
for transformers 4: it needs an environment of its own, with optimum-onnx, for the names with `optimum` in them.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnx_by_hand
import onnxruntime
import torch
import transformers
from transformers import AutoModelForCausalLM, DynamicCache

HERE = pathlib.Path(__file__).parent

# Of each model, by each exporter: (opset, the form in which experts run).
EXPORTERS = {
    "torchscript": (17, "batched_mm"),
    "dynamo18": (18, "batched_mm"),
    "dynamo23": (23, "batched_mm"),
    "optimum": (18, "eager"),
}

# name: (golden, exporter, opset, with past, experts)
EXPORTS = {
    f"{model}_{exporter}{'_past' if has_past else ''}":
        (f"{model}_f32", exporter.rstrip("0123456789"), opset, has_past, experts if model == "deepseek_v3" else None)
    for model in ("llama", "qwen2", "deepseek_v3")
    for exporter, (opset, experts) in EXPORTERS.items()
    for has_past in (False, True)
} | {
    f"{model}_genai_{precision}": (f"{model}_heads_of_16", "genai", precision, True, None)
    for model, precision in [("llama", "fp32"), ("qwen2", "fp32"), ("llama", "int4"), ("qwen2", "int4"), ("llama", "int8")]
} | {
    # With zero points for each block, and blocks of 16.
    "llama_genai_int4_zeros": ("llama_heads_of_16", "genai", "int4 is_symmetric=false block_size=16", True, None),
} | {
    "deepseek_v3_mobius": ("deepseek_v3_f32", "hand", None, False, "dense"),
    "deepseek_v3_mobius_past": ("deepseek_v3_f32", "hand", None, True, "dense"),
    # The golden's tokens only.
    "granite_torchscript_past": ("llama_heads_of_16", "torchscript", 17, True, None),
    "deepseek_v3_moe": ("deepseek_v3_f32_softmax", "hand", None, True, "moe"),
    "deepseek_v3_qmoe_int4": ("deepseek_v3_f32_softmax", "hand", None, True, "qmoe4"),
    "deepseek_v3_qmoe_int8": ("deepseek_v3_f32_softmax", "hand", None, True, "qmoe8"),
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


def granite():
    """A model of random weights in an architecture with multipliers of its own between what all models have."""
    torch.manual_seed(0)
    return transformers.GraniteForCausalLM(transformers.GraniteConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=100, max_position_embeddings=256, embedding_multiplier=12.0, residual_multiplier=0.22,
        logits_scaling=8.0, attention_multiplier=0.25, bos_token_id=0, eos_token_id=1, initializer_range=0.1,
        attn_implementation="eager"))


def torch_export(path, golden, exporter, opset, has_past, experts):
    arguments = {"experts_implementation": experts} if experts else {}
    model = granite() if path.name.startswith("granite") else AutoModelForCausalLM.from_pretrained(
        HERE / "goldens" / golden, dtype=torch.float32, attn_implementation="eager" if opset < 23 else "sdpa",
        **arguments)
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


def optimum_export(path, golden, has_past):
    from optimum.exporters.onnx import main_export
    with tempfile.TemporaryDirectory() as folder:
        main_export(str(HERE / "goldens" / golden), output=folder, do_validation=False,
                    task="text-generation-with-past" if has_past else "text-generation")
        shutil.copyfile(f"{folder}/model.onnx", path)
    strip(path)


def genai_export(path, golden, precision):
    """As the builder leaves it: weights in a file of their own, and a configuration of its own beside them."""
    with tempfile.TemporaryDirectory() as folder:
        # The builder wants a tokenizer to copy.
        shutil.copytree(HERE / "goldens" / golden, f"{folder}/model")
        tokenizers = {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": []}
        pathlib.Path(folder, "model/tokenizer.json").write_text(json.dumps(tokenizers))
        pathlib.Path(folder, "model/tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        precision, *options = precision.split()
        subprocess.run([sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", f"{folder}/model", "-o",
                        f"{folder}/out", "-p", precision, "-e", "cpu", "-c", f"{folder}/cache",
                        *(["--extra_options", *options] if options else [])], check=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in ("model.onnx", "model.onnx.data", "genai_config.json"):
            shutil.copyfile(f"{folder}/out/{name}", path.parent / name)


def runtime_logits(path, golden):
    """What ONNX Runtime computes for the golden's tokens, all at once, with nothing in front of them."""
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:  # Otherwise inputs are rounded to 8 bits before they are multiplied by integers.
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = 1
    exact = path.with_suffix(".exact")
    onnx.save(model, exact)
    session = onnxruntime.InferenceSession(exact, providers=["CPUExecutionProvider"])
    exact.unlink()
    tokens = numpy.array([[int(token) for token in (HERE / "goldens" / golden / "tokens.txt").read_text().split(",")]])
    config = json.loads((HERE / "goldens" / golden / "config.json").read_text())
    feeds = {}
    for given in session.get_inputs():
        if given.name == "input_ids":
            feeds[given.name] = tokens
        elif given.name == "attention_mask":
            feeds[given.name] = numpy.ones_like(tokens)
        elif given.name == "position_ids":
            feeds[given.name] = numpy.arange(tokens.shape[1])[None]
        else:
            heads, width = given.shape[1], given.shape[3]
            if not isinstance(width, int):  # The GenAI builder leaves it open.
                width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
            feeds[given.name] = numpy.zeros((1, heads, 0, width), numpy.float32)
    return session.run(["logits"], feeds)[0][0].astype(numpy.float32)


def export(name, logits_only):
    golden, exporter, kind, has_past, experts = EXPORTS[name]
    path = HERE / "onnx_exports" / (f"{name}/model.onnx" if exporter == "genai" else f"{name}.onnx")
    (HERE / "onnx_exports").mkdir(exist_ok=True)
    if logits_only:
        pass
    elif exporter == "optimum":
        optimum_export(path, golden, has_past)
    elif exporter == "hand":
        onnx_by_hand.build(path, HERE / "goldens" / golden, has_past, experts)
    elif exporter == "genai":
        genai_export(path, golden, kind)
    else:
        torch_export(path, golden, exporter, kind, has_past, experts)
    if experts != "moe":  # ONNX Runtime has no kernel for experts of three matrices on CPUs.
        numpy.save(HERE / "onnx_exports" / f"{name}.npy", runtime_logits(path, golden))
    print(f"{path.name}: {path.stat().st_size:,} bytes, transformers {transformers.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    failed = []
    for export_name in [argument for argument in sys.argv[1:] if argument != "--logits"] or EXPORTS:
        try:
            export(export_name, "--logits" in sys.argv)
        except Exception as error:  # One exporter's failure must not hide the others.
            print(f"{export_name}: {type(error).__name__}: {str(error)[:600]}", file=sys.stderr)
            failed.append(export_name)
    sys.exit(bool(failed))
