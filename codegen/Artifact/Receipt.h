#ifndef CODEGEN_ARTIFACT_RECEIPT_H
#define CODEGEN_ARTIFACT_RECEIPT_H

#include "codegen/Artifact/Write.h"
#include "elah/manifest.pb.h"
#include <map>

namespace elah {

class ShardFiles;

/// The model folder's small files by name, with their bytes.
using ModelFiles = std::map<std::string, std::string>;

/// The receipt of an artifact: JSON that says which tools, flags and inputs made it. It holds no
/// time and no path, so that the same inputs give the same receipt. `shards` has those of
/// `manifest` open.
llvm::Expected<std::string> buildReceipt(const ArtifactContents &contents, const ModelFiles &modelFiles,
                                         const proto::Manifest &manifest, const ShardFiles &shards);

} // namespace elah

#endif
