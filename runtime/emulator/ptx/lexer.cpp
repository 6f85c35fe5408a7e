#include "ptx/lexer.h"
#include <array>
#include <bit>
#include <charconv>
#include <limits>

namespace emulator::ptx {

namespace {

enum : uint8_t { Blank = 1, Letter = 2, Digit = 4, Prefix = 8 };

constexpr std::array<uint8_t, 256> makeClasses() {
  std::array<uint8_t, 256> classes = {};
  for (char c : {' ', '\t', '\r', '\f', '\v', '\n'}) {
    classes[static_cast<uint8_t>(c)] = Blank;
  }
  for (int c = 'a'; c <= 'z'; ++c) {
    classes[c] = classes[c - 'a' + 'A'] = Letter;
  }
  for (int c = '0'; c <= '9'; ++c) {
    classes[c] = Digit;
  }
  classes['_'] = classes['$'] = Letter;
  classes['%'] = Prefix; // Only the first of a name.
  return classes;
}

constexpr std::array<uint8_t, 256> classes = makeClasses();

bool is(char c, int kinds) { return (classes[static_cast<uint8_t>(c)] & kinds) != 0; }

std::string quoted(char c) {
  if (c > 0x20 && c < 0x7f) {
    return std::string("'") + c + "'";
  }
  constexpr char digits[] = "0123456789abcdef";
  return std::string("the byte 0x") + digits[static_cast<uint8_t>(c) >> 4] + digits[static_cast<uint8_t>(c) & 15];
}

} // namespace

double Constant::toDouble() const {
  switch (kind) {
  case Kind::Signed:
    return static_cast<double>(static_cast<int64_t>(bits));
  case Kind::Unsigned:
    return static_cast<double>(bits);
  case Kind::Float32:
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  case Kind::Float64:
    return std::bit_cast<double>(bits);
  }
  return 0;
}

Lexer::Lexer(std::string_view text) : text(text) { skipSpace(); }

void Lexer::skipSpace() {
  while (true) {
    char c = text[cursor];
    if (c == '\n') {
      ++cursor;
      ++line;
      lineStart = cursor;
    } else if (is(c, Blank)) {
      ++cursor;
    } else if (c == '/' && text[cursor + 1] == '/') {
      size_t end = text.find('\n', cursor);
      cursor = end == std::string_view::npos ? text.size() : end;
    } else if (c == '/' && text[cursor + 1] == '*') {
      Place start = place();
      size_t end = text.find("*/", cursor + 2);
      if (end == std::string_view::npos) {
        fail(start, "expected '*/' to end this comment, found the end of the text");
        cursor = text.size();
        return;
      }
      for (; cursor < end + 2; ++cursor) {
        if (text[cursor] == '\n') {
          ++line;
          lineStart = cursor + 1;
        }
      }
    } else {
      return;
    }
  }
}

bool Lexer::take(std::string_view token) {
  if (text.substr(cursor, token.size()) != token) {
    return false;
  }
  advance(token.size());
  return true;
}

bool Lexer::atIdentifier() const {
  return is(text[cursor], Letter) || (is(text[cursor], Prefix) && is(text[cursor + 1], Letter | Digit));
}

bool Lexer::at(std::string_view word) const {
  return atIdentifier() && text.substr(cursor, word.size()) == word && !is(text[cursor + word.size()], Letter | Digit);
}

std::string_view Lexer::identifier() {
  if (!atIdentifier()) {
    return {};
  }
  size_t end = cursor + 1;
  while (is(text[end], Letter | Digit)) {
    ++end;
  }
  std::string_view word = text.substr(cursor, end - cursor);
  advance(word.size());
  return word;
}

size_t Lexer::dottedEnd() const {
  size_t end = cursor + 1;
  while (is(text[end], Letter | Digit) ||
         (text[end] == ':' && text[end + 1] == ':' && is(text[end + 2], Letter | Digit))) {
    end += text[end] == ':' ? 2 : 1;
  }
  return end;
}

std::string_view Lexer::peekDotted() const {
  return text[cursor] == '.' ? text.substr(cursor + 1, dottedEnd() - cursor - 1) : std::string_view();
}

std::string_view Lexer::dotted() {
  std::string_view word = peekDotted();
  if (!word.empty()) {
    advance(word.size() + 1);
  }
  return word;
}

bool Lexer::string(std::string_view &value) {
  if (peek() != '"') {
    return expected("a string");
  }
  size_t end = cursor + 1;
  while (end < text.size() && text[end] != '"' && text[end] != '\n') {
    end += text[end] == '\\' && end + 1 < text.size() && text[end + 1] != '\n' ? 2 : 1;
  }
  if (end >= text.size() || text[end] != '"') {
    return fail(place(), "expected '\"' to end this string, found the end of the line");
  }
  value = text.substr(cursor + 1, end - cursor - 1);
  advance(end + 1 - cursor);
  return true;
}

bool Lexer::number(Constant &value) {
  if (!is(text[cursor], Digit)) {
    return expected("a number");
  }
  const char *begin = text.data() + cursor, *end = text.data() + text.size(), *last = begin;
  while (last < end && is(*last, Letter | Digit)) {
    ++last;
  }
  char second = last - begin > 1 ? static_cast<char>(begin[1] | 0x20) : '\0';
  if (begin[0] == '0' && (second == 'f' || second == 'd')) {
    size_t digits = second == 'f' ? 8 : 16;
    value.kind = second == 'f' ? Constant::Kind::Float32 : Constant::Kind::Float64;
    std::from_chars_result read = std::from_chars(begin + 2, last, value.bits, 16);
    if (read.ec != std::errc() || read.ptr != last || last - begin != static_cast<std::ptrdiff_t>(digits + 2)) {
      return fail(place(),
                  "expected " + std::to_string(digits) + " hexadecimal digits in '" + std::string(begin, last) + "'");
    }
    advance(last - begin);
    return true;
  }
  bool decimal = begin[0] != '0' || last - begin == 1;
  const char *digitsEnd = begin;
  while (digitsEnd < last && is(*digitsEnd, Digit)) {
    ++digitsEnd;
  }
  bool fraction = digitsEnd == last && last < end && *last == '.' && last + 1 < end && is(last[1], Digit);
  bool pointOnly =
      digitsEnd == last && last < end && *last == '.' && !fraction && !(last + 1 < end && is(last[1], Letter));
  bool exponent = digitsEnd < last && (*digitsEnd | 0x20) == 'e';
  if (fraction || pointOnly || exponent) {
    double parsed = 0;
    std::from_chars_result read = std::from_chars(begin, end, parsed);
    if (read.ec != std::errc() || (read.ptr < end && is(*read.ptr, Letter | Digit))) {
      return fail(place(), "this floating-point number is malformed or out of range");
    }
    value = {Constant::Kind::Float64, std::bit_cast<uint64_t>(parsed)};
    advance(read.ptr - begin);
    return true;
  }
  int base = decimal ? 10 : second == 'x' ? 16 : second == 'b' ? 2 : 8;
  const char *digits = begin + (base == 16 || base == 2 ? 2 : 0);
  const char *suffix = last > digits + 1 && (last[-1] | 0x20) == 'u' ? last - 1 : last;
  value.bits = 0;
  std::from_chars_result read = std::from_chars(digits, suffix, value.bits, base);
  if (read.ec == std::errc::result_out_of_range) {
    return fail(place(), "the number " + std::string(begin, last) + " does not fit into 64 bits");
  }
  if (read.ec != std::errc() || read.ptr != suffix) {
    return fail(place(), "'" + std::string(begin, last) + "' is no number");
  }
  bool unsignedKind = suffix != last || value.bits > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  value.kind = unsignedKind ? Constant::Kind::Unsigned : Constant::Kind::Signed;
  advance(last - begin);
  return true;
}

bool Lexer::unsignedNumber(uint64_t &value, uint64_t limit) {
  Place start = place();
  Constant constant;
  if (!number(constant)) {
    return false;
  }
  if (constant.isFloat() || constant.bits > limit) {
    return fail(start,
                "expected an integer of at most " + std::to_string(limit) + ", found " +
                    (constant.isFloat() ? std::string("a floating-point number") : std::to_string(constant.bits)));
  }
  value = constant.bits;
  return true;
}

bool Lexer::skipBraces() {
  for (size_t depth = 1; !atEnd() && !failed();) {
    char c = peek();
    if (c == '"') {
      std::string_view ignored;
      if (!string(ignored)) {
        return false;
      }
      continue;
    }
    depth += c == '{';
    depth -= c == '}';
    advance(1);
    if (depth == 0) {
      return true;
    }
  }
  return expected("'}'");
}

bool Lexer::fail(Place place, std::string text) {
  if (!hasFailed) {
    hasFailed = true;
    firstError = {place, std::move(text)};
  }
  return false;
}

bool Lexer::expected(std::string_view what) {
  if (hasFailed) {
    return false;
  }
  std::string found;
  if (atEnd()) {
    found = "the end of the text";
  } else if (is(text[cursor], Letter | Digit | Prefix) || text[cursor] == '.') {
    size_t end = cursor + 1;
    while (is(text[end], Letter | Digit) && end - cursor < 64) {
      ++end;
    }
    found = "'" + std::string(text.substr(cursor, end - cursor)) + "'";
  } else {
    found = quoted(text[cursor]);
  }
  return fail(place(), "expected " + std::string(what) + ", found " + found);
}

bool Lexer::expect(char c, std::string_view where) {
  return take(c) || expected("'" + std::string(1, c) + "' " + std::string(where));
}

} // namespace emulator::ptx
