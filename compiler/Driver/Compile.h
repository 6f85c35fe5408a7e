// The compiler as one function. No MLIR in here: the command line in front of it is built with exceptions, and MLIR is
// not.
#ifndef COMPILER_DRIVER_COMPILE_H
#define COMPILER_DRIVER_COMPILE_H

#include "compiler/Driver/Phase.h"
#include <cstdint>
#include <string>

namespace elah {

/// What an ONNX graph is compiled as.
enum class GraphForm {
  Auto,  ///< A language model with a paged cache if it is one that can be run so, a plain graph otherwise.
  Model, ///< A language model, or an error that says what is in the way.
  Graph  ///< A plain graph: named tensors in, named tensors out.
};

struct CompileOptions {
  std::string model; ///< The model's folder, or an ONNX graph.
  GraphForm form = GraphForm::Auto;
  std::string output;             ///< Empty: named after the model's folder; for an earlier phase, stdout.
  std::string target = "cpu";     ///< Or a GPU: "h800".
  std::string cpu = "host";       ///< The processor, for target cpu.
  int64_t maxContext = 0;         ///< Tokens of one sequence; 0: the model's own limit, but no more than 4,096.
  int64_t maxBatch = 8;           ///< Sequences in one step.
  int64_t maxPrefill = 512;       ///< Tokens in one step.
  bool referencesWeights = false; ///< Leave the weights in the original shards.
  bool isProgram = false;         ///< Put a runner before the artifact.
  std::string runner;             ///< The path of elah-run, for a program.
  Phase stopAfter = Phase::Artifact;
  std::string dumpFolder; ///< If not empty: the IR of each phase lands there.
  std::string precision = "auto";
  std::string kvCache; ///< Of a GPU: bf16, which is meant if it is empty, or fp8.
  bool importsNextTokenLayers = false;
  unsigned threads = 1;
  bool explainsFusion = false; ///< Say on stdout what became what, layer by layer, and what nearly did.
  bool isJson = false;         ///< As JSON.
};

/// Compiles a model. Says on stderr what went wrong, or what was made. Returns an exit status: 0 done, 2 an option
/// makes no sense for this model, 65 the model's files break a rule, 66 they are not there, 69 this compiler or machine
/// cannot do it, 70 a fault of the compiler, 73 the output cannot be created, 74 it cannot be written. On SIGINT and
/// SIGTERM the process ends with 130 and 143, and an older output stays as it was.
int compileModel(const CompileOptions &options);

} // namespace elah

#endif
