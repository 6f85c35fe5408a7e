// A function's statements other than instructions: scopes, registers, variables, labels, `.loc`.

#include "ptx/parser.h"

namespace emulator::ptx {

namespace {

constexpr size_t maxScopes = 64;
constexpr uint64_t maxRegisters = 1 << 20;      // of a declaration
constexpr size_t maxModuleRegisters = 4u << 20; // of a module: 160 MiB

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

} // namespace

bool Parser::body() {
  if (lexer.peek() != '{') {
    return lexer.expected("a function's body or ';'");
  }
  bindings = {}; // Not clear(), which takes time for all the buckets that an earlier function needed.
  nameUses = {};
  shadowed.clear();
  unresolved.clear();
  scopes.clear();
  source = {};
  lexer.take('{');
  if (!openScope() || !bindParameters(current.results, resultNames, Binding::Kind::Result) ||
      !bindParameters(current.parameters, parameterNames, Binding::Kind::Parameter)) {
    return false;
  }
  while (!scopes.empty()) {
    if (lexer.failed() || !bodyStatement()) {
      return false;
    }
  }
  for (const Unresolved &name : unresolved) {
    if (name.onlyLabel) {
      return lexer.fail(name.place, "unknown label " + quoted(name.name));
    }
    moduleUses.emplace_back(name.name, name.place);
  }
  return true;
}

bool Parser::bodyStatement() {
  Instruction parsed;
  parsed.place = lexer.place();
  parsed.textBegin = lexer.offset();
  switch (lexer.peek()) {
  case '{':
    lexer.take('{');
    return openScope();
  case '}':
    lexer.take('}');
    return closeScope();
  case '.':
    return bodyDirective();
  case ';':
    return lexer.take(';');
  case '@':
    if (!guardOf(parsed)) {
      return false;
    }
  }
  std::string_view word = lexer.identifier();
  if (word.empty()) {
    return lexer.expected("an instruction, a label, a directive or '}'");
  }
  if (lexer.peek() == ':' && parsed.guard < 0) {
    lexer.take(':');
    return labelled(word, parsed.place);
  }
  return instruction(std::move(parsed), word);
}

bool Parser::openScope() {
  if (scopes.size() >= maxScopes) {
    return lexer.fail(lexer.place(), "expected at most 64 nested scopes");
  }
  scopes.push_back({shadowed.size(), unresolved.size()});
  return true;
}

bool Parser::closeScope() {
  // A label is known in its scope and in those inside of it: what this scope can't resolve, its parent may.
  size_t kept = scopes.back().unresolvedBefore;
  for (size_t i = kept; i < unresolved.size(); ++i) {
    auto found = bindings.find(unresolved[i].name);
    if (found != bindings.end() && found->second.scope == scopes.size()) {
      if (!resolve(unresolved[i], found->second)) {
        return false;
      }
    } else {
      unresolved[kept++] = unresolved[i];
    }
  }
  unresolved.resize(kept);
  while (shadowed.size() > scopes.back().shadowedBefore) {
    const Shadowed &last = shadowed.back();
    if (last.existed) {
      bindings.find(last.name)->second = last.before;
    } else {
      bindings.erase(last.name);
    }
    shadowed.pop_back();
  }
  scopes.pop_back();
  return true;
}

bool Parser::resolve(const Unresolved &name, const Binding &binding) {
  if (name.depth == 0) {
    if (binding.kind != Binding::Kind::Label) {
      return lexer.fail(name.place, "expected a label, found " + quoted(name.name));
    }
    current.branchTables[name.instruction].instructions[name.entry] = binding.index;
    return true;
  }
  Operand *operand = &current.instructions[name.instruction].operands[name.path[0]];
  for (unsigned i = 1; i < name.depth; ++i) {
    operand = &operand->elements[name.path[i]];
  }
  switch (binding.kind) {
  case Binding::Kind::Label:
    operand->kind = Operand::Kind::Label;
    operand->index = binding.index;
    return true;
  case Binding::Kind::Table:
    operand->name = current.branchTables[binding.index].name;
    return true;
  case Binding::Kind::Prototype:
    operand->name = current.prototypes[binding.index].name;
    return true;
  default:
    return lexer.fail(name.place, quoted(name.name) + " is used before it is declared");
  }
}

bool Parser::bind(std::string_view name, Place place, Binding binding) {
  binding.scope = static_cast<uint32_t>(scopes.size());
  auto [at, added] = bindings.try_emplace(name, binding);
  if (!added && at->second.scope == binding.scope) {
    return lexer.fail(place, quoted(name) + " is already declared in this scope");
  }
  shadowed.push_back({name, !added, added ? Binding() : at->second});
  at->second = binding;
  return true;
}

bool Parser::bindParameters(const std::vector<Variable> &variables, const std::vector<std::string_view> &names,
                            Binding::Kind kind) {
  for (uint32_t i = 0; i < variables.size(); ++i) {
    const Variable &variable = variables[i];
    if (names[i] == "_") {
      continue;
    }
    if (variable.space == Space::Register) {
      if (!addRegisters(names[i], variable.type, variable.vector, 1, false, variable.place)) {
        return false;
      }
      continue;
    }
    // A parameter hides what the module calls by its name; both keep it, as launches name parameters.
    ++nameUses[names[i]];
    Binding binding{kind};
    binding.index = i;
    if (!bind(names[i], variable.place, binding)) {
      return false;
    }
  }
  return true;
}

std::string Parser::uniqueName(std::string_view name) {
  uint32_t uses = nameUses[name]++;
  if (uses == 0 && moduleNames.contains(name)) {
    uses = nameUses[name]++;
  }
  // No name in the text has a dot.
  return uses == 0 ? std::string(name) : std::string(name) + "." + std::to_string(uses);
}

bool Parser::bodyDirective() {
  Place place = lexer.place();
  std::string_view word = lexer.peekDotted();
  if (word == "loc") {
    return location();
  }
  if (word == "pragma") {
    return pragma();
  }
  if (word == "reg") {
    lexer.dotted();
    return registers();
  }
  if (word == "local" || word == "shared" || word == "param" || word == "shared::cta") {
    lexer.dotted();
    return bodyVariables(word == "local"   ? Space::Local
                         : word == "param" ? Space::Param
                                           : Space::Shared,
                         Linkage::Internal);
  }
  if (word == "extern") {
    lexer.dotted();
    if (lexer.peekDotted() != "shared") {
      return lexer.expected("'.shared'");
    }
    lexer.dotted();
    return bodyVariables(Space::Shared, Linkage::Extern);
  }
  if (word == "file") {
    return fileDirective();
  }
  if (word == "branchtargets" || word == "callprototype" || word == "calltargets") {
    return lexer.fail(place, "expected a label before '." + std::string(word) + "'");
  }
  return lexer.expected("a directive of a function's body");
}

/// `.reg .b32 %r<100>, a, b;`
bool Parser::registers() {
  Declaration declaration;
  declaration.space = Space::Register;
  if (!typeWords(declaration)) {
    return false;
  }
  do {
    Place place = lexer.place();
    std::string_view name = lexer.identifier();
    if (name.empty()) {
      return lexer.expected("a register's name");
    }
    uint64_t count = 1;
    bool range = lexer.take('<');
    if (range && (!lexer.unsignedNumber(count, maxRegisters) || !lexer.expect('>', "behind a count of registers"))) {
      return false;
    }
    if (!addRegisters(name, declaration.type, declaration.vector, count, range, place)) {
      return false;
    }
  } while (lexer.take(','));
  return lexer.expect(';', "behind registers");
}

bool Parser::addRegisters(std::string_view name, Type type, unsigned vector, uint64_t count, bool range, Place place) {
  Binding binding{range ? Binding::Kind::RegisterRange : Binding::Kind::Register};
  binding.vector = static_cast<uint8_t>(vector);
  binding.index = static_cast<uint32_t>(current.registers.size());
  binding.count = static_cast<uint32_t>(count);
  registerCount += count * vector;
  if (registerCount > maxModuleRegisters) {
    return lexer.fail(place, "expected at most 4194304 registers in a module");
  }
  if (vector > 4) {
    return lexer.fail(place, "expected a vector of at most 4 registers");
  }
  for (uint64_t i = 0; i < count; ++i) {
    std::string full(name);
    if (range) {
      full += std::to_string(i);
    }
    if (vector == 1) {
      current.registers.push_back({std::move(full), type});
      continue;
    }
    for (unsigned component = 0; component < vector; ++component) {
      current.registers.push_back({full + "." + "xyzw"[component], type});
    }
  }
  return bind(name, place, binding);
}

bool Parser::bodyVariables(Space space, Linkage linkage) {
  Declaration declaration;
  declaration.space = space;
  declaration.linkage = linkage;
  if (!typeWords(declaration)) {
    return false;
  }
  do {
    Variable parsed;
    std::string_view name;
    if (!variable(declaration, parsed, name)) {
      return false;
    }
    Binding binding{Binding::Kind::Variable};
    binding.index = static_cast<uint32_t>(current.variables.size());
    parsed.name = uniqueName(name);
    if (!bind(name, parsed.place, binding)) {
      return false;
    }
    current.variables.push_back(std::move(parsed));
  } while (lexer.take(','));
  return lexer.expect(';', "behind a variable");
}

/// `.loc 1 20 5 [, function_name $L__info_string0 [+ 4], inlined_at 1 30 2]`
bool Parser::location() {
  lexer.dotted();
  uint64_t file = 0, line = 0, ignored = 0;
  if (!lexer.unsignedNumber(file, UINT32_MAX) || !lexer.unsignedNumber(line, UINT32_MAX) ||
      !lexer.unsignedNumber(ignored, UINT32_MAX)) {
    return false;
  }
  source = {static_cast<uint32_t>(file), static_cast<uint32_t>(line)};
  while (lexer.take(',')) {
    std::string_view word = lexer.identifier();
    if (word == "function_name") {
      if (lexer.identifier().empty()) {
        return lexer.expected("a label behind 'function_name'");
      }
      if (lexer.take('+') && !lexer.unsignedNumber(ignored, UINT64_MAX)) {
        return false;
      }
    } else if (word == "inlined_at") {
      for (int i = 0; i < 3; ++i) {
        if (!lexer.unsignedNumber(ignored, UINT32_MAX)) {
          return false;
        }
      }
    } else {
      return lexer.expected("'function_name' or 'inlined_at' in '.loc'");
    }
  }
  return true;
}

/// What stands behind `name:`
bool Parser::labelled(std::string_view name, Place place) {
  std::string_view word = lexer.peekDotted();
  if (word == "branchtargets") {
    return branchTargets(name, place);
  }
  if (word == "callprototype") {
    return callPrototype(name, place);
  }
  if (word == "calltargets") {
    return callTargets(name, place);
  }
  Binding binding{Binding::Kind::Label};
  binding.index = static_cast<uint32_t>(current.instructions.size());
  return bind(name, place, binding);
}

/// `ts: .branchtargets L1, L2;`
bool Parser::branchTargets(std::string_view name, Place place) {
  lexer.dotted();
  BranchTargets table;
  uint32_t index = static_cast<uint32_t>(current.branchTables.size());
  do {
    Unresolved label;
    label.place = lexer.place();
    label.name = lexer.identifier();
    if (label.name.empty()) {
      return lexer.expected("a label");
    }
    label.instruction = index;
    label.entry = static_cast<uint32_t>(table.instructions.size());
    label.onlyLabel = true;
    unresolved.push_back(label);
    table.instructions.push_back(0);
  } while (lexer.take(','));
  table.name = uniqueName(name);
  current.branchTables.push_back(std::move(table));
  Binding binding{Binding::Kind::Table};
  binding.index = index;
  return bind(name, place, binding) && lexer.expect(';', "behind '.branchtargets'");
}

/// `p: .callprototype (.param .b32 _) _ (.param .b64 _) .noreturn;`
bool Parser::callPrototype(std::string_view name, Place place) {
  lexer.dotted();
  Prototype prototype;
  std::vector<std::string_view> names;
  if (lexer.peek() == '(' && !parameterList(prototype.results, names, true)) {
    return false;
  }
  if (lexer.identifier() != "_") {
    return lexer.expected("'_' in '.callprototype'");
  }
  if (lexer.peek() == '(' && !parameterList(prototype.parameters, names, true)) {
    return false;
  }
  Function ignored;
  if (!functionDirectives(ignored)) {
    return false;
  }
  prototype.name = uniqueName(name);
  Binding binding{Binding::Kind::Prototype};
  binding.index = static_cast<uint32_t>(current.prototypes.size());
  current.prototypes.push_back(std::move(prototype));
  return bind(name, place, binding) && lexer.expect(';', "behind '.callprototype'");
}

/// `t: .calltargets f, g;`: the functions have one prototype, the first one's.
bool Parser::callTargets(std::string_view name, Place place) {
  lexer.dotted();
  Prototype prototype;
  bool first = true;
  do {
    Place functionPlace = lexer.place();
    std::string_view function = lexer.identifier();
    if (function.empty()) {
      return lexer.expected("a function's name");
    }
    auto known = moduleNames.find(function);
    if (known == moduleNames.end() || !known->second.isFunction) {
      return lexer.fail(functionPlace, "unknown function " + quoted(function));
    }
    if (first) {
      prototype.results = module.functions[known->second.index].results;
      prototype.parameters = module.functions[known->second.index].parameters;
      first = false;
    }
  } while (lexer.take(','));
  prototype.name = uniqueName(name);
  Binding binding{Binding::Kind::Prototype};
  binding.index = static_cast<uint32_t>(current.prototypes.size());
  current.prototypes.push_back(std::move(prototype));
  return bind(name, place, binding) && lexer.expect(';', "behind '.calltargets'");
}

} // namespace emulator::ptx
