#ifndef RUNTIME_EMULATOR_COMMANDS_NPY_H
#define RUNTIME_EMULATOR_COMMANDS_NPY_H

// Arrays in numpy's .npy files (format version 1.0 to 3.0), C order, little endian.

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace emulator {

struct Array {
  std::string type; ///< "f32", "u8"; types that numpy lacks are kept as unsigned integers of their size
  std::vector<uint64_t> shape;
  std::vector<std::byte> bytes;
};

/// Bytes of an element of a type by name: f16 bf16 f32 f64 e4m3 e5m2 i8 ... u64 bool; 0 where there is none such.
unsigned elementBytes(const std::string &type);

/// The array, or what is wrong with the file.
std::variant<Array, std::string> readNpy(const std::string &path);
/// Empty, or what went wrong.
std::string writeNpy(const std::string &path, const Array &array);

} // namespace emulator

#endif
