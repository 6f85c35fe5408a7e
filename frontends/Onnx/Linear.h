#ifndef FRONTENDS_ONNX_LINEAR_H
#define FRONTENDS_ONNX_LINEAR_H

#include "frontends/Onnx/Node.h"

namespace elah::onnx_import {

/// The product of matrices as numpy has it: vectors are rows on the left and columns on the right, and stay vectors.
mlir::Value multiplied(const Node &n, mlir::Value lhs, mlir::Value rhs);

} // namespace elah::onnx_import

#endif
