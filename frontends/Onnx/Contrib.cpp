// Operators of ONNX Runtime (com.microsoft, docs/ContribOperators.md) beside attention and experts.
#include "frontends/Onnx/Contrib.h"
#include "frontends/Onnx/Elementwise.h"
#include "frontends/Onnx/Linear.h"
#include "frontends/Onnx/Normalization.h"
#include "frontends/Onnx/Operators.h"

using namespace mlir;

namespace elah::onnx_import {

Value unpacked(const Node &n, Value bytes, int64_t bits) {
  n.expect(bits == 2 || bits == 4 || bits == 8, "bits must be 2, 4 or 8, found " + Twine(bits));
  if (bits == 8) {
    return bytes;
  }
  Type element = Node::element(bytes);
  n.expect(element.isUnsignedInteger(8), "packed numbers must be uint8");
  int64_t last = Node::rank(bytes) - 1;
  n.expect(last >= 0, "packed numbers must have a dimension");
  Values parts;
  for (int64_t shift = 0; shift < 8; shift += bits) {
    Value part = shift == 0 ? bytes : n.div(bytes, n.scalar(element, static_cast<double>(1 << shift)));
    parts.push_back(
        n.unsqueeze(n.make<r1::ModOp>(part, n.scalar(element, static_cast<double>(1 << bits))), {last + 1}));
  }
  Sizes sizes = n.sizesOf(bytes);
  sizes[last] = n.product({sizes[last], Size(8 / bits)});
  return n.reshape(n.concat(parts, last + 1), sizes);
}

namespace {

/// The only part of a weight on disk, seen as rows of `type`, which lie `pitch` bytes apart; nothing, if it is none or
/// has another number of bytes.
r1::WeightAttr asRows(Value value, RankedTensorType type, uint64_t pitch, r1::WeightAttr scales = {},
                      r1::WeightAttr zeros = {}) {
  auto op = value.getDefiningOp<r1::WeightOp>();
  auto part = op && op.getParts().size() == 1 ? cast<r1::WeightAttr>(op.getParts()[0]) : r1::WeightAttr();
  uint64_t rows = 1, rowBytes = r1::WeightAttr::rowBytes(type);
  for (int64_t size : type.getShape().drop_back()) {
    rows *= static_cast<uint64_t>(size);
  }
  bool isDense = static_cast<uint64_t>(type.getShape().back()) * type.getElementTypeBitWidth() == pitch * 8;
  if (!part || part.getScales() || part.getTransposed() || part.getPitch() != 0 || part.getSize() != rows * pitch) {
    return {};
  }
  return r1::WeightAttr::get(op.getContext(), part.getFile(), part.getName(), part.getOffset(),
                             (rows - 1) * pitch + rowBytes, type, scales, zeros, false, isDense ? 0 : pitch);
}

} // namespace

Value quantizedWeight(const Node &n, Value bytes, Value scales, Value zeros, ArrayRef<int64_t> shape, int64_t bits,
                      int64_t block) {
  if ((bits != 4 && bits != 8) || (zeros && !Node::element(zeros).isUnsignedInteger(8))) {
    return {};
  }
  MLIRContext *context = n.builder.getContext();
  int64_t blocks = llvm::divideCeil(shape.back(), block);
  Ints perBlock(shape);
  perBlock.back() = blocks;
  Type number = IntegerType::get(context, static_cast<unsigned>(bits), IntegerType::Unsigned);
  Type element = Node::element(scales);
  if (!element.isF32() && !element.isF16() && !element.isBF16()) {
    return {};
  }
  auto scaleType = RankedTensorType::get(perBlock, element);
  r1::WeightAttr factors = asRows(scales, scaleType, r1::WeightAttr::rowBytes(scaleType)), points;
  if (zeros) {
    auto zeroType = RankedTensorType::get(perBlock, number);
    points = asRows(zeros, zeroType, r1::WeightAttr::rowBytes(zeroType));
  }
  if (!factors || (zeros && !points)) {
    return {};
  }
  auto type = RankedTensorType::get(shape, number, r1::BlocksAttr::get(context, 1, block));
  // Rows end with the last block, or with the last number.
  auto whole = static_cast<uint64_t>(blocks * block * bits / 8);
  r1::WeightAttr weight = asRows(bytes, type, whole, factors, points);
  weight = weight ? weight : asRows(bytes, type, r1::WeightAttr::rowBytes(type), factors, points);
  if (!weight) {
    return {};
  }
  Value stored = r1::WeightOp::create(n.builder, n.location, type, n.builder.getArrayAttr(weight), ElementsAttr());
  return n.make<r1::DequantizeOp>(stored);
}

namespace {

/// norm(input + skip + bias), and the sum.
void skipNormalization(const Node &n, bool isSimplified) {
  Value sum = n.add(n.input(0), n.input(1));
  size_t beta = isSimplified ? 0 : 3, bias = isSimplified ? 3 : 4;
  sum = n.has(bias) ? n.add(sum, n.input(bias)) : sum;
  int64_t last = Node::rank(sum) - 1;
  n.expect(last >= 0, "the input must have a dimension");
  Type element = Node::element(sum), wide = element.isF64() ? element : Type(n.builder.getF32Type());
  Value value = n.cast(sum, wide), mean, inverse;
  value = isSimplified ? value : centred(n, value, {last}, &mean);
  value = n.mul(n.cast(normalized(n, value, {last}, n.number("epsilon", 1e-12), &inverse), element), n.input(2));
  n.output(0, !isSimplified && n.has(beta) ? n.add(value, n.input(beta)) : value);
  if (mean) {
    n.output(1, mean);
  }
  n.output(2, inverse);
  n.output(3, sum);
}

void skipSimplified(const Node &n) { skipNormalization(n, true); }
void skipLayer(const Node &n) { skipNormalization(n, false); }

void simplified(const Node &n) {
  const Operator *own = findOperator("", "SimplifiedLayerNormalization");
  own->import(n);
}

/// A * dequantized(B)^T; B [N, blocks, bytes of a block], one scale and zero point for each block of K.
void matMulNBits(const Node &n) {
  int64_t bits = n.integer("bits", 4), columns = n.integer("N"), inner = n.integer("K"),
          block = n.integer("block_size");
  n.expect(columns > 0 && inner > 0 && block >= 16 && (block & (block - 1)) == 0,
           "K and N must be positive, and block_size a power of 2 from 16 on");
  int64_t blocks = (inner + block - 1) / block;
  Value input = n.input(0), scales = n.reshape(n.input(2), {Size(columns), Size(blocks)});
  Type element = Node::element(input);
  n.expect(n.integer("weight_prepacked", 0) == 0, "prepacked weights are not supported");
  if (!n.has(4)) {
    if (Value weight = quantizedWeight(n, n.input(1), n.input(2), n.optional(3), {columns, inner}, bits, block)) {
      Value product = multiplied(n, input, n.transpose(n.cast(weight, element), {1, 0}));
      n.output(n.has(5) ? n.add(product, n.input(5)) : product);
      return;
    }
  }
  Value numbers = n.reshape(unpacked(n, n.input(1), bits), {Size(columns), Size(blocks), Size(block)});
  Value zero = n.optional(3);
  if (!zero) {
    zero = n.scalar(element, static_cast<double>(1 << (bits - 1)));
  } else if (Node::element(zero).isUnsignedInteger(8)) {
    int64_t bytes = (blocks * bits + 7) / 8;
    zero = unpacked(n, n.reshape(zero, {Size(columns), Size(bytes)}), bits);
    zero = n.cast(n.slice(zero, 1, 0, blocks), element);
  } else {
    zero = n.reshape(n.cast(zero, element), {Size(columns), Size(blocks)});
  }
  scales = n.cast(scales, element);
  Value weight;
  if (n.has(4)) { // Which block's scale each row of K takes.
    Value groups = n.input(4);
    auto ofRows = [&](Value value) { return Node::rank(value) == 0 ? value : n.gather(value, groups, 1); };
    Value flat = n.slice(n.reshape(numbers, {Size(columns), Size(blocks * block)}), 1, 0, inner);
    weight = n.mul(n.sub(n.cast(flat, element), ofRows(zero)), ofRows(scales));
  } else {
    auto ofBlocks = [&](Value value) { return Node::rank(value) == 0 ? value : n.unsqueeze(value, {2}); };
    weight = n.mul(n.sub(n.cast(numbers, element), ofBlocks(zero)), ofBlocks(scales));
    weight = n.slice(n.reshape(weight, {Size(columns), Size(blocks * block)}), 1, 0, inner);
  }
  Value product = multiplied(n, input, n.transpose(weight, {1, 0}));
  n.output(n.has(5) ? n.add(product, n.input(5)) : product);
}

/// A * (B * scales)^T; B e4m3 [N, K], scales [N, blocks of K].
void matMulBlockFp8(const Node &n) {
  int64_t block = n.integer("block_size");
  Value input = n.input(0), numbers = n.input(1), scales = n.input(2);
  n.expect(Node::rank(numbers) == 2 && Node::rank(scales) == 2 && block > 0, "weights and scales must be matrices");
  n.expect(!n.has(3), "a scale of the input is not supported");
  Sizes whole = n.sizesOf(numbers), repeated = n.sizesOf(scales), flat = n.sizesOf(scales);
  repeated.push_back(Size(block));
  flat[1] = n.product({flat[1], Size(block)});
  Value spread = n.reshape(n.broadcast(n.unsqueeze(scales, {2}), repeated), flat);
  spread = n.gather(spread, n.iota(whole[1]), 1);
  Value weight = n.mul(n.cast(numbers, n.builder.getF32Type()), n.cast(spread, n.builder.getF32Type()));
  Value product = multiplied(n, input, n.transpose(n.cast(weight, Node::element(input)), {1, 0}));
  n.output(n.has(4) ? n.add(product, n.input(4)) : product);
}

/// Rows of a table that is quantized in blocks along its last dimension: (data, indices, scales, zero_points).
void gatherBlockQuantized(const Node &n) {
  Value data = n.input(0), indices = n.input(1), scales = n.input(2);
  int64_t rank = Node::rank(data), bits = n.integer("bits", 4), block = n.integer("block_size", 128);
  int64_t gatherAxis = n.axis(n.integer("gather_axis", 0), rank), axis = n.axis(n.integer("quantize_axis", 1), rank);
  n.expect(gatherAxis == 0 && axis == rank - 1 && rank > 1 && block > 0,
           "rows are gathered, and blocks lie along the last dimension; others are not supported");
  bool isPacked = Node::element(data).isUnsignedInteger(8);
  Type element = Node::element(scales);
  auto rowsOf = [&](Value table) { return n.gather(table, indices, 0); };
  Value numbers = isPacked ? unpacked(n, rowsOf(data), bits) : rowsOf(data);
  Value rowScales = rowsOf(scales), zero;
  int64_t last = Node::rank(numbers) - 1;
  Sizes sizes = n.sizesOf(numbers), apart = n.sizesOf(rowScales);
  apart.push_back(Size(block));
  if (n.has(3)) {
    Value zeros = isPacked ? unpacked(n, rowsOf(n.input(3)), bits) : rowsOf(n.input(3));
    zeros = n.gather(zeros, n.iota(n.sizeOf(rowScales, last)), last);
    zero = n.unsqueeze(n.cast(zeros, element), {last + 1});
  } else {
    zero = n.scalar(element, isPacked ? static_cast<double>(1 << (bits - 1)) : 0);
  }
  Value blocks = n.reshape(n.cast(numbers, element), apart);
  n.output(n.reshape(n.mul(n.sub(blocks, zero), n.unsqueeze(rowScales, {last + 1})), sizes));
}

void fusedMatMul(const Node &n) {
  auto swapped = [&](Value value, StringRef flag) {
    if (n.integer(flag, 0) == 0) {
      return value;
    }
    int64_t rank = Node::rank(value);
    n.expect(rank >= 2, "a vector is not transposed");
    Ints permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::swap(permutation[rank - 1], permutation[rank - 2]);
    return n.transpose(value, permutation);
  };
  n.expect(n.integer("transBatchA", 0) == 0 && n.integer("transBatchB", 0) == 0, "batches are not transposed");
  Value product = multiplied(n, swapped(n.input(0), "transA"), swapped(n.input(1), "transB"));
  double alpha = n.number("alpha", 1);
  n.output(alpha == 1 ? product : n.mul(product, n.scalar(Node::element(product), alpha)));
}

void biasGelu(const Node &n) { n.output(gelu(n, n.add(n.input(0), n.input(1)), false)); }
void geluOperator(const Node &n) { n.output(gelu(n, n.input(0), false)); }
void fastGelu(const Node &n) { n.output(gelu(n, n.has(1) ? n.add(n.input(0), n.input(1)) : n.input(0), true)); }

void quickGelu(const Node &n) {
  Value x = n.input(0);
  Value scaled = n.mul(x, n.scalar(Node::element(x), n.number("alpha", 1.702)));
  n.output(n.mul(x, n.make<r1::SigmoidOp>(scaled)));
}

constexpr Operator operators[] = {
    {"BiasGelu", 0, biasGelu},
    {"FastGelu", 0, fastGelu},
    {"FusedMatMul", 0, fusedMatMul},
    {"GatherBlockQuantized", 0, gatherBlockQuantized},
    {"Gelu", 0, geluOperator},
    {"MatMulBlockQuantizedFp8Weight", 0, matMulBlockFp8},
    {"MatMulNBits", 0, matMulNBits},
    {"QuickGelu", 0, quickGelu},
    {"SimplifiedLayerNormalization", 0, simplified},
    {"SkipLayerNormalization", 0, skipLayer},
    {"SkipSimplifiedLayerNormalization", 0, skipSimplified},
};

} // namespace

llvm::ArrayRef<Operator> contribOperators() { return operators; }

} // namespace elah::onnx_import
