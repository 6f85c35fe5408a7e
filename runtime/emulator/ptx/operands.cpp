// Instructions and their operands (PTX ISA 6).

#include "ptx/parser.h"
#include <algorithm>
#include <iterator>

namespace emulator::ptx {

namespace {

constexpr size_t maxModuleInstructions = 8u << 20;
constexpr size_t maxModuleOperands = 32u << 20;
constexpr size_t maxOperands = 64, maxElements = 4096, maxModifiers = 32;
constexpr char componentNames[2][5] = {"xyzw", "rgba"};

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

/// Special registers (PTX ISA 10), sorted. Those with a number at the end are below.
constexpr std::string_view specials[] = {
    "aggr_smem_size",
    "clock",
    "clock64",
    "clock_hi",
    "cluster_ctaid",
    "cluster_ctarank",
    "cluster_nctaid",
    "cluster_nctarank",
    "clusterid",
    "ctaid",
    "current_graph_exec",
    "dynamic_smem_size",
    "globaltimer",
    "globaltimer_hi",
    "globaltimer_lo",
    "gridid",
    "is_explicit_cluster",
    "laneid",
    "lanemask_eq",
    "lanemask_ge",
    "lanemask_gt",
    "lanemask_le",
    "lanemask_lt",
    "nclusterid",
    "nctaid",
    "nsmid",
    "ntid",
    "nwarpid",
    "reserved_smem_offset_begin",
    "reserved_smem_offset_cap",
    "reserved_smem_offset_end",
    "smid",
    "tid",
    "total_smem_size",
    "warpid",
};

/// %envreg<32>, %pm0..7, %pm0_64..7_64, %reserved_smem_offset_<2>
bool isNumberedSpecial(std::string_view name) {
  auto numberBelow = [](std::string_view digits, unsigned limit) {
    unsigned value = 0;
    for (char c : digits) {
      if (c < '0' || c > '9' || (value = value * 10 + static_cast<unsigned>(c - '0')) >= limit) {
        return false;
      }
    }
    return !digits.empty();
  };
  if (name.starts_with("envreg")) {
    return numberBelow(name.substr(6), 32);
  }
  if (name.starts_with("pm")) {
    return numberBelow(name.substr(2, name.ends_with("_64") ? name.size() - 5 : std::string_view::npos), 8);
  }
  return name.starts_with("reserved_smem_offset_") && numberBelow(name.substr(21), 2);
}

} // namespace

/// `@%p1`, `@!%p1`
bool Parser::guardOf(Instruction &instruction) {
  lexer.take('@');
  instruction.guardNegated = lexer.take('!');
  Place place = lexer.place();
  std::string_view name = lexer.identifier();
  Binding binding;
  if (name.empty()) {
    return lexer.expected("a predicate behind '@'");
  }
  if (!findRegister(name, binding)) {
    return lexer.fail(place, "unknown register " + quoted(name));
  }
  if (binding.vector != 1 || current.registers[binding.index].type != Type::Pred) {
    return lexer.fail(place, "expected a predicate, found " + quoted(name));
  }
  instruction.guard = static_cast<int32_t>(binding.index);
  return true;
}

bool Parser::instruction(Instruction parsed, std::string_view opcode) {
  parsed.source = source;
  parsed.opcode = opcode;
  std::array<std::string_view, maxModifiers> modifiers;
  size_t modifierCount = 0;
  while (lexer.peek() == '.') {
    std::string_view word = lexer.dotted();
    if (word.empty() || modifierCount == maxModifiers) {
      return lexer.expected(word.empty() ? "a modifier behind '.'" : "at most 32 modifiers");
    }
    modifiers[modifierCount++] = word;
  }
  parsed.modifiers.assign(modifiers.begin(), modifiers.begin() + modifierCount);
  std::vector<Operand> operands;
  if (opcode == "call") {
    if (!callOperands(operands)) {
      return false;
    }
  } else if (lexer.peek() != ';') {
    branching = opcode == "bra";
    operands.reserve(4);
    do {
      if (operands.size() == maxOperands) {
        return lexer.expected("at most 64 operands");
      }
      path[0] = static_cast<uint16_t>(operands.size());
      operands.emplace_back();
      if (!operand(operands.back(), 0)) {
        return false;
      }
    } while (lexer.take(','));
    branching = false;
  }
  if (lexer.peek() != ';') {
    return lexer.expected("',' or ';' behind an operand");
  }
  parsed.operands = std::move(operands);
  parsed.textEnd = lexer.tokenEnd();
  lexer.take(';');
  if (++instructionCount > maxModuleInstructions || operandCount > maxModuleOperands) {
    return lexer.fail(parsed.place, "expected at most 8388608 instructions with 33554432 operands in a module");
  }
  current.instructions.push_back(std::move(parsed));
  return true;
}

/// `(results), callee, (arguments), prototype`, of which only the callee must be there.
bool Parser::callOperands(std::vector<Operand> &operands) {
  operands.resize(3);
  operands[0].kind = operands[2].kind = Operand::Kind::Vector;
  operands[0].place = operands[2].place = lexer.place();
  path[0] = 0;
  if (lexer.take('(') && (!vectorOf(operands[0], 0, ')') || !lexer.expect(',', "behind a call's results"))) {
    return false;
  }
  path[0] = 1;
  operands[1].place = lexer.place();
  if (!lexer.atIdentifier()) {
    return lexer.expected("a function");
  }
  if (!named(operands[1], 0)) {
    return false;
  }
  bool more = lexer.take(',');
  path[0] = 2;
  if (more && lexer.peek() == '(') {
    operands[2].place = lexer.place();
    lexer.take('(');
    if (!vectorOf(operands[2], 0, ')')) {
      return false;
    }
    more = lexer.take(',');
  }
  if (!more) {
    return true;
  }
  path[0] = 3;
  operands.emplace_back();
  operands[3].place = lexer.place();
  if (!lexer.atIdentifier()) {
    return lexer.expected("a prototype");
  }
  return named(operands[3], 0);
}

bool Parser::operand(Operand &operand, unsigned depth) {
  operand.place = lexer.place();
  ++operandCount;
  if (depth == path.size()) {
    return lexer.expected("at most 4 levels of operands");
  }
  size_t unresolvedBefore = unresolved.size();
  char c = lexer.peek();
  if (lexer.at("WARP_SZ")) {
    return constantOperand(operand);
  }
  if (lexer.atIdentifier()) {
    return named(operand, depth) && pairOf(operand, depth, unresolvedBefore);
  }
  switch (c) {
  case '{':
    lexer.take('{');
    return vectorOf(operand, depth, '}') && pairOf(operand, depth, unresolvedBefore);
  case '[':
    return address(operand, depth);
  case '!': {
    char next = lexer.peekSecond();
    if (next == '(' || (next >= '0' && next <= '9')) {
      return constantOperand(operand);
    }
    lexer.take('!');
    Place place = lexer.place();
    std::string_view name = lexer.identifier();
    Binding binding;
    if (name.empty() || !findRegister(name, binding) || binding.vector != 1) {
      return lexer.fail(place, "expected a predicate behind '!'");
    }
    operand.negated = true;
    return registerOperand(operand, binding);
  }
  default:
    if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '~' || c == '(') {
      return constantOperand(operand);
    }
    return lexer.expected("an operand");
  }
}

