#ifndef COMPILER_DRIVER_MODELINPUT_H
#define COMPILER_DRIVER_MODELINPUT_H

#include "llvm/ADT/StringRef.h"
#include <string>

namespace elah {

/// What stands in the way of importing a model from `path`.
struct ModelInputProblem {
  int status = 0; ///< An exit status; 0 if it is a folder with a config.json, or an ONNX graph.
  std::string path;
  std::string message;
};

/// Looks at what the user gave as a model. People give a shard, a GGUF file or a name on the Hub: the message says what
/// was found and what to give instead.
ModelInputProblem checkModelInput(llvm::StringRef path);

/// Whether the model is a file that is read as an ONNX graph; its weights lie beside it.
bool isOnnxGraph(llvm::StringRef path);

} // namespace elah

#endif
