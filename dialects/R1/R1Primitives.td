#ifndef DIALECTS_R1_R1PRIMITIVES
#define DIALECTS_R1_R1PRIMITIVES

include "dialects/R1/R1OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

//===--- Values and sizes ---------------------------------------------------------------------------------------===//

def R1_ConstantOp : R1_Primitive<"constant", [ConstantLike]> {
  let summary = "A small tensor that the IR holds itself.";
  let description = [{
    For numbers of the model's mathematics, such as scales and rotary frequencies. Weights are `r1.weight`.
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = "$value attr-dict";
  let hasFolder = 1;
}

def R1_DimOp : R1_Primitive<"dim"> {
  let summary = "The size of one dimension, as a scalar.";
  let description = [{
    (C1) axis is a dimension of the input.
  }];
  let arguments = (ins R1_Tensor:$input, I64Attr:$axis);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = "$input `,` $axis attr-dict `:` type($input)";
  let hasFolder = 1;
}

def R1_ShapeOp : R1_Primitive<"shape"> {
  let summary = "The sizes of all dimensions: i64 [rank].";
  let arguments = (ins R1_Tensor:$input);
  let results = (outs R1_Shape:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def R1_RangeOp : R1_Primitive<"range"> {
  let summary = "start, start + step, start + 2 * step, ... as long as it is before limit: a 1-D tensor.";
  let description = [{
    (C1) start, limit and step are scalars of one type.
    (C2) step is not zero, if it is a constant.
    (C3) there are fewer than 2^46 elements, if all three are constants.
  }];
  let arguments = (ins R1_Number:$start, R1_Number:$limit, R1_Number:$step);
  let results = (outs R1_Number:$result);
  let assemblyFormat = "$start `,` $limit `,` $step attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

//===--- Elementwise --------------------------------------------------------------------------------------------===//

class R1_Unary<string mnemonic, string what, Type operand = R1_Float>
    : R1_Op<mnemonic, [Elementwise, SameOperandsAndResultType]> {
  let summary = "Elementwise: " # what;
  let arguments = (ins operand:$input);
  let results = (outs operand:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
}

def R1_AbsOp : R1_Unary<"abs", "the magnitude.", R1_Number>;
def R1_CeilOp : R1_Unary<"ceil", "the least integer that is not below the element.">;
def R1_CosOp : R1_Unary<"cos", "the cosine.">;
def R1_ErfOp : R1_Unary<"erf", "the error function.">;
def R1_ExpOp : R1_Unary<"exp", "e to the power of the element.">;
def R1_FloorOp : R1_Unary<"floor", "the greatest integer that is not above the element.">;
def R1_LogOp : R1_Unary<"log", "the natural logarithm.">;
def R1_NegOp : R1_Unary<"neg", "the element with the other sign.", R1_Number> { let hasFolder = 1; }
def R1_NotOp : R1_Unary<"not", "true for false, false for true.", R1_Truth> { let hasFolder = 1; }
def R1_RoundOp : R1_Unary<"round", "the nearest integer; of two, the even one.">;
def R1_RsqrtOp : R1_Unary<"rsqrt", "1 / sqrt(element).">;
def R1_SigmoidOp : R1_Unary<"sigmoid", "1 / (1 + exp(-element)).">;
def R1_SinOp : R1_Unary<"sin", "the sine.">;
def R1_SqrtOp : R1_Unary<"sqrt", "the square root.">;
def R1_TanhOp : R1_Unary<"tanh", "the hyperbolic tangent.">;

def R1_CastOp : R1_Primitive<"cast"> {
  let summary = "The elements as another type.";
  let description = [{
    Floats become integers by dropping their fraction (the nearest integer that there is if they are out of range, 0 for
    NaN), and narrower floats by rounding to the nearest, ties to even; integers lose their upper bits. i1 is whether the
    element is not zero.

    (C1) `to` is an element type of r1's tensors.
  }];
  let arguments = (ins R1_Tensor:$input, TypeAttr:$to);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = "$input `to` $to attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

/// Numpy broadcasting: shapes are aligned at their last dimension, and a dimension of 1, or none, is repeated.
class R1_Binary<string mnemonic, string what, Type operand, list<Trait> traits = []>
    : R1_Primitive<mnemonic, traits> {
  let summary = "Elementwise with broadcasting: " # what;
  let description = [{
    (C1) both operands have one element type.
    (C2) their shapes broadcast.
  }];
  let arguments = (ins operand:$lhs, operand:$rhs);
  let results = (outs operand:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` custom<ElementwiseTypes>(type($lhs), type($rhs), type($result))";
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *, ::std::optional<::mlir::Location> location,
                                                      Adaptor adaptor, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      return inferBroadcast(location, getOperationName(), adaptor.getOperands(), types);
    }
  }];
  let hasFolder = 1;
}

def R1_AddOp : R1_Binary<"add", "lhs + rhs.", R1_Number, [Commutative]>;
def R1_AndOp : R1_Binary<"and", "whether both are true.", R1_Truth, [Commutative]>;
def R1_DivOp : R1_Binary<"div", "lhs / rhs; integers without the fraction.", R1_Number>;
def R1_MaxOp : R1_Binary<"max", "the greater one, NaN if one is.", R1_Number, [Commutative]>;
def R1_MinOp : R1_Binary<"min", "the lesser one, NaN if one is.", R1_Number, [Commutative]>;
def R1_ModOp : R1_Binary<"mod", "what is left of lhs after floor(lhs / rhs) times rhs: its sign is that of rhs.", R1_Number>;
def R1_MulOp : R1_Binary<"mul", "lhs * rhs.", R1_Number, [Commutative]>;
def R1_OrOp : R1_Binary<"or", "whether one is true.", R1_Truth, [Commutative]>;
def R1_PowOp : R1_Binary<"pow", "lhs to the power of rhs.", R1_Float>;
def R1_RemOp : R1_Binary<"rem", "what is left of lhs after trunc(lhs / rhs) times rhs: its sign is that of lhs.", R1_Number>;
def R1_ShiftLeftOp : R1_Binary<"shift_left", "lhs * 2^rhs without what does not fit; 0 where rhs is the width or more.",
                               R1_Unsigned>;
def R1_ShiftRightOp : R1_Binary<"shift_right", "lhs / 2^rhs; 0 where rhs is the width or more.", R1_Unsigned>;
def R1_SubOp : R1_Binary<"sub", "lhs - rhs.", R1_Number>;

def R1_CompareOp : R1_Primitive<"compare"> {
  let summary = "Elementwise with broadcasting: whether lhs stands in this relation to rhs.";
  let description = [{
    (C1) both operands have one element type.
    (C2) their shapes broadcast.
  }];
  let arguments = (ins R1_ComparisonAttr:$comparison, R1_Number:$lhs, R1_Number:$rhs);
  let results = (outs R1_Truth:$result);
  let assemblyFormat = [{
    $comparison $lhs `,` $rhs attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def R1_SelectOp : R1_Primitive<"select"> {
  let summary = "Elementwise with broadcasting: on_true where the condition holds, on_false elsewhere.";
  let description = [{
    (C1) on_true and on_false have one element type.
    (C2) the three shapes broadcast.
  }];
  let arguments = (ins R1_Truth:$condition, R1_Tensor:$on_true, R1_Tensor:$on_false);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = "$condition `,` $on_true `,` $on_false attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

//===--- Contractions -------------------------------------------------------------------------------------------===//

def R1_MatmulOp : R1_Primitive<"matmul"> {
  let summary = "[..., M, K] x [..., K, N] -> [..., M, N], the leading dimensions broadcast.";
  let description = [{
    (C1) both operands have one element type and at least two dimensions.
    (C2) they agree in K.
    (C3) their leading dimensions broadcast.
  }];
  let arguments = (ins R1_Number:$lhs, R1_Number:$rhs);
  let results = (outs R1_Number:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
}

def R1_ReduceOp : R1_Primitive<"reduce"> {
  let summary = "One element for all that differ in `axes` alone.";
  let description = [{
    The dimensions stay as 1 with `keep_dims`, and go without. Of no elements, the sum is 0, the product 1, the greatest
    the lowest value of the type, the least its highest, the mean NaN. NaN is greater and less than all.

    (C1) axes are dimensions of the input, in rising order.
    (C2) the mean is taken of floats; i1 has a max (whether one is true) and a min (whether all are).
  }];
  let arguments = (ins R1_ReductionAttr:$reduction, R1_Tensor:$input, DenseI64ArrayAttr:$axes, UnitAttr:$keep_dims);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = [{
    $reduction $input `over` $axes (`keep_dims` $keep_dims^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def R1_CumsumOp : R1_Primitive<"cumsum"> {
  let summary = "The sum of all elements up to this one along `axis`.";
  let description = [{
    `exclusive` leaves the element itself out; `reverse` sums from the end.

    (C1) axis is a dimension of the input.
  }];
  let arguments = (ins R1_Number:$input, I64Attr:$axis, UnitAttr:$exclusive, UnitAttr:$reverse);
  let results = (outs R1_Number:$result);
  let assemblyFormat = [{
    $input `axis` $axis (`exclusive` $exclusive^)? (`reverse` $reverse^)? attr-dict `:` functional-type(operands, results)
  }];
}

//===--- Shapes -------------------------------------------------------------------------------------------------===//

def R1_ReshapeOp : R1_Primitive<"reshape"> {
  let summary = "The same elements in the same order, in another shape.";
  let description = [{
    The shape stands in `sizes`, or in a tensor that is computed. One size may be -1: what is left of the elements.

    (C1) exactly one of sizes and shape is given.
    (C2) sizes are not negative but for at most one -1.
    (C3) the number of elements stays the same.
    (C4) the number of elements of `shape` is static.
  }];
  let arguments = (ins R1_Tensor:$input, Optional<R1_Shape>:$shape, OptionalAttr<DenseI64ArrayAttr>:$sizes);
  let results = (outs R1_Tensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$input, "::llvm::ArrayRef<int64_t>":$sizes), [{
    build($_builder, $_state, input, ::mlir::Value(), $_builder.getDenseI64ArrayAttr(sizes));
  }]>];
  let assemblyFormat = "$input `to` custom<Sizes>($shape, $sizes) attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def R1_BroadcastToOp : R1_Primitive<"broadcast_to"> {
  let summary = "The elements repeated to another shape, as elementwise operations do.";
  let description = [{
    The shape stands in `sizes`, or in a tensor that is computed. A size of -1 is the input's own.

    (C1) exactly one of sizes and shape is given.
    (C2) sizes are not less than -1, and those that are have a dimension of the input.
    (C3) the input's shape broadcasts to the result's.
    (C4) the number of elements of `shape` is static.
  }];
  let arguments = (ins R1_Tensor:$input, Optional<R1_Shape>:$shape, OptionalAttr<DenseI64ArrayAttr>:$sizes);
  let results = (outs R1_Tensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$input, "::llvm::ArrayRef<int64_t>":$sizes), [{
    build($_builder, $_state, input, ::mlir::Value(), $_builder.getDenseI64ArrayAttr(sizes));
  }]>];
  let assemblyFormat = "$input `to` custom<Sizes>($shape, $sizes) attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def R1_TransposeOp : R1_Primitive<"transpose"> {
  let summary = "Dimension i of the result is dimension permutation[i] of the input.";
  let description = [{
    (C1) permutation names each dimension of the input once.
  }];
  let arguments = (ins R1_Tensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = "$input `by` $permutation attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def R1_SliceOp : R1_Primitive<"slice"> {
  let summary = "Every step-th element from start on and before limit, along one axis.";
  let description = [{
    As Python's slices: negative start and limit count from the end, and are then brought into the dimension's range; no
    limit is the end. Where the bounds are computed, `r1.gather` takes an `r1.range`.

    (C1) axis is a dimension of the input.
    (C2) step is positive.
  }];
  let arguments = (ins R1_Tensor:$input, I64Attr:$axis, I64Attr:$start, OptionalAttr<I64Attr>:$limit,
                   DefaultValuedAttr<I64Attr, "1">:$step);
  let results = (outs R1_Tensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$input, "int64_t":$axis, "int64_t":$start, "int64_t":$limit), [{
    build($_builder, $_state, input, $_builder.getI64IntegerAttr(axis), $_builder.getI64IntegerAttr(start),
          $_builder.getI64IntegerAttr(limit), $_builder.getI64IntegerAttr(1));
  }]>];
  let assemblyFormat = [{
    $input `axis` $axis `from` $start (`to` $limit^)? (`by` $step^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def R1_ConcatOp : R1_Primitive<"concat"> {
  let summary = "The inputs one behind the other along `axis`.";
  let description = [{
    (C1) there is at least one input.
    (C2) the inputs have one element type and agree in all dimensions but axis.
    (C3) axis is a dimension of the inputs.
  }];
  let arguments = (ins Variadic<R1_Tensor>:$inputs, I64Attr:$axis);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = "$inputs `axis` $axis attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

//===--- Indices ------------------------------------------------------------------------------------------------===//

def R1_GatherOp : R1_Primitive<"gather"> {
  let summary = "The slices along `axis` that indices name: [A, n, B] x [I] -> [A, I, B].";
  let description = [{
    A negative index counts from the end.

    (C1) axis is a dimension of the input.
  }];
  let arguments = (ins R1_Tensor:$input, R1_IndexTensor:$indices, I64Attr:$axis);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = "$input `,` $indices `axis` $axis attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def R1_GatherElementsOp : R1_Primitive<"gather_elements"> {
  let summary = "For each index the element that stands there along `axis`, at the index's own place in the others.";
  let description = [{
    A negative index counts from the end.

    (C1) axis is a dimension of the input, and the indices have as many dimensions.
    (C2) apart from axis, the indices are not larger than the input.
  }];
  let arguments = (ins R1_Tensor:$input, R1_IndexTensor:$indices, I64Attr:$axis);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = "$input `,` $indices `axis` $axis attr-dict `:` functional-type(operands, results)";
}

def R1_ScatterElementsOp : R1_Primitive<"scatter_elements"> {
  let summary = "The input with each update put where its index says along `axis`.";
  let description = [{
    An update meets the element as `scatter` says. Updates are applied in row-major order. A negative index counts from
    the end.

    (C1) axis is a dimension of the input, and the indices have as many dimensions.
    (C2) apart from axis, the indices are not larger than the input.
    (C3) updates have the shape of the indices and the element type of the input.
    (C4) elements of i1 are replaced only.
  }];
  let arguments = (ins R1_ScatterAttr:$scatter, R1_Tensor:$input, R1_IndexTensor:$indices, R1_Tensor:$updates,
                   I64Attr:$axis);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = [{
    $scatter $input `,` $indices `,` $updates `axis` $axis attr-dict `:`
    functional-type(operands, results)
  }];
}

def R1_TopkOp : R1_Primitive<"topk"> {
  let summary = "The k greatest elements along `axis`, and their indices.";
  let description = [{
    In falling order (with `smallest` the k least, in rising order); of equal ones the lower index stands first, and NaN is
    greater than all. Indices are i64.

    (C1) axis is a dimension of the input.
    (C2) k is positive, and not greater than that dimension.
  }];
  let arguments = (ins R1_Number:$input, I64Attr:$k, I64Attr:$axis, UnitAttr:$smallest);
  let results = (outs R1_Number:$values, R1_IndexTensor:$indices);
  let assemblyFormat = [{
    $k `of` $input `axis` $axis (`smallest` $smallest^)? attr-dict `:` functional-type(operands, results)
  }];
}

def R1_SortOp : R1_Primitive<"sort"> {
  let summary = "The elements along `axis` in rising order, and where they stood.";
  let description = [{
    With `falling` in falling order. Of equal ones the lower index stands first, and NaN is greater than all. Where the k of
    a top-k is computed, it is this and the first k.

    (C1) axis is a dimension of the input.
  }];
  let arguments = (ins R1_Number:$input, I64Attr:$axis, UnitAttr:$falling);
  let results = (outs R1_Number:$values, R1_IndexTensor:$indices);
  let assemblyFormat = [{
    $input `axis` $axis (`falling` $falling^)? attr-dict `:` functional-type(operands, results)
  }];
}

def R1_GatherNdOp : R1_Primitive<"gather_nd"> {
  let summary = "The elements, or slices, that rows of indices name: [..., k] indices reach k dimensions deep.";
  let description = [{
    result[b..., i..., s...] = input[b..., indices[b..., i..., 0], ..., indices[b..., i..., k - 1], s...] for
    `batch_dims` leading dimensions b. A negative index counts from the end.

    (C1) batch_dims is not negative and less than the rank of the indices, and the leading dimensions agree.
    (C2) the last dimension of the indices is static, and at most the dimensions of the input behind batch_dims.
  }];
  let arguments = (ins R1_Tensor:$input, R1_IndexTensor:$indices, DefaultValuedAttr<I64Attr, "0">:$batch_dims);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = [{
    $input `,` $indices (`batch_dims` $batch_dims^)? attr-dict `:` functional-type(operands, results)
  }];
}

def R1_ScatterNdOp : R1_Primitive<"scatter_nd"> {
  let summary = "The input with each update, an element or a slice, put where its row of indices says.";
  let description = [{
    An update meets the element as `scatter` says. Updates are applied in row-major order. A negative index counts from
    the end.

    (C1) the last dimension of the indices is static, and at most the dimensions of the input.
    (C2) updates have the leading dimensions of the indices, then those of the input that indices do not reach, and the
    element type of the input.
    (C3) elements of i1 are replaced only.
  }];
  let arguments = (ins R1_ScatterAttr:$scatter, R1_Tensor:$input, R1_IndexTensor:$indices, R1_Tensor:$updates);
  let results = (outs R1_Tensor:$result);
  let assemblyFormat = [{
    $scatter $input `,` $indices `,` $updates attr-dict `:` functional-type(operands, results)
  }];
}

def R1_NonzeroOp : R1_Primitive<"nonzero"> {
  let summary = "Where the input is not zero: i64 [rank, n], one column for each such element in row-major order.";
  let description = [{
    (C1) the input has at least one dimension.
  }];
  let arguments = (ins R1_Tensor:$input);
  let results = (outs R1_IndexTensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

//===--- Weights ------------------------------------------------------------------------------------------------===//

def R1_DequantizeOp : R1_Primitive<"dequantize"> {
  let summary = "A weight in blocks as f32: each element times its block's scale.";
  let description = [{
    Element (i, j) of the last two dimensions, less its zero point if it is an integer, times scales[i / rows][j /
    columns]; scales and zero points come with the weight (`#r1.weight`), the size of the blocks is its type's
    `#r1.blocks`.

    (C1) the input's type has blocks and at least two dimensions.
  }];
  let arguments = (ins R1_WeightTensor:$input);
  let results = (outs R1_Float:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

#endif