/// `d|p`: what stands before the bar is in `operand`.
bool Parser::pairOf(Operand &first, unsigned depth, size_t unresolvedBefore) {
  if (lexer.peek() != '|' || lexer.peekSecond() == '|') {
    return true;
  }
  Place bar = lexer.place();
  lexer.take('|');
  bool isDestination =
      first.kind == Operand::Kind::Register || first.kind == Operand::Kind::Sink || first.kind == Operand::Kind::Vector;
  if (!isDestination || unresolved.size() != unresolvedBefore) {
    return lexer.fail(bar, "expected registers before '|'");
  }
  Operand second;
  second.place = lexer.place();
  if (!lexer.atIdentifier() || !named(second, depth) ||
      (second.kind != Operand::Kind::Register && second.kind != Operand::Kind::Sink)) {
    return lexer.fail(second.place, "expected a register or '_' behind '|'");
  }
  Operand pair;
  pair.kind = Operand::Kind::Pair;
  pair.place = first.place;
  pair.elements.reserve(2);
  pair.elements.push_back(std::move(first));
  pair.elements.push_back(std::move(second));
  first = std::move(pair);
  return true;
}

/// A register, a special register, a symbol with an offset, a label, `_`.
bool Parser::named(Operand &operand, unsigned depth) {
  Place place = operand.place;
  std::string_view name = lexer.identifier();
  if (name == "_") {
    operand.kind = Operand::Kind::Sink;
    return true;
  }
  Binding binding;
  if (!(branching && depth == 0) && findRegister(name, binding)) {
    return registerOperand(operand, binding);
  }
  if (name[0] == '%' && !(branching && depth == 0) && !bindings.contains(name)) {
    return special(operand, name, place);
  }
  operand.kind = Operand::Kind::Symbol;
  auto found = bindings.find(name);
  const Binding *known = found == bindings.end() ? nullptr : &found->second;
  if (branching && depth == 0) {
    // A label of this scope that comes later hides one of an outer scope: only this scope's own are sure.
    operand.name = name;
    if (known && known->kind == Binding::Kind::Label && known->scope == scopes.size()) {
      operand.kind = Operand::Kind::Label;
      operand.index = known->index;
      return true;
    }
    addUnresolved(name, place, depth);
    return true;
  }
  if (known && known->kind != Binding::Kind::Label) {
    switch (known->kind) {
    case Binding::Kind::Variable:
      operand.name = current.variables[known->index].name;
      break;
    case Binding::Kind::Parameter:
      operand.name = current.parameters[known->index].name;
      break;
    case Binding::Kind::Result:
      operand.name = current.results[known->index].name;
      break;
    case Binding::Kind::Table:
      operand.name = current.branchTables[known->index].name;
      break;
    case Binding::Kind::Prototype:
      operand.name = current.prototypes[known->index].name;
      break;
    default: // `%f` of `%f<9>`
      return lexer.fail(place, "unknown register " + quoted(name));
    }
  } else {
    operand.name = name;
    if (known || !moduleNames.contains(name)) {
      addUnresolved(name, place, depth);
    }
  }
  if (depth > 0 && inAddress) {
    return true; // The offset is the address's.
  }
  if (lexer.peek() == '+' || lexer.peek() == '-') {
    Constant offset;
    Place offsetPlace = lexer.place();
    if (!parseConstant(lexer, offset)) {
      return false;
    }
    if (offset.isFloat()) {
      return lexer.fail(offsetPlace, "expected an integer behind a symbol");
    }
    operand.value = static_cast<int64_t>(offset.bits);
  }
  return true;
}

