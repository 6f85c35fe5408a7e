#ifndef COMPILER_TRANSFORMS_PASSES
#define COMPILER_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def DecomposeCompositesPass : Pass<"r1-decompose", "::mlir::ModuleOp"> {
  let summary = "Writes composites as what they mean: primitives of r1.";
  let description = [{
    What each composite means is defined by `DecomposableOpInterface` on the operation; composites that a decomposition is
    made of are decomposed, too. Afterwards no operation named in `ops` is left; without the option no composite is.

    Before:
    ```mlir
    %0 = r1.swiglu %gate, %up : tensor<?x64xf32>
    ```
    After:
    ```mlir
    %0 = r1.sigmoid %gate : tensor<?x64xf32>
    %1 = r1.mul %gate, %0 : tensor<?x64xf32>
    %2 = r1.mul %1, %up : tensor<?x64xf32>
    ```
  }];
  let options = [ListOption<"ops", "ops", "std::string", "The composites to decompose, such as r1.route; all if none">];
  let statistics = [Statistic<"decomposed", "decomposed", "Number of composites decomposed">];
}

def ExpandQuantizedPass : Pass<"r1-expand-quantized", "::mlir::ModuleOp"> {
  let summary = "Writes quantized weights as what they mean: bytes, taken apart and scaled.";
  let description = [{
    For plain graphs, whose code reads whole tensors. Weights of one tensor of ui4 or ui8 with a scale for each block of a
    row are expanded, others are left.

    Before:
    ```mlir
    %0 = r1.weight [#r1.weight<"b" in "w" at 0 size 128 : tensor<4x64xui4, #r1.blocks<1, 32>> scaled_by #s>] : ...
    %1 = r1.dequantize %0 : (tensor<4x64xui4, #r1.blocks<1, 32>>) -> tensor<4x64xf32>
    ```
    After:
    ```mlir
    %0 = r1.weight [#r1.weight<"b" in "w" at 0 size 128 : tensor<4x32xui8>>] : tensor<4x32xui8>
    %1 = r1.mod %0, %c16 ...
    %2 = r1.div %0, %c16 ...
    ...                      // interleaved, and as f32
    %9 = r1.sub %8, %c8 ...
    %10 = r1.mul %9, %scales // each repeated for 32 columns
    ```
  }];
}

def InferShapesPass : Pass<"r1-infer-shapes", "::mlir::ModuleOp"> {
  let summary = "Makes dimensions static that the operands of r1's operations settle.";
  let description = [{
    From the arguments down, results take what their operation infers, and a function's type follows its results. Sizes
    that are computed by constants count, so run `canonicalize` before where an importer left shape arithmetic. Functions
    that are called keep their types.

    Before:
    ```mlir
    func.func @forward(%x: tensor<8x64xf32>, %w: tensor<32x64xbf16>) -> tensor<?x32xf32> {
      %0 = r1.linear %x, %w : (tensor<8x64xf32>, tensor<32x64xbf16>) -> tensor<?x32xf32>
      return %0 : tensor<?x32xf32>
    }
    ```
    After:
    ```mlir
    func.func @forward(%x: tensor<8x64xf32>, %w: tensor<32x64xbf16>) -> tensor<8x32xf32> {
      %0 = r1.linear %x, %w : (tensor<8x64xf32>, tensor<32x64xbf16>) -> tensor<8x32xf32>
      return %0 : tensor<8x32xf32>
    }
    ```
  }];
}

// Fusion is the inverse of r1-decompose: what an exporter wrote as primitives becomes the composite that means the same.
// Every pass reports what it fused and what it nearly fused as remarks of the category `fusion`
// (compiler/Transforms/Fusion.h).
class FusePass<string argument, list<string> dialects = []> : Pass<argument, "::mlir::func::FuncOp"> {
  let dependentDialects = !listconcat(["::elah::r1::R1Dialect"], dialects);
}

