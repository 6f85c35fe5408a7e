#include "ops/host_vectors.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace emulator {

static HostVectors ofCpu() {
#ifdef EMULATOR_AVX512
  if (__builtin_cpu_supports("x86-64-v4")) {
    return HostVectors::Avx512;
  }
#endif
#ifdef __x86_64__
  if (__builtin_cpu_supports("x86-64-v3")) {
    return HostVectors::Avx2;
  }
#endif
  return HostVectors::Portable;
}

static HostVectors choose() {
  const HostVectors most = ofCpu();
  const char *text = std::getenv("ELAH_EMULATOR_CPU");
  const std::string_view wanted = text ? text : "";
  if (wanted.empty() || wanted == "avx512") {
    return most;
  }
  if (wanted == "avx2") {
    return std::min(most, HostVectors::Avx2);
  }
  std::fprintf(stderr, "ELAH_EMULATOR_CPU: found '%s', expected one of: avx2, avx512\n", text);
  return most;
}

HostVectors hostVectors() {
  static const HostVectors chosen = choose();
  return chosen;
}

} // namespace emulator
