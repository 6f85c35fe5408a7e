// Variables, parameters, and their initial values (PTX ISA 5.4).

#include "ptx/parser.h"
#include <bit>

namespace emulator::ptx {

namespace {

constexpr uint64_t maxSize = uint64_t{1} << 40;
constexpr size_t maxDimensions = 16;
constexpr size_t maxParameters = 1 << 16;

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

} // namespace

/// `.attribute(.managed, .unified(1, 2))`
bool Parser::attribute(Declaration &declaration) {
  lexer.dotted();
  if (!lexer.expect('(', "behind '.attribute'")) {
    return false;
  }
  do {
    std::string_view word = lexer.peekDotted();
    if (word == "managed") {
      lexer.dotted();
      declaration.managed = true;
    } else if (word == "unified") {
      lexer.dotted();
      uint64_t ignored = 0;
      if (!lexer.expect('(', "behind '.unified'") || !lexer.unsignedNumber(ignored, UINT64_MAX) ||
          !lexer.expect(',', "in '.unified'") || !lexer.unsignedNumber(ignored, UINT64_MAX) ||
          !lexer.expect(')', "behind '.unified'")) {
        return false;
      }
    } else {
      return lexer.expected("'.managed' or '.unified'");
    }
  } while (lexer.take(','));
  return lexer.expect(')', "behind '.attribute'");
}

/// `.align 16 .attribute(.managed) .v4 .f32`, `.u64 .ptr .global .align 16`
bool Parser::typeWords(Declaration &declaration) {
  bool pointer = false;
  while (lexer.peek() == '.') {
    Place place = lexer.place();
    std::string_view word = lexer.peekDotted();
    if (word == "attribute") {
      if (!attribute(declaration)) {
        return false;
      }
      continue;
    }
    if (word == "align") {
      lexer.dotted();
      Place numberPlace = lexer.place();
      uint64_t alignment = 0;
      if (!lexer.unsignedNumber(alignment, 1 << 20)) {
        return false;
      }
      if (!std::has_single_bit(alignment)) {
        return lexer.fail(numberPlace,
                          "expected an alignment that is a power of two, found " + std::to_string(alignment));
      }
      if (!pointer) { // Otherwise it is of what the pointer points to.
        declaration.alignment = static_cast<unsigned>(alignment);
      }
      continue;
    }
    if (word == "v2" || word == "v4" || word == "v8") {
      declaration.vector = static_cast<unsigned>(word[1] - '0');
    } else if (word == "ptr" && declaration.space == Space::Param) {
      pointer = true;
    } else if (pointer && (word == "global" || word == "shared" || word == "const" || word == "local" ||
                           word == "shared::cta" || word == "generic")) {
    } else if (declaration.type == Type::None && typeNamed(word) != Type::None) {
      declaration.type = typeNamed(word);
    } else {
      return lexer.fail(place, "expected a type, found '." + std::string(word) + "'");
    }
    lexer.dotted();
  }
  return declaration.type != Type::None || lexer.expected("a type");
}

/// `name[2][3] = {...}`
bool Parser::variable(const Declaration &declaration, Variable &variable, std::string_view &name) {
  variable.place = lexer.place();
  name = lexer.identifier();
  if (name.empty()) {
    return lexer.expected("a variable's name");
  }
  variable.name = name;
  variable.space = declaration.space;
  variable.linkage = declaration.linkage;
  variable.type = declaration.type;
  variable.vector = declaration.vector;
  variable.managed = declaration.managed;
  unsigned unit = sizeOf(declaration.type) * declaration.vector;
  if (declaration.type == Type::Pred && declaration.space != Space::Register) {
    return lexer.fail(variable.place, "a predicate can't be in memory");
  }
  variable.alignment = declaration.alignment ? declaration.alignment : unit;
  std::vector<uint64_t> extents; // From the outermost on; 0 for `[]`.
  while (lexer.take('[')) {
    uint64_t extent = 0;
    Place place = lexer.place();
    if (lexer.peek() != ']') {
      Constant constant;
      if (!parseConstant(lexer, constant)) {
        return false;
      }
      if (constant.isFloat() || constant.bits == 0 || constant.bits > maxSize) {
        // Empty arrays are printed for empty structs.
        if (constant.isFloat() || constant.bits != 0 || declaration.space != Space::Param) {
          return lexer.fail(place, "expected an array's size from 1 to 2^40");
        }
      }
      extent = constant.bits;
    } else if (!extents.empty()) {
      return lexer.fail(place, "only an array's first size can be left out");
    }
    extents.push_back(extent);
    if (extents.size() > maxDimensions) {
      return lexer.fail(place, "expected at most 16 dimensions");
    }
    if (!lexer.expect(']', "behind an array's size")) {
      return false;
    }
  }
  variable.size = unit;
  for (uint64_t extent : extents) {
    if (extent && variable.size > maxSize / extent) {
      return lexer.fail(variable.place, quoted(name) + " is larger than 2^40 bytes");
    }
    variable.size *= extent;
  }
  if (lexer.peek() != '=') {
    if (!extents.empty() && extents[0] == 0 && declaration.linkage != Linkage::Extern &&
        declaration.space != Space::Param && declaration.space != Space::Shared) {
      return lexer.fail(variable.place, quoted(name) + " needs a size");
    }
    return true;
  }
  lexer.take('=');
  if (declaration.space != Space::Global && declaration.space != Space::Const) {
    return lexer.fail(variable.place, "only variables in .global and .const have initial values");
  }
  if (declaration.vector > 1) {
    extents.push_back(declaration.vector);
  }
  return initialValue(variable, extents);
}

bool Parser::initialValue(Variable &variable, const std::vector<uint64_t> &extents) {
  if (extents.empty()) {
    bool braces = lexer.take('{');
    return initialScalar(variable, 0) && (!braces || lexer.expect('}', "behind an initial value"));
  }
  uint64_t end = 0;
  if (lexer.peek() != '{') {
    return lexer.expected("'{' before an array's initial values");
  }
  if (!initialLevel(variable, extents, 0, 0, end)) {
    return false;
  }
  if (extents[0] == 0) {
    uint64_t row = sizeOf(variable.type);
    for (size_t i = 1; i < extents.size(); ++i) {
      row *= extents[i];
    }
    if (row == 0 || end > maxSize - row) {
      return lexer.fail(variable.place, quoted(variable.name) + " is too large");
    }
    variable.size = (end + row - 1) / row * row;
  }
  return true;
}

/// One pair of braces: the values of a (sub-)array, or arrays in braces of their own.
bool Parser::initialLevel(Variable &variable, const std::vector<uint64_t> &extents, size_t level, uint64_t begin,
                          uint64_t &end) {
  lexer.take('{');
  uint64_t unit = sizeOf(variable.type), row = unit; // A row: one element of this level.
  for (size_t i = level + 1; i < extents.size(); ++i) {
    row *= extents[i];
  }
  uint64_t limit = extents[level] ? begin + row * extents[level] : maxSize, at = begin;
  while (lexer.peek() != '}') {
    Place place = lexer.place();
    uint64_t step = lexer.peek() == '{' ? row : unit;
    if (step > limit || at > limit - step) {
      return lexer.fail(place, "more initial values than " + quoted(variable.name) + " has room for");
    }
    if (lexer.peek() == '{') {
      uint64_t ignored = 0;
      if (level + 1 == extents.size()) {
        return lexer.fail(place, "more braces than " + quoted(variable.name) + " has dimensions");
      }
      if (!initialLevel(variable, extents, level + 1, at, ignored)) {
        return false;
      }
    } else if (!initialScalar(variable, at)) {
      return false;
    }
    at += step;
    if (!lexer.take(',')) {
      break;
    }
  }
  end = at;
  return lexer.expect('}', "behind initial values");
}

bool Parser::initialScalar(Variable &variable, uint64_t offset) {
  Place place = lexer.place();
  unsigned size = sizeOf(variable.type);
  // Nested braces can skip space that no value stands for; the text's size bounds that, too.
  if (offset + size > variable.initial.size()) {
    size_t more = offset + size - variable.initial.size();
    initialBytes += more;
    if (initialBytes > 16 * module.text.size() + (size_t{16} << 20)) {
      return lexer.fail(place, "these initial values skip too much space");
    }
    variable.initial.resize(offset + size);
  }
  if (lexer.atIdentifier()) {
    return initialAddress(variable, offset, size, 0);
  }
  Constant value;
  if (!parseConstant(lexer, value)) {
    return false;
  }
  if (lexer.peek() == '(') { // A mask: 0xff00(symbol)
    uint64_t mask = value.bits;
    unsigned shift = mask ? static_cast<unsigned>(std::countr_zero(mask)) : 0;
    if (value.isFloat() || mask == 0 || shift % 8 != 0 || mask >> shift != 0xff || size != 1) {
      return lexer.fail(place, "expected a mask of one byte, on bytes, before an address in parentheses");
    }
    lexer.take('(');
    return initialAddress(variable, offset, 1, shift) && lexer.expect(')', "behind a masked address");
  }
  uint64_t bits = value.bits;
  switch (variable.type) {
  case Type::F32:
    bits = value.kind == Constant::Kind::Float32 ? value.bits
                                                 : std::bit_cast<uint32_t>(static_cast<float>(value.toDouble()));
    break;
  case Type::F64:
    bits = std::bit_cast<uint64_t>(value.toDouble());
    break;
  default:
    if (value.isFloat() && size != (value.kind == Constant::Kind::Float32 ? 4u : 8u)) {
      return lexer.fail(place, "a ." + std::string(nameOf(variable.type)) +
                                   " can't have a floating-point number as its initial value");
    }
  }
  for (unsigned i = 0; i < size; ++i) {
    variable.initial[offset + i] =
        i < 8 ? static_cast<uint8_t>(bits >> 8 * i) : (value.kind == Constant::Kind::Signed && bits >> 63 ? 0xff : 0);
  }
  return true;
}

/// `symbol`, `symbol+8`, `generic(symbol)+8`
bool Parser::initialAddress(Variable &variable, uint64_t offset, unsigned size, unsigned shift) {
  Relocation relocation;
  relocation.offset = offset;
  relocation.size = size;
  relocation.shift = shift;
  Place place = lexer.place();
  std::string_view name = lexer.identifier();
  if (name == "WARP_SZ" && shift == 0) {
    variable.initial[offset] = 32;
    return true;
  }
  if (shift == 0 && size != 1 && size != module.addressSize / 8 && !(size == 8 && module.addressSize == 32)) {
    return lexer.fail(place, "a ." + std::string(nameOf(variable.type)) + " can't hold an address");
  }
  relocation.generic = name == "generic" && lexer.peek() == '(';
  if (relocation.generic) {
    lexer.take('(');
    place = lexer.place();
    name = lexer.identifier();
  }
  if (name.empty()) {
    return lexer.expected("a variable's or a function's name");
  }
  moduleUses.emplace_back(name, place);
  relocation.symbol = name;
  // The offset stands inside of the parentheses, behind them, or nowhere.
  for (int i = 0; i < 2; ++i) {
    if (lexer.peek() == '+' || lexer.peek() == '-') {
      Constant addend;
      Place addendPlace = lexer.place();
      if (!parseConstant(lexer, addend)) {
        return false;
      }
      if (addend.isFloat()) {
        return lexer.fail(addendPlace, "expected an integer behind an address");
      }
      relocation.addend = static_cast<int64_t>(static_cast<uint64_t>(relocation.addend) + addend.bits);
    }
    if (i == 0 && (!relocation.generic || !lexer.expect(')', "behind 'generic(...'"))) {
      break;
    }
  }
  if (lexer.failed()) {
    return false;
  }
  variable.relocations.push_back(std::move(relocation));
  return true;
}

/// `(.param .u64 a, .param .align 16 .b8 b[64])`; a prototype's parameters are called `_`.
bool Parser::parameterList(std::vector<Variable> &parameters, std::vector<std::string_view> &names, bool prototype) {
  names.clear();
  if (!lexer.expect('(', "before parameters")) {
    return false;
  }
  if (lexer.take(')')) {
    return true;
  }
  do {
    Declaration declaration;
    std::string_view word = lexer.peekDotted();
    if (word != "param" && word != "reg") {
      return lexer.expected("'.param' or '.reg'");
    }
    lexer.dotted();
    declaration.space = word == "param" ? Space::Param : Space::Register;
    if (!typeWords(declaration)) {
      return false;
    }
    Variable parsed;
    std::string_view name;
    if (prototype && lexer.peek() != '_' && !lexer.atIdentifier()) {
      parsed.space = declaration.space;
      parsed.type = declaration.type;
      parsed.vector = declaration.vector;
      parsed.size = sizeOf(declaration.type) * declaration.vector;
      parsed.alignment = declaration.alignment ? declaration.alignment : static_cast<unsigned>(parsed.size);
      parsed.place = lexer.place();
    } else if (!variable(declaration, parsed, name)) {
      return false;
    }
    parameters.push_back(std::move(parsed));
    names.push_back(name);
    if (parameters.size() > maxParameters) {
      return lexer.fail(lexer.place(), "expected at most 65536 parameters");
    }
  } while (lexer.take(','));
  return lexer.expect(')', "behind parameters");
}

} // namespace emulator::ptx
