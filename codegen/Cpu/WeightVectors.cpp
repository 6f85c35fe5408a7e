// Packed weights on their way into registers.
#include "codegen/Cpu/WeightVectors.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t vectorsPerPanel = 4;
/// How far ahead of its use a stream's memory is asked for. The processor's own prefetcher stops at the end of each
/// page. Measured, two threads decoding from files: 1 KiB and 1.5 KiB are best (84 % of the bandwidth; 81 % at 2 KiB),
/// but with split values, which take twice the products, 2 KiB is (80 %; 72 % at 1 and 67 % at 3 KiB).
int64_t prefetchBytes(kernel::Compute compute) { return compute == kernel::Compute::BF16X2 ? 2048 : 1024; }

/// The bits of an integer of at most 8 bits as a bf16, which holds it.
int16_t bitsOfInteger(int64_t integer) {
  float value = static_cast<float>(integer);
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<int16_t>(bits >> 16);
}

/// An e4m3 subnormal m * 2^-9 as the bits of a bf16, m = 0 .. 7.
uint16_t subnormalBits(unsigned m) {
  float value = static_cast<float>(m) / 512;
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>(bits >> 16);
}

} // namespace

void WeightVectors::setZeros(ArrayRef<Value> numbers) {
  zeros.assign(numbers.begin(), numbers.end());
  if (compute == kernel::Compute::F32) {
    return;
  }
  OpBuilder &b = k.builder;
  auto type = VectorType::get({k.lanes()}, b.getI32Type());
  Value shift = arith::ConstantOp::create(b, k.location, DenseElementsAttr::get(type, int32_t(16)));
  for (Value &zero : zeros) { // The same for both values of a pair.
    Value word = arith::FPToSIOp::create(b, k.location, type, zero);
    Value pair = arith::OrIOp::create(b, k.location, word, arith::ShLIOp::create(b, k.location, word, shift));
    zero = vector::BitCastOp::create(b, k.location, VectorType::get({2 * k.lanes()}, b.getI16Type()), pair);
  }
}

Value WeightVectors::wordConstant(ArrayRef<int16_t> values) {
  auto type = VectorType::get({2 * k.lanes()}, k.builder.getI16Type());
  return arith::ConstantOp::create(k.builder, k.location, DenseElementsAttr::get(type, values));
}

/// A word of 32 bits holds a column of each vector, 4 bits each: one shift brings those of a vector in place.
KernelBuilder::Values WeightVectors::loadU4(Value panel, Value step) {
  OpBuilder &b = k.builder;
  Type i32 = b.getI32Type(), i16 = b.getI16Type();
  auto words = VectorType::get({k.lanes()}, i32);
  Value packed = k.loadRaw(words, panel, k.mul(step, k.integer(k.lanes())), i32);
  KernelBuilder::Values vectors;
  if (compute == kernel::Compute::F32) {
    auto splat = [&](int32_t value) -> Value {
      return arith::ConstantOp::create(b, k.location, DenseElementsAttr::get(words, value));
    };
    for (int32_t part = 0; part < 2; ++part) {
      for (int32_t v = 0; v < vectorsPerPanel; ++v) {
        Value moved = arith::ShRUIOp::create(b, k.location, packed, splat(16 * part + 4 * v));
        Value number = arith::AndIOp::create(b, k.location, moved, splat(15));
        Value value = arith::SIToFPOp::create(b, k.location, k.vectorType(k.lanes(), b.getF32Type()), number);
        vectors.push_back(k.sub(value, zeros.empty() ? k.splat(8, k.lanes()) : zeros[v]));
      }
    }
    return vectors;
  }
  // The numbers of a pair become bf16 by a table, which looks at the lowest five bits of each half only.
  auto type = VectorType::get({2 * k.lanes()}, i16);
  SmallVector<int16_t> values(2 * k.lanes());
  for (int64_t i = 0; i < 2 * k.lanes(); ++i) {
    values[i] = bitsOfInteger(zeros.empty() ? i % 16 - 8 : i < 16 ? i : i - 32);
  }
  Value table = wordConstant(values);
  Value pairs = vector::BitCastOp::create(b, k.location, type, packed);
  for (int16_t v = 0; v < vectorsPerPanel; ++v) {
    Value number = pairs;
    if (v > 0) {
      number = arith::ShRUIOp::create(b, k.location, pairs, wordConstant(static_cast<int16_t>(4 * v)));
    }
    if (!zeros.empty()) { // Of two 4 bit numbers the difference has five bits and a sign.
      number = arith::AndIOp::create(b, k.location, number, wordConstant(int16_t(15)));
      number = arith::SubIOp::create(b, k.location, number, zeros[v]);
    }
    vectors.push_back(
        asPairs(LLVM::CallIntrinsicOp::create(b, k.location, type, b.getStringAttr("llvm.x86.avx512.permvar.hi.512"),
                                              ValueRange{table, number})
                    .getResult(0)));
  }
  return vectors;
}

