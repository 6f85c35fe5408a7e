#ifndef CODEGEN_CPU_ONLINESOFTMAX_H
#define CODEGEN_CPU_ONLINESOFTMAX_H

#include "codegen/Cpu/HeadGroup.h"

namespace elah {

/// The softmax of rows of queries whose keys come in tiles (Milakov and Gimelshein 2018), for rows side by side in
/// vectors: row r is lane r % lanes of vector r / lanes. Scores are powers of two.
class OnlineSoftmax {
public:
  /// For at most `mostRows` rows and tiles of at most `mostKeys` keys, a multiple of `keyStep`.
  OnlineSoftmax(KernelBuilder &kernel, int64_t mostRows, int64_t mostKeys);

  static constexpr int64_t keyStep = 4;
  /// Which factor makes scores of dot products: log2(e) * `scale`.
  static double factor(double scale);
  static uint64_t scratchBytes(int64_t mostRows, int64_t mostKeys);

  /// Gives it scratch memory.
  void place(mlir::Value scratch);
  /// Where the score of vector `vector` and key `key` is stored, in units of f32.
  mlir::Value index(mlir::Value vector, mlir::Value key);
  /// Starts with `vectors` vectors of rows, which belong to the tokens of a run, `group` rows to each. Rows beyond the
  /// last one see what the last token sees.
  void begin(const TokenRun &run, int64_t group, mlir::Value vectors);
  /// Hides keys from tokens before them: the tile has `keys` keys from `firstKey` on.
  void mask(const TokenRun &run, mlir::Value vectors, mlir::Value firstKey, mlir::Value keys);
  /// Makes probabilities of a vector's scores for `keys` keys, a multiple of `keyStep`: not yet divided by their sum,
  /// and relative to the largest score so far. Returns whether that has changed for a row: what was summed before must
  /// then be multiplied by the rows' `corrections`.
  mlir::Value exponentiate(mlir::Value vector, mlir::Value keys);

  mlir::Value scores;      ///< f32 [vectors, mostKeys, lanes]
  mlir::Value corrections; ///< f32, one a row
  mlir::Value sums;        ///< f32, one a row: of the probabilities so far

private:
  mlir::Value at(mlir::Value scratch, int64_t offset);

  KernelBuilder &k;
  int64_t mostRows, mostKeys;
  mlir::Value maxima, positions;
};

} // namespace elah

#endif