def AdoptLanguageModelPass : Pass<"r1-adopt-language-model", "::mlir::ModuleOp"> {
  let summary = "Makes an exported language model a step of one sequence: tokens, positions and a cache.";
  let description = [{
    A function `@main` with an input `input_ids` and a result `logits`, and no inputs but `attention_mask`, `position_ids`,
    `cache_position` and past keys and values, becomes `@forward`. The batch is 1, nothing is padding, positions are given,
    pasts are rows of the cache, and presents the cache that is returned. Any other function stays as it is. Run
    `r1-infer-shapes` behind it: most types know their batch then.

    Before:
    ```mlir
    func.func @main(%ids: tensor<?x?xi64> {r1.name = "input_ids"},
                    %k: tensor<?x2x?x8xf32> {r1.name = "past_key_values.0.key"}, ...)
        -> (tensor<?x?x71xf32> {r1.name = "logits"}, tensor<?x2x?x8xf32> {r1.name = "present.0.key"}, ...) {
      ...
      %present = r1.concat %k, %new axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    ```
    After:
    ```mlir
    func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>,
                       %cache: !r1.cache<kv, layers = 1, key_width = 16, value_width = 16>)
        -> (tensor<?x71xf32>, !r1.cache<kv, layers = 1, key_width = 16, value_width = 16>) {
      ... // %ids is %tokens as [1, -1]
      %0 = r1.cache_append %rows to key of %cache layer 0 : ... // %new as rows of 16
      %1 = r1.cache_read key of %0 layer 0 : ...
      %present = ... // %1 as [1, 2, -1, 8]
    ```
  }];
  let dependentDialects = ["::elah::r1::R1Dialect"];
}

def SettleSizesPass : FusePass<"r1-settle-sizes"> {
  let summary = "Makes sizes static that are the same in steps of different sizes.";
  let description = [{
    For a function `@forward(tokens, positions, ...)`: what shapes are computed from is known but for the numbers of tokens
    and of rows in the cache, so a size that does not change with these is a number. Run it where `r1-infer-shapes`, which
    does not compute, can tell no more.

    Before:
    ```mlir
    %0 = r1.shape %x : (tensor<?x8xf32>) -> tensor<2xi64>
    %1 = r1.concat %one, %0 axis 0 : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
    %2 = r1.reshape %x to %1 : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
    ```
    After:
    ```mlir
    %2 = r1.reshape %x to %1 : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<1x?x8xf32>
    ```
  }];
}

def AttachCachePass : FusePass<"r1-attach-cache"> {
  let summary = "Lets the attention of a model that was exported without pasts remember what is behind.";
  let description = [{
    For a function `@forward(tokens, positions) -> logits` all of whose rows are computed apart but for attention, at
    positions that are the given ones or 0, 1, 2, ...

    Before:
    ```mlir
    func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x71xf32> {
      ...
      %0 = r1.attention %q, %k, %v at %positions {layer = 0 : i64, kv_heads = 2 : i64, head_dim = 8 : i64, ...}
    ```
    After:
    ```mlir
    func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>,
                       %cache: !r1.cache<kv, layers = 1, key_width = 16, value_width = 16>)
        -> (tensor<?x71xf32>, !r1.cache<kv, layers = 1, key_width = 16, value_width = 16>) {
      ...
      %0, %new = r1.attention %q, %k, %v at %positions cache %cache {layer = 0 : i64, ...}
    ```
  }];
}

