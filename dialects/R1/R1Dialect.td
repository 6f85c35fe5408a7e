#ifndef DIALECTS_R1_R1DIALECT
#define DIALECTS_R1_R1DIALECT

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"

def R1_Dialect : Dialect {
  let name = "r1";
  let summary = "What a model means: tensors in, tensors out, no target, no buffers.";
  let description = [{
    A module holds one function `@forward(tokens, positions, cache) -> (logits, cache)`: the meaning of the model for
    *one* sequence of T new tokens behind those that the cache already holds. Serving many sequences at once is a choice
    of the lowering. Activations are f32; in which precision they are stored and multiplied is the lowering's choice,
    too. Weights are never constants in the IR: `#r1.weight` names bytes on disk.

    Primitives are the tensor operations that decoders are made of; a composite's meaning is its decomposition into them
    (`r1-decompose`). The sign of a zero, and which NaN it is, are no part of a meaning. Dimensions may be dynamic; those
    that an operation's operands settle are inferred (`r1-infer-shapes`).

    A model with a multi-token prediction layer may have a second function,
    `@next_token(tokens, positions, hidden, cache) -> (logits, cache)`: from the model's last hidden states, behind its
    final norm, and the tokens behind them to the logits of the tokens after those. Both functions share one cache type,
    in which that layer is the last.

    A plain graph (any ONNX graph that is no language model) is a module with one function `@main` of primitives, tensors in
    and tensors out. Each of its arguments and results has an attribute `r1.name` (string: what the caller knows it by),
    and `r1.dims` (array of strings, one for each dimension: what the model calls a size that is not static, else "").
    Such a module has none of the attributes below but `r1.architecture`.

    Attributes of a language model's module: `r1.architecture` (string), `r1.vocabulary`, `r1.max_context`,
    `r1.bos_token`, `r1.parameters` (i64) and `r1.eos_tokens` (array of i64).
  }];
  let cppNamespace = "::elah::r1";
  let hasConstantMaterializer = 1;
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
}

class R1_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<R1_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

class R1_Type<string name, string typeMnemonic, list<Trait> traits = []> : TypeDef<R1_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
}

#endif
