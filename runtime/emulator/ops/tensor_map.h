#ifndef RUNTIME_EMULATOR_OPS_TENSOR_MAP_H
#define RUNTIME_EMULATOR_OPS_TENSOR_MAP_H

// Tensor maps: 128 opaque bytes that describe a tensor in global memory and the box that a tensor copy moves. CUDA
// leaves their layout to the driver, and the emulator is the driver: this file makes them, `tensormap.replace` edits
// them, tensor copies read them. The checks are those that cuda.h documents for cuTensorMapEncodeTiled and
// cuTensorMapEncodeIm2col; enumerators have cuda.h's values.

#include "ops/shared_swizzle.h"
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace emulator {

constexpr size_t tensorMapBytes = 128;
constexpr unsigned maxTensorRank = 5;

enum class TensorType : uint32_t {
  U8,
  U16,
  U32,
  S32,
  U64,
  S64,
  F16,
  F32,
  F64,
  BF16,
  F32Ftz,
  TF32,
  TF32Ftz,
  U4Align8,
  U4Align16,
  U6Align16,
};
/// Bytes of an element; 0 for the packed types, which Hopper does not have.
unsigned sizeOf(TensorType type);
bool isFloat(TensorType type);

struct TensorMap {
  TensorType type = TensorType::U8;
  uint32_t rank = 0;
  uint64_t address = 0;
  uint64_t dims[maxTensorRank] = {};    ///< in elements, the innermost first
  uint64_t strides[maxTensorRank] = {}; ///< in bytes; strides[0] is not kept: elements are dense
  uint32_t box[maxTensorRank] = {};     ///< tiled mode
  uint32_t elementStrides[maxTensorRank] = {};
  uint32_t interleave = 0; ///< CUtensorMapInterleave
  uint32_t swizzle = 0;    ///< CUtensorMapSwizzle
  uint32_t l2Promotion = 0;
  uint32_t fill = 0; ///< CUtensorMapFloatOOBfill: 1 asks for NaN
  bool im2col = false;
  int32_t lowerCorner[3] = {}, upperCorner[3] = {}; ///< im2col mode: of D, H, W as far as the rank has them
  uint32_t channelsPerPixel = 0, pixelsPerColumn = 0;

  /// Elements that a copy moves along a dimension.
  uint32_t extent(unsigned dim) const;
  SwizzleSpan span() const;
  /// Bytes of a row of the box.
  uint32_t rowBytes() const;
  /// Bytes from one row of the box to the next in shared memory: a swizzled row takes its whole span.
  uint32_t rowPitch() const;
  /// Bytes that a copy of one box moves, and that it completes on an mbarrier; parts out of bounds count.
  uint32_t boxBytes() const;

  /// The opaque bytes.
  void pack(void *bytes) const;
  /// Nothing where the bytes are no tensor map.
  static std::optional<TensorMap> unpack(const void *bytes);
};

/// As cuTensorMapEncodeTiled; why the parameters are refused (CUDA_ERROR_INVALID_VALUE), or nothing when `map` was
/// written. `globalStrides` has rank - 1 entries.
std::optional<std::string> encodeTiled(void *map, uint32_t type, uint32_t rank, uint64_t globalAddress,
                                       const uint64_t *globalDims, const uint64_t *globalStrides, const uint32_t *box,
                                       const uint32_t *elementStrides, uint32_t interleave, uint32_t swizzle,
                                       uint32_t l2Promotion, uint32_t fill);

/// As cuTensorMapEncodeIm2col. The corners have rank - 2 entries.
std::optional<std::string> encodeIm2col(void *map, uint32_t type, uint32_t rank, uint64_t globalAddress,
                                        const uint64_t *globalDims, const uint64_t *globalStrides,
                                        const int32_t *lowerCorner, const int32_t *upperCorner,
                                        uint32_t channelsPerPixel, uint32_t pixelsPerColumn,
                                        const uint32_t *elementStrides, uint32_t interleave, uint32_t swizzle,
                                        uint32_t l2Promotion, uint32_t fill);

/// As cuTensorMapReplaceAddress.
std::optional<std::string> replaceAddress(void *map, uint64_t globalAddress);

/// `tensormap.replace`: why the edit is refused, or nothing when it was made. `ordinal` is a dimension.
std::optional<std::string> replaceField(void *map, std::string_view field, uint32_t ordinal, uint64_t value);

} // namespace emulator

#endif
