#ifndef FRONTENDS_HUGGINGFACE_JSONFILE_H
#define FRONTENDS_HUGGINGFACE_JSONFILE_H

#include "frontends/HuggingFace/ModelFolder.h"
#define JSON_NOEXCEPTION
#include <nlohmann/json.hpp>

namespace elah {

/// Reads `name`, which must hold one JSON object: strict JSON, no key twice in an object (parsers disagree on which
/// counts), not nested deeper than any such file is (walking a value recurses).
llvm::Expected<nlohmann::json> readJsonObject(const ModelFolder &folder, llvm::StringRef name);

} // namespace elah

#endif
