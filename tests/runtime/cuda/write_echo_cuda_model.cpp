// write-echo-cuda-model FILE: the artifact of the echo model for an H800, for tests of programs.
#include "tests/runtime/cuda/echo_cuda_model.h"
#include <cstdio>
#include <fstream>

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fputs("usage: write-echo-cuda-model FILE\n", stderr);
    return 2;
  }
  std::string error;
  SmallArtifact model = echoCudaModel(error);
  if (!error.empty()) {
    std::fprintf(stderr, "error: %s\n", error.c_str());
    return 1;
  }
  std::string bytes = model.bytes();
  std::ofstream file(argv[1], std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  return file ? 0 : 1;
}
