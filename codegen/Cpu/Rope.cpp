// Rotary embedding (Su et al. 2021): the table of cosines and sines of a step's positions, made once and shared by all
// layers, and the kernel that rotates query and key and writes key and value into the cache.
#include "codegen/Cpu/Families.h"
#include "codegen/Cpu/Rotation.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace elah {
namespace {

/// Cosine and sine of a vector of f64 angles in 0 .. 2^20: reduced by quarter turns in f64, where the reduction keeps
/// at least 30 bits behind the point, then Taylor series on |r| <= pi / 4, whose rest is below 1e-13.
class SineAndCosine {
public:
  SineAndCosine(KernelBuilder &k, Value angle) : builder(k.builder), location(k.location) {
    type = cast<VectorType>(angle.getType());
    integers = VectorType::get(type.getShape(), builder.getI32Type());
    Value turns = math::RoundEvenOp::create(builder, location, mul(angle, f64(0.63661977236758134)));
    Value r = fma(turns, f64(-1.5707963267948966), angle);
    r = fma(turns, f64(-6.123233995736766e-17), r);
    Value square = mul(r, r);
    Value sinR = series(square, {1.6059043836821613e-10, -2.505210838544172e-08, 2.7557319223985893e-06,
                                 -1.9841269841269841e-04, 8.3333333333333333e-03, -1.6666666666666666e-01, 1.0});
    sinR = mul(sinR, r);
    Value cosR = series(square, {2.0876756987868099e-09, -2.7557319223985888e-07, 2.4801587301587302e-05,
                                 -1.3888888888888889e-03, 4.1666666666666666e-02, -0.5, 1.0});
    Value quarter = arith::FPToSIOp::create(builder, location, integers, turns);
    Value isOdd = bit(quarter, 1);
    sine = withSign(arith::SelectOp::create(builder, location, isOdd, cosR, sinR), bit(quarter, 2));
    Value next = arith::AddIOp::create(builder, location, quarter, i32(1));
    cosine = withSign(arith::SelectOp::create(builder, location, isOdd, sinR, cosR), bit(next, 2));
  }

  Value sine, cosine;

private:
  Value f64(double value) { return arith::ConstantOp::create(builder, location, DenseElementsAttr::get(type, value)); }
  Value i32(int32_t value) {
    return arith::ConstantOp::create(builder, location, DenseElementsAttr::get(integers, value));
  }
  Value mul(Value a, Value b) { return arith::MulFOp::create(builder, location, a, b); }
  Value fma(Value a, Value b, Value c) { return vector::FMAOp::create(builder, location, a, b, c); }
  Value series(Value x, ArrayRef<double> coefficients) {
    Value sum = f64(coefficients.front());
    for (double coefficient : coefficients.drop_front()) {
      sum = fma(sum, x, f64(coefficient));
    }
    return sum;
  }
  Value bit(Value value, int32_t mask) {
    Value masked = arith::AndIOp::create(builder, location, value, i32(mask));
    return arith::CmpIOp::create(builder, location, arith::CmpIPredicate::ne, masked, i32(0));
  }
  Value withSign(Value value, Value isNegative) {
    Value negated = arith::NegFOp::create(builder, location, value);
    return arith::SelectOp::create(builder, location, isNegative, negated, value);
  }

  OpBuilder &builder;
  Location location;
  VectorType type, integers;
};

} // namespace

uint64_t emitRopeTable(kernel::RopeTableOp op, KernelBuilder &k) {
  Value positions = k.buffer(0), table = k.buffer(1);
  OpBuilder &b = k.builder;
  ArrayRef<double> frequencies = op.getRope().getFrequencies().asArrayRef();
  int64_t pairs = static_cast<int64_t>(frequencies.size());
  double scale = op.getRope().getScale().getValueAsDouble();
  k.loop(k.blockBegin, k.blockEnd, k.integer(1), [&](Value token) {
    Value row = k.mul(token, k.integer(2 * pairs));
    Value position = k.loadRaw(b.getI32Type(), positions, token, b.getI32Type());
    Value number = arith::SIToFPOp::create(b, k.location, b.getF32Type(), position);
    for (int64_t first = 0; first < pairs; first += 8) {
      int64_t count = std::min<int64_t>(8, pairs - first);
      SmallVector<float> values(frequencies.begin() + first, frequencies.begin() + first + count);
      auto f32 = VectorType::get({count}, b.getF32Type()), f64 = VectorType::get({count}, b.getF64Type());
      Value frequency = arith::ConstantOp::create(b, k.location, DenseElementsAttr::get(f32, ArrayRef<float>(values)));
      Value angle = arith::ExtFOp::create(b, k.location, f64, k.mul(frequency, number));
      SineAndCosine result(k, angle);
      auto put = [&](Value value, int64_t offset) {
        Value scaled = k.mul(arith::TruncFOp::create(b, k.location, f32, value), k.number(scale));
        k.store(scaled, table, k.add(row, k.integer(offset + first)), k.f32Type());
      };
      put(result.cosine, 0);
      put(result.sine, pairs);
    }
  });
  return 0;
}

