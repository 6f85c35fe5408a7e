#include "ops/tensor_map.h"
#include <algorithm>
#include <cstring>

namespace emulator {

namespace {

constexpr uint32_t magic = 0x4D544C45; // "ELTM"

/// The opaque bytes. Sizes are kept less one, as they may be 2^32 (tensor) or 256 (box).
struct Packed {
  uint32_t magic;
  uint8_t type, rank, interleave, swizzle, l2Promotion, fill, im2col, unused;
  uint8_t elementStrides[maxTensorRank];
  uint8_t box[maxTensorRank];
  uint16_t channelsPerPixel, pixelsPerColumn;
  int16_t lowerCorner[3], upperCorner[3];
  uint32_t dims[maxTensorRank];
  uint64_t address;
  uint64_t strides[maxTensorRank - 1];
};
static_assert(sizeof(Packed) <= tensorMapBytes);

std::string number(uint64_t value) { return std::to_string(value); }

std::string indexed(const char *name, unsigned index) { return std::string(name) + "[" + std::to_string(index) + "]"; }

/// What the tiled and the im2col mode demand alike.
std::optional<std::string> checkTensor(const void *map, const TensorMap &tensor, unsigned minRank,
                                       const uint64_t *globalStrides) {
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0) {
    return "the tensor map's address is not a multiple of 64";
  }
  if (static_cast<uint32_t>(tensor.type) > static_cast<uint32_t>(TensorType::U6Align16)) {
    return "data type " + number(static_cast<uint32_t>(tensor.type)) + " does not exist";
  }
  if (sizeOf(tensor.type) == 0) {
    return "packed 4-bit and 6-bit data types need compute capability 10.0";
  }
  if (tensor.rank < minRank || tensor.rank > maxTensorRank) {
    return "rank is " + number(tensor.rank) + ", expected " + number(minRank) + " to 5";
  }
  if (tensor.interleave > 2) {
    return "interleave " + number(tensor.interleave) + " does not exist";
  }
  if (tensor.swizzle > 6) {
    return "swizzle " + number(tensor.swizzle) + " does not exist";
  }
  if (tensor.swizzle > 3) {
    return "swizzle atoms other than 16 bytes need compute capability 10.0";
  }
  if (tensor.l2Promotion > 3) {
    return "L2 promotion " + number(tensor.l2Promotion) + " does not exist";
  }
  if (tensor.fill > 1) {
    return "out-of-bounds fill " + number(tensor.fill) + " does not exist";
  }
  if (tensor.interleave != 0 && tensor.rank < 3) {
    return "rank is " + number(tensor.rank) + ", expected at least 3 with an interleaved layout";
  }
  unsigned alignment = tensor.interleave == 2 ? 32 : 16;
  if (tensor.address % alignment != 0) {
    return "the tensor's address is not a multiple of " + number(alignment);
  }
  for (unsigned i = 0; i < tensor.rank; ++i) {
    if (tensor.dims[i] == 0 || tensor.dims[i] > uint64_t(1) << 32) {
      return indexed("globalDim", i) + " is " + number(tensor.dims[i]) + ", expected 1 to 2^32";
    }
  }
  for (unsigned i = 0; i + 1 < tensor.rank; ++i) {
    if (globalStrides[i] % alignment != 0) {
      return indexed("globalStrides", i) + " is " + number(globalStrides[i]) + ", expected a multiple of " +
             number(alignment);
    }
    if (globalStrides[i] >= uint64_t(1) << 40) {
      return indexed("globalStrides", i) + " is " + number(globalStrides[i]) + ", expected less than 2^40";
    }
  }
  for (unsigned i = tensor.interleave == 0 ? 1 : 0; i < tensor.rank; ++i) {
    if (tensor.elementStrides[i] == 0 || tensor.elementStrides[i] > 8) {
      return indexed("elementStrides", i) + " is " + number(tensor.elementStrides[i]) + ", expected 1 to 8";
    }
  }
  if (tensor.interleave == 2 && tensor.swizzle != 1) {
    return "a 32-byte interleaved layout needs the 32-byte swizzle";
  }
  if (tensor.fill == 1 && !isFloat(tensor.type)) {
    return "NaN fill needs a floating-point data type";
  }
  return std::nullopt;
}

std::optional<std::string> checkRow(const TensorMap &tensor, const char *name, uint64_t elements) {
  uint64_t bytes = elements * sizeOf(tensor.type);
  if (tensor.interleave != 0) {
    return std::nullopt;
  }
  if (bytes % 16 != 0) {
    return std::string(name) + " takes " + number(bytes) + " bytes, expected a multiple of 16";
  }
  uint32_t span = static_cast<uint32_t>(tensor.span());
  if (tensor.swizzle != 0 && bytes > span) {
    return std::string(name) + " takes " + number(bytes) + " bytes, more than the swizzle's " + number(span);
  }
  return std::nullopt;
}

TensorMap describe(uint32_t type, uint32_t rank, uint64_t globalAddress, const uint64_t *globalDims,
                   const uint64_t *globalStrides, const uint32_t *elementStrides, uint32_t interleave, uint32_t swizzle,
                   uint32_t l2Promotion, uint32_t fill) {
  TensorMap tensor;
  tensor.type = static_cast<TensorType>(type);
  tensor.rank = rank;
  tensor.address = globalAddress;
  for (unsigned i = 0; i < std::min(rank, maxTensorRank); ++i) {
    tensor.dims[i] = globalDims[i];
    tensor.elementStrides[i] = i == 0 && interleave == 0 ? 1 : elementStrides[i];
    tensor.strides[i] = i == 0 ? 0 : globalStrides[i - 1];
  }
  tensor.interleave = interleave;
  tensor.swizzle = swizzle;
  tensor.l2Promotion = l2Promotion;
  tensor.fill = fill;
  return tensor;
}

} // namespace

