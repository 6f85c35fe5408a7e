// Attention and rotary embeddings as ONNX has them since operator set 23, and what those of ONNX Runtime share with
// them.
#include "frontends/Onnx/Attention.h"
#include "frontends/Onnx/Operators.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace elah::onnx_import {

Value splitHeads(const Node &n, Value value, int64_t heads) {
  n.expect(Node::rank(value) == 3 && heads > 0, "needs [batch, sequence, heads * size] and a number of heads");
  int64_t width = Node::type(value).getDimSize(2);
  n.expect(!ShapedType::isDynamic(width) && width % heads == 0,
           "the last dimension must be a multiple of the " + Twine(heads) + " heads");
  Sizes sizes{n.sizeOf(value, 0), n.sizeOf(value, 1), Size(heads), Size(width / heads)};
  return n.transpose(n.reshape(value, sizes), {0, 2, 1, 3});
}

Value mergeHeads(const Node &n, Value value) {
  Value rows = n.transpose(value, {0, 2, 1, 3});
  return n.reshape(rows, {n.sizeOf(rows, 0), n.sizeOf(rows, 1), n.product({n.sizeOf(rows, 2), n.sizeOf(rows, 3)})});
}

Value rotated(const Node &n, Value value, Value cosines, Value sines, bool isInterleaved) {
  int64_t last = Node::rank(value) - 1, size = Node::type(value).getDimSize(last);
  int64_t pairs = Node::type(cosines).getShape().back();
  n.expect(!ShapedType::isDynamic(size) && !ShapedType::isDynamic(pairs) && 2 * pairs <= size,
           "rotates " + Twine(2 * pairs) + " elements of " + Twine(size));
  Value turning = 2 * pairs == size ? value : n.slice(value, last, 0, 2 * pairs), first, second, result;
  if (isInterleaved) {
    Sizes apart = n.sizesOf(turning);
    apart.back() = Size(pairs);
    Sizes whole = n.sizesOf(turning);
    apart.push_back(Size(2));
    Value both = n.reshape(turning, apart);
    first = n.squeeze(n.slice(both, last + 1, 0, 1), {last + 1});
    second = n.squeeze(n.slice(both, last + 1, 1, 2), {last + 1});
  } else {
    first = n.slice(turning, last, 0, pairs);
    second = n.slice(turning, last, pairs, 2 * pairs);
  }
  Value real = n.sub(n.mul(first, cosines), n.mul(second, sines));
  Value imaginary = n.add(n.mul(first, sines), n.mul(second, cosines));
  if (isInterleaved) {
    Value both = n.concat({n.unsqueeze(real, {last + 1}), n.unsqueeze(imaginary, {last + 1})}, last + 1);
    result = n.reshape(both, n.sizesOf(turning));
  } else {
    result = n.concat({real, imaginary}, last);
  }
  return 2 * pairs == size ? result : n.concat({result, n.slice(value, last, 2 * pairs, size)}, last);
}

namespace {

/// Each of the heads for all queries that share it: [B, kv_heads, T, D] as [B, heads, T, D].
Value repeatedHeads(const Node &n, Value value, Size heads) {
  Size own = n.sizeOf(value, 1), group(1);
  if (heads.computed || own.computed) {
    group = Size(n.div(n.valueOf(heads), n.valueOf(own)));
  } else {
    n.expect(own.known > 0 && heads.known % own.known == 0,
             "the " + Twine(heads.known) + " heads of queries must be a multiple of those of keys and values");
    group = Size(heads.known / own.known);
  }
  if (!group.computed && group.known == 1) {
    return value;
  }
  Sizes repeated = n.sizesOf(value), whole = repeated;
  repeated.insert(repeated.begin() + 2, group);
  whole[1] = heads;
  return n.reshape(n.broadcast(n.unsqueeze(value, {2}), repeated), whole);
}

/// Scores times the scale, 1 / sqrt(D) if none is given.
Value scaled(const Node &n, Value scores, Value query, std::optional<double> scale) {
  Type element = Node::element(query);
  Size size = n.sizeOf(query, 3);
  if (!scale && size.computed) {
    return n.div(scores, n.make<r1::SqrtOp>(n.cast(size.computed, element)));
  }
  n.expect(scale || size.known > 0, "the heads must have elements");
  return n.mul(scores, n.scalar(element, scale ? *scale : 1 / std::sqrt(static_cast<double>(size.known))));
}

} // namespace

