// Reads tokenizer.json. The format can say far more than the R1 family uses; what is not known here is refused by its
// path in the file, since a tokenizer that is almost right gives a model that is quietly wrong.
#include "src/tokenizer/tokenizer.h"

namespace elah {
namespace {

// The pattern behind ByteLevel's use_regex (GPT-2).
constexpr char byteLevelPattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

Status unexpected(const std::string &path, const char *expected, JsonValue found) {
  return failure(ELAH_UNSUPPORTED, "tokenizer.json: %s: expected %s, found %s", path.c_str(), expected,
                 found.excerpt().c_str());
}

} // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::fromJson(std::string_view text) {
  Result<JsonDocument> document = JsonDocument::parse(std::string(text));
  if (!document.ok()) {
    return Status(document.status().code(), "tokenizer.json: " + document.status().message());
  }
  JsonValue root = document->root();
  if (!root.isObject()) {
    return failure(ELAH_INVALID_DATA, "tokenizer.json: expected a JSON object, found %s", root.excerpt().c_str());
  }
  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer());
  JsonValue normalizer = root.member("normalizer");
  if (normalizer.member("type").string() == "Sequence") {
    for (JsonValue part : normalizer.member("normalizers")) {
      ELAH_RETURN_IF_ERROR(tokenizer->readNormalizer(part));
    }
  } else {
    ELAH_RETURN_IF_ERROR(tokenizer->readNormalizer(normalizer));
  }
  JsonValue pre = root.member("pre_tokenizer");
  if (pre.member("type").string() == "Sequence") {
    size_t i = 0;
    for (JsonValue part : pre.member("pretokenizers")) {
      ELAH_RETURN_IF_ERROR(
          tokenizer->readPreTokenizer(part, "pre_tokenizer.pretokenizers[" + std::to_string(i++) + "]"));
    }
  } else {
    ELAH_RETURN_IF_ERROR(tokenizer->readPreTokenizer(pre, "pre_tokenizer"));
  }
  if (!tokenizer->hasByteLevel) {
    return unexpected("pre_tokenizer", "ByteLevel among its parts", pre);
  }
  JsonValue decoder = root.member("decoder");
  if (decoder.member("type").string() != "ByteLevel") {
    return unexpected("decoder", "ByteLevel", decoder);
  }
  ELAH_RETURN_IF_ERROR(tokenizer->model.read(root.member("model")));
  ELAH_RETURN_IF_ERROR(tokenizer->readAddedTokens(root.member("added_tokens")));
  return tokenizer;
}

Status Tokenizer::readNormalizer(JsonValue normalizer) {
  if (normalizer.isNull()) {
    return Status();
  }
  if (normalizer.member("type").string() != "NFC") {
    return unexpected("normalizer", "null, a Sequence or NFC", normalizer);
  }
  normalizesToNfc = true;
  return Status();
}

Status Tokenizer::readPreTokenizer(JsonValue part, const std::string &path) {
  std::string_view type = part.member("type").string();
  if (hasByteLevel) {
    return unexpected(path, "nothing behind ByteLevel", part);
  }
  if (type == "ByteLevel") {
    hasByteLevel = true;
    addsPrefixSpace = part.member("add_prefix_space").boolean(true);
    if (addsPrefixSpace && !splits.empty()) {
      return unexpected(path + ".add_prefix_space", "false behind a Split", part.member("add_prefix_space"));
    }
    if (part.member("use_regex").boolean(true)) {
      Result<Pattern> pattern = Pattern::compile(byteLevelPattern);
      if (!pattern.ok()) {
        return pattern.status();
      }
      splits.push_back({*pattern, false, false});
    }
    return Status();
  }
  if (type != "Split") {
    return unexpected(path, "a Split or ByteLevel", part);
  }
  std::string_view behavior = part.member("behavior").string();
  if (behavior != "Isolated" && behavior != "Removed") {
    return unexpected(path + ".behavior", "Isolated or Removed", part.member("behavior"));
  }
  JsonValue pattern = part.member("pattern"), regex = pattern.member("Regex"), literal = pattern.member("String");
  if (!regex.isString() && !literal.isString()) {
    return unexpected(path + ".pattern", "a Regex or a String", pattern);
  }
  Result<Pattern> compiled = regex.isString() ? Pattern::compile(std::string(regex.string()))
                                              : Pattern::literal(std::string(literal.string()));
  if (!compiled.ok()) {
    return Status(compiled.status().code(), "tokenizer.json: " + path + ": " + compiled.status().message());
  }
  bool removes = behavior == "Removed", inverted = part.member("invert").boolean(false);
  splits.push_back({*compiled, removes && !inverted, removes && inverted});
  return Status();
}

Status Tokenizer::readAddedTokens(JsonValue list) {
  if (!list.isNull() && !list.isArray()) {
    return unexpected("added_tokens", "a list", list);
  }
  size_t i = 0;
  for (JsonValue token : list) {
    std::string path = "added_tokens[" + std::to_string(i++) + "]";
    std::optional<uint64_t> id = token.member("id").unsignedInteger();
    if (!id || *id > UINT32_MAX) {
      return unexpected(path + ".id", "a token id", token.member("id"));
    }
    if (token.member("content").string().empty()) {
      return unexpected(path + ".content", "a text", token.member("content"));
    }
    AddedToken entry = {std::string(token.member("content").string()), static_cast<uint32_t>(*id),
                        token.member("special").boolean(false),        token.member("normalized").boolean(true),
                        token.member("single_word").boolean(false),    token.member("lstrip").boolean(false),
                        token.member("rstrip").boolean(false)};
    addedById[entry.id] = entry;
    if (entry.isNormalized) {
      // It is looked for in normalized text.
      std::string normalized;
      ELAH_RETURN_IF_ERROR(normalize(entry.text, normalized));
      entry.text = normalized;
    }
    (entry.isNormalized ? normalizedIndex : rawIndex).add(entry);
  }
  rawIndex.sort();
  normalizedIndex.sort();
  return Status();
}

} // namespace elah
