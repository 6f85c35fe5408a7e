// write-echo-model FILE: the artifact of the echo model, for tests of programs and as a seed for fuzzing.
#include "tests/runtime/artifact/small_artifact.h"
#include <cstdio>
#include <fstream>

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fputs("usage: write-echo-model FILE\n", stderr);
    return 2;
  }
  std::string bytes = echoModel().bytes();
  std::ofstream file(argv[1], std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  return file ? 0 : 1;
}
