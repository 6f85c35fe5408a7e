#ifndef RUNTIME_EMULATOR_OPS_HOST_VECTORS_H
#define RUNTIME_EMULATOR_OPS_HOST_VECTORS_H

// Which vector code the emulator runs on this host. ELAH_EMULATOR_CPU=avx2 takes less than the CPU has, so that the
// code of smaller processors can be tested and timed on a large one.

namespace emulator {

enum class HostVectors { Portable, Avx2, Avx512 };

/// Chosen once, at first use.
HostVectors hostVectors();

} // namespace emulator

#endif
