// Tensors in NumPy's files (numpy.lib.format, versions 1.0 to 3.0): how named tensors come in and go out.
#ifndef RUNTIME_COMMANDS_NPY_H
#define RUNTIME_COMMANDS_NPY_H

#include <cstdint>
#include <elah/elah.h>
#include <string>
#include <vector>

struct NpyTensor {
  elah_element_type type;
  std::vector<int64_t> dims;
  std::vector<char> bytes; ///< Row-major, little-endian.
};

/// Reads a whole file. What NumPy has no name for (bf16, e4m3) lies there as `expected` bits of the same size ('<V2',
/// '<u2', '|V1', '|u1'). Returns 0, or prints what is wrong and gives the exit status.
int readNpy(const std::string &path, elah_element_type expected, NpyTensor &tensor);

/// Writes a tensor; bf16 and e4m3 as the bits that they are ('<u2', '|u1').
int writeNpy(const std::string &path, const elah_tensor &tensor);

#endif
