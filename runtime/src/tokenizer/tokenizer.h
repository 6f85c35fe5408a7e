#ifndef RUNTIME_SRC_TOKENIZER_TOKENIZER_H
#define RUNTIME_SRC_TOKENIZER_TOKENIZER_H

#include "src/status.h"
#include "src/tokenizer/pattern.h"
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace elah {

/// Byte-level BPE as tokenizer.json describes it: the tokenizers of R1, V3 and the distills. What the file asks for and
/// is not known here is an error that names it.
class Tokenizer {
public:
  static Result<std::unique_ptr<Tokenizer>> fromJson(std::string_view text);

  /// Token ids of any bytes; broken UTF-8 counts as U+FFFD. Added tokens are found anywhere in the text. Nothing is put
  /// before or behind.
  Status encode(std::string_view text, std::vector<uint32_t> &ids) const;
  /// The bytes of a token: the text of an added token, or what the byte-level token stands for. Empty if unknown.
  std::string_view bytesOf(uint32_t id) const;
  bool isSpecial(uint32_t id) const;
  /// The id of an added token or a vocabulary entry by its text.
  bool find(const std::string &token, uint32_t &id) const;

private:
  struct AddedToken {
    std::string text;
    uint32_t id;
    bool isSpecial, isNormalized, stripsLeft, stripsRight;
  };
  /// Finds added tokens: per first byte the candidates, longest first.
  using AddedIndex = std::unordered_map<char, std::vector<uint32_t>>;
  struct Split {
    Pattern pattern;
    enum Behavior { Isolated, Removed } behavior;
    bool inverted;
  };
  struct Merge {
    uint32_t rank, result;
  };

  Tokenizer() = default;
  Status readModel(const struct JsonView &model);
  Status encodePlain(std::string_view text, std::vector<uint32_t> &ids) const;
  void encodePiece(std::string_view piece, std::vector<uint32_t> &ids) const;
  Status splitPieces(std::string_view text, std::vector<std::string_view> &pieces) const;
  template <typename Emit> Status splitAdded(std::string_view text, const AddedIndex &index, Emit emit) const;

  std::unordered_map<std::string, uint32_t> vocabulary; ///< By byte string.
  std::vector<std::string> tokenBytes;                  ///< By id.
  std::unordered_map<uint64_t, Merge> merges;           ///< By the pair of ids.
  uint32_t byteTokens[256];
  std::vector<AddedToken> added;
  std::unordered_map<uint32_t, size_t> addedById;
  AddedIndex rawIndex, normalizedIndex;
  std::vector<Split> splits;
  bool normalizesToNfc = false;
  bool ignoresMerges = false;
  bool addsPrefixSpace = false;
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
