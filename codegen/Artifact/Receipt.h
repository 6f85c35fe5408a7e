#ifndef CODEGEN_ARTIFACT_RECEIPT_H
#define CODEGEN_ARTIFACT_RECEIPT_H

#include "codegen/Artifact/Write.h"

namespace elah {

/// The receipt of an artifact: JSON that says which tools, flags and inputs made it. It holds no time and no path, so
/// that the same inputs give the same receipt.
llvm::Expected<std::string> buildReceipt(const ArtifactContents &contents);

} // namespace elah

#endif