/// Bytes less their zero points: f32 values, or pairs of bf16.
Value WeightVectors::convertU8(Value bytes, int64_t index) {
  OpBuilder &b = k.builder;
  if (compute == kernel::Compute::F32) {
    Value value = arith::UIToFPOp::create(b, k.location, k.vectorType(k.lanes(), b.getF32Type()), bytes);
    return k.sub(value, zeros.empty() ? k.splat(128, k.lanes()) : zeros[index]);
  }
  auto words = VectorType::get({2 * k.lanes()}, b.getI16Type()), doubles = VectorType::get({k.lanes()}, b.getI32Type());
  auto floats = VectorType::get({k.lanes()}, b.getF32Type());
  Value number = arith::ExtUIOp::create(b, k.location, words, bytes);
  number = arith::SubIOp::create(b, k.location, number, zeros.empty() ? wordConstant(int16_t(128)) : zeros[index]);
  // A difference has 8 bits and a sign: as f32, its lower 16 bits are zero.
  auto splat = [&](int32_t value) -> Value {
    return arith::ConstantOp::create(b, k.location, DenseElementsAttr::get(doubles, value));
  };
  auto bitsOf = [&](Value integer) -> Value {
    return vector::BitCastOp::create(b, k.location, doubles, arith::SIToFPOp::create(b, k.location, floats, integer));
  };
  Value pair = vector::BitCastOp::create(b, k.location, doubles, number);
  Value first = arith::ShRSIOp::create(b, k.location, arith::ShLIOp::create(b, k.location, pair, splat(16)), splat(16));
  Value second = arith::ShRSIOp::create(b, k.location, pair, splat(16));
  Value bits = arith::OrIOp::create(b, k.location, bitsOf(second),
                                    arith::ShRUIOp::create(b, k.location, bitsOf(first), splat(16)));
  return asPairs(bits);
}

KernelBuilder::Values WeightVectors::load(Value panel, Value step) {
  if (format == kernel::Format::U4) {
    return loadU4(panel, step);
  }
  OpBuilder &b = k.builder;
  // Values of one vector: a lane holds one value of k, or two.
  int64_t width = compute != kernel::Compute::F32 ? 2 * k.lanes() : k.lanes();
  Value first = k.mul(step, k.integer(vectorsPerPanel * width));
  KernelBuilder::Values vectors;
  for (int64_t v = 0; v < vectorsPerPanel; ++v) {
    Value index = k.add(first, k.integer(v * width));
    Type element;
    switch (format) {
    case kernel::Format::F32:
      element = b.getF32Type();
      break;
    case kernel::Format::BF16:
      element = b.getBF16Type();
      break;
    case kernel::Format::F16:
      element = b.getF16Type();
      break;
    case kernel::Format::F8:
    case kernel::Format::U8:
      element = b.getI8Type();
      break;
    case kernel::Format::U4:
      llvm_unreachable("loaded above");
    }
    if (format == kernel::Format::U8) {
      vectors.push_back(convertU8(k.loadRaw(k.vectorType(width, element), panel, index, element), v));
    } else if (compute == kernel::Compute::F32) {
      vectors.push_back(k.load(panel, index, element, width));
    } else if (format == kernel::Format::BF16) {
      vectors.push_back(asPairs(k.loadRaw(k.vectorType(width, b.getI16Type()), panel, index, b.getI16Type())));
    } else {
      vectors.push_back(convertToBF16(k.loadRaw(k.vectorType(width, element), panel, index, element)));
    }
  }
  return vectors;
}

