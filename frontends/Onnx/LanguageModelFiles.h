#ifndef FRONTENDS_ONNX_LANGUAGEMODELFILES_H
#define FRONTENDS_ONNX_LANGUAGEMODELFILES_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elah {

/// What lies beside an exported language model: what a graph does not say of it.
struct LanguageModelFiles {
  std::string architecture;          ///< As config.json names it; empty if nothing does.
  std::optional<int64_t> maxContext; ///< Tokens that the model was made for.
  int64_t bosToken = -1;
  std::vector<int64_t> eosTokens;
};

/// Where the tokenizer and the configuration of the graph at `path` lie: beside it, or, as repositories on the hub have
/// it, one folder up if the graph's own is `onnx`.
std::string languageModelFolder(llvm::StringRef path);

/// Reads config.json, generation_config.json and genai_config.json (of the ONNX Runtime GenAI builder) in `folder`, as
/// far as they are there, and checks that the tokenizer's files are regular ones. Tokens are below `vocabulary`. Errors
/// name the file, the key, what was found and what was expected.
llvm::Expected<LanguageModelFiles> readLanguageModelFiles(llvm::StringRef folder, int64_t vocabulary);

} // namespace elah

#endif
