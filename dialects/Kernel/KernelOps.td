#ifndef DIALECTS_KERNEL_KERNELOPS
#define DIALECTS_KERNEL_KERNELOPS

include "dialects/Kernel/KernelDialect.td"
include "dialects/Kernel/KernelInterfaces.td"
include "dialects/R1/R1Attrs.td"

// `outputs`, `outer` and `rows` are C++ expressions: the last operands are written, and the blocks of a launch are outer * (rows of the named operand, or 1).
class Kernel_Op<string mnemonic, string outputs, string outer, string rows, list<Trait> traits = []>
    : Op<Kernel_Dialect, mnemonic, !listconcat([DeclareOpInterfaceMethods<Kernel_KernelOpInterface>], traits)> {
  let extraClassDefinition = [{
    int64_t $cppClass::getOuterBlocks() { return }] # outer # [{; }
    ::mlir::Value $cppClass::getBlockRows() { return }] # rows # [{; }
    unsigned $cppClass::getInputCount() { return getNumOperands() - (}] # outputs # [{); }
  }];
}

def Rows : MemRefRankOf<[F32, BF16, F16], [2]>;
def AnyRows : MemRefRankOf<[F32, BF16, F16, F8E4M3FN], [2]>;
/// A row of bytes is one of Fp8LatentRow's.
def LatentRows : MemRefRankOf<[F32, BF16, F16, I8], [2]>;
def RowsF32 : MemRefRankOf<[F32], [2]>;
def RowsI32 : MemRefRankOf<[I32], [2]>;
def VectorF32 : MemRefRankOf<[F32], [1]>;
def VectorI32 : MemRefRankOf<[I32], [1]>;
def Packed : MemRefRankOf<[I8], [1]>;

