#include "codegen/Cuda/RopeAppend.h"

namespace elah::cuda {

KernelSpec specializeRopeAppend(const RopeAppendShape &shape, const RowSchedule &schedule) {
  KernelText text("rope_append");
  text.operand("const unsigned short", "qkv");
  if (shape.rotated) {
    text.operand("const float", "table");
  }
  text.operand("const int", "cacheRows").operand("unsigned short", "query");
  text.operand("unsigned short", "keyCache").operand("unsigned short", "valueCache");
  text.shape("heads", shape.heads).shape("kvHeads", shape.kvHeads).shape("headDim", shape.headDim);
  text.shape("valueDim", shape.valueDim).shape("pitch", shape.pitch ? shape.pitch : shape.width());
  text.shape("rotation",
             std::string("{") + (shape.isHalf ? "true" : "false") + ", " + std::to_string(shape.rotated / 2) + "}");
  text.shape("vector", shape.vector());
  return finishRows(text, schedule, Extent::tokens());
}

} // namespace elah::cuda