unsigned sizeOf(TensorType type) {
  switch (type) {
  case TensorType::U8:
    return 1;
  case TensorType::U16:
  case TensorType::F16:
  case TensorType::BF16:
    return 2;
  case TensorType::U32:
  case TensorType::S32:
  case TensorType::F32:
  case TensorType::F32Ftz:
  case TensorType::TF32:
  case TensorType::TF32Ftz:
    return 4;
  case TensorType::U64:
  case TensorType::S64:
  case TensorType::F64:
    return 8;
  case TensorType::U4Align8:
  case TensorType::U4Align16:
  case TensorType::U6Align16:
    return 0;
  }
  return 0;
}

bool isFloat(TensorType type) {
  switch (type) {
  case TensorType::F16:
  case TensorType::F32:
  case TensorType::F64:
  case TensorType::BF16:
  case TensorType::F32Ftz:
  case TensorType::TF32:
  case TensorType::TF32Ftz:
    return true;
  default:
    return false;
  }
}

uint32_t TensorMap::extent(unsigned dim) const {
  return (box[dim] + elementStrides[dim] - 1) / std::max(elementStrides[dim], 1u);
}

SwizzleSpan TensorMap::span() const {
  constexpr SwizzleSpan spans[4] = {SwizzleSpan::None, SwizzleSpan::B32, SwizzleSpan::B64, SwizzleSpan::B128};
  return spans[swizzle & 3];
}

uint32_t TensorMap::rowBytes() const { return (im2col ? channelsPerPixel : box[0]) * sizeOf(type); }

uint32_t TensorMap::rowPitch() const { return swizzle == 0 ? rowBytes() : static_cast<uint32_t>(span()); }

uint32_t TensorMap::boxBytes() const {
  if (im2col) {
    return channelsPerPixel * pixelsPerColumn * sizeOf(type);
  }
  uint32_t bytes = sizeOf(type);
  for (unsigned i = 0; i < rank; ++i) {
    bytes *= extent(i);
  }
  return bytes;
}

void TensorMap::pack(void *bytes) const {
  Packed packed = {};
  packed.magic = magic;
  packed.type = static_cast<uint8_t>(type);
  packed.rank = static_cast<uint8_t>(rank);
  packed.interleave = static_cast<uint8_t>(interleave);
  packed.swizzle = static_cast<uint8_t>(swizzle);
  packed.l2Promotion = static_cast<uint8_t>(l2Promotion);
  packed.fill = static_cast<uint8_t>(fill);
  packed.im2col = im2col;
  packed.channelsPerPixel = static_cast<uint16_t>(channelsPerPixel);
  packed.pixelsPerColumn = static_cast<uint16_t>(pixelsPerColumn);
  packed.address = address;
  for (unsigned i = 0; i < 3; ++i) {
    packed.lowerCorner[i] = static_cast<int16_t>(lowerCorner[i]);
    packed.upperCorner[i] = static_cast<int16_t>(upperCorner[i]);
  }
  for (unsigned i = 0; i < maxTensorRank; ++i) {
    packed.elementStrides[i] = static_cast<uint8_t>(elementStrides[i]);
    packed.box[i] = static_cast<uint8_t>(box[i] - 1);
    packed.dims[i] = static_cast<uint32_t>(dims[i] - 1);
    if (i > 0) {
      packed.strides[i - 1] = strides[i];
    }
  }
  std::memset(bytes, 0, tensorMapBytes);
  std::memcpy(bytes, &packed, sizeof(packed));
}

