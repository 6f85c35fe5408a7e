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

int64_t elementBytes(kernel::Format format) {
  return format == kernel::Format::F32 ? 4 : format == kernel::Format::F8 ? 1 : 2;
}

/// An e4m3 subnormal m * 2^-9 as the bits of a bf16, m = 0 .. 7.
uint16_t subnormalBits(unsigned m) {
  float value = static_cast<float>(m) / 512;
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>(bits >> 16);
}

} // namespace

KernelBuilder::Values WeightVectors::load(Value panel, Value step) {
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
      element = b.getI8Type();
      break;
    }
    if (compute == kernel::Compute::F32) {
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
  int64_t stepBytes = vectorsPerPanel * k.lanes() * (compute != kernel::Compute::F32 ? 2 : 1) * elementBytes(format);
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
