#ifndef FRONTENDS_ONNX_MODELFILE_H
#define FRONTENDS_ONNX_MODELFILE_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <vector>

namespace onnx {
class ModelProto;
} // namespace onnx

namespace elah::onnx_import {

/// Where a tensor's bytes are in a model's file.
struct Span {
  uint64_t offset = 0, size = 0;
};

/// What is not seen in a parsed model: where the bytes of the main graph's initializers are (those that have bytes in
/// one piece, little-endian; one span for each initializer, of size 0 otherwise).
struct ModelLayout {
  std::vector<Span> initializers;
};

/// Nodes of a model, those of subgraphs and of inlined functions included. R1 with a subgraph of some 60 nodes for each
/// of its 58 x 256 experts has as many.
constexpr uint64_t maxNodes = 900'000;
/// Inputs and outputs of one node.
constexpr uint64_t maxNames = 1 << 16;
/// How deep graphs stand in each other.
constexpr unsigned maxDepth = 16;

/// Goes over a model's bytes without holding any of it, and throws a Failure if they are none, too many, or too deep.
/// The parser behind it takes memory, and says little of what is wrong.
ModelLayout scanModel(llvm::StringRef bytes);

/// Parses what scanModel accepted.
void parseModel(llvm::StringRef bytes, onnx::ModelProto &model);

} // namespace elah::onnx_import

#endif