void Parser::addUnresolved(std::string_view name, Place place, unsigned depth) {
  Unresolved entry;
  entry.name = name;
  entry.place = place;
  entry.instruction = static_cast<uint32_t>(current.instructions.size());
  entry.path = path;
  entry.depth = static_cast<uint8_t>(depth + 1);
  entry.onlyLabel = branching && depth == 0;
  unresolved.push_back(entry);
}

bool Parser::special(Operand &operand, std::string_view name, Place place) {
  std::string_view bare = name.substr(1);
  bool known = std::binary_search(std::begin(specials), std::end(specials), bare) || isNumberedSpecial(bare);
  if (!known) {
    return lexer.fail(place, "unknown register " + quoted(name));
  }
  operand.kind = Operand::Kind::Special;
  operand.name = bare;
  if (lexer.peek() == '.') {
    std::string_view component = lexer.dotted();
    if (component.size() != 1 || std::string_view("xyzw").find(component) == std::string_view::npos) {
      return lexer.fail(place, "expected .x, .y, .z or .w behind " + quoted(name));
    }
    operand.name += '.';
    operand.name += component;
  }
  return true;
}

bool Parser::findRegister(std::string_view name, Binding &binding) const {
  auto found = bindings.find(name);
  if (found != bindings.end()) {
    binding = found->second;
    return binding.kind == Binding::Kind::Register;
  }
  // `%r12` of `%r<100>`, or of `%r1<5>`: the number may begin at any digit but a leading zero.
  size_t digits = 0;
  while (digits + 1 < name.size() && digits < 7 && name[name.size() - 1 - digits] >= '0' &&
         name[name.size() - 1 - digits] <= '9') {
    ++digits;
  }
  for (; digits > 0; --digits) {
    std::string_view prefix = name.substr(0, name.size() - digits), number = name.substr(name.size() - digits);
    if (number[0] == '0' && number.size() > 1) {
      continue;
    }
    found = bindings.find(prefix);
    if (found == bindings.end() || found->second.kind != Binding::Kind::RegisterRange) {
      continue;
    }
    uint32_t value = 0;
    for (char c : number) {
      value = value * 10 + static_cast<uint32_t>(c - '0');
    }
    if (value < found->second.count) {
      binding = found->second;
      binding.kind = Binding::Kind::Register;
      binding.index += value * binding.vector;
      return true;
    }
  }
  return false;
}