def FuseLinearPass : FusePass<"r1-fuse-linear"> {
  let summary = "Makes products with weights, and a bias added to them, projections.";
  let description = [{
    A weight lies as [outputs, inputs] or as graphs multiply by it, [inputs, outputs]: the latter becomes an `r1.weight`
    whose bytes stay where they are and are read `transposed`. Leading dimensions of the input become one of rows.

    Before:
    ```mlir
    %w = r1.weight [#r1.weight<"w" in "model.data" at 0 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
    %0 = r1.matmul %x, %w : (tensor<?x4xf32>, tensor<4x6xf32>) -> tensor<?x6xf32>
    %1 = r1.add %bias, %0 : (tensor<6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
    ```
    After:
    ```mlir
    %w = r1.weight [#r1.weight<"w" in "model.data" at 0 size 96 : tensor<6x4xf32> transposed = true>] : tensor<6x4xf32>
    %1 = r1.linear %x, %w bias %bias : (tensor<?x4xf32>, tensor<6x4xf32>, tensor<6xf32>) -> tensor<?x6xf32>
    ```
  }];
}

def FuseRmsNormPass : FusePass<"r1-fuse-rms-norm"> {
  let summary = "Makes products of a tensor, its reciprocal length and a weight norms.";
  let description = [{
    Squares may be products or powers, the mean a sum divided or scaled, the reciprocal length `rsqrt`, a division by
    `sqrt`, a power, or one divided by the root. Casts of floats may stand around each part.

    Before:
    ```mlir
    %0 = r1.pow %x, %two : (tensor<?x64xf32>, tensor<f32>) -> tensor<?x64xf32>
    %1 = r1.reduce mean %0 over [1] keep_dims : (tensor<?x64xf32>) -> tensor<?x1xf32>
    %2 = r1.add %1, %epsilon : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
    %3 = r1.sqrt %2 : tensor<?x1xf32>
    %4 = r1.div %x, %3 : (tensor<?x64xf32>, tensor<?x1xf32>) -> tensor<?x64xf32>
    %5 = r1.mul %weight, %4 : (tensor<64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
    ```
    After:
    ```mlir
    %5 = r1.rms_norm %x, %weight {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    ```
  }];
}

def FuseSoftmaxPass : FusePass<"r1-fuse-softmax"> {
  let summary = "Makes powers divided by their sum a softmax.";
  let description = [{
    Before:
    ```mlir
    %0 = r1.reduce max %x over [1] keep_dims : (tensor<?x8xf32>) -> tensor<?x1xf32>
    %1 = r1.sub %x, %0 : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
    %2 = r1.exp %1 : tensor<?x8xf32>
    %3 = r1.reduce sum %2 over [1] keep_dims : (tensor<?x8xf32>) -> tensor<?x1xf32>
    %4 = r1.div %2, %3 : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
    ```
    After:
    ```mlir
    %4 = r1.softmax %x axis 1 : tensor<?x8xf32>
    ```
  }];
}

def FuseSwigluPass : FusePass<"r1-fuse-swiglu"> {
  let summary = "Makes products of a gate, its sigmoid and another tensor the activation that they are.";
  let description = [{
    Before:
    ```mlir
    %0 = r1.sigmoid %gate : tensor<?x64xf32>
    %1 = r1.mul %gate, %0 : tensor<?x64xf32>
    %2 = r1.mul %1, %up : tensor<?x64xf32>
    ```
    After:
    ```mlir
    %2 = r1.swiglu %gate, %up : tensor<?x64xf32>
    ```
  }];
}

def FuseEmbeddingPass : FusePass<"r1-fuse-embedding"> {
  let summary = "Makes rows of a weight that tokens choose an embedding.";
  let description = [{
    Before:
    ```mlir
    %0 = r1.gather %table, %tokens axis 0 : (tensor<71x50xbf16>, tensor<?xi32>) -> tensor<?x50xbf16>
    %1 = r1.cast %0 to f32 : (tensor<?x50xbf16>) -> tensor<?x50xf32>
    ```
    After:
    ```mlir
    %1 = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<71x50xbf16>) -> tensor<?x50xf32>
    ```
  }];
}

