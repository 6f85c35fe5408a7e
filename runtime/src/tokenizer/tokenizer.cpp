// Text to ids in the order of the Hugging Face pipeline: added tokens are cut out, the rest is normalized, split by the
// pre-tokenizers, and each piece is merged bottom up (Sennrich et al. 2016) over bytes.
#include "src/tokenizer/tokenizer.h"
#include "src/tokenizer/json.h"
#include "src/tokenizer/utf8.h"
#include <algorithm>
#include <queue>
#include <utf8proc.h>

namespace elah {

/// Lets the header name JSON without including it.
struct JsonView {
  const Json &value;
};

namespace {

// The pattern behind ByteLevel's use_regex (GPT-2).
constexpr char byteLevelPattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// GPT-2's printable stand-in for each byte: itself for printable Latin-1, else the next character from U+0100 on.
const std::vector<uint32_t> &byteCharacters() {
  static const std::vector<uint32_t> table = [] {
    std::vector<uint32_t> result(256);
    uint32_t spare = 256;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      bool isPrintable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
      result[byte] = isPrintable ? byte : spare++;
    }
    return result;
  }();
  return table;
}

/// The bytes that a vocabulary entry stands for; false if it has a character that stands for none.
bool decodeByteLevel(std::string_view token, std::string &bytes) {
  static const std::vector<int> byteOf = [] {
    std::vector<int> result(512, -1);
    for (uint32_t byte = 0; byte < 256; ++byte) {
      result[byteCharacters()[byte]] = static_cast<int>(byte);
    }
    return result;
  }();
  bytes.clear();
  while (!token.empty()) {
    size_t length = utf8SequenceLength(token);
    if (length == 0 || length > 2) {
      return false;
    }
    uint32_t character = static_cast<uint8_t>(token[0]);
    if (length == 2) {
      character = (character & 0x1f) << 6 | (static_cast<uint8_t>(token[1]) & 0x3f);
    }
    if (character >= byteOf.size() || byteOf[character] < 0) {
      return false;
    }
    bytes += static_cast<char>(byteOf[character]);
    token.remove_prefix(length);
  }
  return true;
}

bool isWhiteSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

Status unknown(const std::string &path, const std::string &expected, const Json &found) {
  std::string text = found.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80);
  return failure(ELAH_UNSUPPORTED, "tokenizer.json: %s: expected %s, found %s", path.c_str(), expected.c_str(),
                 text.c_str());
}

} // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::fromJson(std::string_view text) {
  Json document = parseJson(text);
  if (!document.is_object()) {
    return failure(ELAH_INVALID_DATA, "tokenizer.json: expected a JSON object");
  }
  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer());

  // Normalizers: none, or NFC.
  auto readNormalizer = [&](const Json &normalizer) -> Status {
    std::string type = stringOr(member(normalizer, "type"), "");
    if (normalizer.is_null()) {
      return Status();
    }
    if (type == "NFC") {
      tokenizer->normalizesToNfc = true;
      return Status();
    }
    return unknown("normalizer", "null, a Sequence or NFC", normalizer);
  };
  const Json &normalizer = member(document, "normalizer");
  if (stringOr(member(normalizer, "type"), "") == "Sequence") {
    for (const Json &part : member(normalizer, "normalizers")) {
      ELAH_RETURN_IF_ERROR(readNormalizer(part));
    }
  } else {
    ELAH_RETURN_IF_ERROR(readNormalizer(normalizer));
  }

  // Pre-tokenizers: splits by pattern, and ByteLevel at the end.
  bool hasByteLevel = false;
  auto readPreTokenizer = [&](const Json &part, const std::string &path) -> Status {
    std::string type = stringOr(member(part, "type"), "");
    if (type == "ByteLevel") {
      hasByteLevel = true;
      tokenizer->addsPrefixSpace = booleanOr(member(part, "add_prefix_space"), true);
      if (booleanOr(member(part, "use_regex"), true)) {
        Result<Pattern> pattern = Pattern::compile(byteLevelPattern);
        if (!pattern.ok()) {
          return pattern.status();
        }
        tokenizer->splits.push_back({*pattern, Split::Isolated, false});
      }
      return Status();
    }
    if (type != "Split") {
      return unknown(path, "a Split or ByteLevel", part);
    }
    const Json &pattern = member(part, "pattern");
    std::string behavior = stringOr(member(part, "behavior"), "");
    if (behavior != "Isolated" && behavior != "Removed") {
      return unknown(path + ".behavior", "Isolated or Removed", member(part, "behavior"));
    }
    if (!member(pattern, "Regex").is_string() && !member(pattern, "String").is_string()) {
      return unknown(path + ".pattern", "a Regex or a String", pattern);
    }
    Result<Pattern> compiled = member(pattern, "Regex").is_string()
                                   ? Pattern::compile(member(pattern, "Regex").get<std::string>())
                                   : Pattern::literal(member(pattern, "String").get<std::string>());
    if (!compiled.ok()) {
      return compiled.status();
    }
    bool inverted = booleanOr(member(part, "invert"), false);
    tokenizer->splits.push_back({*compiled, behavior == "Isolated" ? Split::Isolated : Split::Removed, inverted});
    return Status();
  };
  const Json &pre = member(document, "pre_tokenizer");
  if (stringOr(member(pre, "type"), "") == "Sequence") {
    const Json &parts = member(pre, "pretokenizers");
    for (size_t i = 0; i < parts.size(); ++i) {
      ELAH_RETURN_IF_ERROR(readPreTokenizer(parts.at(i), "pre_tokenizer.pretokenizers[" + std::to_string(i) + "]"));
    }
  } else {
    ELAH_RETURN_IF_ERROR(readPreTokenizer(pre, "pre_tokenizer"));
  }
  if (!hasByteLevel) {
    return unknown("pre_tokenizer", "ByteLevel among its parts", pre);
  }
  const Json &decoder = member(document, "decoder");
  if (stringOr(member(decoder, "type"), "") != "ByteLevel") {
    return unknown("decoder", "ByteLevel", decoder);
  }

  ELAH_RETURN_IF_ERROR(tokenizer->readModel({member(document, "model")}));

  const Json &addedTokens = member(document, "added_tokens");
  if (!addedTokens.is_null() && !addedTokens.is_array()) {
    return unknown("added_tokens", "a list", addedTokens);
  }
  for (const Json &token : addedTokens) {
    const Json &id = member(token, "id"), &content = member(token, "content");
    if (!id.is_number_unsigned() || id.get<uint64_t>() > (1u << 24) || !content.is_string() ||
        content.get_ref<const std::string &>().empty()) {
      return unknown("added_tokens", "objects with an id and a content", token);
    }
    if (booleanOr(member(token, "single_word"), false)) {
      return unknown("added_tokens.single_word", "false", token);
    }
    AddedToken entry = {content.get<std::string>(),
                        id.get<uint32_t>(),
                        booleanOr(member(token, "special"), false),
                        booleanOr(member(token, "normalized"), true),
                        booleanOr(member(token, "lstrip"), false),
                        booleanOr(member(token, "rstrip"), false)};
    AddedIndex &index = entry.isNormalized ? tokenizer->normalizedIndex : tokenizer->rawIndex;
    index[entry.text[0]].push_back(static_cast<uint32_t>(tokenizer->added.size()));
    tokenizer->addedById[entry.id] = tokenizer->added.size();
    tokenizer->added.push_back(std::move(entry));
  }
  for (AddedIndex *index : {&tokenizer->rawIndex, &tokenizer->normalizedIndex}) {
    for (auto &[first, candidates] : *index) {
      std::sort(candidates.begin(), candidates.end(), [&](uint32_t a, uint32_t b) {
        size_t sizeA = tokenizer->added[a].text.size(), sizeB = tokenizer->added[b].text.size();
        return sizeA != sizeB ? sizeA > sizeB : a < b;
      });
    }
  }
  return tokenizer;
}

