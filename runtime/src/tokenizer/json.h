// JSON in the runtime: nlohmann's parser without exceptions. Checked accessors are used throughout, so that a document of
// the wrong shape is an error and never an abort.
#ifndef RUNTIME_SRC_TOKENIZER_JSON_H
#define RUNTIME_SRC_TOKENIZER_JSON_H

#define JSON_NOEXCEPTION
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace elah {

using Json = nlohmann::json;

/// The document, or a discarded value if the text is not JSON.
inline Json parseJson(std::string_view text) {
  return Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

/// The member of an object, or null if there is none (or `value` is no object).
inline const Json &member(const Json &value, const char *key) {
  static const Json null;
  if (!value.is_object()) {
    return null;
  }
  auto found = value.find(key);
  return found == value.end() ? null : *found;
}

inline bool booleanOr(const Json &value, bool fallback) { return value.is_boolean() ? value.get<bool>() : fallback; }

inline std::string stringOr(const Json &value, const char *fallback) {
  return value.is_string() ? value.get<std::string>() : fallback;
}

} // namespace elah

#endif