def Kernel_EmbedOp : Kernel_Op<"embed", "1", "1", "getOutput()"> {
  let summary = "The table's row of each token: [T], [V, H] -> [T, H].";
  let description = [{
    (C1) the output is as wide as the table.
  }];
  let arguments = (ins VectorI32:$tokens, Rows:$table, RowsF32:$output);
  let assemblyFormat = "$tokens `,` $table `to` $output attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

def Kernel_RmsNormOp : Kernel_Op<"rms_norm", "1 + (getOutputScales() ? 1 : 0) + (getCopy() ? 1 : 0)", "1", "getOutput()",
                                [AttrSizedOperandSegments]> {
  let summary = "input / sqrt(mean(input^2) + epsilon) * weight, of all rows or of those that `rows` names.";
  let description = [{
    `copy` gets the same rows in another type: a router reads them in f32 or bf16, products in bf16 or quantized.

    (C1) input, weight, output and copy have one width, but that the last two may be split.
    (C2) epsilon is positive.
    (C3) the output has scales exactly if it is f8, as many as quantized rows have.
  }];
  let arguments = (ins Rows:$input, VectorF32:$weight, Optional<VectorI32>:$rows, AnyRows:$output,
                   Optional<RowsF32>:$output_scales, Optional<Rows>:$copy, F64Attr:$epsilon);
  let assemblyFormat = [{
    $input `,` $weight (`rows` $rows^)? `to` $output (`scales` $output_scales^)? (`and` $copy^)? attr-dict `:`
    type(operands)
  }];
  let hasVerifier = 1;
}

def Kernel_SplitOp : Kernel_Op<"split", "1", "1", "getOutput()"> {
  let summary = "The same rows, split, for products in bf16x2: [T, N] -> [T, 2 N].";
  let description = [{
    (C1) the output is bf16, twice as wide as the input.
  }];
  let arguments = (ins RowsF32:$input, Rows:$output);
  let assemblyFormat = "$input `to` $output attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

def Kernel_QuantizeOp : Kernel_Op<"quantize", "2", "1", "getOutput()"> {
  let summary = "The same rows, quantized, for products in f8.";
  let description = [{
    (C1) the output is f8, as wide as the input, with as many scales as quantized rows have.
  }];
  let arguments = (ins Rows:$input, AnyRows:$output, RowsF32:$output_scales);
  let assemblyFormat = "$input `to` $output `scales` $output_scales attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

def Kernel_DispatchOp : Kernel_Op<"dispatch", "1 + (getOutputScales() ? 1 : 0)", "1", "getOutput()",
                                 [AttrSizedOperandSegments]> {
  let summary = "Rows in the order of their experts: output[r] = input[gather[r]].";
  let description = [{
    (C1) input and output have one type of element and one width.
    (C2) both have scales exactly if they are f8, as many as quantized rows have.
  }];
  let arguments = (ins AnyRows:$input, Optional<RowsF32>:$input_scales, VectorI32:$gather, AnyRows:$output,
                   Optional<RowsF32>:$output_scales);
  let assemblyFormat = [{
    $input (`scales` $input_scales^)? `gather` $gather `to` $output (`scales` $output_scales^)? attr-dict `:`
    type(operands)
  }];
  let hasVerifier = 1;
}

class Kernel_ProductOp<string mnemonic, string outer, list<Trait> traits = [], string outputs = "1">
    : Kernel_Op<mnemonic, outputs, outer, "{}", traits>;

def Kernel_GemmOp : Kernel_ProductOp<"gemm", "getPacking().getPanels()", [AttrSizedOperandSegments],
                                    "1 + (getOutputScales() ? 1 : 0)"> {
  let summary = "output = input * weight^T (+ bias), or output += with `accumulate`.";
  let description = [{
    With `swiglu`, output[t, i] = silu(product[t, gate i]) * product[t, up i]; a bias then holds the gate's values and
    behind them the up projection's. `accumulate` is a residual connection.

    (C1) the weight has the bytes of its packing; there are scales exactly if the packing has blocks, as many as it says.
    (C2) a product in bf16 or bf16x2 has a bf16 input and a packing with step 2, one in f32 an f32 input and step 1 (u4:
    2), one in f8 quantized rows and an f8 packing; a packing of rows may have any step.
    (C3) the input is k wide, or split for bf16x2; the output as wide as the packing has columns, split or quantized.
    (C4) the packing has one matrix, and is for swiglu exactly if the activation is.
    (C5) the bias has n elements.
    (C6) `accumulate` adds to f32, and not behind an activation.
  }];
  let arguments = (ins AnyRows:$input, Optional<RowsF32>:$input_scales, Packed:$weight, Optional<VectorF32>:$scales,
                   Optional<VectorF32>:$bias, AnyRows:$output, Optional<RowsF32>:$output_scales,
                   Kernel_PackingAttr:$packing, Kernel_ComputeAttr:$compute, Kernel_ActivationAttr:$activation,
                   UnitAttr:$accumulate);
  let assemblyFormat = [{
    $input (`scaled` $input_scales^)? `,` $weight (`scales` $scales^)? (`bias` $bias^)? `to` $output
    (`scaled` $output_scales^)? attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Kernel_GroupedGemmOp : Kernel_ProductOp<"grouped_gemm", "getPacking().getPanels() * getPacking().getBatch()",
                                           [AttrSizedOperandSegments], "1 + (getOutputScales() ? 1 : 0)"> {
  let summary = "The product of each expert with its rows.";
  let description = [{
    Rows offsets[e] .. offsets[e + 1] of the output belong to expert e. Row r reads input row gather[r], or row r.

    (C1) the weight has the bytes of its packing; there are scales exactly if the packing has blocks, as many as it says.
    (C2) a product in bf16 or bf16x2 has a bf16 input and a packing with step 2, one in f32 an f32 input and step 1 (u4:
    2), one in f8 quantized rows and an f8 packing; a packing of rows may have any step.
    (C3) the input is k wide, or split for bf16x2; the output as wide as the packing has columns, split or quantized.
    (C4) the packing is for swiglu exactly if the activation is.
    (C5) there is one more offset than the packing has matrices.
  }];
  let arguments = (ins AnyRows:$input, Optional<RowsF32>:$input_scales, Packed:$weight, Optional<VectorF32>:$scales,
                   VectorI32:$offsets, Optional<VectorI32>:$gather, AnyRows:$output, Optional<RowsF32>:$output_scales,
                   Kernel_PackingAttr:$packing, Kernel_ComputeAttr:$compute, Kernel_ActivationAttr:$activation);
  let assemblyFormat = [{
    $input (`scaled` $input_scales^)? `,` $weight (`scales` $scales^)? `offsets` $offsets (`gather` $gather^)? `to` $output
    (`scaled` $output_scales^)? attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Kernel_HeadGemmOp : Kernel_ProductOp<"head_gemm", "getPacking().getPanels() * getPacking().getBatch()"> {
  let summary = "One product per head on slices of the rows.";
  let description = [{
    output[t, h * output_stride + output_offset + n] = sum over k of
    input[t, h * input_stride + input_offset + k] * weight_h[n, k]; the packing's batch is the number of heads. Rows of
    heads * stride values may be split: the input's for bf16x2, the output's where they are twice as wide.

    (C1) the weight has the bytes of its packing, which has neither blocks nor swiglu.
    (C2) a product in bf16 or bf16x2 has a bf16 input and a packing with step 2, one in f32 an f32 input and step 1; a
    packing of rows may have any step.
    (C3) strides and offsets are not negative, and the slices of all heads lie within the rows.
    (C4) the slices of the output do not meet.
    (C5) for bf16x2 the input is split.
  }];
  let arguments = (ins Rows:$input, Packed:$weight, Rows:$output, Kernel_PackingAttr:$packing,
                   Kernel_ComputeAttr:$compute, I64Attr:$input_stride, I64Attr:$input_offset, I64Attr:$output_stride,
                   I64Attr:$output_offset);
  let assemblyFormat = "$input `,` $weight `to` $output attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

def Kernel_RouteOp : Kernel_Op<"route", "2", "1", "getLogits()"> {
  let summary = "Chooses experts: [T, E] (+ bias [E]) -> [T, top_k] experts and weights; see #r1.routing.";
  let description = [{
    Behind those that it chooses stand `shared` experts that every token uses with the weight 1: E, E + 1, ...

    (C1) the bias has as many elements as there are experts.
    (C2) experts and weights are top_k + shared wide, and shared is not negative.
    (C3) groups divides the number of experts, 1 <= top_groups <= groups, and the chosen groups hold at least top_k >= 1
    experts.
  }];
  let arguments = (ins RowsF32:$logits, Optional<VectorF32>:$bias, RowsI32:$experts, RowsF32:$weights,
                   R1_RoutingAttr:$routing, DefaultValuedAttr<I64Attr, "0">:$shared);
  let assemblyFormat = "$logits (`bias` $bias^)? `to` $experts `,` $weights attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

def Kernel_ExpertPlanOp : Kernel_Op<"expert_plan", "3", "1", "{}"> {
  let summary = "Sorts (token, expert) pairs by expert, stably.";
  let description = [{
    offsets [E + 1]: where each expert's rows begin; gather [T * k]: the token of each sorted row; slots [T, k]: the
    sorted row of each pair.

    (C1) slots is as wide as experts.
    (C2) the number of offsets is known.
  }];
  let arguments = (ins RowsI32:$experts, VectorI32:$offsets, VectorI32:$gather, RowsI32:$slots);
  let assemblyFormat = "$experts `to` $offsets `,` $gather `,` $slots attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

def Kernel_CombineOp : Kernel_Op<"combine", "1", "1", "getOutput()"> {
  let summary = "output[t] += sum over k of weights[t, k] * rows[slots[t, k]].";
  let description = [{
    (C1) weights and slots have one width.
    (C2) rows and output have one width.
  }];
  let arguments = (ins Rows:$rows, RowsF32:$weights, RowsI32:$slots, RowsF32:$output);
  let assemblyFormat = "$rows `,` $weights `,` $slots `to` $output attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

def Kernel_RopeTableOp : Kernel_Op<"rope_table", "1", "1", "getTable()"> {
  let summary = "[T] positions -> [T, dim]: dim / 2 cosines, then dim / 2 sines, of position * frequency.";
  let description = [{
    The angle is the float32 product, as transformers forms it; cosine and sine are then exact to f32.

    (C1) the table is as wide as the rotation.
  }];
  let arguments = (ins VectorI32:$positions, RowsF32:$table, R1_RopeAttr:$rope);
  let assemblyFormat = "$positions `to` $table attr-dict `:` type(operands)";
  let hasVerifier = 1;
}

def Kernel_RopeAppendOp : Kernel_Op<"rope_append", "3", "1", "getQkv()"> {
  let summary = "Rotates query and key and writes key and value to the cache.";
  let description = [{
    qkv [T, heads * head_dim + kv_heads * (head_dim + value_dim)]; without a table nothing is rotated. Token t's cache
    row is cache_rows[t].

    (C1) heads is a multiple of kv_heads, and all four numbers are positive.
    (C2) qkv, query, key_cache and value_cache have the widths that these give.
    (C3) there is a table exactly if there is a rotation; it is as wide as that, and no wider than a head.
  }];
  let arguments = (ins Rows:$qkv, Optional<RowsF32>:$table, VectorI32:$cache_rows, Rows:$query, Rows:$key_cache,
                   Rows:$value_cache, I64Attr:$heads, I64Attr:$kv_heads, I64Attr:$head_dim, I64Attr:$value_dim,
                   OptionalAttr<R1_RopeAttr>:$rope);
  let assemblyFormat = [{
    $qkv (`table` $table^)? `rows` $cache_rows `to` $query `,` $key_cache `,` $value_cache attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Kernel_AttentionOp : Kernel_Op<"attention", "1", "getKvHeads()", "getOutput()"> {
  let summary = "Causal attention over the paged cache, with grouped key/value heads.";
  let description = [{
    Token t of sequence s = token_sequence[t] sees tokens j = 0 .. positions[t] of its sequence, which lie in cache rows
    page_table[s][j / page_tokens] * page_tokens + j % page_tokens.

    Products are at least as precise as `compute`: in bf16x2, queries, probabilities and what the cache holds in f32 are
    split.

    (C1) heads is a multiple of kv_heads, and all four numbers are positive.
    (C2) query, key_cache, value_cache and output have the widths that these give.
    (C3) both pools hold values of one type.
    (C4) page_tokens is positive.
  }];
  let arguments = (ins Rows:$query, Rows:$key_cache, Rows:$value_cache, VectorI32:$positions,
                   VectorI32:$token_sequence, VectorI32:$page_table, Rows:$output, I64Attr:$heads, I64Attr:$kv_heads,
                   I64Attr:$head_dim, I64Attr:$value_dim, F64Attr:$scale, I64Attr:$page_tokens,
                   DefaultValuedAttr<Kernel_ComputeAttr, "::elah::kernel::Compute::F32">:$compute);
  let assemblyFormat = [{
    $query `,` $key_cache `,` $value_cache `at` $positions `,` $token_sequence `,` $page_table `to` $output attr-dict `:`
    type(operands)
  }];
  let hasVerifier = 1;
}

// Of operations on a cache of latents.
defvar fp8Cache = [{
    /// How rows of the cache are laid out, if they are in FP8.
    std::optional<::elah::kernel::Fp8LatentRow> getFp8Row() {
      if (!getCache().getType().getElementType().isInteger(8)) {
        return std::nullopt;
      }
      return ::elah::kernel::Fp8LatentRow{static_cast<int64_t>(getRank()), static_cast<int64_t>(getRopeDim())};
    }
}];

def Kernel_LatentAppendOp : Kernel_Op<"latent_append", "2", "1", "getLatent()"> {
  let summary = "Normalizes the latent, rotates query and key, and writes the token's row to the cache.";
  let description = [{
    query [T, heads * (nope_dim + rope_dim)], latent [T, rank + rope_dim]. The rotated query parts go to the last
    rope_dim of each head's rank + rope_dim values in `absorbed`; the normalized latent and the rotated key to cache row
    cache_rows[t]. A cache of bytes is in FP8: its rows are laid out as Fp8LatentRow says (LatentRow.h).

    (C1) heads, nope_dim, rope_dim and rank are positive.
    (C2) query, latent, norm_weight, absorbed and cache have the widths that these give; rows of bytes those of FP8.
    (C3) the table and the rotation are rope_dim wide.
    (C4) epsilon is positive.
  }];
  let arguments = (ins Rows:$query, Rows:$latent, VectorF32:$norm_weight, RowsF32:$table, VectorI32:$cache_rows,
                   Rows:$absorbed, LatentRows:$cache, I64Attr:$heads, I64Attr:$nope_dim, I64Attr:$rope_dim, I64Attr:$rank,
                   F64Attr:$epsilon, R1_RopeAttr:$rope);
  let assemblyFormat = [{
    $query `,` $latent `norm` $norm_weight `table` $table `rows` $cache_rows `to` $absorbed `,` $cache attr-dict `:`
    type(operands)
  }];
  let extraClassDeclaration = fp8Cache;
  let hasVerifier = 1;
}

def Kernel_LatentAttentionOp : Kernel_Op<"latent_attention", "1", "getHeadGroups()", "getOutput()"> {
  let summary = "Attention in the absorbed form: all heads share one row of rank + rope_dim values per token.";
  let description = [{
    query [T, heads * (rank + rope_dim)]; a token's key is its whole cache row, its value the row's first `rank` values.
    output [T, heads * rank]. A block handles `heads / head_groups` heads of one token, so that a cache row is loaded once
    for all of them. Which tokens are seen: as in kernel.attention. A cache of bytes is in FP8, as in
    kernel.latent_append.

    (C1) head_groups divides heads, and heads, rank, rope_dim and head_groups are positive.
    (C2) query, cache and output have the widths that these give; rows of bytes those of FP8.
    (C3) page_tokens is positive.
  }];
  let arguments = (ins Rows:$query, LatentRows:$cache, VectorI32:$positions, VectorI32:$token_sequence,
                   VectorI32:$page_table, Rows:$output, I64Attr:$heads, I64Attr:$rank, I64Attr:$rope_dim,
                   I64Attr:$head_groups, F64Attr:$scale, I64Attr:$page_tokens,
                   DefaultValuedAttr<Kernel_ComputeAttr, "::elah::kernel::Compute::F32">:$compute);
  let assemblyFormat = [{
    $query `,` $cache `at` $positions `,` $token_sequence `,` $page_table `to` $output attr-dict `:` type(operands)
  }];
  let extraClassDeclaration = fp8Cache;
  let hasVerifier = 1;
}

//===--- What no family has ---===//

def Kernel_GenericOp : Kernel_Op<"generic", "1", "1", "getOutput()",
                                [IsolatedFromAbove, SingleBlock]> {
  let summary = "Elementwise arithmetic that no family has: output[t, i] = body(inputs[t, i] or inputs[i], ...).";
  let description = [{
    The body is told in f32 scalars, one argument for each input: rows give their element, a vector the element of its
    column. CPUs run it on vectors, a GPU gets it as CUDA C++.

        kernel.generic %rows, %scales to %output : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32> {
        ^bb0(%x: f32, %scale: f32):
          %y = arith.mulf %x, %scale : f32
          %z = math.tanh %y : f32
          kernel.yield %z : f32
        }

    (C1) the body has one f32 argument for each input.
    (C2) inputs are as wide as the output: rows of that width, or vectors of so many elements.
    (C3) the body has only operations of arith and math that every target has: constant, addf, subf, mulf, divf, negf,
    maximumf, minimumf; absf, ceil, erf, exp, floor, log, roundeven, sqrt, tanh.
  }];
  let arguments = (ins Variadic<AnyTypeOf<[Rows, VectorF32]>>:$inputs, Rows:$output);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$inputs `to` $output attr-dict `:` type(operands) $body";
  let hasVerifier = 1;
}

def Kernel_YieldOp : Op<Kernel_Dialect, "yield", [Terminator, HasParent<"GenericOp">]> {
  let summary = "The element that the body of kernel.generic makes.";
  let arguments = (ins F32:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

#endif
