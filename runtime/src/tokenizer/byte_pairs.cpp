#include "src/tokenizer/byte_pairs.h"
#include "src/tokenizer/utf8.h"
#include <array>
#include <bit>
#include <cstring>
#include <queue>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace elah {
namespace {

// Far above any vocabulary (R1: 129,280), and small enough that a hostile id costs little memory.
constexpr uint64_t largestId = (1u << 22) - 1;
constexpr size_t rememberedPieces = 1 << 14;

/// GPT-2's printable stand-in for each byte: itself for printable Latin-1, else the next character from U+0100 on. Here
/// the other way around: the byte of a character, or -1.
constexpr std::array<int16_t, 512> byteOfCharacter = [] {
  std::array<int16_t, 512> result = {};
  for (int16_t &byte : result) {
    byte = -1;
  }
  int spare = 256;
  for (int byte = 0; byte < 256; ++byte) {
    bool isPrintable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    result[isPrintable ? byte : spare++] = static_cast<int16_t>(byte);
  }
  return result;
}();

/// Appends the bytes that a vocabulary entry stands for; false, and nothing appended, if a character stands for none.
bool decodeByteLevel(std::string_view token, std::string &bytes) {
  size_t before = bytes.size();
  for (size_t i = 0; i < token.size(); ++i) {
    uint32_t character = static_cast<uint8_t>(token[i]);
    if (character >= 0x80) {
      bool isTwoBytes = (character & 0xe0) == 0xc0 && i + 1 < token.size();
      character = isTwoBytes ? (character & 0x1f) << 6 | (static_cast<uint8_t>(token[++i]) & 0x3f) : 511;
    }
    if (character >= byteOfCharacter.size() || byteOfCharacter[character] < 0) {
      bytes.resize(before);
      return false;
    }
    bytes += static_cast<char>(byteOfCharacter[character]);
  }
  return true;
}

uint64_t hashOf(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t hashOf(uint64_t pair) { return (pair * 0x9e3779b97f4a7c15u) >> 20; }

/// Slots of a table for `count` entries: a power of two, at most half full.
size_t tableSize(size_t count) { return std::bit_ceil(std::max<size_t>(2 * count, 16)); }

} // namespace

Status BytePairs::read(JsonValue model) {
  if (!model.isObject() || model.member("type").string("BPE") != "BPE") {
    return failure(ELAH_UNSUPPORTED, "tokenizer.json: model.type: expected BPE, found %s",
                   model.member("type").excerpt().c_str());
  }
  if (model.member("byte_fallback").boolean(false)) {
    return failure(ELAH_UNSUPPORTED, "tokenizer.json: model.byte_fallback: expected false, found true");
  }
  for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.member(key).string().empty()) {
      return failure(ELAH_UNSUPPORTED, "tokenizer.json: model.%s: expected none, found %s", key,
                     model.member(key).excerpt().c_str());
    }
  }
  ignoresMerges = model.member("ignore_merges").boolean(false);
  ELAH_RETURN_IF_ERROR(readVocabulary(model.member("vocab")));
  ELAH_RETURN_IF_ERROR(readMerges(model.member("merges")));
  remembered.resize(rememberedPieces);
  return Status();
}

Status BytePairs::readVocabulary(JsonValue vocab) {
  if (!vocab.isObject()) {
    return failure(ELAH_INVALID_DATA, "tokenizer.json: model.vocab: expected an object, found %s",
                   vocab.excerpt().c_str());
  }
  idsByBytes.assign(tableSize(vocab.size()), 0);
  places.reserve(vocab.size());
  bytes.reserve(8 * vocab.size());
  for (JsonValue::Iterator entry = vocab.begin(); entry != vocab.end(); ++entry) {
    std::optional<uint64_t> id = (*entry).unsignedInteger();
    if (!id || *id > largestId) {
      return failure(ELAH_INVALID_DATA, "tokenizer.json: model.vocab['%.100s']: expected a token id, found %s",
                     std::string(entry.key()).c_str(), (*entry).excerpt().c_str());
    }
    size_t begin = bytes.size();
    // An added token may stand in the vocabulary as plain text; it has no bytes there.
    if (!decodeByteLevel(entry.key(), bytes) || bytes.size() == begin) {
      continue;
    }
    if (*id >= places.size()) {
      places.resize(*id + 1);
    }
    places[*id] = {static_cast<uint32_t>(begin), static_cast<uint32_t>(bytes.size() - begin)};
    *slotOf(bytesOf(static_cast<uint32_t>(*id))) = static_cast<uint32_t>(*id) + 1;
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    char text = static_cast<char>(byte);
    if (!find({&text, 1}, byteTokens[byte])) {
      return failure(ELAH_INVALID_DATA, "tokenizer.json: model.vocab: the token of byte 0x%02x is missing", byte);
    }
  }
  return Status();
}

