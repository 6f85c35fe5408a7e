#include "src/tokenizer/utf8.h"

namespace elah {

// The table of well-formed byte sequences (Unicode 15, table 3-7): what the second byte may be depends on the first.
size_t utf8SequenceLength(std::string_view text, bool *incomplete) {
  if (incomplete) {
    *incomplete = false;
  }
  if (text.empty()) {
    return 0;
  }
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  uint8_t first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  size_t length = first >= 0xc2 && first <= 0xdf ? 2 : (first & 0xf0) == 0xe0 ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  if (length == 0) {
    return 0;
  }
  uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size()) {
      if (incomplete) {
        *incomplete = true;
      }
      return 0;
    }
    if (byte(i) < low || byte(i) > high) {
      return 0;
    }
    low = 0x80;
    high = 0xbf;
  }
  return length;
}

std::string repairUtf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    if (size_t length = utf8SequenceLength(text)) {
      result.append(text.substr(0, length));
      text.remove_prefix(length);
      continue;
    }
    // The longest part that could have begun a sequence is one replacement.
    size_t broken = 1;
    for (size_t tried = 2; tried <= 3 && tried <= text.size(); ++tried) {
      bool incomplete;
      utf8SequenceLength(text.substr(0, tried), &incomplete);
      if (!incomplete) {
        break;
      }
      broken = tried;
    }
    result += "\xef\xbf\xbd";
    text.remove_prefix(broken);
  }
  return result;
}

void appendUtf8(std::string &text, uint32_t codePoint) {
  if (codePoint < 0x80) {
    text += static_cast<char>(codePoint);
  } else if (codePoint < 0x800) {
    text += static_cast<char>(0xc0 | codePoint >> 6);
    text += static_cast<char>(0x80 | (codePoint & 0x3f));
  } else if (codePoint < 0x10000) {
    text += static_cast<char>(0xe0 | codePoint >> 12);
    text += static_cast<char>(0x80 | (codePoint >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (codePoint & 0x3f));
  } else {
    text += static_cast<char>(0xf0 | codePoint >> 18);
    text += static_cast<char>(0x80 | (codePoint >> 12 & 0x3f));
    text += static_cast<char>(0x80 | (codePoint >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (codePoint & 0x3f));
  }
}

} // namespace elah
