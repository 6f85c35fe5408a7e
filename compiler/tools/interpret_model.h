#ifndef COMPILER_TOOLS_INTERPRET_MODEL_H
#define COMPILER_TOOLS_INTERPRET_MODEL_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace elah {

struct InterpretModelOptions {
  std::string model;        ///< A Hugging Face folder, or r1 as text.
  std::string weightFolder; ///< Where the weights of r1 in text form lie; its own folder if empty.
  std::vector<int64_t> tokens;
  size_t chunk = 0;      ///< Tokens of one call; 0 for all.
  bool isSingle = false; ///< f32 rather than f64.
  std::string logitsFile;
  std::vector<std::pair<std::string, std::string>> inputs; ///< Of a graph: name and .npy file.
  std::string outputFolder;                                ///< Where a graph's outputs go, NAME.npy.
};

/// Runs the model's `@forward` on the reference interpreter and writes the logits of all tokens, [tokens, vocabulary]
/// f32 as .npy. Returns the program's exit status; a failure has been reported on stderr.
int interpretModel(const InterpretModelOptions &options);

/// Runs an ONNX graph on the reference interpreter, from .npy files to .npy files.
int interpretGraph(const InterpretModelOptions &options);

} // namespace elah

#endif
