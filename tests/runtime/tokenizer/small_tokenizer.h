#ifndef TESTS_RUNTIME_TOKENIZER_SMALL_TOKENIZER_H
#define TESTS_RUNTIME_TOKENIZER_SMALL_TOKENIZER_H

#include "src/json.h"
#include "src/tokenizer/tokenizer.h"
#include "src/tokenizer/utf8.h"
#include <string>
#include <string_view>
#include <vector>

/// A tokenizer.json of few tokens, made part by part: byte b is token b, the i-th merge makes token 256 + i.
struct SmallTokenizer {
  std::string normalizer = "null";
  std::string preTokenizer = R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false})";
  std::string decoder = R"({"type":"ByteLevel"})";
  std::vector<std::pair<std::string, std::string>> merges; ///< Of bytes.
  bool mergesAsPairs = false, ignoresMerges = false;
  std::string modelExtra, addedTokens = "[]";

  /// Bytes by GPT-2's printable stand-ins.
  static std::string byteLevel(std::string_view bytes) {
    std::string text;
    for (char c : bytes) {
      uint32_t byte = static_cast<uint8_t>(c), spare = 256, character = byte;
      auto isPrintable = [](uint32_t b) { return (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae; };
      if (!isPrintable(byte)) {
        for (uint32_t b = 0; b < byte; ++b) {
          spare += !isPrintable(b);
        }
        character = spare;
      }
      elah::appendUtf8(text, character);
    }
    return text;
  }

  static std::string added(uint32_t id, std::string_view text, const char *flags = "") {
    std::string json = "{\"id\":" + std::to_string(id) + ",\"content\":";
    elah::appendJsonString(json, text);
    return json + (*flags ? "," : "") + flags + "}";
  }

  std::string json() const {
    std::string vocab, list;
    auto entry = [&](const std::string &bytes, size_t id) {
      vocab += id ? "," : "";
      elah::appendJsonString(vocab, byteLevel(bytes));
      vocab += ":" + std::to_string(id);
    };
    for (size_t byte = 0; byte < 256; ++byte) {
      entry(std::string(1, static_cast<char>(byte)), byte);
    }
    for (size_t i = 0; i < merges.size(); ++i) {
      const auto &[left, right] = merges[i];
      entry(left + right, 256 + i);
      list += i ? "," : "";
      if (mergesAsPairs) {
        list += '[';
        elah::appendJsonString(list, byteLevel(left));
        list += ',';
        elah::appendJsonString(list, byteLevel(right));
        list += ']';
      } else {
        elah::appendJsonString(list, byteLevel(left) + " " + byteLevel(right));
      }
    }
    return "{\"normalizer\":" + normalizer + ",\"pre_tokenizer\":" + preTokenizer + ",\"decoder\":" + decoder +
           ",\"added_tokens\":" + addedTokens +
           ",\"model\":{\"type\":\"BPE\",\"ignore_merges\":" + (ignoresMerges ? "true" : "false") + modelExtra +
           ",\"vocab\":{" + vocab + "},\"merges\":[" + list + "]}}";
  }

  std::vector<uint32_t> encode(std::string_view text) const {
    elah::Result<std::unique_ptr<elah::Tokenizer>> tokenizer = elah::Tokenizer::fromJson(json());
    std::vector<uint32_t> ids;
    if (!tokenizer.ok() || !(*tokenizer)->encode(text, ids).ok()) {
      return {UINT32_MAX};
    }
    return ids;
  }
};

#endif