bool Parser::registerOperand(Operand &operand, const Binding &binding) {
  operand.kind = Operand::Kind::Register;
  operand.index = binding.index;
  if (binding.vector == 1) {
    return true;
  }
  if (lexer.peek() == '.') {
    Place place = lexer.place();
    std::string_view word = lexer.dotted();
    for (const char *names : componentNames) {
      size_t component = std::string_view(names, binding.vector).find(word);
      if (word.size() == 1 && component != std::string_view::npos) {
        operand.index += static_cast<uint32_t>(component);
        return true;
      }
    }
    return lexer.fail(place, "a vector of " + std::to_string(binding.vector) + " registers has no '." +
                                 std::string(word) + "'");
  }
  operand.kind = Operand::Kind::Vector;
  operand.elements.resize(binding.vector);
  operandCount += binding.vector;
  for (uint32_t i = 0; i < binding.vector; ++i) {
    operand.elements[i].kind = Operand::Kind::Register;
    operand.elements[i].index = binding.index + i;
    operand.elements[i].place = operand.place;
  }
  return true;
}

/// Behind the opening brace or parenthesis.
bool Parser::vectorOf(Operand &vector, unsigned depth, char close) {
  vector.kind = Operand::Kind::Vector;
  bool outerBranching = branching;
  branching = false;
  if (!lexer.take(close)) {
    if (depth + 1 == path.size()) {
      return lexer.expected("at most 4 levels of operands");
    }
    std::vector<Operand> elements;
    elements.reserve(4);
    do {
      if (elements.size() == maxElements) {
        return lexer.expected("at most 4096 elements");
      }
      path[depth + 1] = static_cast<uint16_t>(elements.size());
      elements.emplace_back();
      if (!operand(elements.back(), depth + 1)) {
        return false;
      }
    } while (lexer.take(','));
    vector.elements = std::move(elements);
    if (!lexer.expect(close, "behind the last element")) {
      return false;
    }
  }
  branching = outerBranching;
  return true;
}

/// `[%rd1+16]`, `[symbol]`, `[8]`, `[%rd1, {%r1, %r2}]`
bool Parser::address(Operand &address, unsigned depth) {
  address.kind = Operand::Kind::Address;
  lexer.take('[');
  if (depth + 1 == path.size()) {
    return lexer.expected("at most 4 levels of operands");
  }
  bool outerBranching = branching;
  branching = false;
  address.elements.reserve(1);
  Operand &base = address.elements.emplace_back();
  base.place = lexer.place();
  path[depth + 1] = 0;
  ++operandCount;
  if (lexer.atIdentifier()) {
    inAddress = true;
    bool ok = named(base, depth + 1);
    inAddress = false;
    if (!ok) {
      return false;
    }
    if (base.kind == Operand::Kind::Sink || base.kind == Operand::Kind::Vector) {
      return lexer.fail(base.place, "expected a register or a symbol in an address");
    }
    if (lexer.peek() == '+' || lexer.peek() == '-') {
      Constant offset;
      Place place = lexer.place();
      if (!parseConstant(lexer, offset)) {
        return false;
      }
      if (offset.isFloat()) {
        return lexer.fail(place, "expected an integer behind an address");
      }
      address.value = static_cast<int64_t>(offset.bits);
    }
  } else if (!constantOperand(base)) {
    return false;
  } else if (base.kind != Operand::Kind::Integer) {
    return lexer.fail(base.place, "expected an integer as an address");
  }
  if (lexer.take(',')) {
    Operand coordinates;
    coordinates.place = lexer.place();
    path[depth + 1] = 1;
    if (lexer.peek() != '{') {
      return lexer.expected("'{' before coordinates");
    }
    lexer.take('{');
    if (!vectorOf(coordinates, depth + 1, '}')) {
      return false;
    }
    address.elements.push_back(std::move(coordinates));
  }
  branching = outerBranching;
  return lexer.expect(']', "behind an address");
}

bool Parser::constantOperand(Operand &operand) {
  Constant value;
  if (!parseConstant(lexer, value)) {
    return false;
  }
  operand.kind = value.kind == Constant::Kind::Float32   ? Operand::Kind::Float32
                 : value.kind == Constant::Kind::Float64 ? Operand::Kind::Float64
                                                         : Operand::Kind::Integer;
  operand.value = static_cast<int64_t>(value.bits);
  return true;
}

} // namespace emulator::ptx