void emitRotation(KernelBuilder &k, r1::RopeAttr rope, Value source, Value from, Value table, Value angles,
                  Value target, Value to, Type element) {
  int64_t pairs = rope.getDim() / 2;
  k.forEachPiece(pairs, [&](Value i, int64_t lanes) {
    Value cosine = k.load(table, k.add(angles, i), k.f32Type(), lanes);
    Value sine = k.load(table, k.add(angles, k.add(i, k.integer(pairs))), k.f32Type(), lanes);
    if (rope.getLayout() == r1::RopeLayout::Half) {
      Value second = k.add(i, k.integer(pairs));
      Value x = k.load(source, k.add(from, i), k.f32Type(), lanes);
      Value y = k.load(source, k.add(from, second), k.f32Type(), lanes);
      k.store(k.sub(k.mul(x, cosine), k.mul(y, sine)), target, k.add(to, i), element);
      k.store(k.add(k.mul(y, cosine), k.mul(x, sine)), target, k.add(to, second), element);
      return;
    }
    Value place = k.mul(i, k.integer(2));
    Value both = k.load(source, k.add(from, place), k.f32Type(), 2 * lanes);
    auto parts = vector::DeinterleaveOp::create(k.builder, k.location, both);
    Value x = parts.getRes1(), y = parts.getRes2();
    Value first = k.sub(k.mul(x, cosine), k.mul(y, sine));
    Value second = k.add(k.mul(x, sine), k.mul(y, cosine));
    Value joined = vector::InterleaveOp::create(k.builder, k.location, first, second);
    k.store(joined, target, k.add(to, place), element);
  });
}

uint64_t emitRopeAppend(kernel::RopeAppendOp op, KernelBuilder &k) {
  unsigned next = 0;
  Value qkv = k.buffer(next++);
  Value table = op.getTable() ? k.buffer(next++) : Value();
  Value cacheRows = k.buffer(next++), query = k.buffer(next++), keys = k.buffer(next++), values = k.buffer(next++);
  int64_t heads = op.getHeads(), kvHeads = op.getKvHeads(), headDim = op.getHeadDim(), valueDim = op.getValueDim();
  r1::RopeAttr rope = op.getRopeAttr();
  int64_t rotated = table ? rope.getDim() : 0;
  k.loop(k.blockBegin, k.blockEnd, k.integer(1), [&](Value token) {
    Value source = k.mul(token, k.integer(rowStride(op.getQkv())));
    Value angles = k.mul(token, k.integer(rotated));
    Value row = k.loadInteger(cacheRows, token);
    auto moveHeads = [&](int64_t count, int64_t dim, int64_t first, bool rotates, Value target, Value targetRow,
                         Type element) {
      k.loop(k.integer(0), k.integer(count), k.integer(1), [&](Value head) {
        Value from = k.add(source, k.add(k.integer(first), k.mul(head, k.integer(dim))));
        Value to = k.add(targetRow, k.mul(head, k.integer(dim)));
        int64_t skipped = rotates ? rotated : 0;
        if (skipped > 0) {
          emitRotation(k, rope, qkv, from, table, angles, target, to, element);
        }
        k.forEachPiece(dim - skipped, [&](Value i, int64_t lanes) {
          Value offset = k.add(i, k.integer(skipped));
          k.store(k.load(qkv, k.add(from, offset), k.f32Type(), lanes), target, k.add(to, offset), element);
        });
      });
    };
    moveHeads(heads, headDim, 0, true, query, k.mul(token, k.integer(rowStride(op.getQuery()))), k.f32Type());
    moveHeads(kvHeads, headDim, heads * headDim, true, keys, k.mul(row, k.integer(kvHeads * headDim)),
              elementOf(op.getKeyCache()));
    moveHeads(kvHeads, valueDim, (heads + kvHeads) * headDim, false, values, k.mul(row, k.integer(kvHeads * valueDim)),
              elementOf(op.getValueCache()));
  });
  return 0;
}

} // namespace elah
