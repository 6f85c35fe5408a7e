#ifndef RUNTIME_SRC_ARTIFACT_H
#define RUNTIME_SRC_ARTIFACT_H

#include "src/packed_weights.h"
#include "src/status.h"
#include <atomic>
#include <elah/artifact.h>
#include <elah/manifest.pb.h>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace elah {

/// What a section's kind is called: "cpu_object"; null for a kind that is not known.
const char *sectionName(uint32_t kind);

/// An open artifact: a read-only mapping that has been checked against every rule of artifact.h, and its manifest,
/// checked so that every index in it leads somewhere. What its native code does is not checked and cannot be: an
/// artifact is a program, to be trusted like one.
class Artifact {
public:
  static Result<std::unique_ptr<Artifact>> open(const char *path);
  /// As `open`, for bytes in memory, which must be aligned to 8 and outlive the artifact.
  static Result<std::unique_ptr<Artifact>> fromMemory(const uint8_t *bytes, uint64_t size);
  ~Artifact();
  Artifact(const Artifact &) = delete;

  const proto::Manifest &manifest() const { return content; }
  /// The bytes of a section, empty if there is none of that kind.
  std::string_view section(elah_section_kind kind) const;
  /// Compares every block of every section, weights included, with its checksum.
  Status verify() const;
  /// Whether the file is still what was opened. Reading what has been cut off would end the process (SIGBUS); asking
  /// before each step leaves the moment in between. A file that is replaced under its name stays whole here.
  Status checkUnchanged() const;
  const elah_artifact_header &header() const { return *head; }
  /// A name for what the artifact holds, in hexadecimal: equal for equal bytes, whatever file they are in.
  std::string identity() const;
  /// Whether the weights are outside, in the original shards.
  bool refersToWeights() const { return content.shards_size() > 0; }
  /// The weights in memory of this process, for an artifact that refers to them or for a copy. The
  /// artifact's sessions share them, and they end with the last session. `modelFolder` may be null: the folder is then
  /// where it was, relative to the artifact, when that was made.
  /// A copy ends as ELAH_CANCELLED when `stops` becomes true.
  Result<std::shared_ptr<const PackedWeights>> packWeights(const char *modelFolder, unsigned threads,
                                                           const std::atomic<bool> *stops = nullptr) const;

private:
  Artifact() = default;
  Status load();
  Status checkLayout() const;
  Status checkManifest() const;
  Status checkWeights() const;
  Status checkProgram() const;
  Status checkGraph() const;
  Status verifySection(uint32_t index) const;

  int descriptor = -1;
  int64_t modifiedSeconds = 0, modifiedNanoseconds = 0;
  void *mapping = nullptr;
  uint64_t mappingSize = 0;
  const uint8_t *bytes = nullptr; ///< The artifact itself, behind a runner perhaps.
  uint64_t size = 0;
  const elah_artifact_header *head = nullptr;
  proto::Manifest content;
  std::string folder; ///< Of the file, without links; empty for an artifact in memory.
  mutable std::mutex packedMutex;
  mutable std::weak_ptr<const PackedWeights> packed;
};

} // namespace elah

#endif
