// What a buffer's type says about its rows.
#include "codegen/Cpu/Families.h"

using namespace mlir;

namespace elah {

int64_t rowStride(Value rows) {
  SmallVector<int64_t> strides;
  int64_t offset;
  [[maybe_unused]] LogicalResult known = cast<MemRefType>(rows.getType()).getStridesAndOffset(strides, offset);
  assert(succeeded(known) && strides.size() == 2 && strides[1] == 1 && "rows are contiguous");
  return strides[0];
}

int64_t rowWidth(Value rows) { return cast<MemRefType>(rows.getType()).getDimSize(1); }

int64_t lowOffset(Value rows, int64_t count) { return kernel::isSplit(rows, count) ? count : 0; }

Type elementOf(Value buffer) { return cast<MemRefType>(buffer.getType()).getElementType(); }

} // namespace elah
