#include "codegen/Cuda/Route.h"

namespace elah::cuda {

std::string whyNoRoute(const RouteShape &shape) {
  if (shape.groups > 32) {
    return "found " + std::to_string(shape.groups) + " groups of experts, expected at most 32, one for each lane";
  }
  if (shape.topK + shape.shared > 32) {
    return "found " + std::to_string(shape.topK + shape.shared) +
           " experts of a token, expected at most 32, one for each lane";
  }
  if (shape.experts > 1024) {
    return "found " + std::to_string(shape.experts) + " experts, expected at most 1024, 32 for each lane";
  }
  return "";
}

KernelSpec specializeRoute(const RouteShape &shape, unsigned tokensPerBlock) {
  KernelText text("route");
  text.operand("const float", "logits");
  if (shape.hasBias) {
    text.operand("const float", "bias");
  }
  text.operand("int", "chosen").operand("float", "weights");
  text.shape("scoring", std::string(shape.isSigmoid ? "Scoring::Sigmoid" : "Scoring::Softmax"));
  text.shape("experts", shape.experts).shape("groups", shape.groups).shape("topGroups", shape.topGroups);
  text.shape("topK", shape.topK).shape("isTop2", shape.isTop2).shape("isNormalized", shape.isNormalized);
  text.shape("shared", shape.shared).shape("hasBias", shape.hasBias).number("scale", shape.scale);
  return finishRows(text, {32, tokensPerBlock}, Extent::tokens());
}

} // namespace elah::cuda
