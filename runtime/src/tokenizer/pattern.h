#ifndef RUNTIME_SRC_TOKENIZER_PATTERN_H
#define RUNTIME_SRC_TOKENIZER_PATTERN_H

#include "src/status.h"
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;

namespace elah {

/// A compiled pre-tokenizer pattern.
class Pattern {
public:
  /// `expression` in the dialect of tokenizer.json (Oniguruma): `\s` is the Unicode property White_Space, which PCRE2's
  /// own `\s` is not.
  static Result<Pattern> compile(const std::string &expression);
  /// A pattern that matches exactly `text`.
  static Result<Pattern> literal(const std::string &text);

  /// The matches in well-formed UTF-8 `text`, left to right, as begin and end offsets. An empty match is none.
  Status findAll(std::string_view text, std::vector<std::pair<size_t, size_t>> &matches) const;

private:
  Pattern() = default;
  std::shared_ptr<pcre2_real_code_8> code;
  std::shared_ptr<pcre2_real_match_data_8> matchData;
  std::shared_ptr<pcre2_real_match_context_8> limits;
};

} // namespace elah

#endif
