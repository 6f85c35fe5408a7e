#ifndef RUNTIME_SRC_PACKED_WEIGHTS_H
#define RUNTIME_SRC_PACKED_WEIGHTS_H

#include "src/status.h"
#include <atomic>
#include <elah/manifest.pb.h>
#include <memory>

namespace elah {

class Artifact;

/// No artifact's weights are larger.
constexpr uint64_t maxPackedBytes = uint64_t(1) << 46;

/// Checks what a manifest says of weights that are not in the artifact: its shards, and the recipe of every weight.
Status checkReferences(const proto::Manifest &manifest);

/// The weights of an artifact in memory of this process, in large pages where the system has them: packed from the
/// shards of an artifact made with `--weights reference`, or copied.
class PackedWeights {
public:
  /// Packs them from the shards in `folder`, which must be those that the artifact was compiled from, on `threads`
  /// threads. The manifest has passed checkReferences.
  static Result<std::shared_ptr<const PackedWeights>> load(const proto::Manifest &manifest, const std::string &folder,
                                                           unsigned threads);
  /// Copies an artifact's weights section, on `threads` threads, until `stops` (or null) becomes true.
  static Result<std::shared_ptr<const PackedWeights>> copy(const Artifact &artifact, unsigned threads,
                                                           const std::atomic<bool> *stops);
  ~PackedWeights();
  PackedWeights(const PackedWeights &) = delete;

  /// What would be the weights section.
  const uint8_t *data() const { return bytes; }

private:
  PackedWeights() = default;
  Status allocate(uint64_t bytes);
  void protect();

  uint8_t *bytes = nullptr;
  uint64_t size = 0;
};

} // namespace elah

#endif
