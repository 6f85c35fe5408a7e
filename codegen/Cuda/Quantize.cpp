#include "codegen/Cuda/Quantize.h"

namespace elah::cuda {

KernelSpec specializeQuantize(const QuantizeShape &shape, const RowSchedule &schedule) {
  const int64_t pitch = shape.inputPitch ? shape.inputPitch : shape.width;
  KernelText text("quantize");
  text.operand("const void", "input").operand("unsigned char", "output").operand("float", "outputScales");
  text.shape("input", nameOf(shape.input)).shape("width", shape.width).shape("inputPitch", pitch);
  text.shape("vector", accessWidth(8, {shape.width, pitch})).shape("unit", shape.unit());
  return finishRows(text, schedule, Extent::tokens());
}

} // namespace elah::cuda
