#include "codegen/Cuda/Combine.h"

namespace elah::cuda {

KernelSpec specializeCombine(const CombineShape &shape, const RowSchedule &schedule) {
  KernelText text("combine");
  text.operand("const void", "rows").operand("const float", "weights").operand("const int", "slots");
  text.operand("float", "output");
  text.shape("width", shape.width).shape("chosen", shape.chosen).shape("vector", accessWidth(4, {shape.width}));
  return finishRows(text, schedule, Extent::tokens());
}

} // namespace elah::cuda
