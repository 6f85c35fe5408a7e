#include "machine/decoder.h"
#include "machine/function_decoder.h"
#include "machine/special_registers.h"
#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

// What decoders ask for. The state between the questions, and what becomes of the answers in each of the two passes, is
// FunctionDecoder's.

namespace emulator {

using ptx::Type;

static bool isFloat(Type type) {
  switch (type) {
  case Type::F16:
  case Type::BF16:
  case Type::F32:
  case Type::F64:
  case Type::TF32:
    return true;
  default:
    return false;
  }
}

/// f32 to f16 or bf16, rounding to nearest even.
static uint16_t halfBits(double value, Type type) {
  if (type == Type::F16) {
    const _Float16 half = static_cast<_Float16>(value);
    return std::bit_cast<uint16_t>(half);
  }
  uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  if ((bits & 0x7fffffff) > 0x7f800000) {
    return 0x7fff;
  }
  bits += 0x7fff + (bits >> 16 & 1);
  return static_cast<uint16_t>(bits >> 16);
}

const ptx::Instruction &Decoder::instruction() const { return owner->function.instructions[owner->current]; }
const ptx::Function &Decoder::function() const { return owner->function; }

void Decoder::error(const std::string &text) { owner->fail(text); }

void Decoder::hold(std::shared_ptr<void> form) { owner->code.forms.push_back(std::move(form)); }

// --- Modifiers.

std::string_view Decoder::peek() const {
  const std::vector<std::string> &modifiers = instruction().modifiers;
  return owner->modifier < modifiers.size() ? std::string_view(modifiers[owner->modifier]) : std::string_view();
}

std::string_view Decoder::word() {
  std::string_view next = peek();
  if (!next.empty()) {
    ++owner->modifier;
  }
  return next;
}

bool Decoder::accept(std::string_view wanted) {
  if (peek() != wanted) {
    return false;
  }
  ++owner->modifier;
  return true;
}

static std::string found(std::string_view word) {
  return word.empty() ? "found no further modifier" : "found '." + std::string(word) + "'";
}

void Decoder::expect(std::string_view wanted) {
  if (!accept(wanted)) {
    error(found(peek()) + ", expected '." + std::string(wanted) + "'");
  }
}

int Decoder::optionalOf(std::initializer_list<std::string_view> words) {
  int index = 0;
  for (std::string_view wanted : words) {
    if (accept(wanted)) {
      return index;
    }
    ++index;
  }
  return -1;
}

unsigned Decoder::oneOf(std::initializer_list<std::string_view> words) {
  const int index = optionalOf(words);
  if (index < 0) {
    std::string expected;
    for (std::string_view wanted : words) {
      expected += (expected.empty() ? "." : ", .") + std::string(wanted);
    }
    error(found(peek()) + ", expected one of " + expected);
    return 0;
  }
  return static_cast<unsigned>(index);
}

std::optional<Type> Decoder::optionalType(std::initializer_list<Type> allowed) {
  const Type next = ptx::typeNamed(peek());
  if (next == Type::None || (allowed.size() && std::find(allowed.begin(), allowed.end(), next) == allowed.end())) {
    return std::nullopt;
  }
  ++owner->modifier;
  return next;
}

Type Decoder::type(std::initializer_list<Type> allowed) {
  if (std::optional<Type> next = optionalType(allowed)) {
    return *next;
  }
  std::string expected;
  for (Type wanted : allowed) {
    expected += (expected.empty() ? "." : ", .") + std::string(ptx::nameOf(wanted));
  }
  error(found(peek()) + ", expected " + (allowed.size() ? "one of the types " + expected : "a type"));
  return allowed.size() ? *allowed.begin() : Type::B32;
}

// --- Operands.

unsigned Decoder::operandCount() const { return static_cast<unsigned>(instruction().operands.size()); }

void Decoder::operandsEnd(unsigned count) {
  if (operandCount() != count) {
    error("found " + std::to_string(operandCount()) + " operands, expected " + std::to_string(count));
  }
}

const ptx::Operand &Decoder::operand(unsigned index) const {
  static const ptx::Operand missing;
  if (index >= operandCount()) {
    owner->fail("found " + std::to_string(operandCount()) + " operands, expected more");
    return missing;
  }
  return instruction().operands[index];
}

Type Decoder::registerType(const ptx::Operand &operand) const {
  return operand.kind == ptx::Operand::Kind::Register ? owner->function.registers[operand.index].type : Type::None;
}

unsigned Decoder::width(const ptx::Operand &operand, Type type) const {
  const Type declared = registerType(operand);
  return declared == Type::None || declared == Type::Pred ? ptx::sizeOf(type) : ptx::sizeOf(declared);
}

/// PTX ISA 9.1, tables of operand types: sizes must agree; a bit type goes with all of its size, integers with integers
/// of either sign, floats with their own.
static bool fits(Type declared, Type wanted, bool relaxed) {
  if (declared == Type::Pred || wanted == Type::Pred) {
    return declared == wanted;
  }
  const unsigned has = ptx::sizeOf(declared), wants = ptx::sizeOf(wanted);
  if (relaxed ? has < wants : has != wants) {
    return false;
  }
  if (declared == Type::F16 || declared == Type::BF16 || declared == Type::F16x2 || declared == Type::BF16x2) {
    return true; // Declared as such or as bits: what compilers print agrees in size alone.
  }
  const bool bits = declared == Type::B8 || declared == Type::B16 || declared == Type::B32 || declared == Type::B64 ||
                    declared == Type::B128;
  if (bits || !relaxed) {
    // ptxas takes a float register where an integer of its size stands only for bit types; we are not stricter than
    // needed to keep a value's meaning: the bits are the same.
    return true;
  }
  return isFloat(declared) ? has == wants : true;
}

Operand Decoder::source(const ptx::Operand &operand, Type type, bool relaxed) {
  using Kind = ptx::Operand::Kind;
  if (type == Type::Pred) {
    error("found a value, expected a predicate");
    return {};
  }
  const unsigned bytes = ptx::sizeOf(type);
  switch (operand.kind) {
  case Kind::Register: {
    const ptx::Register &declared = owner->function.registers[operand.index];
    if (!fits(declared.type, type, relaxed)) {
      error("found '" + declared.name + "' of type ." + std::string(ptx::nameOf(declared.type)) + ", expected ." +
            std::string(ptx::nameOf(type)) + (relaxed ? " or wider" : ""));
      return {};
    }
    owner->reads(operand.index);
    return owner->slot(operand.index);
  }
  case Kind::Special: {
    const std::optional<SpecialRegisterKind> special = specialRegisterNamed(operand.name);
    if (!special) {
      error("unknown special register '%" + operand.name + "'");
      return {};
    }
    if (special->bytes != bytes && !(special->bytes == 4 && bytes == 2) && !(special->bytes == 8 && bytes == 4)) {
      error("found '%" + operand.name + "' of " + std::to_string(special->bytes * 8) + " bits, expected ." +
            std::string(ptx::nameOf(type)));
      return {};
    }
    if (special->changing) {
      return owner->changingSpecial(static_cast<unsigned>(special->which), bytes);
    }
    return owner->frameValue(
        {FrameValue::Kind::Special, static_cast<uint8_t>(special->which), static_cast<uint8_t>(bytes), 0, 0});
  }
  case Kind::Integer:
    if (type == Type::F32 || type == Type::F64) {
      error("found an integer, expected a value of type ." + std::string(ptx::nameOf(type)));
      return {};
    }
    return owner->constantValue(static_cast<uint64_t>(operand.value),
                                bytes == 16 && operand.value < 0 ? ~uint64_t(0) : 0, bytes);
  case Kind::Float32:
  case Kind::Float64: {
    const double value = operand.kind == Kind::Float32
                             ? static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(operand.value)))
                             : std::bit_cast<double>(operand.value);
    uint64_t bits = 0;
    if (type == Type::F64 || bytes == 8) {
      bits = operand.kind == Kind::Float64 ? static_cast<uint64_t>(operand.value) : std::bit_cast<uint64_t>(value);
    } else if (bytes == 4) {
      bits = operand.kind == Kind::Float32 ? static_cast<uint32_t>(operand.value)
                                           : std::bit_cast<uint32_t>(static_cast<float>(value));
    } else if (type == Type::F16 || type == Type::BF16) {
      bits = halfBits(value, type);
    } else {
      error("found a floating-point constant, expected ." + std::string(ptx::nameOf(type)));
      return {};
    }
    return owner->constantValue(bits, 0, bytes);
  }
  case Kind::Symbol:
    return owner->symbolAddress(operand, bytes);
  default:
    error("found an operand of another kind, expected a register or a constant of type ." +
          std::string(ptx::nameOf(type)));
    return {};
  }
}