Status Tokenizer::readModel(const JsonView &view) {
  const Json &model = view.value;
  std::string type = stringOr(member(model, "type"), "BPE");
  const Json &vocab = member(model, "vocab"), &mergeList = member(model, "merges");
  if (!model.is_object() || type != "BPE") {
    return unknown("model.type", "BPE", member(model, "type"));
  }
  if (booleanOr(member(model, "byte_fallback"), false)) {
    return unknown("model.byte_fallback", "false", member(model, "byte_fallback"));
  }
  if (!vocab.is_object() || !mergeList.is_array()) {
    return failure(ELAH_INVALID_DATA, "tokenizer.json: model: expected an object 'vocab' and a list 'merges'");
  }
  ignoresMerges = booleanOr(member(model, "ignore_merges"), false);
  vocabulary.reserve(vocab.size());
  std::unordered_map<std::string, uint32_t> byText;
  byText.reserve(vocab.size());
  std::string bytes;
  for (auto entry = vocab.begin(); entry != vocab.end(); ++entry) {
    if (!entry->is_number_unsigned() || entry->get<uint64_t>() > (1u << 24)) {
      return unknown("model.vocab['" + entry.key() + "']", "a token id", *entry);
    }
    uint32_t id = entry->get<uint32_t>();
    if (id >= tokenBytes.size()) {
      tokenBytes.resize(id + 1);
    }
    byText.emplace(entry.key(), id);
    if (decodeByteLevel(entry.key(), bytes)) { // Added tokens may stand in the vocabulary, too, as plain text.
      tokenBytes[id] = bytes;
      vocabulary.emplace(bytes, id);
    }
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    auto found = vocabulary.find(std::string(1, static_cast<char>(byte)));
    if (found == vocabulary.end()) {
      return failure(ELAH_INVALID_DATA, "tokenizer.json: model.vocab: the token of byte %u is missing", byte);
    }
    byteTokens[byte] = found->second;
  }
  merges.reserve(mergeList.size());
  uint32_t rank = 0;
  std::string left, right;
  for (const Json &merge : mergeList) {
    if (merge.is_string()) {
      const std::string &pair = merge.get_ref<const std::string &>();
      size_t space = pair.find(' ');
      left = pair.substr(0, space);
      right = space == std::string::npos ? "" : pair.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge.at(0).is_string() && merge.at(1).is_string()) {
      left = merge.at(0).get<std::string>();
      right = merge.at(1).get<std::string>();
    } else {
      return unknown("model.merges[" + std::to_string(rank) + "]", "two tokens", merge);
    }
    auto first = byText.find(left), second = byText.find(right), whole = byText.find(left + right);
    if (first == byText.end() || second == byText.end() || whole == byText.end()) {
      return unknown("model.merges[" + std::to_string(rank) + "]", "two tokens whose union is one", merge);
    }
    merges.try_emplace(uint64_t(first->second) << 32 | second->second, Merge{rank, whole->second});
    ++rank;
  }
  return Status();
}

