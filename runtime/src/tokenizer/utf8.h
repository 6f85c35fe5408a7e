#ifndef RUNTIME_SRC_TOKENIZER_UTF8_H
#define RUNTIME_SRC_TOKENIZER_UTF8_H

#include <cstdint>
#include <string>
#include <string_view>

namespace elah {

/// The length of the well-formed UTF-8 sequence at the beginning of `text` (1..4); 0 if there is none, and then
/// `*incomplete` tells whether more bytes could make one.
size_t utf8SequenceLength(std::string_view text, bool *incomplete = nullptr);

/// `text` with each maximal broken part replaced by U+FFFD, as Python's and Rust's lossy decoders do.
std::string repairUtf8(std::string_view text);

/// The first character of well-formed, non-empty UTF-8.
uint32_t characterAt(std::string_view text);

/// Unicode's White_Space property.
bool isWhiteSpace(uint32_t character);
/// What `\w` matches by Unicode's rules for regular expressions: letters, marks, decimal digits, connectors, joiners.
bool isWordCharacter(uint32_t character);

void appendUtf8(std::string &text, uint32_t codePoint);

} // namespace elah

#endif
