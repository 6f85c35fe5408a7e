// What every kernel knows of a step: see elah/cuda_kernel.h.
#pragma once

namespace elah {

using int32_t = int;
using uint32_t = unsigned;
using uint64_t = unsigned long long;
using int64_t = long long;
using uint16_t = unsigned short;
using uint8_t = unsigned char;

/// The order of enum elah_dim.
struct Dims {
  int32_t tokens, sequences, logitRows, cacheRows, pagesPerSequence;
};

/// A tensor map as a kernel's parameter: opaque, made by the driver.
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

} // namespace elah
