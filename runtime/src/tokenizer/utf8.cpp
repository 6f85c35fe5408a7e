#include "src/tokenizer/utf8.h"
#include <utf8proc.h>

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
  size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                  : (first & 0xf0) == 0xe0         ? 3
                  : first >= 0xf0 && first <= 0xf4 ? 4
                                                   : 0;
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
    size_t intact = 0;
    while (intact < text.size()) {
      size_t length = static_cast<uint8_t>(text[intact]) < 0x80 ? 1 : utf8SequenceLength(text.substr(intact));
      if (length == 0) {
        break;
      }
      intact += length;
    }
    result.append(text.substr(0, intact));
    text.remove_prefix(intact);
    if (text.empty()) {
      break;
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

uint32_t characterAt(std::string_view text) {
  uint32_t first = static_cast<uint8_t>(text[0]);
  size_t length = utf8SequenceLength(text);
  uint32_t character = length == 1 ? first : first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    character = character << 6 | (static_cast<uint8_t>(text[i]) & 0x3f);
  }
  return character;
}

bool isWhiteSpace(uint32_t c) {
  return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool isWordCharacter(uint32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_PC:
    return true;
  default:
    // The joiners, and the letters in circles and squares, which are alphabetic symbols.
    return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
           (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
  }
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
