// What kernels read and write, as numbers. Decoding is by tables and by LLVM's own arithmetic, not by the code of the
// targets that are held against this.
#include "codegen/Reference/KernelRows.h"
#include "llvm/ADT/APFloat.h"
#include <cmath>
#include <cstring>

using namespace mlir;

namespace elah {
namespace {

const llvm::fltSemantics &semanticsOf(Type element) { return cast<FloatType>(element).getFloatSemantics(); }

int64_t bytesOf(Type element) { return std::max<int64_t>(1, element.getIntOrFloatBitWidth() / 8); }

} // namespace

//===--- Elements ---===//

ElementReader::ElementReader(Type element)
    : element(element), kind(element.isF32()                         ? Kind::F32
                             : element.isBF16()                      ? Kind::BF16
                             : isa<Float8E4M3FNType>(element)        ? Kind::F8
                             : isa<FloatType>(element)               ? Kind::OtherFloat
                             : element.getIntOrFloatBitWidth() == 32 ? Kind::I32
                                                                     : Kind::OtherInteger),
      size(bytesOf(element)) {}

double ElementReader::operator()(std::span<const uint8_t> bytes, int64_t index) const {
  assert(index >= 0 && static_cast<size_t>((index + 1) * size) <= bytes.size() && "an element outside its buffer");
  const uint8_t *at = bytes.data() + index * size;
  switch (kind) {
  case Kind::F32: {
    float value;
    std::memcpy(&value, at, 4);
    return value;
  }
  case Kind::BF16: {
    uint16_t high;
    std::memcpy(&high, at, 2);
    uint32_t bits = uint32_t(high) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
  }
  case Kind::F8: {
    static const std::array<double, 256> values = [&] {
      std::array<double, 256> all;
      for (unsigned bits = 0; bits < 256; ++bits) {
        all[bits] = llvm::APFloat(semanticsOf(element), llvm::APInt(8, bits)).convertToDouble();
      }
      return all;
    }();
    return values[*at];
  }
  case Kind::OtherFloat: {
    uint64_t bits = 0;
    std::memcpy(&bits, at, static_cast<size_t>(size));
    return llvm::APFloat(semanticsOf(element), llvm::APInt(static_cast<unsigned>(8 * size), bits)).convertToDouble();
  }
  case Kind::I32: {
    int32_t value;
    std::memcpy(&value, at, 4);
    return value;
  }
  case Kind::OtherInteger:
    break;
  }
  int64_t value = 0;
  std::memcpy(&value, at, static_cast<size_t>(size));
  return static_cast<double>(value);
}

double loadElement(Type element, std::span<const uint8_t> bytes, int64_t index) {
  return ElementReader(element)(bytes, index);
}

void storeElement(Type element, std::span<uint8_t> bytes, int64_t index, double value) {
  int64_t size = bytesOf(element);
  assert(index >= 0 && static_cast<size_t>((index + 1) * size) <= bytes.size() && "an element outside its buffer");
  uint64_t bits;
  if (isa<FloatType>(element)) {
    llvm::APFloat number(value);
    bool losesInfo;
    // Saturating, as conversions to f8 are.
    if (isa<Float8E4M3FNType>(element) && std::fabs(value) > 448) {
      number = llvm::APFloat(std::copysign(448.0, value));
    }
    number.convert(semanticsOf(element), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
    bits = number.bitcastToAPInt().getZExtValue();
  } else {
    bits = static_cast<uint64_t>(static_cast<int64_t>(value));
  }
  std::memcpy(bytes.data() + index * size, &bits, static_cast<size_t>(size));
}

//===--- Rows ---===//

Rows::Rows(const KernelOperand &operand)
    : element(operand.type.getElementType()), read(element), bytes(operand.bytes), width(kernel::widthOf(operand.type)),
      stride(kernel::pitchOf(operand.type)) {}

std::vector<double> Rows::part(int64_t row, int64_t first, int64_t count) const {
  std::vector<double> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    values[i] = get(row, first + i);
  }
  return values;
}

Values::Values(const KernelOperand &rows, const KernelOperand *scales) : rows(rows) {
  if (scales) {
    this->scales.emplace(*scales);
  }
}

void Values::set(int64_t row, int64_t first, ArrayRef<double> values) const {
  if (!scales) {
    for (auto [i, value] : llvm::enumerate(values)) {
      rows.set(row, first + static_cast<int64_t>(i), value);
    }
    return;
  }
  for (size_t begin = 0; begin < values.size(); begin += 128) {
    ArrayRef<double> block = values.slice(begin, std::min<size_t>(128, values.size() - begin));
    double largest = 1e-4; // So that a block of zeros has a scale.
    for (double value : block) {
      largest = std::max(largest, std::fabs(value));
    }
    float scale = static_cast<float>(largest / 448);
    scales->set(row, (first + static_cast<int64_t>(begin)) / 128, scale);
    for (auto [i, value] : llvm::enumerate(block)) {
      rows.set(row, first + static_cast<int64_t>(begin + i), value / scale);
    }
  }
}

//===--- Weights ---===//

Weights::Weights(kernel::PackingAttr packing, const KernelOperand &bytes, const KernelOperand *scales)
    : packing(packing), bytes(bytes.bytes), pitch(packing.getSteps() * packing.getStep()) {
  if (scales) {
    this->scales.emplace(*scales);
  }
  MLIRContext *context = packing.getContext();
  switch (packing.getFormat()) {
  case kernel::Format::F32:
    read.emplace(Float32Type::get(context));
    break;
  case kernel::Format::BF16:
    read.emplace(BFloat16Type::get(context));
    break;
  case kernel::Format::F16:
    read.emplace(Float16Type::get(context));
    break;
  case kernel::Format::F8:
    read.emplace(Float8E4M3FNType::get(context));
    break;
  case kernel::Format::U4:
  case kernel::Format::U8: // Read as integers.
    break;
  }
}

std::vector<double> Weights::row(int64_t batch, int64_t n) const {
  const int64_t k = packing.getK(), first = (batch * packing.getN() + n) * pitch;
  std::vector<double> values(static_cast<size_t>(k));
  for (int64_t i = 0; i < k; ++i) {
    int64_t index = first + i;
    if (read) {
      values[i] = (*read)(bytes, index);
    } else {
      values[i] = packing.getFormat() == kernel::Format::U8 ? bytes[index] : bytes[index / 2] >> (index % 2 * 4) & 15;
    }
  }
  if (scales) {
    const int64_t parts = packing.getZeros() ? 2 : 1;
    const double middle = packing.isInteger() ? static_cast<double>(1 << (packing.getElementBits() - 1)) : 0;
    const int64_t columns = packing.getColumns(), half = n / columns, blockK = packing.getBlockK();
    const int64_t blockRow = (batch * (packing.getSwiglu() ? 2 : 1) + half) * packing.getBlockRows() +
                             (n - half * columns) / packing.getBlockN();
    for (int64_t block = 0; block * blockK < k; ++block) {
      const int64_t place = (blockRow * packing.getBlockColumns() + block) * parts;
      const double scale = scales->get(place), zero = parts == 2 ? scales->get(place + 1) : middle;
      for (int64_t i = block * blockK; i < std::min(k, (block + 1) * blockK); ++i) {
        values[i] = (values[i] - zero) * scale;
      }
    }
  }
  return values;
}

double dot(ArrayRef<double> a, ArrayRef<double> b) {
  assert(a.size() == b.size() && "vectors of one length");
  // Eight sums, for one after the other would wait for each addition to end.
  double sums[8] = {};
  const size_t even = a.size() / 8 * 8;
  const double *x = a.data(), *y = b.data();
  for (size_t i = 0; i < even; i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) {
      sums[lane] += x[i + lane] * y[i + lane];
    }
  }
  double sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  for (size_t i = even; i < a.size(); ++i) {
    sum += x[i] * y[i];
  }
  return sum;
}

} // namespace elah
