// Text to ids in the order of the Hugging Face pipeline: added tokens are cut out, the rest is normalized, split by the
// pre-tokenizers, and each piece is merged bottom up.
#include "src/tokenizer/tokenizer.h"
#include "src/tokenizer/utf8.h"
#include <algorithm>
#include <utf8proc.h>

namespace elah {

Status Tokenizer::normalize(std::string_view text, std::string &normalized) const {
  bool isAscii = std::none_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) >= 0x80; });
  if (!normalizesToNfc || isAscii) {
    normalized = text;
    return Status();
  }
  utf8proc_uint8_t *result = nullptr;
  utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &result, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (size < 0) {
    return failure(ELAH_INTERNAL, "normalization failed: %s", utf8proc_errmsg(size));
  }
  normalized.assign(reinterpret_cast<char *>(result), static_cast<size_t>(size));
  std::free(result);
  return Status();
}

Status Tokenizer::encode(std::string_view text, std::vector<uint32_t> &ids) {
  constexpr size_t longest = size_t(1) << 30;
  if (text.size() > longest) {
    return failure(ELAH_OUT_OF_RANGE, "expected a text of at most %zu bytes, found %zu", longest, text.size());
  }
  std::string repaired = repairUtf8(text), normalized;
  return rawIndex.split(repaired, [&](std::string_view part, const AddedToken *token) -> Status {
    if (token) {
      ids.push_back(token->id);
      return Status();
    }
    if (normalizesToNfc) {
      ELAH_RETURN_IF_ERROR(normalize(part, normalized));
      part = normalized;
    }
    return normalizedIndex.split(part, [&](std::string_view plain, const AddedToken *inner) -> Status {
      if (inner) {
        ids.push_back(inner->id);
        return Status();
      }
      return encodePlain(plain, ids);
    });
  });
}

/// Fills `pieces`: each split cuts what the one before has left.
Status Tokenizer::splitPieces(std::string_view text) {
  pieces = {text};
  for (const Split &split : splits) {
    nextPieces.clear();
    for (std::string_view piece : pieces) {
      matches.clear();
      ELAH_RETURN_IF_ERROR(split.pattern.findAll(piece, matches));
      // Matches and the gaps between them alternate.
      size_t done = 0;
      auto put = [&](size_t end, bool isRemoved) {
        if (end > done && !isRemoved) {
          nextPieces.push_back(piece.substr(done, end - done));
        }
        done = end;
      };
      for (auto [begin, end] : matches) {
        put(begin, split.removesGaps);
        put(end, split.removesMatches);
      }
      put(piece.size(), split.removesGaps);
    }
    pieces.swap(nextPieces);
  }
  return Status();
}

Status Tokenizer::encodePlain(std::string_view text, std::vector<uint32_t> &ids) {
  if (text.empty()) {
    return Status();
  }
  std::string prefixed;
  if (addsPrefixSpace && text[0] != ' ') {
    prefixed = " " + std::string(text);
    text = prefixed;
  }
  ELAH_RETURN_IF_ERROR(splitPieces(text));
  for (std::string_view piece : pieces) {
    model.encode(piece, ids);
  }
  return Status();
}

std::string_view Tokenizer::bytesOf(uint32_t id) const {
  auto entry = addedById.find(id);
  return entry != addedById.end() ? std::string_view(entry->second.text) : model.bytesOf(id);
}

bool Tokenizer::isSpecial(uint32_t id) const {
  auto entry = addedById.find(id);
  return entry != addedById.end() && entry->second.isSpecial;
}

bool Tokenizer::find(std::string_view token, uint32_t &id) const {
  for (const auto &[addedId, entry] : addedById) {
    if (entry.text == token) {
      id = addedId;
      return true;
    }
  }
  return model.find(token, id);
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
