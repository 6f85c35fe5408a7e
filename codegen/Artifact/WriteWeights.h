#ifndef CODEGEN_ARTIFACT_WRITEWEIGHTS_H
#define CODEGEN_ARTIFACT_WRITEWEIGHTS_H

#include "codegen/Artifact/OutputFile.h"
#include "elah/manifest.pb.h"
#include <functional>
#include <vector>

namespace elah {

class ShardFiles;

/// A place in the output.
struct SectionPlace {
  uint64_t offset; ///< From the file's first byte.
  uint64_t size;
};

/// Streams the weights of `manifest` through their recipes into the weights section, which `output`
/// holds as zeros, and gives the checksums of its blocks. `progress` is called by one thread at a
/// time with numbers that never fall.
llvm::Expected<std::vector<uint64_t>> writeWeights(const proto::Manifest &manifest, const ShardFiles &shards,
                                                   SectionPlace section, unsigned threads,
                                                   const std::function<void(uint64_t done, uint64_t total)> &progress,
                                                   OutputFile &output);

} // namespace elah

#endif
