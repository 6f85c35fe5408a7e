#ifndef FRONTENDS_ONNX_CONTRIB_H
#define FRONTENDS_ONNX_CONTRIB_H

#include "frontends/Onnx/Node.h"

namespace elah::onnx_import {

/// Numbers of 2, 4 or 8 bits that lie in bytes along the last dimension, the lowest bits first: one a byte.
mlir::Value unpacked(const Node &n, mlir::Value bytes, int64_t bits);

/// A quantized matrix, or a stack of them, as it lies on disk, to be multiplied where it is: [.., outputs, inputs], in
/// blocks of `block` inputs. `bytes` are rows of whole bytes or blocks, `scales` one for each block, `zeros` (null: the
/// middle of the range) as many, each row in whole bytes. Null if these are computed, or lie in other ways.
mlir::Value quantizedWeight(const Node &n, mlir::Value bytes, mlir::Value scales, mlir::Value zeros,
                            llvm::ArrayRef<int64_t> shape, int64_t bits, int64_t block);

} // namespace elah::onnx_import

#endif
