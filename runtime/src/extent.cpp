#include "src/extent.h"
#include <algorithm>

namespace elah {

Status checkExtent(const proto::Extent &extent, const char *what, int index) {
  bool fits =
      extent.constant() >= 0 && extent.constant() <= maxCoefficient && extent.coefficients_size() <= ELAH_DIM_COUNT;
  for (int64_t coefficient : extent.coefficients()) {
    fits = fits && coefficient >= 0 && coefficient <= maxCoefficient;
  }
  return fits ? Status() : failure(ELAH_INVALID_DATA, "manifest: %s %d has an extent out of range", what, index);
}

__int128_t evaluate(const proto::Extent &extent, const Dims &dims) {
  __int128_t value = extent.constant();
  for (int i = 0; i < extent.coefficients_size(); ++i) {
    value += static_cast<__int128_t>(extent.coefficients(i)) * dims[static_cast<size_t>(i)];
  }
  return value;
}

__int128_t bytesOf(const proto::Slot &slot, const Dims &dims) {
  __int128_t bytes = 0;
  for (const proto::Extent &size : slot.sizes()) {
    bytes = std::max(bytes, evaluate(size, dims));
  }
  return bytes;
}

} // namespace elah
