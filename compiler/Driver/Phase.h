// The stations of a model on its way through the compiler, by the names that --stop-after and --dump-ir know.
#ifndef COMPILER_DRIVER_PHASE_H
#define COMPILER_DRIVER_PHASE_H

namespace elah {

enum class Phase {
  Import,  ///< r1, as the frontend made it.
  R1,      ///< r1, simplified.
  Kernel,  ///< The host program of kernel operations on buffers.
  Exec,    ///< The host program of launches, its arena planned: what the artifact stores.
  Object,  ///< The kernels' native code.
  Artifact ///< The file.
};

constexpr const char *phaseNames[] = {"import", "r1", "kernel", "exec", "object", "artifact"};

inline const char *phaseName(Phase phase) { return phaseNames[static_cast<int>(phase)]; }

} // namespace elah

#endif
