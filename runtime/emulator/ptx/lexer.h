#ifndef RUNTIME_EMULATOR_PTX_LEXER_H
#define RUNTIME_EMULATOR_PTX_LEXER_H

// Where the parser stands in the text. PTX's words depend on where they are met (`.2d` is a modifier, `2d` is nothing),
// so there is no list of tokens: the parser asks for what it expects. Spaces and comments behind a token are skipped
// with it, so that the cursor always stands at a token or at the end.

#include "ptx/module.h"

namespace emulator::ptx {

/// A constant expression's value (PTX ISA 4.5): a 64-bit integer with or without sign, or a float. A float keeps the
/// bits of its literal until there is arithmetic on it, which is f64's.
struct Constant {
  enum class Kind : uint8_t { Signed, Unsigned, Float32, Float64 };
  Kind kind = Kind::Signed;
  uint64_t bits = 0;

  bool isFloat() const { return kind >= Kind::Float32; }
  double toDouble() const;
};

class Lexer {
public:
  /// `text` ends with a zero byte behind its last one, as a std::string does.
  explicit Lexer(std::string_view text);

  char peek() const { return text[cursor]; }
  char peekSecond() const { return cursor < text.size() ? text[cursor + 1] : '\0'; }
  bool atEnd() const { return cursor >= text.size(); }
  Place place() const { return {line, static_cast<uint32_t>(cursor - lineStart + 1)}; }
  uint32_t offset() const { return static_cast<uint32_t>(cursor); }
  /// Behind the last token, before the spaces that follow it.
  uint32_t tokenEnd() const { return static_cast<uint32_t>(lastEnd); }

  /// Takes `c` where it is next.
  bool take(char c) {
    if (text[cursor] != c || cursor >= text.size()) {
      return false;
    }
    advance(1);
    return true;
  }
  bool take(std::string_view token);

  /// An identifier (`%r1`, `$L__BB0_1`, `add`, `_`); empty where there is none.
  std::string_view identifier();
  bool atIdentifier() const;
  /// Whether the identifier `word` is next.
  bool at(std::string_view word) const;
  /// `.word`, `.word::word`, without the first dot; empty where there is none.
  std::string_view dotted();
  /// The same without taking it.
  std::string_view peekDotted() const;
  /// `"..."` without the quotes.
  bool string(std::string_view &value);
  /// A literal: 12, 0x1f, 017, 0b11, 1U, 1.5e3, 0f3F800000, 0d3FF0000000000000.
  bool number(Constant &value);
  /// A literal that is a plain integer of at most `limit`.
  bool unsignedNumber(uint64_t &value, uint64_t limit);
  /// Takes everything up to the brace that closes the one before the cursor.
  bool skipBraces();

  /// Remembers the error, unless there is one, and returns false.
  bool fail(Place place, std::string text);
  /// "expected WHAT, found ..." at the cursor.
  bool expected(std::string_view what);
  bool expect(char c, std::string_view where);
  const Error &error() const { return firstError; }
  bool failed() const { return hasFailed; }

private:
  void advance(size_t count) {
    cursor += count;
    lastEnd = cursor;
    skipSpace();
  }
  void skipSpace();
  size_t dottedEnd() const;

  std::string_view text;
  size_t cursor = 0, lineStart = 0, lastEnd = 0;
  uint32_t line = 1;
  bool hasFailed = false;
  Error firstError;
};

/// A constant expression with all operators of PTX ISA 4.5.
bool parseConstant(Lexer &lexer, Constant &value);

} // namespace emulator::ptx

#endif
