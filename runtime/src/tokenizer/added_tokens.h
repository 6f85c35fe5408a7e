#ifndef RUNTIME_SRC_TOKENIZER_ADDED_TOKENS_H
#define RUNTIME_SRC_TOKENIZER_ADDED_TOKENS_H

#include "src/status.h"
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace elah {

struct AddedToken {
  std::string text;
  uint32_t id;
  bool isSpecial, isNormalized, isSingleWord, stripsLeft, stripsRight;
};

/// Finds tokens in a text: of those that begin leftmost, the longest.
class AddedTokenIndex {
public:
  void add(const AddedToken &token);
  /// To be called when all are added.
  void sort();

  /// Cuts `text` at the tokens in it: calls `emit(part, nullptr)` for what lies between, which may be empty, and
  /// `emit({}, token)` for a token.
  template <typename Emit> Status split(std::string_view text, Emit emit) const {
    size_t done = 0, at = 0;
    while (const AddedToken *token = findNext(text, at)) {
      size_t begin = at, end = at + token->text.size();
      at = end;
      if (!stretch(text, *token, done, begin, end)) {
        continue;
      }
      ELAH_RETURN_IF_ERROR(emit(text.substr(done, begin - done), nullptr));
      ELAH_RETURN_IF_ERROR(emit(std::string_view(), token));
      done = end;
      at = std::max(at, done);
    }
    return emit(text.substr(done), nullptr);
  }

private:
  /// The next token at or behind `at`, which becomes its beginning.
  const AddedToken *findNext(std::string_view text, size_t &at) const;
  const AddedToken *longestAt(std::string_view text) const;
  /// Applies single_word, lstrip and rstrip; false if the token does not count here.
  static bool stretch(std::string_view text, const AddedToken &token, size_t done, size_t &begin, size_t &end);

  std::vector<AddedToken> tokens; ///< By their text.
  std::array<bool, 256> beginsToken = {};
};

} // namespace elah

#endif