Status BytePairs::readMerges(JsonValue list) {
  if (!list.isArray()) {
    return failure(ELAH_INVALID_DATA, "tokenizer.json: model.merges: expected a list, found %s",
                   list.excerpt().c_str());
  }
  merges.assign(tableSize(list.size()), Merge());
  uint32_t rank = 0;
  std::string whole;
  for (JsonValue entry : list) {
    // "left right", or ["left", "right"].
    std::string_view left = entry.string(), right;
    size_t space = left.find(' ');
    if (space != std::string_view::npos) {
      right = left.substr(space + 1);
      left = left.substr(0, space);
    } else if (entry.size() == 2) {
      left = entry.item(0).string();
      right = entry.item(1).string();
    }
    whole.clear();
    uint32_t leftId, rightId, result;
    bool isValid = decodeByteLevel(left, whole);
    size_t middle = whole.size();
    isValid = isValid && decodeByteLevel(right, whole) && find(std::string_view(whole).substr(0, middle), leftId) &&
              find(std::string_view(whole).substr(middle), rightId) && find(whole, result);
    if (!isValid) {
      return failure(ELAH_INVALID_DATA,
                     "tokenizer.json: model.merges[%u]: expected two tokens whose union is a token, found %s", rank,
                     entry.excerpt().c_str());
    }
    uint64_t pair = uint64_t(leftId) << 32 | rightId, mask = merges.size() - 1, slot = hashOf(pair) & mask;
    while (merges[slot].pair != ~uint64_t(0) && merges[slot].pair != pair) {
      slot = (slot + 1) & mask;
    }
    merges[slot] = {pair, rank++, result}; // Of equal pairs the last counts.
  }
  return Status();
}

/// Where the id of `wanted` stands or belongs.
uint32_t *BytePairs::slotOf(std::string_view wanted) {
  uint64_t mask = idsByBytes.size() - 1, slot = hashOf(wanted) & mask;
  while (idsByBytes[slot] != 0 && bytesOf(idsByBytes[slot] - 1) != wanted) {
    slot = (slot + 1) & mask;
  }
  return &idsByBytes[slot];
}

bool BytePairs::find(std::string_view wanted, uint32_t &id) const {
  uint32_t found = *const_cast<BytePairs *>(this)->slotOf(wanted);
  if (found == 0) {
    return false;
  }
  id = found - 1;
  return true;
}

std::string_view BytePairs::bytesOf(uint32_t id) const {
  return id < places.size() ? std::string_view(bytes).substr(places[id].begin, places[id].size) : std::string_view();
}

const BytePairs::Merge *BytePairs::findMerge(uint32_t left, uint32_t right) const {
  uint64_t pair = uint64_t(left) << 32 | right, mask = merges.size() - 1, slot = hashOf(pair) & mask;
  while (merges[slot].pair != pair) {
    if (merges[slot].pair == ~uint64_t(0)) {
      return nullptr;
    }
    slot = (slot + 1) & mask;
  }
  return &merges[slot];
}

