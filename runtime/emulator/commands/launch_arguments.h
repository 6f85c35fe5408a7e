#ifndef RUNTIME_EMULATOR_COMMANDS_LAUNCH_ARGUMENTS_H
#define RUNTIME_EMULATOR_COMMANDS_LAUNCH_ARGUMENTS_H

// A kernel's arguments as elah-emu's command line says them: buffers from and to .npy files, numbers, tensor maps.

#include "commands/npy.h"
#include "driver/api/types.h"
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace emulator {

/// What the user got wrong, in words.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class LaunchArguments {
public:
  /// Reads one `--arg`:
  ///   x.npy                     the address of a buffer with the file's contents
  ///   y=f32[128,64]             of a buffer that nobody has written; becomes y.npy
  ///   y=x.npy                   of a buffer with the file's contents; becomes y.npy
  ///   &x                        of a buffer that stands before
  ///   i32:5, f32:0.5, u64:0x10  a number
  ///   map:x:box=64x32:swizzle=128[:type=bf16][:l2=256][:fill=nan]
  ///                             a tensor map of the buffer x; its box in the order of the shape
  /// Needs a current context. Throws UsageError.
  void add(const std::string &text);
  /// Reads one `--buffer`: as the forms of `--arg` that make a buffer, for one that is no parameter itself.
  void addBufferOnly(const std::string &text);

  size_t count() const { return values.size(); }
  /// Bytes of an argument; for a check against the kernel's parameter.
  size_t bytesOf(size_t index) const { return values[index].bytes.size(); }
  const std::string &textOf(size_t index) const { return values[index].text; }
  /// For cuLaunchKernel: pointers to the values.
  std::vector<void *> pointers();
  /// Writes the buffers with names into `folder`; gives the files' names.
  std::vector<std::string> writeResults(const std::string &folder);

private:
  struct Value {
    std::string text;
    std::vector<std::byte> bytes;
  };
  struct Buffer {
    Array array;
    cuda::CUdeviceptr address = 0;
    bool result = false;
  };
  void addBytes(const std::string &text, const void *bytes, size_t size);
  /// Makes the buffer that a text speaks of; null where it speaks of none.
  Buffer *makeBuffer(const std::string &text);
  void addNumber(const std::string &text, const std::string &type, const std::string &number);
  void addTensorMap(const std::string &text);
  Buffer &bufferNamed(const std::string &name);

  std::vector<Value> values;
  std::map<std::string, Buffer> buffers;
};

} // namespace emulator

#endif
