#include "codegen/Reference/LatentRows.h"
#include "llvm/ADT/APFloat.h"
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

namespace elah {
namespace {

double valueOf(const llvm::fltSemantics &semantics, unsigned width, uint64_t bits) {
  return llvm::APFloat(semantics, llvm::APInt(width, bits)).convertToDouble();
}

uint64_t rounded(const llvm::fltSemantics &semantics, double value) {
  llvm::APFloat number(value);
  bool losesInfo;
  number.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return number.bitcastToAPInt().getZExtValue();
}

float scaleOf(llvm::ArrayRef<double> block) {
  double largest = kernel::Fp8LatentRow::smallestAmax;
  for (double value : block) {
    largest = std::max(largest, std::fabs(value));
  }
  const double scale = std::exp2(std::ceil(std::log2(largest / 448)));
  return static_cast<float>(std::min(scale, kernel::Fp8LatentRow::largestScale));
}

} // namespace

double loadFromLatentRow(const kernel::Fp8LatentRow &layout, std::span<const uint8_t> row, int64_t column) {
  assert(row.size() == static_cast<size_t>(layout.bytes()) && column < layout.rank + layout.ropeDim);
  if (column >= layout.rank) {
    uint16_t bits;
    std::memcpy(&bits, row.data() + layout.ropeOffset() + 2 * (column - layout.rank), 2);
    return valueOf(llvm::APFloat::BFloat(), 16, bits);
  }
  float scale;
  std::memcpy(&scale, row.data() + layout.scalesOffset() + 4 * (column / layout.blockValues), 4);
  return scale * valueOf(llvm::APFloat::Float8E4M3FN(), 8, row[static_cast<size_t>(column)]);
}

void storeLatentRow(const kernel::Fp8LatentRow &layout, std::span<uint8_t> row, llvm::ArrayRef<double> values) {
  assert(row.size() == static_cast<size_t>(layout.bytes()) &&
         values.size() == static_cast<size_t>(layout.rank + layout.ropeDim));
  llvm::ArrayRef<double> latent = values.take_front(static_cast<size_t>(layout.rank));
  for (int64_t block = 0; block < layout.blocks(); ++block) {
    const size_t begin = static_cast<size_t>(block * layout.blockValues);
    llvm::ArrayRef<double> ofBlock =
        latent.slice(begin, std::min(static_cast<size_t>(layout.blockValues), latent.size() - begin));
    const float scale = scaleOf(ofBlock);
    std::memcpy(row.data() + layout.scalesOffset() + 4 * block, &scale, 4);
    for (size_t i = 0; i < ofBlock.size(); ++i) {
      row[begin + i] = static_cast<uint8_t>(
          rounded(llvm::APFloat::Float8E4M3FN(), std::clamp(ofBlock[i] / static_cast<double>(scale), -448.0, 448.0)));
    }
  }
  for (int64_t i = 0; i < layout.ropeDim; ++i) {
    const uint16_t bits =
        static_cast<uint16_t>(rounded(llvm::APFloat::BFloat(), values[static_cast<size_t>(layout.rank + i)]));
    std::memcpy(row.data() + layout.ropeOffset() + 2 * i, &bits, 2);
  }
}

std::span<uint8_t> LatentCache::bytesOf(int64_t row) const {
  return rows.bytes.subspan(static_cast<size_t>(row * rows.stride), static_cast<size_t>(fp8->bytes()));
}

void LatentCache::set(int64_t row, llvm::ArrayRef<double> values) const {
  if (fp8) {
    storeLatentRow(*fp8, bytesOf(row), values);
    return;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    rows.set(row, static_cast<int64_t>(i), values[i]);
  }
}

void LatentCache::read(llvm::ArrayRef<int64_t> numbers) {
  for (int64_t row : numbers) {
    auto [values, isNew] = known.try_emplace(row);
    if (isNew && !fp8) {
      values->second = rows.part(row, 0, rows.width);
    } else if (isNew) {
      for (int64_t i = 0; i < fp8->rank + fp8->ropeDim; ++i) {
        values->second.push_back(loadFromLatentRow(*fp8, bytesOf(row), i));
      }
    }
  }
}

} // namespace elah
