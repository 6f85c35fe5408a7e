// elah: compiles a model, and everything that one can do with a compiled one. The verbs on artifacts are those of
// elah-run (runtime/commands), which needs no compiler.
#include "codegen/Cuda/CompileKernels.h"
#include "commands/commands.h"
#include "compiler/tools/compile_command.h"
#include "compiler/tools/verify_command.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/FileSystem.h"
#include <cstdio>
#include <elah/elah.h>
#include <string>

namespace {

struct Verb {
  const char *name;
  int (*command)(int, char **);
  const char *summary, *example;
};

constexpr Verb verbs[] = {
    {"compile", elahCompileCommand, "a model folder into one file",
     "elah compile DeepSeek-R1-Distill-Qwen-1.5B -o r1.elah"},
    {"run", elahRunCommand, "asks a compiled model", "elah run r1.elah --prompt \"What is 347 + 589?\""},
    {"inspect", elahInspectCommand, "shows what a file is made of", "elah inspect r1.elah"},
    {"tokenize", elahTokenizeCommand, "text to token ids and back",
     "echo \"What is 347 + 589?\" | elah tokenize r1.elah"},
    {"verify", elahVerifyDeviceCommand, "checks every byte of a file, and kernels on the emulator",
     "elah verify r1.elah --device emulator"},
    {"bench", elahBenchCommand, "tokens/s, beside what the machine could do",
     "elah bench r1.elah --generate-tokens 64"},
    {"selftest", elahSelftestCommand, "whether this GPU computes what it should",
     "elah selftest r1.elah --device cuda"},
};

void printHelp(std::FILE *file) {
  std::fputs("Compiles models of the DeepSeek-R1 family into one file, and runs it.\n\nusage: elah VERB [OPTIONS]\n\n",
             file);
  for (const Verb &verb : verbs) {
    std::fprintf(file, "  %-10s%s\n              %s\n", verb.name, verb.summary, verb.example);
  }
  std::fputs("\n`elah VERB --help` explains a verb. elah-run has the verbs but compile and needs no compiler.\n", file);
}

/// What the user may have meant.
std::string suggestion(llvm::StringRef word) {
  if (llvm::sys::fs::is_directory(word)) {
    return "; `elah compile " + word.str() + "` compiles that folder";
  }
  if (llvm::sys::fs::exists(word)) {
    return "; `elah run " + word.str() + " --prompt ...` asks that model";
  }
  const Verb *nearest = nullptr;
  unsigned best = 3; // More than two wrong letters is another word.
  for (const Verb &verb : verbs) {
    unsigned distance = word.edit_distance(verb.name, /*AllowReplacements=*/true, best);
    if (distance < best) {
      best = distance;
      nearest = &verb;
    }
  }
  return nearest ? std::string("; did you mean ") + nearest->name + "?" : "";
}

} // namespace

int main(int argc, char **argv) {
  if (std::optional<int> status = elah::cuda::runKernelCompiler(argc, argv)) {
    return *status; // This is a child process of `elah compile`.
  }
  llvm::StringRef word = argc > 1 ? argv[1] : "";
  if (word.empty()) {
    printHelp(stderr);
    return 2;
  }
  if (word == "--help" || word == "-h" || word == "help") {
    printHelp(stdout);
    return 0;
  }
  if (word == "--version") {
    std::printf("elah %s (LLVM %s)\n", elah_version(), LLVM_VERSION_STRING);
    return 0;
  }
  for (const Verb &verb : verbs) {
    if (word == verb.name) {
      std::string name = std::string("elah ") + verb.name;
      argv[1] = name.data();
      return verb.command(argc - 1, argv + 1);
    }
  }
  std::string hint = suggestion(word);
  std::fprintf(stderr,
               "error: unknown verb '%s': expected compile, run, inspect, tokenize, verify, bench or selftest%s\n",
               argv[1], hint.c_str());
  return 2;
}
