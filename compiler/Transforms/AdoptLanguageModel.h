// Whether an exported graph is a language model that r1-adopt-language-model makes a step of, and if not, why.
#ifndef COMPILER_TRANSFORMS_ADOPTLANGUAGEMODEL_H
#define COMPILER_TRANSFORMS_ADOPTLANGUAGEMODEL_H

#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace elah {

struct LanguageModelForm {
  bool isLikely = false; ///< Token ids come in, and logits go out.
  std::string problem;   ///< What a step could not do; empty if the graph will be adopted.
  int64_t vocabulary = 0;
};

/// What the pass would do with the module.
LanguageModelForm languageModelFormOf(mlir::ModuleOp module);

} // namespace elah

#endif
