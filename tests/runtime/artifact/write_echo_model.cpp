// write-echo-model FILE: the artifact of the echo model, for tests of programs and as a seed for fuzzing.
// write-echo-model --tokenizer FILE: its tokenizer.json alone.
// write-echo-model --reference FILE: the one whose weights are outside.
#include "tests/runtime/artifact/small_artifact.h"
#include <cstdio>
#include <fstream>

int main(int argc, char **argv) {
  bool isTokenizer = argc == 3 && std::strcmp(argv[1], "--tokenizer") == 0;
  bool isReferring = argc == 3 && std::strcmp(argv[1], "--reference") == 0;
  if (argc != 2 && !isTokenizer && !isReferring) {
    std::fputs("usage: write-echo-model [--tokenizer | --reference] FILE\n", stderr);
    return 2;
  }
  SmallArtifact model = isReferring ? referringEchoModel() : echoModel();
  std::string bytes = isTokenizer ? model.sections[ELAH_SECTION_TOKENIZER] : model.bytes();
  std::ofstream file(argv[argc - 1], std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  return file ? 0 : 1;
}
