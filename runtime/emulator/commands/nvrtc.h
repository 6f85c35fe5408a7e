#ifndef RUNTIME_EMULATOR_COMMANDS_NVRTC_H
#define RUNTIME_EMULATOR_COMMANDS_NVRTC_H

// CUDA C++ to PTX, by NVIDIA's run time compiler where the machine has it. Opened by name: nothing here needs a toolkit
// to be built.

#include <string>
#include <vector>

namespace emulator {

class Nvrtc {
public:
  /// Looks where the loader looks, and in /usr/local/cuda/lib64. `path` may name a library.
  explicit Nvrtc(const std::string &path = "");
  Nvrtc(const Nvrtc &) = delete;

  bool available() const { return library != nullptr; }
  /// Why it is not.
  const std::string &reason() const { return why; }

  struct Result {
    bool good = false;
    std::string ptx, log;
  };
  /// `options` as for nvcc ("-DN=4"); the target, C++20 and the toolkit's headers are given already.
  Result compile(const std::string &source, const std::string &name, std::vector<std::string> options = {}) const;

private:
  void *library = nullptr;
  std::string why;
};

} // namespace emulator

#endif
