// Attention as ONNX Runtime has it (docs/ContribOperators.md). The GenAI builder writes these for the distills.
#include "frontends/Onnx/Attention.h"
#include "frontends/Onnx/Normalization.h"
#include "frontends/Onnx/Operators.h"

using namespace mlir;

namespace elah::onnx_import {
namespace {

void expectAbsent(const Node &n, std::initializer_list<std::pair<size_t, StringRef>> inputs) {
  for (auto [index, name] : inputs) {
    if (n.has(index)) {
      n.unsupported("input " + Twine(index) + " (" + name + ") is not supported");
    }
  }
}

/// Rows of a table at positions [B, S], as [B, 1, S, R].
Value anglesAt(const Node &n, Value cache, Value positions) { return n.unsqueeze(n.gather(cache, positions, 0), {1}); }

/// (x, position_ids, cos_cache, sin_cache): another order than in ONNX's own operator.
void rotaryEmbedding(const Node &n) {
  Value input = n.input(0), positions = n.input(1), cosines = n.input(2), sines = n.input(3);
  bool isFlat = Node::rank(input) == 3;
  Value value = input;
  if (isFlat) {
    int64_t heads = n.integer("num_heads", 0), width = Node::type(input).getDimSize(2);
    int64_t size = 2 * Node::type(cosines).getShape().back();
    heads = heads == 0 && !ShapedType::isDynamic(width) && size > 0 ? width / size : heads;
    value = splitHeads(n, input, heads);
  }
  n.expect(Node::rank(value) == 4, "the input must have three or four dimensions");
  if (Node::rank(positions) == 1) { // One number: where the sequence starts.
    positions = n.unsqueeze(n.add(n.cast(positions, n.builder.getI64Type()), n.iota(n.sizeOf(value, 2))), {0});
  }
  n.expect(n.number("scale", 1) == 1 && n.integer("is_packed_batching", 0) == 0,
           "a scale and packed batches are not supported");
  Value result = rotated(n, value, anglesAt(n, cosines, positions), anglesAt(n, sines, positions),
                         n.integer("interleaved", 0) != 0);
  n.output(isFlat ? mergeHeads(n, result) : result);
}

/// The cache is what the inputs past_key and past_value hold, all of it, and the outputs are it with the new tokens
/// behind. (ONNX Runtime can also be told at run time to keep both in one buffer that is longer.)
void groupQueryAttention(const Node &n) {
  expectAbsent(n, {{11, "head_sink"}, {12, "k_scale"}, {13, "v_scale"}});
  n.expect(n.integer("smooth_softmax", 0) == 0, "smooth_softmax is not supported");
  int64_t heads = n.integer("num_heads"), kvHeads = n.integer("kv_num_heads");
  n.expect(heads > 0 && kvHeads > 0, "num_heads and kv_num_heads must be positive");
  Value query = n.input(0), key = n.optional(1), value = n.optional(2);
  if (!key) { // All three in one.
    n.expect(Node::rank(query) == 3, "packed queries must have three dimensions");
    int64_t width = Node::type(query).getDimSize(2);
    n.expect(!ShapedType::isDynamic(width) && width % (heads + 2 * kvHeads) == 0,
             "the last dimension must be a multiple of all heads");
    int64_t size = width / (heads + 2 * kvHeads), ofQuery = heads * size, ofKey = kvHeads * size;
    Value packed = query;
    query = n.slice(packed, 2, 0, ofQuery);
    key = n.slice(packed, 2, ofQuery, ofQuery + ofKey);
    value = n.slice(packed, 2, ofQuery + ofKey, width);
  }
  query = splitHeads(n, query, heads);
  key = splitHeads(n, key, kvHeads);
  value = splitHeads(n, value, kvHeads);
  if (n.has(14)) {
    double epsilon = n.number("qk_norm_epsilon", 1e-6);
    query = n.mul(normalized(n, query, {3}, epsilon, nullptr), n.input(14));
    key = n.mul(normalized(n, key, {3}, epsilon, nullptr), n.input(15));
  }
  AttentionRule rule;
  rule.offset = n.has(3) ? n.dim(n.input(3), 2) : n.index(0);
  if (n.integer("do_rotary", 0) != 0) {
    Value positions = n.optional(9);
    if (!positions) {
      positions = n.unsqueeze(n.add(n.iota(n.sizeOf(query, 2)), rule.offset), {0});
    }
    Value cosines = anglesAt(n, n.input(7), positions), sines = anglesAt(n, n.input(8), positions);
    bool isInterleaved = n.integer("rotary_interleaved", 0) != 0;
    query = rotated(n, query, cosines, sines, isInterleaved);
    key = rotated(n, key, cosines, sines, isInterleaved);
  }
  if (n.has(3)) {
    key = n.concat({n.input(3), key}, 2);
    value = n.concat({n.input(4), value}, 2);
  }
  double scale = n.number("scale", 0);
  rule.scale = scale == 0 ? std::nullopt : std::optional(scale);
  rule.softcap = n.number("softcap", 0);
  rule.isCausal = n.integer("causal", 1) != 0;
  rule.bias = n.optional(10);
  // A window of w tokens is the token itself and w - 1 before it.
  int64_t window = n.integer("local_window_size", -1);
  rule.leftWindow = window > 0 ? window - 1 : -1;
  AttentionResult result = attend(n, query, key, value, rule);
  n.output(0, mergeHeads(n, result.output));
  n.output(1, key);
  n.output(2, value);
  n.expect(!n.wants(3), "the output of scores is not supported");
}

void multiHeadAttention(const Node &n) {
  expectAbsent(n, {{8, "past_sequence_length"}, {9, "cache_indirection"}});
  int64_t heads = n.integer("num_heads");
  Value query = n.input(0);
  if (!n.has(1) || !n.has(2) || Node::rank(n.input(1)) != 3 || Node::rank(n.input(2)) != 3 || Node::rank(query) != 3) {
    n.unsupported("packed and cached keys and values are not supported");
  }
  Value key = n.input(1), value = n.input(2);
  if (n.has(3)) { // Of queries, keys and values, one behind the other.
    Value bias = n.input(3);
    int64_t ofQuery = Node::type(query).getDimSize(2), ofKey = Node::type(key).getDimSize(2);
    n.expect(!ShapedType::isDynamic(ofQuery) && !ShapedType::isDynamic(ofKey), "must know the widths for a bias");
    query = n.add(query, n.slice(bias, 0, 0, ofQuery));
    key = n.add(key, n.slice(bias, 0, ofQuery, ofQuery + ofKey));
    value = n.add(value, n.slice(bias, 0, ofQuery + ofKey, std::nullopt));
  }
  query = splitHeads(n, query, heads);
  key = splitHeads(n, key, heads);
  value = splitHeads(n, value, heads);
  AttentionRule rule;
  if (n.has(6)) {
    rule.offset = n.dim(n.input(6), 2);
    key = n.concat({n.input(6), key}, 2);
    value = n.concat({n.input(7), value}, 2);
  }
  rule.bias = n.optional(5);
  if (n.has(4)) { // 1 for keys that are there, 0 for padding.
    Value mask = n.input(4);
    if (Node::rank(mask) != 2) {
      n.unsupported("key_padding_mask must be [batch, keys]");
    }
    Type element = Node::element(query);
    Value isThere = n.compare(r1::Comparison::NotEqual, mask, n.scalar(Node::element(mask), 0));
    Value bias = n.select(n.unsqueeze(isThere, {1, 2}), n.scalar(element, 0),
                          n.scalar(element, n.number("mask_filter_value", -10000)));
    rule.bias = rule.bias ? n.add(rule.bias, bias) : bias;
  }
  double scale = n.number("scale", 0);
  rule.scale = scale == 0 ? std::nullopt : std::optional(scale);
  rule.isCausal = n.integer("unidirectional", 0) != 0;
  AttentionResult result = attend(n, query, key, value, rule);
  n.output(0, mergeHeads(n, result.output));
  n.output(1, key);
  n.output(2, value);
  n.output(3, result.stages[0]);
}

constexpr Operator operators[] = {{"GroupQueryAttention", 0, groupQueryAttention},
                                  {"MultiHeadAttention", 0, multiHeadAttention},
                                  {"RotaryEmbedding", 0, rotaryEmbedding}};

} // namespace

llvm::ArrayRef<Operator> contribAttentionOperators() { return operators; }

} // namespace elah::onnx_import