def ComputeRopeTablesPass : FusePass<"r1-compute-rope-tables"> {
  let summary = "Replaces look-ups of positions in tables of cosines and sines by what the tables hold.";
  let description = [{
    Two tables of one shape, of which every row is that of the cosines, or sines, of a multiple of one angle for each
    column. Their elements are read from `weights`, the folder in which the model's files lie.

    Before:
    ```mlir
    %cos = r1.weight [#r1.weight<"cos_cache" in "model.onnx.data" at 0 size 8192 : tensor<512x4xf32>>] : tensor<512x4xf32>
    %0 = r1.gather %cos, %positions axis 0 : (tensor<512x4xf32>, tensor<1x?xi64>) -> tensor<1x?x4xf32>
    ```
    After:
    ```mlir
    %frequencies = r1.constant dense<[1.0, 0.1, 0.01, 0.001]> : tensor<4xf32>
    %0 = r1.cast %positions to f32 : (tensor<1x?xi64>) -> tensor<1x?xf32>
    %1 = r1.reshape %0 to [1, -1, 1] : (tensor<1x?xf32>) -> tensor<1x?x1xf32>
    %2 = r1.mul %1, %frequencies : (tensor<1x?x1xf32>, tensor<4xf32>) -> tensor<1x?x4xf32>
    %3 = r1.cos %2 : tensor<1x?x4xf32>
    ```
  }];
  let options = [Option<"weightFolder", "weights", "std::string", "\"\"", "The folder of the model's files.">];
}

def FuseRopePass : FusePass<"r1-fuse-rope"> {
  let summary = "Makes what turns pairs of elements by the token's position a rotary embedding.";
  let description = [{
    The pattern is everything between one activation and tables that depend on positions alone. Whether that rotates pairs,
    which and how far, is computed for a few positions, so that halves, interleaved pairs, tables and frequencies are all
    recognised. Needs `r1-fuse-linear` before, so that the activation is a projection's result.

    Before:
    ```mlir
    %0 = r1.reshape %x to [-1, 2, 8] : (tensor<?x16xf32>) -> tensor<?x2x8xf32>
    %1 = r1.mul %0, %cosines : (tensor<?x2x8xf32>, tensor<?x1x8xf32>) -> tensor<?x2x8xf32>
    %2 = r1.slice %0 axis 2 from 4 to 8 : (tensor<?x2x8xf32>) -> tensor<?x2x4xf32>
    %3 = r1.neg %2 : tensor<?x2x4xf32>
    %4 = r1.slice %0 axis 2 from 0 to 4 : (tensor<?x2x8xf32>) -> tensor<?x2x4xf32>
    %5 = r1.concat %3, %4 axis 2 : (tensor<?x2x4xf32>, tensor<?x2x4xf32>) -> tensor<?x2x8xf32>
    %6 = r1.mul %5, %sines : (tensor<?x2x8xf32>, tensor<?x1x8xf32>) -> tensor<?x2x8xf32>
    %7 = r1.add %1, %6 : tensor<?x2x8xf32>
    ```
    After:
    ```mlir
    %6 = r1.rope %x at %positions {heads = 2 : i64, rope = #r1.rope<half, [1.0, 0.1, 0.01, 0.001], scale = 1.0>}
        : (tensor<?x16xf32>, tensor<?xi32>) -> tensor<?x16xf32>
    %7 = r1.reshape %6 to [-1, 2, 8] : (tensor<?x16xf32>) -> tensor<?x2x8xf32>
    ```
  }];
}

