#include "src/tokenizer/pattern.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace elah {
namespace {

// Unicode's White_Space property.
constexpr char whiteSpace[] = "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
                              "\\x{205f}\\x{3000}";

/// Rewrites `\s` and `\S`; false if `\S` stands in a class that it cannot be written out in.
bool rewriteWhiteSpace(const std::string &expression, std::string &rewritten) {
  bool inClass = false;
  for (size_t i = 0; i < expression.size(); ++i) {
    char c = expression[i];
    if (c == '\\' && i + 1 < expression.size()) {
      char next = expression[++i];
      if (next == 's') {
        rewritten += inClass ? std::string(whiteSpace) : "[" + std::string(whiteSpace) + "]";
      } else if (next == 'S') {
        if (inClass) {
          return false;
        }
        rewritten += "[^" + std::string(whiteSpace) + "]";
      } else {
        rewritten += c;
        rewritten += next;
      }
      continue;
    }
    if (!inClass && c == '[') {
      inClass = true;
      rewritten += c;
      // A ']' right after the opening is a member.
      if (i + 1 < expression.size() && expression[i + 1] == '^') {
        rewritten += expression[++i];
      }
      if (i + 1 < expression.size() && expression[i + 1] == ']') {
        rewritten += "\\]";
        ++i;
      }
      continue;
    }
    if (inClass && c == '[') {
      rewritten += "\\["; // a bare bracket in a class is a member here, too
      continue;
    }
    if (inClass && c == ']') {
      inClass = false;
    }
    rewritten += c;
  }
  return true;
}

} // namespace

Result<Pattern> Pattern::compile(const std::string &expression) {
  std::string rewritten;
  if (!rewriteWhiteSpace(expression, rewritten)) {
    return failure(ELAH_UNSUPPORTED, "the pattern '%s' has \\S in a class", expression.c_str());
  }
  int error;
  PCRE2_SIZE offset;
  pcre2_code *code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(rewritten.data()), rewritten.size(),
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &error, &offset, nullptr);
  if (!code) {
    PCRE2_UCHAR message[160];
    pcre2_get_error_message(error, message, sizeof(message));
    return failure(ELAH_INVALID_DATA, "the pattern '%s' cannot be compiled: %s", expression.c_str(),
                   reinterpret_cast<const char *>(message));
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); // Without it matching is slower, not different.
  Pattern pattern;
  pattern.code.reset(code, pcre2_code_free);
  pattern.matchData.reset(pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free);
  return pattern;
}

Result<Pattern> Pattern::literal(const std::string &text) {
  std::string quoted;
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c))) {
      quoted += '\\';
    }
    quoted += c;
  }
  return compile(quoted);
}

Status Pattern::findAll(std::string_view text, std::vector<std::pair<size_t, size_t>> &matches) const {
  auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  for (size_t start = 0; start < text.size();) {
    int count = pcre2_match(code.get(), subject, text.size(), start, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY,
                            matchData.get(), nullptr);
    if (count == PCRE2_ERROR_NOMATCH) {
      break;
    }
    if (count < 0) {
      return failure(ELAH_INVALID_DATA, "a pattern of the tokenizer needs more work on this text than is allowed");
    }
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(matchData.get());
    matches.emplace_back(span[0], span[1]);
    start = span[1];
  }
  return Status();
}

} // namespace elah
