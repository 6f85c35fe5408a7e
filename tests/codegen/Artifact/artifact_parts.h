#ifndef TESTS_CODEGEN_ARTIFACT_ARTIFACT_PARTS_H
#define TESTS_CODEGEN_ARTIFACT_ARTIFACT_PARTS_H

#include "elah/artifact.h"
#include "elah/manifest.pb.h"
#include <map>
#include <string>

namespace elah {

/// An artifact taken apart by another's reading of artifact.h, and put together again.
struct ArtifactParts {
  proto::Manifest manifest;
  std::map<elah_section_kind, std::string> sections;

  /// Reads an artifact and holds each rule of artifact.h against it.
  static ArtifactParts read(const std::string &bytes);
  /// Writes the parts with checksums that are right, whatever the parts say.
  std::string write() const;
};

} // namespace elah

#endif
