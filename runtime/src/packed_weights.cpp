// An artifact may refer to the checkpoint that it was compiled from instead of holding a copy. Its weights are then
// packed when a session begins: streamed from the shards into anonymous memory by the code that the compiler packs
// with. The shards are bound by size and header: a checkpoint of other shapes, types or order is refused. Weights as
// such are not hashed, since they need not be there at compile time: of two checkpoints with equal headers the artifact
// takes either.
#include "src/packed_weights.h"
#include "drivers/cpu/thread_pool.h"
#include "packing/recipe.h"
#include "packing/weight_packer.h"
#include "src/artifact.h"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <mutex>
#include <sys/mman.h>

namespace elah {

Status checkReferences(const proto::Manifest &manifest) {
  for (const proto::Shard &shard : manifest.shards()) {
    if (!isPlainFileName(shard.name())) {
      return failure(ELAH_INVALID_DATA, "manifest: '%s' is no shard's plain file name", shard.name().c_str());
    }
    // A header is what binds the artifact to the shard.
    if (shard.header_size() < 8) {
      return failure(ELAH_INVALID_DATA, "manifest: '%s' is no shard of a checkpoint: it has no header",
                     shard.name().c_str());
    }
    if (shard.size() > maxPackedBytes || shard.header_size() > shard.size()) {
      return failure(ELAH_INVALID_DATA, "manifest: the sizes of shard '%s' are out of range", shard.name().c_str());
    }
  }
  if (manifest.model_folder().find('\0') != std::string::npos) {
    return failure(ELAH_INVALID_DATA, "manifest: the model's folder has a NUL in its name");
  }
  uint64_t end = 0;
  for (const proto::Weight &weight : manifest.weights()) {
    Result<uint64_t> bytes = checkRecipe(weight.recipe(), manifest.shards());
    if (!bytes.ok()) {
      return failure(ELAH_INVALID_DATA, "manifest: weight '%s': %s", weight.name().c_str(),
                     bytes.status().message().c_str());
    }
    if (*bytes != weight.size() || weight.offset() < end || weight.offset() > maxPackedBytes ||
        weight.size() > maxPackedBytes - weight.offset()) {
      return failure(ELAH_INVALID_DATA,
                     "manifest: weight '%s' has %" PRIu64 " bytes at offset %" PRIu64 ", its recipe makes %" PRIu64
                     ", the weight before it ends at %" PRIu64,
                     weight.name().c_str(), weight.size(), weight.offset(), *bytes, end);
    }
    end = weight.offset() + weight.size();
  }
  return Status();
}

namespace {

struct Work {
  const WeightPacker *packer;
  const WeightPacker::Piece *piece;
  uint8_t *output;
};

struct PackingState {
  std::vector<Work> work;
  std::atomic<bool> hasFailed{false};
  std::mutex mutex;
  Status status;
};

void packPieces(void *context, int64_t begin, int64_t end, unsigned) {
  PackingState &state = *static_cast<PackingState *>(context);
  for (int64_t i = begin; i < end && !state.hasFailed; ++i) {
    const Work &work = state.work[static_cast<size_t>(i)];
    Status status = work.packer->pack(*work.piece, {work.output, work.piece->size});
    if (!status.ok()) {
      std::lock_guard<std::mutex> lock(state.mutex);
      if (!state.hasFailed.exchange(true)) {
        state.status = std::move(status);
      }
    }
  }
}

} // namespace

Result<std::shared_ptr<const PackedWeights>> PackedWeights::load(const proto::Manifest &manifest,
                                                                 const std::string &folder, unsigned threads) {
  ShardFiles shards(folder);
  for (const proto::Shard &shard : manifest.shards()) {
    if (Status status = shards.openExpected(shard); !status.ok()) {
      return status.code() == ELAH_NOT_FOUND
                 ? Status(ELAH_NOT_FOUND, status.message() + "; if the model's folder is elsewhere, name it "
                                                             "(--model-folder, elah_session_options.model_folder)")
                 : status;
    }
  }
  std::shared_ptr<PackedWeights> weights(new PackedWeights());
  if (manifest.weights().empty()) {
    return std::shared_ptr<const PackedWeights>(std::move(weights));
  }
  const proto::Weight &last = manifest.weights(manifest.weights_size() - 1);
  ELAH_RETURN_IF_ERROR(weights->allocate(std::max<uint64_t>(last.offset() + last.size(), 1)));

  PackingState state;
  std::vector<WeightPacker> packers;
  packers.reserve(static_cast<size_t>(manifest.weights_size()));
  for (const proto::Weight &weight : manifest.weights()) {
    const WeightPacker &packer = packers.emplace_back(weight.recipe(), shards);
    for (const WeightPacker::Piece &piece : packer.pieces()) {
      state.work.push_back({&packer, &piece, weights->bytes + weight.offset() + piece.offset});
    }
  }
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
  if (!pool.ok()) {
    return pool.status();
  }
  (*pool)->run(static_cast<int64_t>(state.work.size()), packPieces, &state);
  if (!state.status.ok()) {
    return std::move(state.status);
  }
  weights->protect();
  return std::shared_ptr<const PackedWeights>(std::move(weights));
}

Result<std::shared_ptr<const PackedWeights>> PackedWeights::copy(const Artifact &artifact, unsigned threads,
                                                                 const std::atomic<bool> *stops) {
  std::string_view section = artifact.section(ELAH_SECTION_WEIGHTS);
  std::shared_ptr<PackedWeights> weights(new PackedWeights());
  if (section.empty()) {
    return std::shared_ptr<const PackedWeights>(std::move(weights));
  }
  ELAH_RETURN_IF_ERROR(weights->allocate(section.size()));
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
  if (!pool.ok()) {
    return pool.status();
  }
  struct Copy {
    const Artifact &artifact;
    std::string_view from;
    uint8_t *to;
    const std::atomic<bool> *stops;
    std::atomic<bool> isBroken{false};
  } copy{artifact, section, weights->bytes, stops};
  constexpr int64_t pieceBytes = 4 << 20;
  (*pool)->run(
      static_cast<int64_t>((section.size() + pieceBytes - 1) / pieceBytes),
      [](void *context, int64_t begin, int64_t end, unsigned) {
        Copy &copy = *static_cast<Copy *>(context);
        for (int64_t piece = begin; piece < end; ++piece) {
          if ((copy.stops && *copy.stops) || copy.isBroken || !copy.artifact.checkUnchanged().ok()) {
            copy.isBroken = true;
            return;
          }
          size_t first = static_cast<size_t>(piece * pieceBytes);
          std::memcpy(copy.to + first, copy.from.data() + first,
                      std::min<size_t>(pieceBytes, copy.from.size() - first));
        }
      },
      &copy);
  if (copy.isBroken) {
    ELAH_RETURN_IF_ERROR(artifact.checkUnchanged());
    return failure(ELAH_CANCELLED, "the copy of the weights was given up");
  }
  weights->protect();
  return std::shared_ptr<const PackedWeights>(std::move(weights));
}

Status PackedWeights::allocate(uint64_t bytesNeeded) {
  void *address = ::mmap(nullptr, bytesNeeded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    return failure(ELAH_OUT_OF_MEMORY, "cannot allocate %" PRIu64 " bytes for the weights: %s", bytesNeeded,
                   std::strerror(errno));
  }
  ::madvise(address, bytesNeeded, MADV_HUGEPAGE);
  bytes = static_cast<uint8_t *>(address);
  size = bytesNeeded;
  return Status();
}

void PackedWeights::protect() { ::mprotect(bytes, size, PROT_READ); } // as a mapped artifact's are

PackedWeights::~PackedWeights() {
  if (bytes) {
    ::munmap(bytes, size);
  }
}

} // namespace elah