void BytePairs::encode(std::string_view piece, std::vector<uint32_t> &ids) {
  if (piece.empty()) {
    return;
  }
  if (ignoresMerges) {
    if (uint32_t whole; find(piece, whole)) {
      ids.push_back(whole);
      return;
    }
  }
  if (piece.size() > Remembered::longestPiece) {
    mergeLong(piece, ids);
    return;
  }
  Remembered &last = remembered[hashOf(piece) & (rememberedPieces - 1)];
  if (last.size == piece.size() && std::memcmp(last.piece, piece.data(), piece.size()) == 0) {
    ids.insert(ids.end(), last.ids, last.ids + last.count);
    return;
  }
  size_t before = ids.size();
  mergeShort(piece, ids);
  size_t count = ids.size() - before;
  if (count <= Remembered::mostIds) {
    last.size = static_cast<uint8_t>(piece.size());
    last.count = static_cast<uint8_t>(count);
    std::memcpy(last.piece, piece.data(), piece.size());
    std::copy(ids.begin() + static_cast<ptrdiff_t>(before), ids.end(), last.ids);
  }
}

/// Merges the best pair, looks at the pairs beside it again, and so on: of some ten symbols, looking at all for the
/// best is faster than keeping order.
void BytePairs::mergeShort(std::string_view piece, std::vector<uint32_t> &ids) const {
  constexpr size_t most = Remembered::longestPiece;
  uint32_t symbols[most];
  const Merge *pairs[most]; // Of symbol i and i + 1.
  size_t count = piece.size();
  for (size_t i = 0; i < count; ++i) {
    symbols[i] = byteTokens[static_cast<uint8_t>(piece[i])];
  }
  for (size_t i = 0; i + 1 < count; ++i) {
    pairs[i] = findMerge(symbols[i], symbols[i + 1]);
  }
  while (true) {
    size_t best = count;
    for (size_t i = 0; i + 1 < count; ++i) {
      if (pairs[i] && (best == count || pairs[i]->rank < pairs[best]->rank)) {
        best = i;
      }
    }
    if (best == count) {
      break;
    }
    symbols[best] = pairs[best]->result;
    --count;
    for (size_t i = best + 1; i < count; ++i) {
      symbols[i] = symbols[i + 1];
      pairs[i] = i + 1 < count ? pairs[i + 1] : nullptr;
    }
    if (best > 0) {
      pairs[best - 1] = findMerge(symbols[best - 1], symbols[best]);
    }
    if (best + 1 < count) {
      pairs[best] = findMerge(symbols[best], symbols[best + 1]);
    }
  }
  ids.insert(ids.end(), symbols, symbols + count);
}

/// The same for pieces of any length: symbols form a doubly linked list; a heap holds the possible merges, best first.
/// An entry is stale when a symbol of its pair has changed since.
void BytePairs::mergeLong(std::string_view piece, std::vector<uint32_t> &ids) const {
  constexpr uint32_t gone = UINT32_MAX, none = UINT32_MAX;
  struct Symbol {
    uint32_t id, previous, next;
  };
  struct Candidate {
    const Merge *merge;
    uint32_t left;
    bool operator<(const Candidate &other) const {
      return merge->rank != other.merge->rank ? merge->rank > other.merge->rank : left > other.left;
    }
  };
  uint32_t count = static_cast<uint32_t>(piece.size());
  std::vector<Symbol> symbols(count);
  for (uint32_t i = 0; i < count; ++i) {
    symbols[i] = {byteTokens[static_cast<uint8_t>(piece[i])], i > 0 ? i - 1 : none, i + 1 < count ? i + 1 : none};
  }
  std::priority_queue<Candidate> candidates;
  auto consider = [&](uint32_t left) {
    if (left == none || symbols[left].next == none) {
      return;
    }
    if (const Merge *merge = findMerge(symbols[left].id, symbols[symbols[left].next].id)) {
      candidates.push({merge, left});
    }
  };
  for (uint32_t i = 0; i + 1 < count; ++i) {
    consider(i);
  }
  while (!candidates.empty()) {
    Candidate best = candidates.top();
    candidates.pop();
    Symbol &left = symbols[best.left];
    if (left.id == gone || left.next == none || (uint64_t(left.id) << 32 | symbols[left.next].id) != best.merge->pair) {
      continue;
    }
    Symbol &right = symbols[left.next];
    left.id = best.merge->result;
    left.next = right.next;
    right.id = gone;
    if (left.next != none) {
      symbols[left.next].previous = best.left;
    }
    consider(left.previous);
    consider(best.left);
  }
  for (uint32_t i = 0; i != none; i = symbols[i].next) {
    ids.push_back(symbols[i].id);
  }
}

} // namespace elah
