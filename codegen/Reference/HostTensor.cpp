#include "codegen/Reference/HostTensor.h"

namespace elah {

int64_t elementCount(llvm::ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape) {
    count *= size;
  }
  return count;
}

int64_t HostTensor::size() const { return elementCount(shape); }

Broadcast::Broadcast(llvm::ArrayRef<int64_t> from, llvm::ArrayRef<int64_t> to) : isSame(from == to) {
  if (isSame) {
    return;
  }
  if (elementCount(from) == 1) {
    offsets.push_back(0);
    return;
  }
  llvm::SmallVector<int64_t> strides(to.size(), 0), index(to.size(), 0);
  int64_t stride = 1;
  for (size_t back = 1; back <= from.size(); ++back) {
    int64_t size = from[from.size() - back];
    strides[to.size() - back] = size == 1 ? 0 : stride;
    stride *= size;
  }
  offsets.reserve(elementCount(to));
  int64_t offset = 0;
  for (int64_t count = elementCount(to); count > 0; --count) {
    offsets.push_back(offset);
    for (size_t axis = to.size(); axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < to[axis]) {
        break;
      }
      offset -= strides[axis] * to[axis];
      index[axis] = 0;
    }
  }
}

} // namespace elah
