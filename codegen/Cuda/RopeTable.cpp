#include "codegen/Cuda/RopeTable.h"

namespace elah::cuda {

KernelSpec specializeRopeTable(const RopeTableShape &shape) {
  KernelText text("rope_table");
  text.operand("const int", "positions").operand("float", "table");
  text.shape("pairs", static_cast<int64_t>(shape.frequencies.size())).number("scale", shape.scale);
  text.table("frequencies", shape.frequencies);
  return finishRows(text, {32, 4}, Extent::tokens());
}

} // namespace elah::cuda