AttentionResult attend(const Node &n, Value query, Value key, Value value, const AttentionRule &rule) {
  Type element = Node::element(query);
  Size heads = n.sizeOf(query, 1);
  key = repeatedHeads(n, key, heads);
  value = repeatedHeads(n, value, heads);
  AttentionResult result;
  Value scores = n.make<r1::MatmulOp>(query, n.transpose(key, {0, 1, 3, 2}));
  scores = scaled(n, scores, query, rule.scale);
  result.stages[0] = scores;
  if (rule.softcap > 0) {
    Value cap = n.scalar(element, rule.softcap);
    scores = n.mul(cap, n.make<r1::TanhOp>(n.div(scores, cap)));
  }
  result.stages[1] = scores;

  Value lowest = n.scalar(element, -std::numeric_limits<double>::infinity());
  Value keys = n.iota(n.sizeOf(key, 2)), visible;
  auto restrict = [&](Value seen) { visible = visible ? n.make<r1::AndOp>(visible, seen) : seen; };
  if (rule.isCausal || rule.leftWindow >= 0 || rule.rightWindow >= 0) {
    Value queries = n.make<r1::ReshapeOp>(n.iota(n.sizeOf(query, 2)), Value(), n.builder.getDenseI64ArrayAttr({-1, 1}));
    queries = rule.offset ? n.add(queries, rule.offset) : queries;
    auto within = [&](int64_t distance, r1::Comparison comparison) {
      restrict(n.compare(comparison, keys, distance == 0 ? queries : n.add(queries, n.index(distance))));
    };
    if (rule.isCausal) {
      within(0, r1::Comparison::LessOrEqual);
    } else if (rule.rightWindow >= 0) {
      within(rule.rightWindow, r1::Comparison::LessOrEqual);
    }
    if (rule.leftWindow >= 0) {
      within(-rule.leftWindow, r1::Comparison::GreaterOrEqual);
    }
  }
  if (rule.validKeys) {
    Value counts = n.reshape(rule.validKeys, {n.sizeOf(rule.validKeys, 0), Size(1), Size(1), Size(1)});
    restrict(n.compare(r1::Comparison::Less, keys, counts));
  }
  bool mayHideAll = static_cast<bool>(rule.validKeys);
  if (Value bias = rule.bias) {
    bool isTruth = Node::element(bias).isInteger(1);
    n.expect(Node::rank(bias) >= 1 && Node::rank(bias) <= 4, "the mask must have at most four dimensions");
    int64_t last = Node::rank(bias) - 1, covered = Node::type(bias).getDimSize(last);
    int64_t all = Node::type(key).getDimSize(2);
    if (!ShapedType::isDynamic(covered) && !ShapedType::isDynamic(all) && covered < all && covered != 1) {
      // Keys that the mask does not reach are not seen.
      Sizes rest = n.sizesOf(bias);
      rest[last] = Size(all - covered);
      Value hidden = isTruth ? n.truth(false) : n.scalar(Node::element(bias), -std::numeric_limits<double>::infinity());
      bias = n.concat({bias, n.broadcast(hidden, rest)}, last);
    }
    if (isTruth) {
      restrict(bias);
    } else {
      scores = n.add(scores, n.cast(bias, element));
    }
    mayHideAll = true;
  }
  if (visible) {
    scores = n.select(visible, scores, lowest);
  }
  result.stages[2] = scores;
  Value shares = n.softmax(scores, 3);
  if (mayHideAll) { // A query that sees nothing comes to nothing.
    Value greatest = n.reduce(r1::Reduction::Max, scores, {3}, /*keepDims=*/true);
    shares = n.select(n.compare(r1::Comparison::Equal, greatest, lowest), n.scalar(element, 0), shares);
  }
  result.stages[3] = shares;
  result.output = n.make<r1::MatmulOp>(shares, value);
  return result;
}

