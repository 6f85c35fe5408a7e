#ifndef FRONTENDS_ONNX_NORMALIZATION_H
#define FRONTENDS_ONNX_NORMALIZATION_H

#include "frontends/Onnx/Node.h"

namespace elah::onnx_import {

/// input / sqrt(mean(input^2) + epsilon) over the axes; `inverse` is what it is multiplied with.
mlir::Value normalized(const Node &n, mlir::Value input, llvm::ArrayRef<int64_t> axes, double epsilon,
                       mlir::Value *inverse);

/// input - mean(input) over the axes.
mlir::Value centred(const Node &n, mlir::Value input, llvm::ArrayRef<int64_t> axes, mlir::Value *mean);

} // namespace elah::onnx_import

#endif
