#ifndef RUNTIME_SRC_CUDA_MANIFEST_H
#define RUNTIME_SRC_CUDA_MANIFEST_H

#include "src/status.h"
#include <elah/manifest.pb.h>

namespace elah {

/// Whether the program is one for GPUs.
inline bool isForCuda(const proto::Manifest &manifest) { return manifest.target() == "cuda"; }

/// Checks what a manifest says of its CUDA kernels and of who is launched when: every index leads somewhere, every
/// module lies within its section, and the buckets serve every step that the limits allow. `modulesSize` is that of the
/// section with the modules. All else of the program has been checked.
Status checkCudaProgram(const proto::Manifest &manifest, uint64_t modulesSize);

} // namespace elah

#endif