std::optional<TensorMap> TensorMap::unpack(const void *bytes) {
  Packed packed;
  std::memcpy(&packed, bytes, sizeof(packed));
  if (packed.magic != magic || packed.rank == 0 || packed.rank > maxTensorRank || packed.swizzle > 3 ||
      packed.interleave > 2 || sizeOf(static_cast<TensorType>(packed.type)) == 0) {
    return std::nullopt;
  }
  TensorMap map;
  map.type = static_cast<TensorType>(packed.type);
  map.rank = packed.rank;
  map.interleave = packed.interleave;
  map.swizzle = packed.swizzle;
  map.l2Promotion = packed.l2Promotion;
  map.fill = packed.fill;
  map.im2col = packed.im2col != 0;
  map.channelsPerPixel = packed.channelsPerPixel;
  map.pixelsPerColumn = packed.pixelsPerColumn;
  map.address = packed.address;
  std::copy_n(packed.lowerCorner, 3, map.lowerCorner);
  std::copy_n(packed.upperCorner, 3, map.upperCorner);
  for (unsigned i = 0; i < map.rank; ++i) {
    map.elementStrides[i] = packed.elementStrides[i];
    map.box[i] = packed.box[i] + 1u;
    map.dims[i] = packed.dims[i] + uint64_t(1);
    map.strides[i] = i == 0 ? 0 : packed.strides[i - 1];
  }
  return map;
}

std::optional<std::string> encodeTiled(void *map, uint32_t type, uint32_t rank, uint64_t globalAddress,
                                       const uint64_t *globalDims, const uint64_t *globalStrides, const uint32_t *box,
                                       const uint32_t *elementStrides, uint32_t interleave, uint32_t swizzle,
                                       uint32_t l2Promotion, uint32_t fill) {
  TensorMap tensor = describe(type, rank, globalAddress, globalDims, globalStrides, elementStrides, interleave, swizzle,
                              l2Promotion, fill);
  if (std::optional<std::string> refusal = checkTensor(map, tensor, 1, globalStrides)) {
    return refusal;
  }
  for (unsigned i = 0; i < rank; ++i) {
    if (box[i] == 0 || box[i] > 256) {
      return indexed("boxDim", i) + " is " + number(box[i]) + ", expected 1 to 256";
    }
    tensor.box[i] = box[i];
  }
  if (std::optional<std::string> refusal = checkRow(tensor, "boxDim[0]", box[0])) {
    return refusal;
  }
  tensor.pack(map);
  return std::nullopt;
}

std::optional<std::string> encodeIm2col(void *map, uint32_t type, uint32_t rank, uint64_t globalAddress,
                                        const uint64_t *globalDims, const uint64_t *globalStrides,
                                        const int32_t *lowerCorner, const int32_t *upperCorner,
                                        uint32_t channelsPerPixel, uint32_t pixelsPerColumn,
                                        const uint32_t *elementStrides, uint32_t interleave, uint32_t swizzle,
                                        uint32_t l2Promotion, uint32_t fill) {
  TensorMap tensor = describe(type, rank, globalAddress, globalDims, globalStrides, elementStrides, interleave, swizzle,
                              l2Promotion, fill);
  tensor.im2col = true;
  if (std::optional<std::string> refusal = checkTensor(map, tensor, 3, globalStrides)) {
    return refusal;
  }
  const int32_t limit = rank == 3 ? 32768 : rank == 4 ? 128 : 16;
  for (unsigned i = 0; i + 2 < rank; ++i) {
    for (const int32_t *corner : {lowerCorner, upperCorner}) {
      if (corner[i] < -limit || corner[i] >= limit) {
        return indexed(corner == lowerCorner ? "pixelBoxLowerCorner" : "pixelBoxUpperCorner", i) + " is " +
               std::to_string(corner[i]) + ", expected " + std::to_string(-limit) + " to " + std::to_string(limit - 1);
      }
    }
    tensor.lowerCorner[i] = lowerCorner[i];
    tensor.upperCorner[i] = upperCorner[i];
    // Base pixels run from the lower corner to the last pixel plus the upper corner.
    if (static_cast<int64_t>(tensor.dims[i + 1]) - 1 + upperCorner[i] < lowerCorner[i]) {
      return "the pixel box is empty along dimension " + number(i + 1);
    }
  }
  if (channelsPerPixel == 0 || channelsPerPixel > 256) {
    return "channelsPerPixel is " + number(channelsPerPixel) + ", expected 1 to 256";
  }
  if (pixelsPerColumn == 0 || pixelsPerColumn > 1024) {
    return "pixelsPerColumn is " + number(pixelsPerColumn) + ", expected 1 to 1024";
  }
  tensor.channelsPerPixel = channelsPerPixel;
  tensor.pixelsPerColumn = pixelsPerColumn;
  if (std::optional<std::string> refusal = checkRow(tensor, "channelsPerPixel", channelsPerPixel)) {
    return refusal;
  }
  std::fill_n(tensor.box, maxTensorRank, 1);
  tensor.pack(map);
  return std::nullopt;
}