Operand Decoder::destination(const ptx::Operand &operand, Type type, bool relaxed) {
  if (operand.kind == ptx::Operand::Kind::Sink) {
    return temporary(type);
  }
  if (operand.kind != ptx::Operand::Kind::Register) {
    error("found no register, expected a destination of type ." + std::string(ptx::nameOf(type)));
    return {};
  }
  const ptx::Register &declared = owner->function.registers[operand.index];
  if (!fits(declared.type, type, relaxed)) {
    error("found '" + declared.name + "' of type ." + std::string(ptx::nameOf(declared.type)) +
          ", expected a destination of type ." + std::string(ptx::nameOf(type)) + (relaxed ? " or wider" : ""));
    return {};
  }
  owner->writes(operand.index);
  return owner->slot(operand.index);
}

Operand Decoder::accumulator(const ptx::Operand &operand, Type type) {
  source(operand, type);
  if (operand.kind == ptx::Operand::Kind::Register && owner->effect) {
    owner->effect->late.push_back(operand.index);
  }
  return destination(operand, type);
}

Operand Decoder::lateSource(const ptx::Operand &operand, Type type) {
  if (operand.kind == ptx::Operand::Kind::Register && owner->effect) {
    owner->effect->late.push_back(operand.index);
  }
  return source(operand, type);
}