namespace {

void attention(const Node &n) {
  Value query = n.input(0), key = n.input(1), value = n.input(2);
  bool isFlat = Node::rank(query) == 3;
  if (isFlat) {
    query = splitHeads(n, query, n.integer("q_num_heads"));
    key = splitHeads(n, key, n.integer("kv_num_heads"));
    value = splitHeads(n, value, n.integer("kv_num_heads"));
  }
  n.expect(Node::rank(query) == 4 && Node::rank(key) == 4 && Node::rank(value) == 4,
           "queries, keys and values must have three or four dimensions");
  AttentionRule rule;
  if (n.has(4) || n.has(5)) {
    Value past = n.input(4);
    rule.offset = n.dim(past, 2);
    key = n.concat({past, key}, 2);
    value = n.concat({n.input(5), value}, 2);
  }
  if (n.hasAttribute("scale")) {
    rule.scale = n.number("scale");
  }
  rule.softcap = n.number("softcap", 0);
  rule.bias = n.optional(3);
  rule.isCausal = n.integer("is_causal", 0) != 0;
  if (n.version >= 24 && n.has(6)) {
    rule.validKeys = n.input(6);
    if (!rule.offset) { // The cache is the caller's: the queries are the last of the keys that there are.
      Value counts = n.reshape(rule.validKeys, {n.sizeOf(rule.validKeys, 0), Size(1), Size(1), Size(1)});
      rule.offset = n.sub(counts, n.valueOf(n.sizeOf(query, 2)));
    }
  }
  if (n.version >= 25) {
    rule.leftWindow = n.integer("left_window_size", -1);
    rule.rightWindow = n.integer("right_window_size", -1);
  }
  AttentionResult result = attend(n, query, key, value, rule);
  n.output(0, isFlat ? mergeHeads(n, result.output) : result.output);
  n.output(1, key);
  n.output(2, value);
  if (n.wants(3)) {
    int64_t mode = n.integer("qk_matmul_output_mode", 0);
    n.expect(mode >= 0 && mode <= 3, "qk_matmul_output_mode must be 0 to 3, found " + Twine(mode));
    n.output(3, result.stages[mode]);
  }
}

/// (X, cos_cache, sin_cache, position_ids)
void rotaryEmbedding(const Node &n) {
  Value input = n.input(0), cosines = n.input(1), sines = n.input(2);
  bool isFlat = Node::rank(input) == 3;
  Value value = isFlat ? splitHeads(n, input, n.integer("num_heads", 0)) : input;
  n.expect(Node::rank(value) == 4, "the input must have three or four dimensions");
  auto angles = [&](Value cache) {
    Value rows = n.has(3) ? n.gather(cache, n.input(3), 0) : cache;
    n.expect(Node::rank(rows) == 3, "cosines and sines must be [batch, sequence, pairs] at their positions");
    return n.unsqueeze(rows, {1});
  };
  Value cosine = angles(cosines), sine = angles(sines);
  int64_t size = n.integer("rotary_embedding_dim", 0), pairs = Node::type(cosine).getShape().back();
  n.expect(size == 0 || ShapedType::isDynamic(pairs) || 2 * pairs == size,
           "rotary_embedding_dim " + Twine(size) + " must be twice the " + Twine(pairs) + " cosines");
  Value result = rotated(n, value, cosine, sine, n.integer("interleaved", 0) != 0);
  n.output(isFlat ? mergeHeads(n, result) : result);
}

constexpr Operator operators[] = {{"Attention", 23, attention}, {"RotaryEmbedding", 23, rotaryEmbedding}};

} // namespace

llvm::ArrayRef<Operator> attentionOperators() { return operators; }

} // namespace elah::onnx_import
