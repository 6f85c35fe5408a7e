#include "src/tokenizer/pattern.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <cctype>
#include <cstring>
#include <pcre2.h>

namespace elah {
namespace {

// Unicode's White_Space property.
constexpr char whiteSpace[] =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
    "\\x{205f}\\x{3000}";

/// Writes `\s` and `\S` out, and refuses what means one thing in Oniguruma and another in PCRE2, by name.
class Rewriter {
public:
  explicit Rewriter(const std::string &expression) : expression(expression) {}

  Status rewrite(std::string &out) {
    for (; at < expression.size(); ++at) {
      char c = expression[at];
      if (c == '\\') {
        ELAH_RETURN_IF_ERROR(rewriteEscape(out));
      } else if (!inClass && c == '[') {
        inClass = true;
        out += c;
        // A ']' right after the opening is a member.
        if (at + 1 < expression.size() && expression[at + 1] == '^') {
          out += expression[++at];
        }
        if (at + 1 < expression.size() && expression[at + 1] == ']') {
          out += "\\]";
          ++at;
        }
      } else if (inClass && c == '[') {
        if (at + 1 < expression.size() && expression[at + 1] == ':') {
          return unsupported("a named class");
        }
        out += "\\["; // A bare bracket in a class is a member.
      } else if (inClass && expression.compare(at, 2, "&&") == 0) {
        return unsupported("an intersection of classes");
      } else if (!inClass && (expression.compare(at, 2, "(*") == 0 || expression.compare(at, 3, "(?C") == 0)) {
        return unsupported("a verb or a callout");
      } else {
        inClass = inClass && c != ']';
        out += c;
      }
    }
    return Status();
  }

private:
  Status unsupported(const std::string &what) const {
    return failure(ELAH_UNSUPPORTED, "the pattern '%.200s' has %s, which is not supported", expression.c_str(),
                   what.c_str());
  }

  Status rewriteEscape(std::string &out) {
    if (at + 1 == expression.size()) {
      out += '\\'; // PCRE2 says what is wrong with that.
      return Status();
    }
    char next = expression[++at];
    bool isWord = (next >= '0' && next <= '9') || (next >= 'A' && next <= 'Z') || (next >= 'a' && next <= 'z');
    if (next == 's') {
      out += inClass ? std::string(whiteSpace) : "[" + std::string(whiteSpace) + "]";
    } else if (next == 'S' && !inClass) {
      out += "[^" + std::string(whiteSpace) + "]";
    } else if (!isWord || std::strchr("dDfnpPrtx", next)) {
      out += '\\';
      out += next;
    } else {
      return unsupported(std::string("\\") + next + (inClass ? " in a class" : ""));
    }
    return Status();
  }

  const std::string &expression;
  size_t at = 0;
  bool inClass = false;
};

} // namespace

Result<Pattern> Pattern::compile(const std::string &expression) {
  constexpr size_t longest = 1 << 16;
  if (expression.size() > longest || expression.find('\0') != std::string::npos) {
    return failure(ELAH_UNSUPPORTED, "expected a pattern of at most %zu bytes without NUL, found one of %zu", longest,
                   expression.size());
  }
  std::string rewritten;
  ELAH_RETURN_IF_ERROR(Rewriter(expression).rewrite(rewritten));
  int error;
  PCRE2_SIZE offset;
  pcre2_code *code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(rewritten.data()), rewritten.size(),
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (!code) {
    PCRE2_UCHAR message[160];
    pcre2_get_error_message(error, message, sizeof(message));
    return failure(ELAH_INVALID_DATA, "the pattern '%.200s' cannot be compiled: %s", expression.c_str(),
                   reinterpret_cast<const char *>(message));
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); // Without it matching is slower, not different.
  Pattern pattern;
  pattern.code.reset(code, pcre2_code_free);
  pattern.matchData.reset(pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free);
  pattern.limits.reset(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  if (!pattern.matchData || !pattern.limits) {
    return failure(ELAH_OUT_OF_MEMORY, "no memory for a pattern");
  }
  // A pattern of the family needs some ten steps a character; one that explodes is stopped.
  pcre2_set_match_limit(pattern.limits.get(), 1'000'000);
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
    uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int count = pcre2_match(code.get(), subject, text.size(), start, options, matchData.get(), limits.get());
    if (count == PCRE2_ERROR_JIT_STACKLIMIT) {
      count =
          pcre2_match(code.get(), subject, text.size(), start, options | PCRE2_NO_JIT, matchData.get(), limits.get());
    }
    if (count == PCRE2_ERROR_NOMATCH) {
      break;
    }
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(matchData.get());
    if (count < 0 || span[0] < start || span[1] <= span[0]) {
      return failure(ELAH_INVALID_DATA, "a pattern of the tokenizer needs more work on this text than is allowed");
    }
    matches.emplace_back(span[0], span[1]);
    start = span[1];
  }
  return Status();
}

} // namespace elah