void Decoder::landsRegisters() {
  if (owner->effect) {
    owner->effect->lands = true;
    const std::vector<ptx::Operand> &operands = instruction().operands;
    owner->effect->landsAll =
        operands.empty() || (operands[0].kind == ptx::Operand::Kind::Integer && operands[0].value == 0);
  }
}

Predicate Decoder::carrySource() {
  const uint32_t reg = static_cast<uint32_t>(owner->function.registers.size());
  owner->reads(reg);
  return {static_cast<uint16_t>(owner->slot(reg).offset), false};
}

Predicate Decoder::carryDestination() {
  const uint32_t reg = static_cast<uint32_t>(owner->function.registers.size());
  owner->writes(reg);
  return {static_cast<uint16_t>(owner->slot(reg).offset), false};
}

Predicate Decoder::predicateSource(const ptx::Operand &operand) {
  if (operand.kind == ptx::Operand::Kind::Integer) {
    return {0, operand.value == 0};
  }
  if (operand.kind != ptx::Operand::Kind::Register || owner->function.registers[operand.index].type != Type::Pred) {
    error("expected a predicate");
    return {};
  }
  owner->reads(operand.index);
  return {static_cast<uint16_t>(owner->slot(operand.index).offset), operand.negated};
}

Predicate Decoder::predicateDestination(const ptx::Operand &operand) {
  if (operand.kind == ptx::Operand::Kind::Sink) {
    const uint32_t reg = owner->addTemporary(Type::Pred);
    owner->writes(reg);
    return {static_cast<uint16_t>(owner->slot(reg).offset), false};
  }
  if (operand.kind != ptx::Operand::Kind::Register || operand.negated ||
      owner->function.registers[operand.index].type != Type::Pred) {
    error("expected a predicate to write");
    return {};
  }
  owner->writes(operand.index);
  return {static_cast<uint16_t>(owner->slot(operand.index).offset), false};
}

Operand Decoder::temporary(Type type) {
  const uint32_t reg = owner->addTemporary(type);
  owner->writes(reg);
  return owner->slot(reg);
}