template <typename Emit>
Status Tokenizer::splitAdded(std::string_view text, const AddedIndex &index, Emit emit) const {
  size_t begin = 0;
  for (size_t i = 0; i < text.size();) {
    const AddedToken *match = nullptr;
    auto candidates = index.find(text[i]);
    if (candidates != index.end()) {
      for (uint32_t candidate : candidates->second) {
        if (text.substr(i).starts_with(added[candidate].text)) {
          match = &added[candidate];
          break;
        }
      }
    }
    if (!match) {
      ++i;
      continue;
    }
    size_t end = i;
    while (match->stripsLeft && end > begin && isWhiteSpace(text[end - 1])) {
      --end;
    }
    ELAH_RETURN_IF_ERROR(emit(text.substr(begin, end - begin), nullptr));
    ELAH_RETURN_IF_ERROR(emit({}, match));
    i += match->text.size();
    while (match->stripsRight && i < text.size() && isWhiteSpace(text[i])) {
      ++i;
    }
    begin = i;
  }
  return emit(text.substr(begin), nullptr);
}

Status Tokenizer::encode(std::string_view text, std::vector<uint32_t> &ids) const {
  std::string repaired = repairUtf8(text);
  return splitAdded(repaired, rawIndex, [&](std::string_view part, const AddedToken *token) -> Status {
    if (token) {
      ids.push_back(token->id);
      return Status();
    }
    std::string normalized;
    if (normalizesToNfc && !part.empty()) {
      utf8proc_uint8_t *result = nullptr;
      utf8proc_ssize_t size =
          utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(part.data()),
                       static_cast<utf8proc_ssize_t>(part.size()), &result,
                       static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
      if (size < 0) {
        return failure(ELAH_INTERNAL, "normalization failed: %s", utf8proc_errmsg(size));
      }
      normalized.assign(reinterpret_cast<char *>(result), static_cast<size_t>(size));
      std::free(result);
      part = normalized;
    }
    return splitAdded(part, normalizedIndex, [&](std::string_view plain, const AddedToken *inner) -> Status {
      if (inner) {
        ids.push_back(inner->id);
        return Status();
      }
      return encodePlain(plain, ids);
    });
  });
}

Status Tokenizer::splitPieces(std::string_view text, std::vector<std::string_view> &pieces) const {
  pieces = {text};
  std::vector<std::string_view> next;
  std::vector<std::pair<size_t, size_t>> matches;
  for (const Split &split : splits) {
    next.clear();
    for (std::string_view piece : pieces) {
      matches.clear();
      ELAH_RETURN_IF_ERROR(split.pattern.findAll(piece, matches));
      // Matches and the gaps between them alternate; `removed` ones are left out.
      auto put = [&](size_t begin, size_t end, bool isMatch) {
        bool isDropped = split.behavior == Split::Removed && isMatch != split.inverted;
        if (end > begin && !isDropped) {
          next.push_back(piece.substr(begin, end - begin));
        }
      };
      size_t done = 0;
      for (auto [begin, end] : matches) {
        put(done, begin, false);
        put(begin, end, true);
        done = end;
      }
      put(done, piece.size(), false);
    }
    pieces.swap(next);
  }
  return Status();
}

