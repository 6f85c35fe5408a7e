#include "ptx/parser.h"

namespace emulator::ptx {

namespace {

constexpr size_t maxText = size_t{128} << 20;
constexpr uint64_t maxFile = 1 << 16;

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

} // namespace

bool Parser::parse() {
  if (module.text.size() > maxText) {
    return lexer.fail({1, 1},
                      "expected at most 128 MiB of PTX, found " + std::to_string(module.text.size()) + " bytes");
  }
  if (!header()) {
    return false;
  }
  while (!lexer.atEnd() && !lexer.failed()) {
    if (!statement()) {
      return false;
    }
  }
  return !lexer.failed() && resolveModule();
}

/// `.version 9.0 .target sm_90a, debug .address_size 64`
bool Parser::header() {
  uint64_t number = 0;
  if (lexer.peekDotted() != "version") {
    return lexer.expected("'.version'");
  }
  lexer.dotted();
  Place place = lexer.place();
  Constant version; // "9.0" reads as a fraction; its digits are what counts.
  uint32_t begin = lexer.offset();
  if (!lexer.number(version)) {
    return false;
  }
  std::string_view digits = std::string_view(module.text).substr(begin, lexer.tokenEnd() - begin);
  size_t dot = digits.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot > 3 || digits.size() - dot - 1 > 3 || dot + 1 == digits.size() ||
      digits.find_first_not_of("0123456789.") != std::string_view::npos) {
    return lexer.fail(place, "expected a version like 9.0, found " + quoted(digits));
  }
  module.versionMajor = static_cast<unsigned>(std::stoul(std::string(digits.substr(0, dot))));
  module.versionMinor = static_cast<unsigned>(std::stoul(std::string(digits.substr(dot + 1))));
  if (lexer.peekDotted() != "target") {
    return lexer.expected("'.target'");
  }
  lexer.dotted();
  do {
    place = lexer.place();
    std::string_view word = lexer.identifier();
    if (word.empty()) {
      return lexer.expected("a target");
    }
    if (word.starts_with("sm_") || word.starts_with("compute_")) {
      module.target = word;
    } else if (word != "debug" && word != "texmode_independent" && word != "texmode_unified" &&
               word != "map_f64_to_f32") {
      return lexer.fail(place, "expected a target like sm_90a, found " + quoted(word));
    }
  } while (lexer.take(','));
  if (module.target.empty()) {
    return lexer.fail(place, "expected a target like sm_90a");
  }
  if (lexer.peekDotted() == "address_size") {
    lexer.dotted();
    place = lexer.place();
    if (!lexer.unsignedNumber(number, 64)) {
      return false;
    }
    if (number != 32 && number != 64) {
      return lexer.fail(place, "expected an address size of 32 or 64, found " + std::to_string(number));
    }
    module.addressSize = static_cast<unsigned>(number);
  } else {
    module.addressSize = 32; // PTX ISA 11.1.3
  }
  return true;
}

bool Parser::statement() {
  Linkage linkage = Linkage::Internal;
  Place place = lexer.place();
  while (true) {
    std::string_view word = lexer.peekDotted();
    Linkage named = word == "visible"  ? Linkage::Visible
                    : word == "extern" ? Linkage::Extern
                    : word == "weak"   ? Linkage::Weak
                    : word == "common" ? Linkage::Common
                                       : Linkage::Internal;
    if (named == Linkage::Internal) {
      break;
    }
    if (linkage != Linkage::Internal) {
      return lexer.fail(lexer.place(), "expected one linkage, found two");
    }
    lexer.dotted();
    linkage = named;
  }
  std::string_view word = lexer.peekDotted();
  Declaration declaration;
  declaration.linkage = linkage;
  declaration.space = word == "global"   ? Space::Global
                      : word == "const"  ? Space::Const
                      : word == "shared" ? Space::Shared
                                         : Space::Generic;
  if (declaration.space != Space::Generic) {
    lexer.dotted();
    return moduleVariables(declaration);
  }
  if (word == "func" || word == "entry") {
    lexer.dotted();
    return function(linkage, word == "entry");
  }
  if (linkage != Linkage::Internal) {
    return lexer.expected("'.func', '.entry' or a variable's state space behind the linkage");
  }
  if (word == "file") {
    return fileDirective();
  }
  if (word == "section") {
    return section();
  }
  if (word == "alias") {
    return alias();
  }
  if (word == "pragma") {
    return pragma();
  }
  if (word == "loc") { // Behind a function, of nothing.
    return location();
  }
  if (word == "version" || word == "target" || word == "address_size") {
    return lexer.fail(place, "expected one '." + std::string(word) + "', at the beginning");
  }
  if (lexer.take(';')) {
    return true;
  }
  return lexer.expected("a directive of the module's scope");
}

/// `.file 1 "a.cu" [, timestamp, size]`
bool Parser::fileDirective() {
  lexer.dotted();
  uint64_t number = 0, ignored = 0;
  std::string_view name;
  if (!lexer.unsignedNumber(number, maxFile) || !lexer.string(name)) {
    return false;
  }
  while (lexer.take(',')) {
    if (!lexer.unsignedNumber(ignored, UINT64_MAX)) {
      return false;
    }
  }
  if (module.files.size() <= number) {
    module.files.resize(number + 1);
  }
  module.files[number] = name;
  return true;
}

/// `.section .debug_info { ... }`: for debuggers.
bool Parser::section() {
  lexer.dotted();
  if (lexer.dotted().empty() && lexer.identifier().empty()) {
    return lexer.expected("a section's name");
  }
  return lexer.expect('{', "behind a section's name") && lexer.skipBraces();
}

bool Parser::pragma() {
  lexer.dotted();
  std::string_view ignored;
  do {
    if (!lexer.string(ignored)) {
      return false;
    }
  } while (lexer.take(','));
  return lexer.expect(';', "behind '.pragma'");
}

/// `.alias name, function;`
bool Parser::alias() {
  lexer.dotted();
  Place place = lexer.place();
  std::string_view name = lexer.identifier();
  if (name.empty() || !lexer.expect(',', "behind an alias's name")) {
    return lexer.expected("an alias's name");
  }
  Place targetPlace = lexer.place();
  std::string_view target = lexer.identifier();
  if (target.empty() || !lexer.expect(';', "behind '.alias'")) {
    return lexer.expected("a function's name");
  }
  auto known = moduleNames.find(name), function = moduleNames.find(target);
  if (known == moduleNames.end() || !known->second.isFunction || !module.functions[known->second.index].declared ||
      module.functions[known->second.index].entry) {
    return lexer.fail(place, "expected a function that is declared and not defined, found " + quoted(name));
  }
  if (function == moduleNames.end() || !function->second.isFunction || function == known ||
      module.functions[function->second.index].declared) {
    return lexer.fail(targetPlace, "expected a function that is defined, found " + quoted(target));
  }
  module.functions[known->second.index].aliasOf = target;
  return true;
}

bool Parser::moduleVariables(Declaration declaration) {
  if (!typeWords(declaration)) {
    return false;
  }
  do {
    Variable parsed;
    std::string_view name;
    if (!variable(declaration, parsed, name)) {
      return false;
    }
    auto [at, added] = moduleNames.emplace(name, ModuleName{false, static_cast<uint32_t>(module.variables.size())});
    if (added) {
      module.variables.push_back(std::move(parsed));
      continue;
    }
    if (at->second.isFunction) {
      return lexer.fail(parsed.place, quoted(parsed.name) + " is already a function");
    }
    // A declaration and its definition, or several declarations of one.
    Variable &known = module.variables[at->second.index];
    bool replaces = known.linkage == Linkage::Extern || known.linkage == Linkage::Common;
    bool repeats = parsed.linkage == Linkage::Extern || parsed.linkage == Linkage::Common;
    if (!replaces && !repeats) {
      return lexer.fail(parsed.place,
                        quoted(parsed.name) + " is already defined in line " + std::to_string(known.place.line));
    }
    if (known.space != parsed.space) {
      return lexer.fail(parsed.place,
                        quoted(parsed.name) + " is in another state space in line " + std::to_string(known.place.line));
    }
    if (!repeats || (replaces && parsed.size > known.size)) {
      known = std::move(parsed);
    }
  } while (lexer.take(','));
  return lexer.expect(';', "behind a variable");
}

bool Parser::function(Linkage linkage, bool entry) {
  current = Function();
  resultNames.clear();
  parameterNames.clear();
  current.linkage = linkage;
  current.entry = entry;
  if (!entry) {
    while (lexer.peek() == '.') { // `.attribute(.unified(...))`
      if (lexer.peekDotted() != "attribute") {
        return lexer.expected("a function's name");
      }
      Declaration ignored;
      if (!attribute(ignored)) {
        return false;
      }
    }
    if (lexer.peek() == '(' && !parameterList(current.results, resultNames, false)) {
      return false;
    }
  }
  current.place = lexer.place();
  std::string_view name = lexer.identifier();
  if (name.empty()) {
    return lexer.expected("a function's name");
  }
  current.name = name;
  if (lexer.peek() == '(' && !parameterList(current.parameters, parameterNames, false)) {
    return false;
  }
  if (!functionDirectives(current)) {
    return false;
  }
  if (lexer.take(';')) {
    current.declared = true;
  } else if (!body()) {
    return false;
  }
  return addFunction(std::move(current), name);
}

/// `128, 1, 1`: what is not said is 1.
bool Parser::dimensions(uint32_t (&value)[3]) {
  value[0] = value[1] = value[2] = 1;
  for (uint32_t &dimension : value) {
    uint64_t number = 0;
    if (!lexer.unsignedNumber(number, UINT32_MAX)) {
      return false;
    }
    dimension = static_cast<uint32_t>(number);
    if (!lexer.take(',')) {
      break;
    }
  }
  return true;
}

/// What stands between a function's parameters and its body (PTX ISA 11.4).
bool Parser::functionDirectives(Function &function) {
  LaunchBounds &bounds = function.bounds;
  while (lexer.peek() == '.') {
    Place place = lexer.place();
    std::string_view word = lexer.peekDotted();
    bool forEntries = word != "noreturn" && word != "pragma" && word != "attribute" && word != "abi_preserve" &&
                      word != "abi_preserve_control" && word != "loc";
    if (forEntries && !function.entry) {
      return lexer.expected("a function's body, '.noreturn' or ';'");
    }
    uint64_t number = 0;
    if (word == "pragma") {
      if (!pragma()) {
        return false;
      }
      continue;
    }
    if (word == "attribute") {
      Declaration ignored;
      if (!attribute(ignored)) {
        return false;
      }
      continue;
    }
    if (word == "loc") {
      if (!location()) {
        return false;
      }
      continue;
    }
    lexer.dotted();
    if (word == "noreturn" || word == "blocksareclusters") {
    } else if (word == "explicitcluster") {
      bounds.explicitCluster = true;
    } else if (word == "maxntid" || word == "reqntid" || word == "reqnctapercluster") {
      if (!dimensions(word == "maxntid"   ? bounds.maxThreads
                      : word == "reqntid" ? bounds.requiredThreads
                                          : bounds.requiredCluster)) {
        return false;
      }
    } else if (word == "minnctapersm" || word == "maxnctapersm" || word == "maxnreg" || word == "maxclusterrank" ||
               word == "abi_preserve" || word == "abi_preserve_control") {
      if (!lexer.unsignedNumber(number, UINT32_MAX)) {
        return false;
      }
      uint32_t value = static_cast<uint32_t>(number);
      if (word == "minnctapersm") {
        bounds.minCtasPerSm = value;
      } else if (word == "maxnreg") {
        bounds.maxRegisters = value;
      } else if (word == "maxclusterrank") {
        bounds.maxClusterRank = value;
      }
    } else {
      return lexer.fail(place, "unknown directive '." + std::string(word) + "'; expected a body or ';'");
    }
  }
  return true;
}

bool Parser::addFunction(Function function, std::string_view name) {
  auto [at, added] = moduleNames.emplace(name, ModuleName{true, static_cast<uint32_t>(module.functions.size())});
  if (added) {
    module.functions.push_back(std::move(function));
    return true;
  }
  if (!at->second.isFunction) {
    return lexer.fail(function.place, quoted(function.name) + " is already a variable");
  }
  Function &known = module.functions[at->second.index];
  if (known.parameters.size() != function.parameters.size() || known.results.size() != function.results.size() ||
      known.entry != function.entry) {
    return lexer.fail(function.place,
                      quoted(function.name) + " has other parameters in line " + std::to_string(known.place.line));
  }
  if (!known.declared && !function.declared) {
    return lexer.fail(function.place,
                      quoted(function.name) + " is already defined in line " + std::to_string(known.place.line));
  }
  if (known.declared && !function.declared) {
    known = std::move(function);
  }
  return true;
}

bool Parser::resolveModule() {
  for (const auto &[name, place] : moduleUses) {
    if (!moduleNames.contains(name)) {
      return lexer.fail(place, "unknown name " + quoted(name));
    }
  }
  return true;
}

std::variant<Module, Error> parse(std::string text) {
  Module module;
  module.text = std::move(text);
  while (!module.text.empty() && module.text.back() == '\0') { // Files and images end so.
    module.text.pop_back();
  }
  Parser parser(module);
  if (!parser.parse()) {
    return parser.error();
  }
  return module;
}

} // namespace emulator::ptx