std::optional<std::string> replaceAddress(void *map, uint64_t globalAddress) {
  std::optional<TensorMap> tensor = TensorMap::unpack(map);
  if (!tensor) {
    return "these bytes are no tensor map";
  }
  if (globalAddress % (tensor->interleave == 2 ? 32 : 16) != 0) {
    return "the tensor's address is not a multiple of " + number(tensor->interleave == 2 ? 32 : 16);
  }
  tensor->address = globalAddress;
  tensor->pack(map);
  return std::nullopt;
}

std::optional<std::string> replaceField(void *map, std::string_view field, uint32_t ordinal, uint64_t value) {
  std::optional<TensorMap> tensor = TensorMap::unpack(map);
  if (!tensor) {
    return "these bytes are no tensor map";
  }
  if (field == "global_address") {
    return replaceAddress(map, value);
  }
  auto within = [&](uint64_t low, uint64_t high) -> std::optional<std::string> {
    if (value >= low && value <= high) {
      return std::nullopt;
    }
    return std::string(field) + " is " + number(value) + ", expected " + number(low) + " to " + number(high);
  };
  std::optional<std::string> refusal;
  if (ordinal >= maxTensorRank) {
    return "dimension " + number(ordinal) + " does not exist";
  }
  if (field == "rank") { // Kept less one (PTX ISA, tensormap.replace).
    refusal = within(0, maxTensorRank - 1);
    for (unsigned i = tensor->rank; i <= value && i < maxTensorRank; ++i) {
      tensor->dims[i] = tensor->box[i] = tensor->elementStrides[i] = 1;
    }
    tensor->rank = static_cast<uint32_t>(value) + 1;
  } else if (field == "box_dim") {
    refusal = within(1, 256);
    tensor->box[ordinal] = static_cast<uint32_t>(value);
  } else if (field == "global_dim") {
    refusal = within(1, uint64_t(1) << 32);
    tensor->dims[ordinal] = value;
  } else if (field == "global_stride") { // Ordinal 0 is the stride of dimension 1.
    refusal = within(0, (uint64_t(1) << 40) - 1);
    if (value % 16 != 0) {
      refusal = "global_stride is " + number(value) + ", expected a multiple of 16";
    }
    if (ordinal + 1 >= maxTensorRank) {
      return "stride " + number(ordinal) + " does not exist";
    }
    tensor->strides[ordinal + 1] = value;
  } else if (field == "element_stride") {
    refusal = within(1, 8);
    tensor->elementStrides[ordinal] = ordinal == 0 && tensor->interleave == 0 ? 1 : static_cast<uint32_t>(value);
  } else if (field == "elemtype") {
    // PTX numbers the types in another order than cuda.h (PTX ISA, tensormap.replace, "elemtype").
    constexpr TensorType types[] = {TensorType::U8,     TensorType::U16, TensorType::U32,  TensorType::S32,
                                    TensorType::U64,    TensorType::S64, TensorType::F16,  TensorType::F32,
                                    TensorType::F32Ftz, TensorType::F64, TensorType::BF16, TensorType::TF32,
                                    TensorType::TF32Ftz};
    if ((refusal = within(0, std::size(types) - 1))) {
      return refusal;
    }
    tensor->type = types[value];
  } else if (field == "interleave_layout") {
    refusal = within(0, 2);
    tensor->interleave = static_cast<uint32_t>(value);
  } else if (field == "swizzle_mode") {
    refusal = within(0, 3);
    tensor->swizzle = static_cast<uint32_t>(value);
  } else if (field == "fill_mode") {
    refusal = within(0, 1);
    tensor->fill = static_cast<uint32_t>(value);
  } else {
    refusal = "field " + std::string(field) + " is not supported";
  }
  if (!refusal) {
    tensor->pack(map);
  }
  return refusal;
}

} // namespace emulator