def FuseAttentionPass : FusePass<"r1-fuse-attention"> {
  let summary = "Makes masked, scaled softmax products of queries, keys and values attention.";
  let description = [{
    Heads may be split, transposed and repeated in any order; the scale may stand on queries, keys, both or the scores;
    the mask may be computed in any way from sizes and positions, as long as it is causal; rotations of query and key
    (`r1-fuse-rope`) and rows that go through the cache become the operation's. Needs `r1-fuse-softmax` and
    `r1-fuse-linear` before.

    Before:
    ```mlir
    %0 = r1.rope %q at %positions {heads = 4 : i64, rope = #rope} : (tensor<?x32xf32>, tensor<?xi32>) -> tensor<?x32xf32>
    %1 = r1.reshape %0 to [-1, 4, 8] : (tensor<?x32xf32>) -> tensor<?x4x8xf32>
    %2 = r1.transpose %1 by [1, 0, 2] : (tensor<?x4x8xf32>) -> tensor<4x?x8xf32>
    ...
    %7 = r1.matmul %2, %6 : (tensor<4x?x8xf32>, tensor<4x8x?xf32>) -> tensor<4x?x?xf32>
    %8 = r1.mul %7, %scale : (tensor<4x?x?xf32>, tensor<f32>) -> tensor<4x?x?xf32>
    %9 = r1.add %8, %mask : (tensor<4x?x?xf32>, tensor<?x?xf32>) -> tensor<4x?x?xf32>
    %10 = r1.softmax %9 axis 2 : tensor<4x?x?xf32>
    %11 = r1.matmul %10, %v : (tensor<4x?x?xf32>, tensor<4x?x8xf32>) -> tensor<4x?x8xf32>
    ```
    After:
    ```mlir
    %10 = r1.attention %q, %k, %v at %positions {heads = 4 : i64, kv_heads = 4 : i64, rope = #rope, ...}
    %11 = ... // as heads again: r1-simplify-views takes that away with what undoes it
    ```
  }];
}

def FuseLatentAttentionPass : FusePass<"r1-fuse-latent-attention"> {
  let summary = "Makes attention over keys and values that are expanded from a latent multi-head latent attention.";
  let description = [{
    Recovers MLA from any of its expanded forms: keys of a part that each head has of its own and a rotated one that all
    share, multiplied together or apart, with or without a cache of keys and values. The cache of the fused operation holds
    the normalized latent and the rotated part of each token, so that a function whose layers are all recognised gets a
    cache of kind `latent` in the place of one of expanded heads. Needs `r1-fuse-rope` before.

    Before:
    ```mlir
    %c = r1.rms_norm %latent_part, %norm {epsilon = 1.0e-6} : (tensor<?x512xf32>, tensor<512xf32>) -> tensor<?x512xf32>
    %kv = r1.linear %c, %kv_b : (tensor<?x512xf32>, tensor<32768x512xf32>) -> tensor<?x32768xf32>
    %k = r1.concat %k_nope, %k_rotated_of_all_heads axis 2
        : (tensor<128x?x128xf32>, tensor<128x?x64xf32>) -> tensor<128x?x192xf32>
    ... // attention with 128 heads of 192 and 128
    ```
    After:
    ```mlir
    %0 = r1.latent_attention %q, %latent norm %norm expand %kv_b at %positions
        {heads = 128 : i64, nope_dim = 128 : i64, rope_dim = 64 : i64, value_dim = 128 : i64, rank = 512 : i64, ...}
    ```
  }];
}

def FuseRoutePass : FusePass<"r1-fuse-route"> {
  let summary = "Makes choices of experts by their scores a router.";
  let description = [{
    The numbers of groups and of experts are those of the top-k operations between scores and choice; masks and fills in
    between may be written in any way, since the whole is computed for random logits and held against `#r1.routing`.

    Before:
    ```mlir
    %0 = r1.sigmoid %logits : tensor<?x8xf32>
    %1 = r1.add %0, %bias : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    %values, %indices = r1.topk 2 of %1 axis 1 : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
    %2 = r1.gather_elements %0, %indices axis 1 : (tensor<?x8xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
    %3 = r1.reduce sum %2 over [1] keep_dims : (tensor<?x2xf32>) -> tensor<?x1xf32>
    %4 = r1.div %2, %3 : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
    ```
    After:
    ```mlir
    %experts, %weights = r1.route %logits bias %bias {routing = #r1.routing<sigmoid, top_k = 2, groups = 1, top_groups = 1,
        group_score = max, normalize = true, scale = 1.0>}
        : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
    ```
  }];
}