Value WeightVectors::asPairs(Value vector) {
  auto type = VectorType::get({2 * k.lanes()}, k.builder.getBF16Type());
  return vector::BitCastOp::create(k.builder, k.location, type, vector);
}

Value WeightVectors::convertToBF16(Value vector) {
  OpBuilder &b = k.builder;
  int64_t width = 2 * k.lanes();
  if (format != kernel::Format::F8) { // Rounded: bf16 is coarser than f16 and f32.
    return arith::TruncFOp::create(b, k.location, k.vectorType(width, b.getBF16Type()), k.widen(vector));
  }
  // e4m3 has four bits of exponent and three of mantissa: moved to their places in a bf16, the bias
  // from 7 to 127. The eight subnormals come from a table, which looks at the lowest five bits only.
  auto type = VectorType::get({width}, b.getI16Type());
  auto constant = [&](int16_t value) -> Value {
    return arith::ConstantOp::create(b, k.location, DenseElementsAttr::get(type, value));
  };
  SmallVector<int16_t> table(width);
  for (int64_t i = 0; i < width; ++i) {
    table[i] = static_cast<int16_t>(subnormalBits(i % 8));
  }
  Value subnormals = arith::ConstantOp::create(b, k.location, DenseElementsAttr::get(type, ArrayRef<int16_t>(table)));
  Value wide = arith::ExtSIOp::create(b, k.location, type, vector);
  Value moved = arith::ShLIOp::create(b, k.location, wide, constant(4));
  Value normal = arith::AddIOp::create(b, k.location, arith::AndIOp::create(b, k.location, moved, constant(0x7f0)),
                                       constant(120 << 7));
  Value subnormal =
      LLVM::CallIntrinsicOp::create(b, k.location, type, b.getStringAttr("llvm.x86.avx512.permvar.hi.512"),
                                    ValueRange{subnormals, wide})
          .getResult(0);
  Value isSubnormal = arith::CmpIOp::create(b, k.location, arith::CmpIPredicate::eq,
                                            arith::AndIOp::create(b, k.location, wide, constant(0x78)), constant(0));
  Value absolute = arith::SelectOp::create(b, k.location, isSubnormal, subnormal, normal);
  Value sign = arith::AndIOp::create(b, k.location, wide, constant(std::numeric_limits<int16_t>::min()));
  return asPairs(arith::OrIOp::create(b, k.location, sign, absolute));
}

void WeightVectors::prefetch(Value panel, Value step) {
  OpBuilder &b = k.builder;
  int64_t values = compute != kernel::Compute::F32 || format == kernel::Format::U4 ? 2 : 1;
  int64_t stepBytes = vectorsPerPanel * k.lanes() * values * kernel::PackingAttr::elementBits(format) / 8;
  Value first = k.mul(step, k.integer(stepBytes));
  for (int64_t line = 0; line < stepBytes; line += 64) {
    Value address = k.address(panel, k.add(first, k.integer(line + prefetchBytes(compute))), b.getI8Type());
    LLVM::Prefetch::create(b, k.location, address, /*rw=*/0, /*hint=*/3, /*cache=*/1);
  }
}

void WeightVectors::storeConverted(Value vector, Value base, Value step, int64_t index) {
  Type i32 = k.builder.getI32Type();
  Value bits = vector::BitCastOp::create(k.builder, k.location, VectorType::get({k.lanes()}, i32), vector);
  Value place = k.add(k.mul(step, k.integer(vectorsPerPanel * k.lanes())), k.integer(index * k.lanes()));
  k.storeRaw(bits, base, place, i32);
}

KernelBuilder::Values WeightVectors::loadConverted(Value base, Value step) {
  OpBuilder &b = k.builder;
  KernelBuilder::Values vectors;
  for (int64_t v = 0; v < vectorsPerPanel; ++v) {
    Value place = k.add(k.mul(step, k.integer(vectorsPerPanel * k.lanes())), k.integer(v * k.lanes()));
    if (compute == kernel::Compute::F32) {
      vectors.push_back(k.load(base, place, k.f32Type(), k.lanes()));
    } else {
      vectors.push_back(asPairs(
          k.loadRaw(k.vectorType(2 * k.lanes(), b.getI16Type()), base, k.mul(place, k.integer(2)), b.getI16Type())));
    }
  }
  return vectors;
}

} // namespace elah
