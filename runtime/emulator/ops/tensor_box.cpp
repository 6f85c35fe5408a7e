#include "ops/tensor_box.h"
#include <algorithm>
#include <cstring>

namespace emulator {

namespace {

/// The part of a row of `count` elements from `first` on that is within [0, dim).
void clip(BoxRow &row, int64_t first, uint32_t count, uint64_t dim, unsigned size) {
  int64_t begin = std::clamp<int64_t>(-first, 0, count);
  int64_t end = std::clamp<int64_t>(static_cast<int64_t>(dim) - first, begin, count);
  row.begin = static_cast<uint32_t>(begin) * size;
  row.end = static_cast<uint32_t>(end) * size;
}

void forEachTiledRow(const TensorMap &map, const int32_t (&at)[maxTensorRank],
                     const std::function<void(const BoxRow &)> &visit) {
  const unsigned size = sizeOf(map.type);
  uint32_t steps[maxTensorRank] = {};
  BoxRow row = {0, map.box[0] * size, 0, 0, 0};
  while (true) {
    clip(row, at[0], map.box[0], map.dims[0], size);
    row.address = map.address + int64_t(at[0]) * size;
    for (unsigned i = 1; i < map.rank; ++i) {
      int64_t position = int64_t(at[i]) + int64_t(steps[i]) * map.elementStrides[i];
      row.address += static_cast<uint64_t>(position) * map.strides[i];
      if (position < 0 || position >= static_cast<int64_t>(map.dims[i])) {
        row.end = row.begin;
      }
    }
    visit(row);
    row.offset += map.rowPitch();
    unsigned i = 1;
    for (; i < map.rank; ++i) {
      if (++steps[i] < map.extent(i)) {
        break;
      }
      steps[i] = 0;
    }
    if (i >= map.rank) {
      return;
    }
  }
}

/// Pixels run through the bounding box of base pixels, W first, and are read at an offset from there: what a
/// convolution's filter tap sees (PTX ISA, "im2col mode").
void forEachPixel(const TensorMap &map, const int32_t (&at)[maxTensorRank], const int32_t (&offsets)[3],
                  const std::function<void(const BoxRow &)> &visit) {
  const unsigned size = sizeOf(map.type), spatial = map.rank - 2;
  int64_t pixel[maxTensorRank];
  std::copy_n(at, maxTensorRank, pixel);
  BoxRow row = {0, map.channelsPerPixel * size, 0, 0, 0};
  for (uint32_t count = 0; count < map.pixelsPerColumn; ++count) {
    clip(row, at[0], map.channelsPerPixel, map.dims[0], size);
    row.address = map.address + int64_t(at[0]) * size;
    for (unsigned i = 1; i < map.rank; ++i) {
      int64_t position = pixel[i] + (i <= spatial ? offsets[i - 1] : 0);
      row.address += static_cast<uint64_t>(position) * map.strides[i];
      if (position < 0 || position >= static_cast<int64_t>(map.dims[i])) {
        row.end = row.begin;
      }
    }
    visit(row);
    row.offset += map.rowPitch();
    unsigned i = 1;
    for (; i <= spatial; ++i) {
      pixel[i] += map.elementStrides[i];
      if (pixel[i] <= static_cast<int64_t>(map.dims[i]) - 1 + map.upperCorner[i - 1]) {
        break;
      }
      pixel[i] = map.lowerCorner[i - 1];
    }
    if (i > spatial) {
      pixel[map.rank - 1] += 1;
    }
  }
}

} // namespace

void forEachRow(const TensorMap &map, const int32_t (&at)[maxTensorRank], const int32_t (&offsets)[3],
                const std::function<void(const BoxRow &)> &visit) {
  if (map.im2col) {
    forEachPixel(map, at, offsets, visit);
  } else {
    forEachTiledRow(map, at, visit);
  }
}

void fillOutOfBounds(const TensorMap &map, std::byte *bytes, uint32_t count) {
  if (map.fill == 0) {
    std::memset(bytes, 0, count);
    return;
  }
  // A quiet NaN with all bits of the fraction set, positive.
  const unsigned size = sizeOf(map.type);
  std::memset(bytes, 0xFF, count);
  for (uint32_t i = size - 1; i < count; i += size) {
    bytes[i] = std::byte(0x7F);
  }
}

} // namespace emulator
