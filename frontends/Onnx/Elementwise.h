#ifndef FRONTENDS_ONNX_ELEMENTWISE_H
#define FRONTENDS_ONNX_ELEMENTWISE_H

#include "frontends/Onnx/Node.h"

namespace elah::onnx_import {

/// x / 2 * (1 + erf(x / sqrt(2))), or with tanh (Hendrycks and Gimpel, 2016).
mlir::Value gelu(const Node &n, mlir::Value x, bool isTanh);

} // namespace elah::onnx_import

#endif