def FuseExpertsPass : FusePass<"r1-fuse-experts"> {
  let summary = "Makes gated MLPs that a router's choice reaches the experts that it chooses among.";
  let description = [{
    Experts may be a loop that picks each one's tokens and scatters the results, all of them on all tokens with a mask, or
    products with stacked or gathered weights. Whether their results are summed with the router's weights is computed for
    a few tokens. A graph that has fewer experts than its router chooses among is an error: it was traced with tokens that
    did not reach the others. Needs `r1-fuse-route`, `r1-fuse-swiglu` and `r1-fuse-linear` before.

    Before:
    ```mlir
    %experts, %weights = r1.route %logits {...} : (tensor<?x8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
    %0 = r1.linear %x, %gate0 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
    %1 = r1.linear %x, %up0 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
    %2 = r1.swiglu %0, %1 : tensor<?x6xf32>
    %3 = r1.linear %2, %down0 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
    ... // %4, the weight of expert 0 for each token, or 0
    %5 = r1.mul %3, %4 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
    ... // the same for experts 1 to 7, and their sum
    ```
    After:
    ```mlir
    %experts, %weights = r1.route %logits {...} : (tensor<?x8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
    %gate = r1.weight [#gate0, #gate1, ...] : tensor<8x6x4xf32>
    ...
    %y = r1.experts %x to %experts, %weights gate %gate up %up down %down : ...
    ```
  }];
}

def FuseNextTokenBlockPass : FusePass<"r1-fuse-next-token-block"> {
  let summary = "Makes the projection of two norms what stands in front of a multi-token prediction layer.";
  let description = [{
    Before:
    ```mlir
    %0 = r1.compare ne %positions, %zero : (tensor<?xi32>, tensor<i32>) -> tensor<?xi1>
    %1 = r1.reshape %0 to [-1, 1] : (tensor<?xi1>) -> tensor<?x1xi1>
    %2 = r1.select %1, %embedded, %none : (tensor<?x1xi1>, tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
    %3 = r1.rms_norm %2, %enorm {epsilon = 1.0e-6} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    %4 = r1.rms_norm %hidden, %hnorm {epsilon = 1.0e-6} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    %5 = r1.concat %3, %4 axis 1 : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x16xf32>
    %6 = r1.linear %5, %projection : (tensor<?x16xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
    ```
    After:
    ```mlir
    %6 = r1.next_token_block %hidden, %embedded at %positions norms %hnorm, %enorm projection %projection
        {epsilon = 1.0e-6} : ...
    ```
  }];
}

def SimplifyViewsPass : FusePass<"r1-simplify-views"> {
  let summary = "Takes away reshapes, transposes and slices that add up to nothing, and sizes of 1 in front of rows.";
  let description = [{
    Before:
    ```mlir
    %0 = r1.reshape %x to [-1, 2, 4] : (tensor<?x8xf32>) -> tensor<?x2x4xf32>
    %1 = r1.transpose %0 by [1, 0, 2] : (tensor<?x2x4xf32>) -> tensor<2x?x4xf32>
    %2 = r1.transpose %1 by [1, 0, 2] : (tensor<2x?x4xf32>) -> tensor<?x2x4xf32>
    %3 = r1.reshape %2 to [1, -1, 8] : (tensor<?x2x4xf32>) -> tensor<1x?x8xf32>
    %4 = r1.exp %3 : tensor<1x?x8xf32>
    ```
    After:
    ```mlir
    %0 = r1.exp %x : tensor<?x8xf32>
    %1 = r1.reshape %0 to [1, -1, 8] : (tensor<?x8xf32>) -> tensor<1x?x8xf32>
    ```
  }];
}

