#ifndef DIALECTS_R1_R1COMPOSITES
#define DIALECTS_R1_R1COMPOSITES

include "dialects/R1/R1Interfaces.td"
include "dialects/R1/R1OpBase.td"

defvar decomposes = DeclareOpInterfaceMethods<R1_DecomposableOpInterface>;

def R1_EmbeddingOp : R1_InferredOp<"embedding", [decomposes]> {
  let summary = "The table's row of each token: [T] x [V, H] -> [T, H].";
  let description = [{
    (C1) the result is [T, H] for T tokens and a table [V, H].
  }];
  let arguments = (ins R1_Indices:$tokens, R1_Table:$table);
  let results = (outs R1_Rows:$result);
  let assemblyFormat = "$tokens `,` $table attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def R1_LinearOp : R1_InferredOp<"linear", [decomposes]> {
  let summary = "input * weight^T + bias: [T, K] x [N, K] (+ [N]) -> [T, N].";
  let description = [{
    (C1) the input's last dimension is the weight's K.
    (C2) the result is [T, N].
    (C3) the bias has N elements.
  }];
  let arguments = (ins R1_Rows:$input, R1_WeightMatrix:$weight, Optional<R1_WeightVector>:$bias);
  let results = (outs R1_Rows:$result);
  let assemblyFormat = "$input `,` $weight (`bias` $bias^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def R1_RmsNormOp : R1_Op<"rms_norm", [AllTypesMatch<["input", "result"]>, decomposes]> {
  let summary = "input / sqrt(mean(input^2) + epsilon) * weight over the last dimension.";
  let description = [{
    (C1) the weight has as many elements as the input's last dimension.
    (C2) epsilon is positive.
  }];
  let arguments = (ins R1_Activation:$input, R1_WeightVector:$weight, F64Attr:$epsilon);
  let results = (outs R1_Activation:$result);
  let assemblyFormat = "$input `,` $weight attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def R1_SoftmaxOp : R1_Op<"softmax", [SameOperandsAndResultType, decomposes]> {
  let summary = "exp(input) / sum(exp(input)) along `axis`, computed from input - max(input).";
  let description = [{
    (C1) axis is a dimension of the input.
  }];
  let arguments = (ins R1_Activation:$input, I64Attr:$axis);
  let results = (outs R1_Activation:$result);
  let assemblyFormat = "$input `axis` $axis attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def R1_SwigluOp : R1_Op<"swiglu", [SameOperandsAndResultType, decomposes]> {
  let summary = "gate / (1 + exp(-gate)) * up.";
  let arguments = (ins R1_Activation:$gate, R1_Activation:$up);
  let results = (outs R1_Activation:$result);
  let assemblyFormat = "$gate `,` $up attr-dict `:` type($result)";
}

