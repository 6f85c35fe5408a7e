#include "codegen/Cuda/Embed.h"

namespace elah::cuda {

KernelSpec specializeEmbed(const EmbedShape &shape, const RowSchedule &schedule) {
  KernelText text("embed");
  text.operand("const int", "tokens").operand("const void", "table").operand("float", "output");
  text.shape("table", nameOf(shape.table)).shape("width", shape.width);
  text.shape("vector", accessWidth(4, {shape.width}));
  return finishRows(text, schedule, Extent::tokens());
}

} // namespace elah::cuda