def OutlineKernelsPass : Pass<"exec-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Moves kernel operations into symbols that launches share, so that each kernel is compiled once.";
  let description = [{
    DeepSeek-R1 is 1,142 launches of 24 kernels. Two kernel operations share a symbol exactly if
    their attributes, their operands' types and their operands' numbers of rows are equal, since a kernel computes its
    row counts from a step's dimensions. Symbols are named after the family, and products after their shape and format.

    The grid is what the family's interface says: outer blocks times the rows of its block buffer, one row a block.

    Before:
    ```mlir
    exec.program @forward {
      %x = exec.alloc rows <tokens> : memref<?x64xf32>
      %w = exec.weight_ref @model.norm : memref<64xf32>
      %y = exec.alloc rows <tokens> : memref<?x64xf32>
      kernel.rms_norm %x, %w to %y {epsilon = 1.0e-6} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
      ...
    ```
    After:
    ```mlir
    exec.kernel @rms_norm(%a: memref<?x64xf32>, %b: memref<64xf32>, %c: memref<?x64xf32>)
        rows [#exec.extent<tokens>, #exec.extent<64>, #exec.extent<tokens>] {
      kernel.rms_norm %a, %b to %c {epsilon = 1.0e-6} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
    }
    exec.program @forward {
      %x = exec.alloc rows <tokens> : memref<?x64xf32>
      %w = exec.weight_ref @model.norm : memref<64xf32>
      %y = exec.alloc rows <tokens> : memref<?x64xf32>
      exec.launch @rms_norm(%x, %w, %y) grid(1, <tokens>, 1) : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
      ...
    ```
  }];
  let statistics = [Statistic<"kernels", "kernels", "Number of kernel symbols">,
                    Statistic<"launches", "launches", "Number of launches">];
}

def PlanArenaPass : Pass<"exec-plan-arena", "::mlir::ModuleOp"> {
  let summary = "Gives every buffer a slot of the arena; buffers whose lives do not meet share one.";
  let description = [{
    A buffer lives from the first operation that uses it, itself or through a view, to the last one: an operation that
    adds to a buffer uses it, and `exec.return` uses the logits. Two lives that share an operation meet, since a kernel
    writes its outputs while it reads its inputs.

    Buffers are placed from the largest to the smallest at the limits of a step (`exec.limits`), each in the first slot
    where it meets nobody. A slot keeps the byte size of every buffer in it as an expression of the step's dimensions;
    the runtime takes the largest when it knows them, so that a decode step uses little memory whatever the limits.

    Needs a program of launches (after `exec-outline-kernels`) or of kernel operations; a plan that is there is replaced.

    Before:
    ```mlir
    exec.program @forward {
      %a = exec.alloc rows <tokens> : memref<?x64xf32>
      exec.launch @first(%a) ...
      %b = exec.alloc rows <tokens> : memref<?x16xf32>
      exec.launch @second(%a, %b) ...
      %c = exec.alloc rows <logit_rows> : memref<?x32xf32>
      exec.launch @third(%b, %c) ...
      exec.return %c : memref<?x32xf32>
    }
    ```
    After:
    ```mlir
    exec.program @forward attributes {
        arena = [[#exec.extent<256 * tokens>, #exec.extent<128 * logit_rows>], [#exec.extent<64 * tokens>]]} {
      %a = exec.alloc rows <tokens> {slot = 0 : i64} : memref<?x64xf32>
      exec.launch @first(%a) ...
      %b = exec.alloc rows <tokens> {slot = 1 : i64} : memref<?x16xf32>
      exec.launch @second(%a, %b) ...
      %c = exec.alloc rows <logit_rows> {slot = 0 : i64} : memref<?x32xf32>
      exec.launch @third(%b, %c) ...
      exec.return %c : memref<?x32xf32>
    }
    ```
  }];
  let statistics = [Statistic<"buffers", "buffers", "Number of buffers">,
                    Statistic<"slots", "slots", "Number of slots">];
}

#endif
