#ifndef FRONTENDS_ONNX_CONTRIB_H
#define FRONTENDS_ONNX_CONTRIB_H

#include "frontends/Onnx/Node.h"

namespace elah::onnx_import {

/// Numbers of 2, 4 or 8 bits that lie in bytes along the last dimension, the lowest bits first: one a byte.
mlir::Value unpacked(const Node &n, mlir::Value bytes, int64_t bits);

} // namespace elah::onnx_import

#endif
