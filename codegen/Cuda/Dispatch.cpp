#include "codegen/Cuda/Dispatch.h"

namespace elah::cuda {

std::string whyNoDispatch(const DispatchShape &shape) {
  if (shape.rowBytes % 16 || shape.inputPitch % 16) {
    return "found rows of " + std::to_string(shape.rowBytes) + " bytes, " +
           std::to_string(shape.inputPitch ? shape.inputPitch : shape.rowBytes) +
           " bytes apart, expected multiples of 16";
  }
  return shape.scales % 4 ? "found " + std::to_string(shape.scales) + " scales of a row, expected a multiple of 4" : "";
}

KernelSpec specializeDispatch(const DispatchShape &shape, const RowSchedule &schedule) {
  KernelText text("dispatch");
  text.operand("const void", "input");
  if (shape.scales) {
    text.operand("const float", "inputScales");
  }
  text.operand("const int", "gather").operand("void", "output");
  if (shape.scales) {
    text.operand("float", "outputScales");
  }
  text.shape("rowWords", shape.rowBytes / 16);
  text.shape("inputWords", (shape.inputPitch ? shape.inputPitch : shape.rowBytes) / 16);
  text.shape("outputWords", shape.rowBytes / 16).shape("scaleWords", shape.scales / 4);
  text.shape("rowsOfToken", shape.rowsOfToken);
  return finishRows(text, schedule, Extent::tokens(shape.rowsOfToken));
}

} // namespace elah::cuda
