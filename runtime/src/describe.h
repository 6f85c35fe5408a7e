#ifndef RUNTIME_SRC_DESCRIBE_H
#define RUNTIME_SRC_DESCRIBE_H

#include "src/artifact.h"
#include <string>

namespace elah {

/// Everything that the artifact says about itself, as JSON.
std::string describe(const Artifact &artifact);
/// Bytes that one token of a sequence takes in the KV cache.
uint64_t cacheBytesPerToken(const proto::Manifest &manifest);
/// Whether the matrix products are of bf16 numbers.
bool computesInBF16(const proto::Manifest &manifest);

} // namespace elah

#endif
