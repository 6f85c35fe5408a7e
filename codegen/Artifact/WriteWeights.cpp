// Weights are most of an artifact, so this decides how long one takes to write. A few threads take
// pieces of the weights, each with a few MiB in hand. Checksums go by blocks of the file, which
// pieces do not align with: whoever writes the last byte of a block reads it back, out of the page
// cache, and hashes it. So there is no second pass over a file that may not fit in memory.
#include "codegen/Artifact/WriteWeights.h"
#include "codegen/Artifact/StatusError.h"
#include "elah/artifact.h"
#include "runtime/packing/weight_packer.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/xxhash.h"
#include <atomic>
#include <mutex>
#include <thread>

namespace elah {
namespace {

class WeightsWriter {
public:
  WeightsWriter(const proto::Manifest &manifest, const ShardFiles &shards, SectionPlace section,
                const std::function<void(uint64_t, uint64_t)> &progress, OutputFile &output)
      : section(section), progress(progress), output(output),
        checksums(llvm::divideCeil(section.size, ELAH_ARTIFACT_BLOCK)), unfinished(checksums.size()) {
    for (const proto::Weight &weight : manifest.weights()) {
      packers.emplace_back(weight.recipe(), shards);
    }
    for (auto [index, packer] : llvm::enumerate(packers)) {
      uint64_t weight = manifest.weights(static_cast<int>(index)).offset();
      for (const WeightPacker::Piece &piece : packer.pieces()) {
        work.push_back({&packer, &piece, weight + piece.offset});
        total += piece.size;
        for (uint64_t block = firstBlock(work.back()); block <= lastBlock(work.back()); ++block) {
          ++unfinished[block];
        }
      }
    }
  }

  llvm::Expected<std::vector<uint64_t>> run(unsigned threads) {
    std::vector<uint64_t> untouched;
    for (uint64_t block = 0; block < unfinished.size(); ++block) {
      if (unfinished[block] == 0) {
        untouched.push_back(block);
      }
    }
    std::vector<std::thread> helpers;
    for (unsigned i = 1; i < threads; ++i) {
      helpers.emplace_back([this] { takePieces(); });
    }
    takePieces();
    for (std::thread &helper : helpers) {
      helper.join();
    }
    if (failure) {
      return std::move(failure);
    }
    std::vector<char> block;
    for (uint64_t index : untouched) {
      if (llvm::Error error = hashBlock(index, block)) {
        return std::move(error);
      }
    }
    return std::move(checksums);
  }

private:
  struct Work {
    const WeightPacker *packer;
    const WeightPacker::Piece *piece;
    uint64_t offset; ///< Within the section.
  };

  static uint64_t firstBlock(const Work &piece) { return piece.offset / ELAH_ARTIFACT_BLOCK; }
  static uint64_t lastBlock(const Work &piece) { return (piece.offset + piece.piece->size - 1) / ELAH_ARTIFACT_BLOCK; }

  void takePieces() {
    std::vector<char> bytes, block;
    for (size_t i = next++; i < work.size() && !hasFailed; i = next++) {
      llvm::Error error = write(work[i], bytes, block);
      std::lock_guard<std::mutex> lock(mutex);
      if (error) {
        if (hasFailed.exchange(true)) {
          llvm::consumeError(std::move(error)); // one full disk, one message
        } else {
          failure = std::move(error);
        }
      } else if (progress) {
        done += work[i].piece->size;
        progress(done, total);
      }
    }
  }

  llvm::Error write(const Work &piece, std::vector<char> &bytes, std::vector<char> &block) {
    bytes.resize(piece.piece->size);
    Status packed = piece.packer->pack(*piece.piece, {reinterpret_cast<uint8_t *>(bytes.data()), bytes.size()});
    if (!packed.ok()) {
      return toError(packed);
    }
    if (llvm::Error error = output.write(section.offset + piece.offset, bytes)) {
      return error;
    }
    for (uint64_t index = firstBlock(piece); index <= lastBlock(piece); ++index) {
      if (--unfinished[index] == 0) {
        if (llvm::Error error = hashBlock(index, block)) {
          return error;
        }
      }
    }
    return llvm::Error::success();
  }

  llvm::Error hashBlock(uint64_t index, std::vector<char> &block) {
    uint64_t offset = index * ELAH_ARTIFACT_BLOCK;
    block.resize(std::min<uint64_t>(ELAH_ARTIFACT_BLOCK, section.size - offset));
    if (llvm::Error error = output.read(section.offset + offset, block)) {
      return error;
    }
    checksums[index] = llvm::xxh3_64bits(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(block.data()), block.size()));
    return llvm::Error::success();
  }

  SectionPlace section;
  const std::function<void(uint64_t, uint64_t)> &progress;
  OutputFile &output;
  std::vector<WeightPacker> packers;
  std::vector<Work> work;
  std::vector<uint64_t> checksums;
  std::vector<std::atomic<uint32_t>> unfinished; ///< By block, pieces of it that are not written.
  std::atomic<size_t> next{0};
  std::atomic<bool> hasFailed{false};
  std::mutex mutex; ///< For what follows.
  llvm::Error failure = llvm::Error::success();
  uint64_t done = 0, total = 0;
};

} // namespace

llvm::Expected<std::vector<uint64_t>> writeWeights(const proto::Manifest &manifest, const ShardFiles &shards,
                                                   SectionPlace section, unsigned threads,
                                                   const std::function<void(uint64_t, uint64_t)> &progress,
                                                   OutputFile &output) {
  return WeightsWriter(manifest, shards, section, progress, output).run(threads);
}

} // namespace elah
