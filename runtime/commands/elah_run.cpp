// elah-run: the verbs on finished artifacts, without the compiler. Also the runner of a self-contained program: with an
// artifact behind it, it runs that one.
#include "commands/commands.h"
#include <cstdio>
#include <cstring>
#include <elah/artifact.h>
#include <elah/elah.h>
#include <string>
#include <vector>

namespace {

/// Whether this very program has an artifact appended.
bool carriesArtifact() {
  std::FILE *self = std::fopen("/proc/self/exe", "rb");
  elah_artifact_trailer trailer = {};
  bool carries = self && std::fseek(self, -static_cast<long>(sizeof(trailer)), SEEK_END) == 0 &&
                 std::fread(&trailer, sizeof(trailer), 1, self) == 1 &&
                 std::memcmp(trailer.magic, ELAH_ARTIFACT_MAGIC, sizeof(trailer.magic)) == 0;
  if (self) {
    std::fclose(self);
  }
  return carries;
}

int printHelp(std::FILE *file) {
  std::fputs("Runs compiled models of the DeepSeek-R1 family.\n\n"
             "usage: elah-run [run] FILE --prompt TEXT\n\n"
             "  run       asks a model (the verb may be left out)\n"
             "  inspect   shows what a file is made of\n"
             "  tokenize  text to token ids and back\n"
             "  verify    checks every byte of a file\n"
             "  bench     tokens/s, beside what the machine could do\n"
             "  selftest  whether this GPU computes what it should\n\n"
             "`elah-run VERB --help` explains a verb.\n",
             file);
  return file == stdout ? 0 : 2;
}

} // namespace

int main(int argc, char **argv) {
  struct {
    const char *name;
    int (*command)(int, char **);
  } const verbs[] = {{"run", elahRunCommand},       {"inspect", elahInspectCommand}, {"tokenize", elahTokenizeCommand},
                     {"verify", elahVerifyCommand}, {"bench", elahBenchCommand},     {"selftest", elahSelftestCommand}};
  if (carriesArtifact()) {
    static char self[] = "/proc/self/exe";
    std::vector<char *> arguments(argv, argv + argc);
    int (*command)(int, char **) = elahRunCommand;
    for (const auto &verb : verbs) {
      if (argc > 1 && std::strcmp(argv[1], verb.name) == 0) {
        command = verb.command;
        arguments.erase(arguments.begin() + 1);
        break;
      }
    }
    arguments.insert(arguments.begin() + 1, self);
    return command(static_cast<int>(arguments.size()), arguments.data());
  }
  for (const auto &verb : verbs) {
    if (argc > 1 && std::strcmp(argv[1], verb.name) == 0) {
      std::string name = std::string("elah-run ") + verb.name;
      argv[1] = name.data();
      return verb.command(argc - 1, argv + 1);
    }
  }
  if (argc < 2) {
    return printHelp(stderr);
  }
  if (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0) {
    return printHelp(stdout);
  }
  if (std::strcmp(argv[1], "--version") == 0) {
    std::printf("elah-run %s\n", elah_version());
    return 0;
  }
  return elahRunCommand(argc, argv); // `elah-run FILE --prompt ...`
}
