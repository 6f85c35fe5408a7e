#ifndef FRONTENDS_ONNX_OPERATORS_H
#define FRONTENDS_ONNX_OPERATORS_H

#include "frontends/Onnx/Node.h"
#include "llvm/ADT/ArrayRef.h"

namespace elah::onnx_import {

/// The newest operator set of ai.onnx whose meaning is known here.
constexpr int64_t newestOpset = 25;

/// How an operator becomes r1.
struct Operator {
  llvm::StringLiteral name;
  int64_t first;                ///< The first version of its operator set that has it; 0 for any.
  void (*import)(const Node &); ///< Reads the node's attributes and inputs, and defines its outputs.
  int64_t last = newestOpset;   ///< The last version that has it.
};

/// The operator, or null.
const Operator *findOperator(llvm::StringRef domain, llvm::StringRef name);

// One list a file, grouped as ONNX's documentation is.
llvm::ArrayRef<Operator> attentionOperators();
llvm::ArrayRef<Operator> controlFlowOperators();
llvm::ArrayRef<Operator> elementwiseOperators();
llvm::ArrayRef<Operator> indexOperators();
llvm::ArrayRef<Operator> linearOperators();
llvm::ArrayRef<Operator> logicOperators();
llvm::ArrayRef<Operator> normalizationOperators();
llvm::ArrayRef<Operator> quantizationOperators();
llvm::ArrayRef<Operator> reductionOperators();
llvm::ArrayRef<Operator> scatterOperators();
llvm::ArrayRef<Operator> sequenceOperators();
llvm::ArrayRef<Operator> shapeOperators();
llvm::ArrayRef<Operator> sliceOperators();
llvm::ArrayRef<Operator> valueOperators();
/// The domain com.microsoft.
llvm::ArrayRef<Operator> contribOperators();
llvm::ArrayRef<Operator> contribAttentionOperators();
llvm::ArrayRef<Operator> contribExpertOperators();

} // namespace elah::onnx_import

#endif
