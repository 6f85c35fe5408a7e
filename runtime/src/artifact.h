#ifndef RUNTIME_SRC_ARTIFACT_H
#define RUNTIME_SRC_ARTIFACT_H

#include "src/status.h"
#include <elah/artifact.h>
#include <elah/manifest.pb.h>
#include <memory>
#include <string_view>

namespace elah {

/// What a section's kind is called: "cpu_object"; null for a kind that is not known.
const char *sectionName(uint32_t kind);

/// An open artifact: a read-only mapping that has been checked against every rule of artifact.h,
/// and its manifest, checked so that every index in it leads somewhere.
class Artifact {
public:
  static Result<std::unique_ptr<Artifact>> open(const char *path);
  /// As `open`, for bytes in memory, which must outlive the artifact.
  static Result<std::unique_ptr<Artifact>> fromMemory(const uint8_t *bytes, uint64_t size);
  ~Artifact();
  Artifact(const Artifact &) = delete;

  const proto::Manifest &manifest() const { return content; }
  /// The bytes of a section, empty if there is none of that kind.
  std::string_view section(elah_section_kind kind) const;
  /// Compares every block of every section, weights included, with its checksum.
  Status verify() const;
  const elah_artifact_header &header() const { return *head; }

private:
  Artifact() = default;
  Status load();
  Status checkLayout() const;
  Status checkManifest() const;
  Status verifySection(uint32_t index) const;

  void *mapping = nullptr;
  uint64_t mappingSize = 0;
  const uint8_t *bytes = nullptr; ///< The artifact itself, behind a runner perhaps.
  uint64_t size = 0;
  const elah_artifact_header *head = nullptr;
  proto::Manifest content;
};

} // namespace elah

#endif
