#include "codegen/Cuda/RmsNorm.h"

namespace elah::cuda {

KernelSpec specializeRmsNorm(const RmsNormShape &shape, const RowSchedule &schedule) {
  const int64_t pitch = shape.inputPitch ? shape.inputPitch : shape.width;
  KernelText text("rms_norm");
  text.operand("const void", "input").operand("const float", "weight");
  if (shape.hasRows) {
    text.operand("const int", "rows");
  }
  text.operand("void", "output");
  if (shape.isQuantized) {
    text.operand("float", "outputScales");
  }
  if (shape.copy) {
    text.operand("void", "copy");
  }
  text.shape("input", nameOf(shape.input)).shape("width", shape.width).shape("inputPitch", pitch);
  text.shape("hasRows", shape.hasRows).shape("isQuantized", shape.isQuantized).shape("output", nameOf(shape.output));
  text.shape("hasCopy", shape.copy.has_value()).shape("copy", nameOf(shape.copy.value_or(RowElement::BF16)));
  text.shape("vector", accessWidth(8, {shape.width, pitch}))
      .shape("unit", shape.unit())
      .number("epsilon", shape.epsilon);
  return finishRows(text, schedule, shape.hasRows ? Extent::logitRows() : Extent::tokens());
}

} // namespace elah::cuda
