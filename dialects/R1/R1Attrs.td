#ifndef DIALECTS_R1_R1ATTRS
#define DIALECTS_R1_R1ATTRS

include "dialects/R1/R1Dialect.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"

def R1_WeightAttr : R1_Attr<"Weight", "weight"> {
  let summary = "One tensor's bytes in a file of the model's folder.";
  let description = [{
    `size` bytes from byte `offset` of `file` (a name relative to the model's folder) hold the elements of `type`,
    row-major and little-endian. `scales` names the block scales of a quantized tensor: element (i, j) is worth
    `value * scales[i / rows][j / columns]`, where `#r1.blocks<rows, columns>` is the encoding of `type`
    (r1-facts: DeepSeek-V3, README_WEIGHTS). Values of unsigned integers count from a zero point: from half of what they
    can be (8 of ui4, 128 of ui8), or from the one of their block that `zeros` holds in the same type (ONNX Runtime,
    MatMulNBits). Elements of 4 bits lie two in a byte, the lower half first. With
    `transposed`, `type` is [n, k] while the file holds the rows of the [k, n] matrix that a graph multiplies by.
    Rows (of the last dimension) lie one after the other, or each `pitch` bytes behind the one before: rows that are
    padded, or every other row. `size` reaches from the first row's first byte to the last one's last.

    (C1) what is transposed is a matrix without blocks and without pitch.
    (C2) a pitch is at least the bytes of a row; a row of it begins with a byte.
  }];
  let parameters = (ins "::mlir::StringAttr":$file, "::mlir::StringAttr":$name, "uint64_t":$offset, "uint64_t":$size,
                    "::mlir::RankedTensorType":$type, OptionalParameter<"WeightAttr">:$scales,
                    OptionalParameter<"WeightAttr">:$zeros, DefaultValuedParameter<"bool", "false">:$transposed,
                    DefaultValuedParameter<"uint64_t", "0">:$pitch);
  let builders = [AttrBuilder<(ins "::mlir::StringAttr":$file, "::mlir::StringAttr":$name, "uint64_t":$offset,
                                   "uint64_t":$size, "::mlir::RankedTensorType":$type,
                                   CArg<"WeightAttr", "{}">:$scales, CArg<"WeightAttr", "{}">:$zeros), [{
    return $_get($_ctxt, file, name, offset, size, type, scales, zeros, false, 0);
  }]>];
  let extraClassDeclaration = [{
    /// The bytes that elements of `type` take, whole bytes in each row of the last dimension.
    static uint64_t rowBytes(::mlir::RankedTensorType type);
    /// The bytes from one row to the next.
    uint64_t getRowPitch() const { return getPitch() ? getPitch() : rowBytes(getType()); }
    /// One of the matrices of a stack of three dimensions, with its scales and zero points.
    WeightAttr matrix(int64_t index) const;
    /// The matrix of `count` rows that are every `step`-th of this one's from `first` on; its scales' blocks are rows.
    WeightAttr rows(int64_t first, int64_t count, int64_t step) const;
  }];
  let genVerifyDecl = 1;
  let assemblyFormat = [{
    `<` $name `in` $file `at` $offset `size` $size `:` $type (`scaled_by` $scales^)? (`zeros` $zeros^)?
    (`transposed` `=` $transposed^)? (`pitch` `=` $pitch^)? `>`
  }];
}

def R1_BlocksAttr : R1_Attr<"Blocks", "blocks"> {
  let summary = "The encoding of a weight that has one scale for each block of rows x columns.";
  let description = [{
    (C1) rows and columns are positive.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns);
  let assemblyFormat = "`<` $rows `,` $columns `>`";
  let genVerifyDecl = 1;
}

def R1_RopeLayout : I32EnumAttr<"RopeLayout", "Which elements form a rotated pair.", [
  I32EnumAttrCase<"Interleaved", 0, "interleaved">,
  I32EnumAttrCase<"Half", 1, "half">]> {
  let cppNamespace = "::elah::r1";
  let genSpecializedAttr = 0;
}

def R1_RopeAttr : R1_Attr<"Rope", "rope"> {
  let summary = "A rotary position embedding.";
  let description = [{
    Pair i of a vector is rotated by the angle `position * frequencies[i]`; `interleaved` pairs are (2i, 2i+1), `half`
    pairs (i, i + n). Cosine and sine are multiplied by `scale`. `frequencies` are final: YaRN or llama3 scaling is
    applied by the importer, and each is a float32 value.

    (C1) there is at least one frequency.
  }];
  let parameters = (ins EnumParameter<R1_RopeLayout>:$layout, "::mlir::DenseF64ArrayAttr":$frequencies,
                    "::mlir::FloatAttr":$scale);
  let genVerifyDecl = 1;
  let assemblyFormat = "`<` $layout `,` $frequencies `,` `scale` `=` $scale `>`";
  let extraClassDeclaration = [{
    /// Rotated elements of a vector: two per frequency.
    int64_t getDim() const { return 2 * getFrequencies().size(); }
  }];
}

def R1_Scoring : I32EnumAttr<"Scoring", "How router logits become scores.", [
  I32EnumAttrCase<"Softmax", 0, "softmax">,
  I32EnumAttrCase<"Sigmoid", 1, "sigmoid">]> {
  let cppNamespace = "::elah::r1";
  let genSpecializedAttr = 0;
}

def R1_GroupScore : I32EnumAttr<"GroupScore", "How a group of experts is ranked.", [
  I32EnumAttrCase<"Max", 0, "max">,
  I32EnumAttrCase<"Top2", 1, "top2">]> {
  let cppNamespace = "::elah::r1";
  let genSpecializedAttr = 0;
}

def R1_RoutingAttr : R1_Attr<"Routing", "routing"> {
  let summary = "How a router chooses experts.";
  let description = [{
    score = scoring(logits); biased = score + bias. With groups > 1, experts are split evenly into `groups`; a group is
    ranked by the largest (`max`) or the sum of the two largest (`top2`) biased scores in it, and only the best
    `top_groups` groups take part. The `top_k` experts with the largest biased scores are chosen; equal ones by the
    lower index. Their weights are the *unbiased* scores, divided by their sum + 1e-20 if `normalize`, times `scale`.
  }];
  let parameters = (ins EnumParameter<R1_Scoring>:$scoring, "int64_t":$topK, "int64_t":$groups, "int64_t":$topGroups,
                    EnumParameter<R1_GroupScore>:$groupScore, "bool":$normalize, "::mlir::FloatAttr":$scale);
  let assemblyFormat = [{
    `<` $scoring `,` `top_k` `=` $topK `,` `groups` `=` $groups `,` `top_groups` `=` $topGroups `,`
    `group_score` `=` $groupScore `,` `normalize` `=` $normalize `,` `scale` `=` $scale `>`
  }];
}

def R1_CacheKind : I32EnumAttr<"CacheKind", "What a KV cache keeps of a token.", [
  I32EnumAttrCase<"Latent", 0, "latent">,
  I32EnumAttrCase<"KeyValue", 1, "kv">]> {
  let cppNamespace = "::elah::r1";
  let genSpecializedAttr = 0;
}

def R1_CacheType : R1_Type<"Cache", "cache"> {
  let summary = "The KV cache of one sequence: state that is threaded through the operations that append to it.";
  let description = [{
    `latent`: a row of `key_width` values per token and layer, the normalized latent and the rotated shared key (MLA).
    `kv`: per token and layer a row of `key_width` key values and one of `value_width` value values.

    (C1) layers and key_width are positive; value_width is positive for `kv` and 0 for `latent`.
  }];
  let genVerifyDecl = 1;
  let parameters = (ins EnumParameter<R1_CacheKind>:$kind, "int64_t":$layers, "int64_t":$keyWidth,
                    "int64_t":$valueWidth);
  let assemblyFormat = [{
    `<` $kind `,` `layers` `=` $layers `,` `key_width` `=` $keyWidth `,` `value_width` `=` $valueWidth `>`
  }];
}

def R1_SequenceType : R1_Type<"Sequence", "sequence"> {
  let summary = "A list of tensors of one element type and rank, as long as the program makes it.";
  let description = [{
    Sizes that differ from element to element are dynamic in `element`. An unranked element type is that of a sequence
    of which nothing is known yet, such as an empty one.

    (C1) the element is a tensor.
  }];
  let genVerifyDecl = 1;
  let parameters = (ins "::mlir::TensorType":$element);
  let assemblyFormat = "`<` $element `>`";
}

//===--- Primitives' choices ------------------------------------------------------------------------------------===//

def R1_Comparison : I32EnumAttr<"Comparison", "What r1.compare asks.", [
  I32EnumAttrCase<"Equal", 0, "eq">,
  I32EnumAttrCase<"NotEqual", 1, "ne">,
  I32EnumAttrCase<"Less", 2, "lt">,
  I32EnumAttrCase<"LessOrEqual", 3, "le">,
  I32EnumAttrCase<"Greater", 4, "gt">,
  I32EnumAttrCase<"GreaterOrEqual", 5, "ge">]> {
  let cppNamespace = "::elah::r1";
  let genSpecializedAttr = 0;
}
def R1_ComparisonAttr : EnumAttr<R1_Dialect, R1_Comparison, "comparison">;

def R1_Reduction : I32EnumAttr<"Reduction", "How r1.reduce makes one element of many.", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Mean", 1, "mean">,
  I32EnumAttrCase<"Max", 2, "max">,
  I32EnumAttrCase<"Min", 3, "min">,
  I32EnumAttrCase<"Prod", 4, "prod">]> {
  let cppNamespace = "::elah::r1";
  let genSpecializedAttr = 0;
}
def R1_ReductionAttr : EnumAttr<R1_Dialect, R1_Reduction, "reduction">;

def R1_Scatter : I32EnumAttr<"Scatter", "What becomes of the element that r1.scatter_elements meets.", [
  I32EnumAttrCase<"Replace", 0, "replace">,
  I32EnumAttrCase<"Add", 1, "add">,
  I32EnumAttrCase<"Multiply", 2, "mul">,
  I32EnumAttrCase<"Maximum", 3, "max">,
  I32EnumAttrCase<"Minimum", 4, "min">]> {
  let cppNamespace = "::elah::r1";
  let genSpecializedAttr = 0;
}
def R1_ScatterAttr : EnumAttr<R1_Dialect, R1_Scatter, "scatter">;

def R1_CachePart : I32EnumAttr<"CachePart", "Which rows of a token a cache operation means.", [
  I32EnumAttrCase<"Key", 0, "key">,
  I32EnumAttrCase<"Value", 1, "value">]> {
  let cppNamespace = "::elah::r1";
  let genSpecializedAttr = 0;
}
def R1_CachePartAttr : EnumAttr<R1_Dialect, R1_CachePart, "cache_part">;

#endif