def R1_RopeOp : R1_Op<"rope", [AllTypesMatch<["input", "result"]>, decomposes]> {
  let summary = "Rotates each head's first elements by the token's position.";
  let description = [{
    input [T, heads * width]: of each head, the first `rope.dim` elements are rotated as `#r1.rope` says.

    (C1) heads divides the input's last dimension, which is static.
    (C2) rope rotates at most a head's width.
    (C3) there are T positions.
  }];
  let arguments = (ins R1_Rows:$input, R1_Indices:$positions, I64Attr:$heads, R1_RopeAttr:$rope);
  let results = (outs R1_Rows:$result);
  let assemblyFormat = "$input `at` $positions attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def R1_AttentionOp : R1_InferredOp<"attention", [decomposes]> {
  let summary = "Causal attention with grouped key/value heads.";
  let description = [{
    query [T, heads * head_dim], key [T, kv_heads * head_dim], value [T, kv_heads * value_dim]. Query and key are rotated
    by `rope` first, if there is one (its first `dim` elements of a head); key and value are then appended to the cache's
    `layer`, whose row j is that of position j. Query head h attends to key/value head h / (heads / kv_heads):
    softmax(q . k * scale) over the tokens at or before its own position; without a cache these are the T tokens alone.
    Result [T, heads * value_dim].

    (C1) heads is a multiple of kv_heads.
    (C2) query, key, value, positions and result have the shapes above.
    (C3) rope rotates at most head_dim elements.
    (C4) the cache is of kind kv, holds `layer`, and its widths are those of key and value.
    (C5) the cache result stands beside a cache operand and has its type.
  }];
  let arguments = (ins R1_Rows:$query, R1_Rows:$key, R1_Rows:$value, R1_Indices:$positions,
                   Optional<R1_AnyCache>:$cache, I64Attr:$heads, I64Attr:$kv_heads, I64Attr:$head_dim,
                   I64Attr:$value_dim, F64Attr:$scale, I64Attr:$layer, OptionalAttr<R1_RopeAttr>:$rope);
  let results = (outs R1_Rows:$result, Optional<R1_AnyCache>:$new_cache);
  let assemblyFormat = [{
    $query `,` $key `,` $value `at` $positions (`cache` $cache^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def R1_LatentAttentionOp : R1_InferredOp<"latent_attention", [decomposes]> {
  let summary = "Multi-head latent attention (MLA; DeepSeek-V2, section 2.1).";
  let description = [{
    query [T, heads * (nope_dim + rope_dim)], per head the unrotated part first. latent [T, rank + rope_dim]: the latent,
    then the one key part that all heads share. c = rms_norm(latent[:, :rank], norm_weight, epsilon); the rotary parts of
    query and latent are rotated by `rope`; (c, rotated key) is a token's row in the cache's `layer`.
    Per head, [k | v] = c * expand^T with expand [heads * (nope_dim + value_dim), rank];
    score = (q_nope . k + q_rope . k_rope) * scale; softmax over the tokens at or before the query's position; the
    result [T, heads * value_dim] is the weighted sum of v.

    (C1) query, latent, norm_weight, expand, positions and result have the shapes above.
    (C2) rope rotates rope_dim elements.
    (C3) the cache is of kind latent, holds `layer`, and a row is rank + rope_dim wide.
    (C4) the cache result stands beside a cache operand and has its type.
    (C5) epsilon is positive.
  }];
  let arguments = (ins R1_Rows:$query, R1_Rows:$latent, R1_WeightVector:$norm_weight, R1_WeightMatrix:$expand,
                   R1_Indices:$positions, Optional<R1_AnyCache>:$cache, I64Attr:$heads,
                   I64Attr:$nope_dim, I64Attr:$rope_dim, I64Attr:$value_dim, I64Attr:$rank, F64Attr:$scale,
                   F64Attr:$epsilon, I64Attr:$layer, R1_RopeAttr:$rope);
  let results = (outs R1_Rows:$result, Optional<R1_AnyCache>:$new_cache);
  let assemblyFormat = [{
    $query `,` $latent `norm` $norm_weight `expand` $expand `at` $positions (`cache` $cache^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def R1_RouteOp : R1_InferredOp<"route", [decomposes]> {
  let summary = "Chooses experts for each token: logits [T, E] -> experts, weights [T, top_k].";
  let description = [{
    See `#r1.routing` for the rule. The bias counts for the choice only.

    (C1) the bias has E elements, and E is static.
    (C2) 1 <= top_k, and the chosen groups hold at least top_k experts.
    (C3) groups divides E, and 1 <= top_groups <= groups.
    (C4) both results are [T, top_k].
  }];
  let arguments = (ins R1_Rows:$logits, Optional<R1_WeightVector>:$bias, R1_RoutingAttr:$routing);
  let results = (outs R1_IndexRows:$experts, R1_Rows:$weights);
  let assemblyFormat = "$logits (`bias` $bias^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def R1_ExpertsOp : R1_Op<"experts", [AllTypesMatch<["input", "result"]>, decomposes]> {
  let summary = "The weighted sum of each token's experts.";
  let description = [{
    result[t] = sum over k of weights[t, k] * down[e] (swiglu(gate[e] input[t], up[e] input[t])), e = experts[t, k];
    gate, up [E, I, H], down [E, H, I].

    (C1) gate, up and down have the shapes above.
    (C2) experts and weights have the same shape [T, K], and K is static.
  }];
  let arguments = (ins R1_Rows:$input, R1_IndexRows:$experts, R1_Rows:$weights, R1_WeightStack:$gate,
                   R1_WeightStack:$up, R1_WeightStack:$down);
  let results = (outs R1_Rows:$result);
  let assemblyFormat = [{
    $input `to` $experts `,` $weights `gate` $gate `up` $up `down` $down attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def R1_NextTokenBlockOp : R1_InferredOp<"next_token_block", [decomposes]> {
  let summary = "What a multi-token prediction layer reads: a position's hidden state and the token behind it.";
  let description = [{
    result = [rms_norm(embedded, embedding_norm) | rms_norm(hidden, hidden_norm)] * projection^T: the embedding stands
    first (DeepSeek-V3 technical report, section 2.2; the model's tensors `enorm`, `hnorm` and `eh_proj`). Row t of
    `embedded` [T, H] is the embedding of the token behind row t of `hidden` [T, H]; where `positions` is 0 it counts as
    a row of zeros.

    (C1) hidden, embedded and the result are [T, H], hidden_norm and embedding_norm have H elements, and there are T
    positions.
    (C2) projection is [H, 2 * H].
    (C3) epsilon is positive.
  }];
  let arguments = (ins R1_Rows:$hidden, R1_Rows:$embedded, R1_Indices:$positions, R1_WeightVector:$hidden_norm,
                   R1_WeightVector:$embedding_norm, R1_WeightMatrix:$projection, F64Attr:$epsilon);
  let results = (outs R1_Rows:$result);
  let assemblyFormat = [{
    $hidden `,` $embedded `at` $positions `norms` $hidden_norm `,` $embedding_norm `projection` $projection attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif
