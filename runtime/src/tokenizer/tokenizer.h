#ifndef RUNTIME_SRC_TOKENIZER_TOKENIZER_H
#define RUNTIME_SRC_TOKENIZER_TOKENIZER_H

#include "src/tokenizer/added_tokens.h"
#include "src/tokenizer/byte_pairs.h"
#include "src/tokenizer/pattern.h"
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace elah {

/// Byte-level BPE as tokenizer.json describes it: the tokenizers of R1, V3 and the distills. What the file asks for and
/// is not known here is an error that names it. To be used by one thread at a time.
class Tokenizer {
public:
  static Result<std::unique_ptr<Tokenizer>> fromJson(std::string_view text);

  /// Token ids of any bytes; broken UTF-8 counts as U+FFFD. Added tokens are found anywhere in the text. Nothing is put
  /// before or behind.
  Status encode(std::string_view text, std::vector<uint32_t> &ids);
  /// The bytes of a token: the text of an added token, or what the byte-level token stands for. Empty if unknown.
  std::string_view bytesOf(uint32_t id) const;
  bool isSpecial(uint32_t id) const;
  /// The id of an added token or a vocabulary entry by its text.
  bool find(std::string_view token, uint32_t &id) const;

private:
  struct Split {
    Pattern pattern;
    bool removesMatches, removesGaps;
  };

  Tokenizer() = default;
  Status readNormalizer(JsonValue normalizer);
  Status readPreTokenizer(JsonValue part, const std::string &path);
  Status readAddedTokens(JsonValue list);
  Status normalize(std::string_view text, std::string &normalized) const;
  Status encodePlain(std::string_view text, std::vector<uint32_t> &ids);
  Status splitPieces(std::string_view text);

  BytePairs model;
  std::unordered_map<uint32_t, AddedToken> addedById;
  AddedTokenIndex rawIndex, normalizedIndex;
  std::vector<Split> splits;
  bool normalizesToNfc = false;
  bool hasByteLevel = false;
  bool addsPrefixSpace = false;
  // Of the text at hand, kept for their memory.
  std::vector<std::string_view> pieces, nextPieces;
  std::vector<std::pair<size_t, size_t>> matches;
};

/// Text from tokens as they come: bytes are held back until a character is complete.
class Detokenizer {
public:
  Detokenizer(const Tokenizer &tokenizer, bool keepSpecial) : tokenizer(tokenizer), keepSpecial(keepSpecial) {}
  /// The text that `id` completes.
  std::string add(uint32_t id);
  /// What is left, broken parts as U+FFFD.
  std::string finish();

private:
  const Tokenizer &tokenizer;
  bool keepSpecial;
  std::string pending;
};

} // namespace elah

#endif
