#ifndef TESTS_RUNTIME_EMULATOR_HARDWARE_PROVEN_READY_PTX_H
#define TESTS_RUNTIME_EMULATOR_HARDWARE_PROVEN_READY_PTX_H

// Kernels that other projects have proven on hardware, run unchanged by the emulator. Their PTX is not ours and not
// here: ELAH_HARDWARE_PROVEN_PTX names a folder that holds it, and where there is none the tests skip.

#include "tests/runtime/emulator/kernel_run.h"

#include "ops/tensor_map.h"
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

namespace emulator {

/// A module of the folder, loaded; null where there is none.
inline std::shared_ptr<LoadedModule> readyModule(const std::string &file) {
  static std::map<std::string, std::shared_ptr<LoadedModule>> modules;
  auto [entry, fresh] = modules.try_emplace(file);
  const char *folder = std::getenv("ELAH_HARDWARE_PROVEN_PTX");
  if (!fresh || !folder) {
    return entry->second;
  }
  std::ifstream stream(std::string(folder) + "/" + file);
  if (!stream) {
    return nullptr;
  }
  std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(std::move(text));
  if (ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
    ADD_FAILURE() << file << ":" << error->place.line << ": " << error->text;
    return nullptr;
  }
  auto loaded = LoadedModule::load(std::move(std::get<ptx::Module>(parsed)), 0);
  if (ptx::Error *error = std::get_if<ptx::Error>(&loaded)) {
    ADD_FAILURE() << file << ":" << error->place.line << ": " << error->text;
    return nullptr;
  }
  entry->second = std::get<std::shared_ptr<LoadedModule>>(loaded);
  return entry->second;
}

/// The kernel whose name contains `part`.
inline const Kernel *kernelNamed(const LoadedModule &module, std::string_view part) {
  for (const Kernel *kernel : module.kernels()) {
    if (kernel->name.find(part) != std::string::npos) {
      return kernel;
    }
  }
  return nullptr;
}

/// A launch that waits, and says how long it took.
struct ReadyLaunch {
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block = 128, cluster = 1;
  uint32_t dynamicSharedBytes = 0;
  double seconds = 0;             ///< of the last run
  Observer *observer = nullptr;   ///< who looks on
  std::shared_ptr<Grid> launched; ///< of the last run

  std::optional<Fault> operator()(std::shared_ptr<LoadedModule> module, const Kernel *kernel,
                                  const Parameters &parameters, const RunOptions &options) {
    LaunchConfig config;
    config.module = std::move(module);
    config.kernel = kernel;
    std::copy_n(grid, 3, config.grid);
    config.observer = observer;
    config.block[0] = block;
    config.cluster[0] = cluster;
    config.dynamicSharedBytes = dynamicSharedBytes;
    config.parameters = parameters.bytes;
    config.parameters.resize(kernel->parameterBytes);
    auto begin = std::chrono::steady_clock::now();
    std::optional<Fault> fault = (launched = Machine::instance().launch(std::move(config), options))->wait();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return fault;
  }
};

/// 1 - 2 <x, y> / (|x|^2 + |y|^2), as DeepGEMM's tests have it.
inline double relativeDifference(const std::vector<double> &x, const std::vector<double> &y) {
  double product = 0, squares = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    product += x[i] * y[i];
    squares += x[i] * x[i] + y[i] * y[i];
  }
  return squares == 0 ? 0 : 1 - 2 * product / squares;
}

inline float fromBf16(uint16_t bits) { return __builtin_bit_cast(float, uint32_t(bits) << 16); }
inline uint16_t toBf16(float value) {
  uint32_t bits = __builtin_bit_cast(uint32_t, value);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

struct alignas(128) TensorMapParameter {
  unsigned char bytes[tensorMapBytes];
};

inline TensorMapParameter tiledMap(TensorType type, uint64_t address, std::vector<uint64_t> dims,
                                   std::vector<uint64_t> strides, std::vector<uint32_t> box, uint32_t swizzle) {
  TensorMapParameter map;
  std::vector<uint32_t> ones(dims.size(), 1);
  std::optional<std::string> refusal =
      encodeTiled(map.bytes, static_cast<uint32_t>(type), static_cast<uint32_t>(dims.size()), address, dims.data(),
                  strides.data(), box.data(), ones.data(), 0, swizzle, 3, 0);
  EXPECT_FALSE(refusal) << *refusal;
  return map;
}

} // namespace emulator

#endif
