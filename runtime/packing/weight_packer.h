#ifndef RUNTIME_PACKING_WEIGHT_PACKER_H
#define RUNTIME_PACKING_WEIGHT_PACKER_H

#include "packing/shard_files.h"
#include <vector>

namespace elah {

/// Makes the bytes of one weight by its recipe, in independent pieces of a few MiB, so that threads
/// share the work and memory stays small whatever the weight's size. Bytes of the weight that no
/// piece covers are zero.
class WeightPacker {
public:
  /// A run of the weight's bytes.
  struct Piece {
    uint64_t offset; ///< From the weight's first byte.
    uint64_t size;
    uint64_t part;  ///< The source, or the matrix of the batch, that it is made of.
    uint64_t first; ///< The first element, byte or panel of that part.
  };

  /// `recipe` has passed checkRecipe; it and `files`, which has its shards open, must outlive this.
  WeightPacker(const proto::Recipe &recipe, const ShardFiles &files);

  /// In the order of their offsets, without overlap.
  const std::vector<Piece> &pieces() const { return allPieces; }
  /// Makes a piece; `output` has its size.
  Status pack(const Piece &piece, std::span<uint8_t> output) const;

private:
  void addPieces(uint64_t part, uint64_t count, uint64_t unitBytes, uint64_t partOffset, uint64_t least);
  Status packVector(const Piece &piece, std::span<uint8_t> output) const;
  Status packPanels(const Piece &piece, std::span<uint8_t> output) const;
  Status packColumnScales(const Piece &piece, std::span<uint8_t> output) const;
  Status packHead(const Piece &piece, std::span<uint8_t> output) const;
  Status readRows(const proto::Source &source, uint64_t first, uint64_t count, proto::ElementFormat format,
                  std::span<uint8_t> rows) const;
  Status readPitched(uint32_t shard, uint64_t offset, uint64_t pitch, uint64_t rowBytes, uint64_t first, uint64_t count,
                     std::span<uint8_t> rows) const;
  Status readScales(const proto::Source &source, uint64_t first, uint64_t count, std::vector<float> &values) const;
  Status readZeros(const proto::Source &source, uint64_t first, uint64_t count, std::vector<float> &values) const;
  template <typename Take>
  Status forEachRun(uint64_t matrix, uint64_t half, uint64_t first, uint64_t count, Take take) const;
  Status readTransposed(const proto::Source &source, uint64_t first, uint64_t count, std::span<uint8_t> rows) const;

  const proto::Recipe &recipe;
  const ShardFiles &files;
  std::vector<Piece> allPieces;
};

} // namespace elah

#endif
