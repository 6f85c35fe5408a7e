#ifndef FRONTENDS_ONNX_ATTENTION_H
#define FRONTENDS_ONNX_ATTENTION_H

#include "frontends/Onnx/Node.h"

namespace elah::onnx_import {

/// [B, S, heads * D] as [B, heads, S, D].
mlir::Value splitHeads(const Node &n, mlir::Value value, int64_t heads);
/// [B, heads, S, D] as [B, S, heads * D].
mlir::Value mergeHeads(const Node &n, mlir::Value value);

/// Rotates the first 2 * R elements of the last dimension of [B, heads, S, D] by angles whose cosines and sines are
/// [B or 1, 1, S, R].
mlir::Value rotated(const Node &n, mlir::Value value, mlir::Value cosines, mlir::Value sines, bool isInterleaved);

/// What attention sees, and how.
struct AttentionRule {
  std::optional<double> scale; ///< 1 / sqrt(D) if it is not given.
  double softcap = 0;          ///< cap * tanh(score / cap), if it is positive.
  mlir::Value bias;            ///< Added to the scores, or, if it is of truth values, says which are seen.
  mlir::Value validKeys;       ///< [B] i64: how many keys of each sequence there are; null for all.
  bool isCausal = false;
  mlir::Value offset; ///< The position of the first query among the keys: an i64 scalar, or [B, 1, 1, 1].
  int64_t leftWindow = -1, rightWindow = -1; ///< Keys that a query sees before and behind its own position; -1 for all.
};

struct AttentionResult {
  mlir::Value output;    ///< [B, heads, S, V]
  mlir::Value stages[4]; ///< Scores, after the softcap, after the mask, and their softmax: [B, heads, S, T].
};

/// softmax(query key^T * scale) value, for query [B, heads, S, D], key [B, kv_heads, T, D], value [B, kv_heads, T, V].
AttentionResult attend(const Node &n, mlir::Value query, mlir::Value key, mlir::Value value, const AttentionRule &rule);

} // namespace elah::onnx_import

#endif
