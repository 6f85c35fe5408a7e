// What a buffer's type says about its rows.
#include "codegen/Cpu/Families.h"

using namespace mlir;

namespace elah {

int64_t rowStride(Value rows) {
  auto type = cast<MemRefType>(rows.getType());
  assert(type.getStridesAndOffset().first == ArrayRef<int64_t>({kernel::pitchOf(type), 1}) && "rows are contiguous");
  return kernel::pitchOf(type);
}

int64_t rowWidth(Value rows) { return cast<MemRefType>(rows.getType()).getDimSize(1); }

int64_t lowOffset(Value rows, int64_t count) { return kernel::isSplit(rows, count) ? count : 0; }

Type elementOf(Value buffer) { return cast<MemRefType>(buffer.getType()).getElementType(); }

} // namespace elah
