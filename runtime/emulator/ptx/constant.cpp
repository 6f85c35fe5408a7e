// Constant expressions (PTX ISA 4.5): C's operators and precedences, on 64-bit integers and on f64.

#include "ptx/lexer.h"
#include <bit>
#include <cmath>
#include <iterator>

namespace emulator::ptx {

namespace {

constexpr int maxDepth = 64;

struct BinaryOperator {
  std::string_view token;
  int precedence;
};

/// Longer tokens stand before their prefixes.
constexpr BinaryOperator operators[] = {
    {"||", 1}, {"&&", 2}, {"==", 6}, {"!=", 6}, {"<=", 7}, {">=", 7}, {"<<", 8}, {">>", 8}, {"|", 3},
    {"^", 4},  {"&", 5},  {"<", 7},  {">", 7},  {"+", 9},  {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10},
};

Constant ofBool(bool value) { return {Constant::Kind::Signed, value}; }
Constant ofDouble(double value) { return {Constant::Kind::Float64, std::bit_cast<uint64_t>(value)}; }
bool isTrue(const Constant &value) { return value.isFloat() ? value.toDouble() != 0 : value.bits != 0; }

class ConstantParser {
public:
  explicit ConstantParser(Lexer &lexer) : lexer(lexer) {}

  bool conditional(Constant &value, int depth) {
    if (!binary(value, 1, depth)) {
      return false;
    }
    if (lexer.peek() != '?') {
      return true;
    }
    lexer.take('?');
    Constant yes, no;
    if (!conditional(yes, depth + 1) || !lexer.expect(':', "in a conditional expression") ||
        !conditional(no, depth + 1)) {
      return false;
    }
    value = isTrue(value) ? yes : no;
    return true;
  }

  bool unary(Constant &value, int depth) {
    if (depth > maxDepth) {
      return lexer.fail(lexer.place(), "expected at most 64 levels in a constant expression");
    }
    Place place = lexer.place();
    char sign = lexer.peek();
    if (sign == '+' || sign == '-' || sign == '!' || sign == '~') {
      lexer.take(sign);
      return unary(value, depth + 1) && apply(sign, value, place);
    }
    if (lexer.take('(')) {
      if (lexer.peek() == '.') {
        std::string_view type = lexer.peekDotted();
        if (type != "s64" && type != "u64") {
          return lexer.expected("'.s64' or '.u64' in a cast");
        }
        lexer.dotted();
        if (!lexer.expect(')', "behind a cast") || !unary(value, depth + 1)) {
          return false;
        }
        if (value.isFloat()) {
          return lexer.fail(place, "a floating-point number can't be cast");
        }
        value.kind = type == "s64" ? Constant::Kind::Signed : Constant::Kind::Unsigned;
        return true;
      }
      return conditional(value, depth + 1) && lexer.expect(')', "in a constant expression");
    }
    if (lexer.atIdentifier()) {
      if (lexer.identifier() != "WARP_SZ") {
        return lexer.fail(place, "expected a constant, found a name");
      }
      value = {Constant::Kind::Signed, 32};
      return true;
    }
    return lexer.number(value);
  }

private:
  bool binary(Constant &left, int lowest, int depth) {
    if (depth > maxDepth) {
      return lexer.fail(lexer.place(), "expected at most 64 levels in a constant expression");
    }
    if (!unary(left, depth + 1)) {
      return false;
    }
    while (const BinaryOperator *next = peekOperator(lowest)) {
      Place place = lexer.place();
      lexer.take(next->token);
      Constant right;
      if (!binary(right, next->precedence + 1, depth + 1) || !apply(next->token, left, right, place)) {
        return false;
      }
    }
    return true;
  }

  const BinaryOperator *peekOperator(int lowest) const {
    char first = lexer.peek(), second = lexer.peekSecond();
    for (const BinaryOperator &candidate : operators) {
      if (candidate.token[0] == first && (candidate.token.size() == 1 || candidate.token[1] == second)) {
        return candidate.precedence >= lowest ? &candidate : nullptr;
      }
    }
    return nullptr;
  }

