#ifndef RUNTIME_SRC_TOKENIZER_BYTE_PAIRS_H
#define RUNTIME_SRC_TOKENIZER_BYTE_PAIRS_H

#include "src/json.h"
#include <string>
#include <string_view>
#include <vector>

namespace elah {

/// Byte-pair encoding (Sennrich et al. 2016) over bytes: pieces of text to token ids, bottom up. An open addressing
/// table of ids stands for the vocabulary and one of pairs for the merges; both are read at every start.
class BytePairs {
public:
  /// The member `model` of a tokenizer.json.
  Status read(JsonValue model);

  /// Appends the ids of one piece.
  void encode(std::string_view piece, std::vector<uint32_t> &ids);
  /// The bytes that a token stands for; empty if there are none.
  std::string_view bytesOf(uint32_t id) const;
  /// Whether the vocabulary has `bytes`, and as which id.
  bool find(std::string_view bytes, uint32_t &id) const;

private:
  struct Place {
    uint32_t begin = 0, size = 0;
  };
  struct Merge {
    uint64_t pair = ~uint64_t(0); ///< left id << 32 | right id
    uint32_t rank = 0, result = 0;
  };
  /// What a short piece became last time; ordinary text is made of few pieces.
  struct Remembered {
    static constexpr size_t longestPiece = 26, mostIds = 8;
    uint8_t size = 0, count = 0;
    char piece[longestPiece];
    uint32_t ids[mostIds];
  };

  Status readVocabulary(JsonValue vocab);
  Status readMerges(JsonValue list);
  uint32_t *slotOf(std::string_view bytes);
  const Merge *findMerge(uint32_t left, uint32_t right) const;
  void mergeShort(std::string_view piece, std::vector<uint32_t> &ids) const;
  void mergeLong(std::string_view piece, std::vector<uint32_t> &ids) const;

  std::string bytes;                  ///< Of all tokens, one behind the other.
  std::vector<Place> places;          ///< By id.
  std::vector<uint32_t> idsByBytes;   ///< Hash table: id + 1, or 0.
  std::vector<Merge> merges;          ///< Hash table.
  std::vector<Remembered> remembered; ///< By hash of the piece.
  uint32_t byteTokens[256];
  bool ignoresMerges = false;
};

} // namespace elah

#endif