void Decoder::before(Op op) { owner->preludes.push_back(std::move(op)); }

int64_t Decoder::constant(unsigned index) {
  const ptx::Operand &given = operand(index);
  if (given.kind != ptx::Operand::Kind::Integer) {
    error("expected an integer constant as operand " + std::to_string(index + 1));
    return 0;
  }
  return given.value;
}

Decoder::Address Decoder::address(const ptx::Operand &operand, ptx::Space space) {
  using Kind = ptx::Operand::Kind;
  Address result;
  result.space = space;
  if (operand.kind != Kind::Address || operand.elements.empty()) {
    error("expected an address in brackets");
    return result;
  }
  const ptx::Operand &base = operand.elements[0];
  result.offset = operand.value;
  switch (base.kind) {
  case Kind::Register: {
    const Type declared = owner->function.registers[base.index].type;
    const unsigned bytes = ptx::sizeOf(declared);
    if (declared == Type::Pred || (bytes != 4 && bytes != 8)) {
      error("found '" + owner->function.registers[base.index].name + "' of type ." +
            std::string(ptx::nameOf(declared)) + ", expected an address of 32 or 64 bits");
      return result;
    }
    result.narrow = bytes == 4;
    result.base = source(base, declared);
    if (space == ptx::Space::Param && !owner->function.entry) {
      result.space = ptx::Space::Local;
    }
    return result;
  }
  case Kind::Integer:
    result.base = owner->constantValue(static_cast<uint64_t>(base.value), 0, 8);
    return result;
  case Kind::Symbol:
    owner->symbolBase(base, result);
    return result;
  default:
    error("expected a register, a variable or an integer as an address");
    return result;
  }
}

uint32_t Decoder::label(unsigned index) {
  const ptx::Operand &given = operand(index);
  if (given.kind != ptx::Operand::Kind::Label) {
    error("expected a label");
    return 0;
  }
  return labelAt(given.index);
}

uint32_t Decoder::labelAt(uint32_t instructionIndex) {
  if (owner->effect) {
    owner->effect->targets.push_back(instructionIndex);
    return 0;
  }
  return owner->firstOp[instructionIndex];
}

void Decoder::endsFlow() {
  if (owner->effect) {
    owner->effect->fallsThrough = false;
  }
}

const Code *Decoder::callee(const ptx::Operand &operand, std::string *externalName) {
  if (operand.kind != ptx::Operand::Kind::Symbol) {
    error("expected a function's name");
    return nullptr;
  }
  const ptx::Function *function = owner->context.function(operand.name);
  if (!function) {
    error("unknown function '" + operand.name + "'");
    return nullptr;
  }
  if (function->entry) {
    error("'" + operand.name + "' is a kernel, expected a function");
    return nullptr;
  }
  const Code *code = owner->context.code(operand.name);
  if (!code && externalName) {
    *externalName = function->name;
  }
  return code;
}

std::optional<Decoder::LocalVariable> Decoder::localVariable(std::string_view name) const {
  auto found = owner->locals.find(name);
  if (found == owner->locals.end()) {
    return std::nullopt;
  }
  return LocalVariable{found->second.offset, found->second.size};
}

const std::vector<const Code *> *Decoder::functionsByAddress() const { return owner->context.functionsByAddress(); }

// --- The table.

void OpcodeTable::add(std::string_view opcode, Decode decode) {
  [[maybe_unused]] const bool added = decoders.emplace(std::string(opcode), std::move(decode)).second;
  assert(added && "two files of ops/ claim one opcode");
}

OpcodeTable::Found OpcodeTable::find(const ptx::Instruction &instruction) const {
  Found best;
  std::string name = instruction.opcode;
  for (unsigned modifiers = 0;; ++modifiers) {
    auto found = decoders.find(name);
    if (found != decoders.end()) {
      best = {&found->second, modifiers};
    }
    if (modifiers == instruction.modifiers.size()) {
      return best;
    }
    name += "." + instruction.modifiers[modifiers];
  }
}

} // namespace emulator