  bool apply(char sign, Constant &value, Place place) {
    switch (sign) {
    case '-':
      if (value.isFloat()) {
        value.bits ^= value.kind == Constant::Kind::Float32 ? 1ull << 31 : 1ull << 63;
      } else {
        value.bits = 0 - value.bits;
        value.kind = Constant::Kind::Signed;
      }
      return true;
    case '!':
      value = ofBool(!isTrue(value));
      return true;
    case '~':
      if (value.isFloat()) {
        return lexer.fail(place, "'~' needs an integer");
      }
      value.bits = ~value.bits;
      return true;
    default:
      return true;
    }
  }

  bool apply(std::string_view token, Constant &left, const Constant &right, Place place) {
    if (token == "&&" || token == "||") {
      left = ofBool(token == "&&" ? isTrue(left) && isTrue(right) : isTrue(left) || isTrue(right));
      return true;
    }
    if (left.isFloat() || right.isFloat()) {
      return applyFloat(token, left, right.toDouble(), place);
    }
    bool isUnsigned = left.kind == Constant::Kind::Unsigned || right.kind == Constant::Kind::Unsigned;
    uint64_t a = left.bits, b = right.bits;
    int64_t signedA = static_cast<int64_t>(a), signedB = static_cast<int64_t>(b);
    switch (token[0]) {
    case '/':
    case '%':
      if (b == 0) {
        return lexer.fail(place, "division by zero in a constant expression");
      }
      if (isUnsigned) {
        a = token == "/" ? a / b : a % b;
      } else if (signedB == -1) { // The least integer divided by -1 is itself.
        a = token == "/" ? 0 - a : 0;
      } else {
        a = static_cast<uint64_t>(token == "/" ? signedA / signedB : signedA % signedB);
      }
      break;
    case '*':
      a *= b;
      break;
    case '+':
      a += b;
      break;
    case '-':
      a -= b;
      break;
    case '&':
      a &= b;
      break;
    case '|':
      a |= b;
      break;
    case '^':
      a ^= b;
      break;
    case '=':
    case '!':
      left = ofBool((a == b) == (token == "=="));
      return true;
    default: // < <= << > >= >>
      if (token == "<<" || token == ">>") {
        // A shift has the left operand's type; what is shifted out is gone.
        bool isSigned = left.kind == Constant::Kind::Signed;
        if (token == "<<") {
          left.bits = b > 63 ? 0 : a << b;
        } else {
          left.bits = isSigned ? static_cast<uint64_t>(signedA >> (b > 63 ? 63 : b)) : b > 63 ? 0 : a >> b;
        }
        return true;
      }
      bool less = isUnsigned ? a < b : signedA < signedB;
      left = ofBool(token == "<" ? less : token == "<=" ? less || a == b : token == ">" ? !less && a != b : !less);
      return true;
    }
    left = {isUnsigned ? Constant::Kind::Unsigned : Constant::Kind::Signed, a};
    return true;
  }

  bool applyFloat(std::string_view token, Constant &left, double b, Place place) {
    double a = left.toDouble();
    if (token == "+") {
      left = ofDouble(a + b);
    } else if (token == "-") {
      left = ofDouble(a - b);
    } else if (token == "*") {
      left = ofDouble(a * b);
    } else if (token == "/") {
      if (b == 0) {
        return lexer.fail(place, "division by zero in a constant expression");
      }
      left = ofDouble(a / b);
    } else if (token == "==") {
      left = ofBool(a == b);
    } else if (token == "!=") {
      left = ofBool(a != b);
    } else if (token == "<") {
      left = ofBool(a < b);
    } else if (token == "<=") {
      left = ofBool(a <= b);
    } else if (token == ">") {
      left = ofBool(a > b);
    } else if (token == ">=") {
      left = ofBool(a >= b);
    } else {
      return lexer.fail(place, "'" + std::string(token) + "' needs integers");
    }
    return true;
  }

  Lexer &lexer;
};

} // namespace

bool parseConstant(Lexer &lexer, Constant &value) { return ConstantParser(lexer).conditional(value, 0); }

} // namespace emulator::ptx
