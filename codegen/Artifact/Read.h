#ifndef CODEGEN_ARTIFACT_READ_H
#define CODEGEN_ARTIFACT_READ_H

#include "elah/artifact.h"
#include "elah/manifest.pb.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>

namespace elah {

/// An artifact as the compiler wrote it.
struct ArtifactFile {
  std::unique_ptr<llvm::MemoryBuffer> bytes;
  proto::Manifest manifest;

  /// The section's bytes; empty if there is none.
  llvm::StringRef section(elah_section_kind kind) const;
};

/// Reads an artifact that the runtime has verified (elah_artifact_verify); no program with one behind it.
llvm::Expected<ArtifactFile> readArtifact(llvm::StringRef path);

} // namespace elah

#endif