Status Tokenizer::encodePlain(std::string_view text, std::vector<uint32_t> &ids) const {
  if (text.empty()) {
    return Status();
  }
  std::string prefixed;
  if (addsPrefixSpace && !isWhiteSpace(text[0])) {
    prefixed = " " + std::string(text);
    text = prefixed;
  }
  std::vector<std::string_view> pieces;
  ELAH_RETURN_IF_ERROR(splitPieces(text, pieces));
  for (std::string_view piece : pieces) {
    encodePiece(piece, ids);
  }
  return Status();
}

void Tokenizer::encodePiece(std::string_view piece, std::vector<uint32_t> &ids) const {
  if (ignoresMerges) {
    auto whole = vocabulary.find(std::string(piece));
    if (whole != vocabulary.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  // Symbols form a doubly linked list; a heap holds the possible merges, best first. An entry is stale when a symbol of
  // its pair has changed since.
  struct Symbol {
    uint32_t id;
    int previous, next;
  };
  struct Candidate {
    uint32_t rank;
    int left;
    uint64_t pair;
    bool operator<(const Candidate &other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  int count = static_cast<int>(piece.size());
  std::vector<Symbol> symbols(piece.size());
  for (int i = 0; i < count; ++i) {
    symbols[i] = {byteTokens[static_cast<uint8_t>(piece[i])], i - 1, i + 1 < count ? i + 1 : -1};
  }
  std::priority_queue<Candidate> candidates;
  auto consider = [&](int left) {
    if (left < 0 || symbols[left].next < 0) {
      return;
    }
    uint64_t pair = uint64_t(symbols[left].id) << 32 | symbols[symbols[left].next].id;
    auto merge = merges.find(pair);
    if (merge != merges.end()) {
      candidates.push({merge->second.rank, left, pair});
    }
  };
  for (int i = 0; i + 1 < count; ++i) {
    consider(i);
  }
  constexpr uint32_t gone = UINT32_MAX;
  while (!candidates.empty()) {
    Candidate best = candidates.top();
    candidates.pop();
    Symbol &left = symbols[best.left];
    if (left.id == gone || left.next < 0 || (uint64_t(left.id) << 32 | symbols[left.next].id) != best.pair) {
      continue;
    }
    Symbol &right = symbols[left.next];
    left.id = merges.find(best.pair)->second.result;
    left.next = right.next;
    right.id = gone;
    if (left.next >= 0) {
      symbols[left.next].previous = best.left;
    }
    consider(left.previous);
    consider(best.left);
  }
  for (int i = 0; i >= 0 && i < count; i = symbols[i].next) {
    ids.push_back(symbols[i].id);
  }
}

std::string_view Tokenizer::bytesOf(uint32_t id) const {
  auto entry = addedById.find(id);
  if (entry != addedById.end()) {
    return added[entry->second].text;
  }
  return id < tokenBytes.size() ? std::string_view(tokenBytes[id]) : std::string_view();
}

bool Tokenizer::isSpecial(uint32_t id) const {
  auto entry = addedById.find(id);
  return entry != addedById.end() && added[entry->second].isSpecial;
}

bool Tokenizer::find(const std::string &token, uint32_t &id) const {
  for (const AddedToken &entry : added) {
    if (entry.text == token) {
      id = entry.id;
      return true;
    }
  }
  auto entry = vocabulary.find(token);
  if (entry == vocabulary.end()) {
    return false;
  }
  id = entry->second;
  return true;
}

std::string Detokenizer::add(uint32_t id) {
  if (tokenizer.isSpecial(id) && !keepSpecial) {
    return {};
  }
  pending += tokenizer.bytesOf(id);
  // Everything up to the last possible beginning of an incomplete character is settled.
  size_t complete = 0;
  std::string_view rest = pending;
  while (!rest.empty()) {
    bool incomplete;
    size_t length = utf8SequenceLength(rest, &incomplete);
    if (length == 0 && incomplete) {
      break;
    }
    length = std::max<size_t>(length, 1);
    complete += length;
    rest.remove_prefix(length);
  }
  std::string text = repairUtf8(std::string_view(pending).substr(0, complete));
  pending.erase(0, complete);
  return text;
}

std::string Detokenizer::finish() {
  std::string text = repairUtf8(pending);
  pending.clear();
  return text;
}

} // namespace elah
