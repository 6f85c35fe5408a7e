#include "src/tokenizer/added_tokens.h"
#include "src/tokenizer/utf8.h"
#include <algorithm>

namespace elah {
namespace {

/// Where the last character of `text` begins.
size_t lastCharacter(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xc0) == 0x80) {
    --begin;
  }
  return begin;
}

} // namespace

void AddedTokenIndex::add(const AddedToken &token) {
  tokens.push_back(token);
  beginsToken[static_cast<uint8_t>(token.text[0])] = true;
}

void AddedTokenIndex::sort() {
  std::sort(tokens.begin(), tokens.end(), [](const AddedToken &a, const AddedToken &b) { return a.text < b.text; });
}

const AddedToken *AddedTokenIndex::findNext(std::string_view text, size_t &at) const {
  for (size_t i = at; i < text.size(); ++i) {
    if (!beginsToken[static_cast<uint8_t>(text[i])]) {
      continue;
    }
    if (const AddedToken *token = longestAt(text.substr(i))) {
      at = i;
      return token;
    }
  }
  return nullptr;
}

/// Narrows the sorted tokens byte by byte to those that begin as the text does; one that ends on the way stands first.
const AddedToken *AddedTokenIndex::longestAt(std::string_view text) const {
  const AddedToken *longest = nullptr;
  auto begin = tokens.begin(), end = tokens.end();
  for (size_t depth = 0;; ++depth) {
    if (begin != end && begin->text.size() == depth) {
      longest = &*begin;
      while (begin != end && begin->text.size() == depth) {
        ++begin;
      }
    }
    if (begin == end || depth == text.size()) {
      return longest;
    }
    uint8_t wanted = static_cast<uint8_t>(text[depth]);
    begin = std::partition_point(
        begin, end, [&](const AddedToken &token) { return static_cast<uint8_t>(token.text[depth]) < wanted; });
    end = std::partition_point(
        begin, end, [&](const AddedToken &token) { return static_cast<uint8_t>(token.text[depth]) == wanted; });
  }
}

bool AddedTokenIndex::stretch(std::string_view text, const AddedToken &token, size_t done, size_t &begin, size_t &end) {
  if (token.isSingleWord) {
    bool hasWordBefore = begin > 0 && isWordCharacter(characterAt(text.substr(lastCharacter(text.substr(0, begin)))));
    bool hasWordBehind = end < text.size() && isWordCharacter(characterAt(text.substr(end)));
    if (hasWordBefore || hasWordBehind) {
      return false;
    }
  }
  while (token.stripsLeft && begin > done) {
    size_t last = lastCharacter(text.substr(0, begin));
    if (last < done || !isWhiteSpace(characterAt(text.substr(last)))) {
      break;
    }
    begin = last;
  }
  while (token.stripsRight && end < text.size() && isWhiteSpace(characterAt(text.substr(end)))) {
    end += utf8SequenceLength(text.substr(end));
  }
  return true;
}

} // namespace elah
