#ifndef FRONTENDS_ONNX_TENSORS_H
#define FRONTENDS_ONNX_TENSORS_H

#include "frontends/Onnx/ExternalData.h"
#include "frontends/Onnx/ModelFile.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace onnx {
class TensorProto;
} // namespace onnx

namespace elah::onnx_import {

/// More elements than any tensor has that could be held. What is below it can be multiplied by an element's size.
constexpr int64_t maxElements = int64_t(1) << 46;

/// More dimensions than any tensor has; numpy's limit.
constexpr int64_t maxRank = 64;

/// r1's type for a number of TensorProto.DataType; throws a Failure for strings, complex numbers and what is unknown.
mlir::Type elementType(mlir::MLIRContext *context, int32_t dataType);

/// Throws a Failure unless the sizes, as far as they are known, can be a tensor's.
void checkSizes(llvm::ArrayRef<int64_t> shape);

/// Tensors as operations of r1: few numbers as constants, that shapes can be inferred from, many as weights on disk.
class TensorReader {
public:
  /// `fileName` is the model's own, in `folder`; without a folder all tensors become constants.
  TensorReader(llvm::StringRef folder, llvm::StringRef fileName)
      : external(folder), fileName(fileName.str()), hasFolder(!folder.empty()) {}

  /// Builds the tensor. `span` says where its bytes lie in the model's file, if that is known.
  mlir::Value build(mlir::OpBuilder &builder, mlir::Location location, const onnx::TensorProto &tensor, Span span = {});

  /// The tensor's elements.
  mlir::DenseElementsAttr read(mlir::MLIRContext *context, const onnx::TensorProto &tensor);

private:
  ExternalData external;
  std::string fileName;
  bool hasFolder;
};

} // namespace elah::onnx_import

#endif
