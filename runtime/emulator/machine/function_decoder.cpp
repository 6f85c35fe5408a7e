#include "machine/function_decoder.h"
#include "machine/function_call.h"
#include "machine/memory.h"
#include "machine/special_registers.h"
#include "machine/warp.h"
#include <algorithm>
#include <cassert>
#include <cstring>

namespace emulator {

using ptx::Type;

// --- Constants.

uint32_t ConstantPool::add(uint64_t low, uint64_t high, unsigned width) {
  assert(!storage && "the pool is sealed");
  if (width < 8) {
    low &= (uint64_t(1) << width * 8) - 1;
  }
  auto [found, added] = known.try_emplace({width, {low, high}}, static_cast<uint32_t>(data.size()));
  if (added) {
    const size_t begin = data.size();
    data.resize(begin + std::max<size_t>(64, warpLanes * width));
    const uint64_t words[2] = {low, high};
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      std::memcpy(data.data() + begin + lane * width, words, width);
    }
  }
  return found->second;
}

void ConstantPool::seal() {
  storage = std::make_unique<std::byte[]>(data.size() + 64);
  aligned = storage.get() + (64 - reinterpret_cast<uintptr_t>(storage.get()) % 64) % 64;
  std::copy(data.begin(), data.end(), aligned);
}

const std::byte *ConstantPool::bytes() const { return aligned; }

// --- The layout of local memory and parameters.

static uint32_t alignUp(uint64_t value, uint64_t alignment) {
  return static_cast<uint32_t>((value + alignment - 1) / alignment * alignment);
}

/// What a variable must be aligned to; nothing in local memory needs more than 16.
static uint32_t alignmentOf(const ptx::Variable &variable) {
  return std::max<uint32_t>(1, variable.alignment ? variable.alignment : ptx::sizeOf(variable.type));
}

void FunctionDecoder::placeLocals(const ptx::Function &function, Code &code) {
  code.function = &function;
  uint64_t end = 0;
  auto place = [&](const ptx::Variable &variable) {
    const uint32_t offset = alignUp(end, alignmentOf(variable));
    end = offset + variable.size;
    return Code::LocalVariable{offset, static_cast<uint32_t>(variable.size)};
  };
  code.parameters.clear();
  code.results.clear();
  if (!function.entry) {
    for (const ptx::Variable &variable : function.results) {
      code.results.push_back(place(variable));
    }
    for (const ptx::Variable &variable : function.parameters) {
      code.parameters.push_back(place(variable));
    }
  }
  for (const ptx::Variable &variable : function.variables) {
    if (variable.space == ptx::Space::Local || variable.space == ptx::Space::Param) {
      place(variable);
    }
  }
  code.localBytes = alignUp(end, 16);
}

FunctionDecoder::FunctionDecoder(const ptx::Module &module, const ptx::Function &function, ProgramContext &context,
                                 Code &code)
    : module(module), function(function), context(context), code(code) {
  placeLocals(function, code);
  uint64_t end = 0;
  auto place = [&](const ptx::Variable &variable) {
    const uint32_t offset = alignUp(end, alignmentOf(variable));
    end = offset + variable.size;
    locals[variable.name] = {offset, static_cast<uint32_t>(variable.size)};
  };
  if (function.entry) {
    uint64_t parameterEnd = 0;
    for (const ptx::Variable &variable : function.parameters) {
      const uint32_t offset = alignUp(parameterEnd, alignmentOf(variable));
      parameterEnd = offset + variable.size;
      kernelParameters[variable.name] = {variable.name, offset, static_cast<uint32_t>(variable.size)};
    }
  } else {
    for (const ptx::Variable &variable : function.results) {
      place(variable);
    }
    for (const ptx::Variable &variable : function.parameters) {
      place(variable);
    }
  }
  for (const ptx::Variable &variable : function.variables) {
    if (variable.space == ptx::Space::Shared) {
      sharedOffsets[variable.name] = context.placeShared(function, variable);
    } else if (variable.space == ptx::Space::Local || variable.space == ptx::Space::Param) {
      place(variable);
    }
  }
}

// --- Errors.

void FunctionDecoder::fail(const std::string &text) {
  if (failed) {
    return;
  }
  failed = true;
  if (!firstError) {
    const ptx::Instruction &instruction = function.instructions[current];
    firstError = ptx::Error{instruction.place, text + ", in '" + std::string(module.textOf(instruction)) + "'"};
  }
}

// --- Registers.

static uint8_t granulesOf(Type type) {
  return type == Type::Pred ? 0 : static_cast<uint8_t>(std::max(1u, ptx::sizeOf(type) * warpLanes / 64));
}

uint32_t FunctionDecoder::addTemporary(Type type) {
  // The second pass asks for the same ones in the same order.
  const uint32_t reg = static_cast<uint32_t>(function.registers.size()) + 1 + temporaries++;
  if (pass == Pass::Effects) {
    granules.push_back(granulesOf(type));
  }
  return reg;
}

Operand FunctionDecoder::slot(uint32_t reg) {
  Operand operand;
  operand.offset = pass == Pass::Emit ? allocation.place[reg] : 0;
  return operand;
}

void FunctionDecoder::reads(uint32_t reg) {
  if (effect) {
    effect->reads.push_back(reg);
  }
}

void FunctionDecoder::writes(uint32_t reg) {
  if (effect) {
    effect->writes.push_back(reg);
  }
}

Operand FunctionDecoder::frameValue(FrameValue value) {
  auto [found, added] = frameValueOffsets.try_emplace(
      {static_cast<int>(value.kind), value.special, value.bytes, value.addend}, frameValueBytes);
  if (added) {
    value.offset = frameValueBytes;
    frameValueBytes += value.bytes * warpLanes;
    code.frameValues.push_back(value);
  }
  Operand operand;
  operand.offset = found->second;
  return operand;
}

Operand FunctionDecoder::constantValue(uint64_t low, uint64_t high, unsigned width) {
  Operand operand;
  operand.constant = 1;
  operand.offset = context.constants().add(low, high, width) & 0x7fffffff;
  return operand;
}

// --- Values that the machine reads when the instruction runs.

static Flow readSpecial(Warp &warp, const Op &op, Lanes) {
  const SpecialRegister which = static_cast<SpecialRegister>(op.immediate >> 8);
  const uint64_t value = specialRegister(warp, which, 0);
  if ((op.immediate & 0xff) == 8) {
    std::fill_n(warp.write<uint64_t>(op.operands[0]), warpLanes, value);
  } else {
    std::fill_n(warp.write<uint32_t>(op.operands[0]), warpLanes, static_cast<uint32_t>(value));
  }
  return Flow::Next;
}

Operand FunctionDecoder::changingSpecial(unsigned which, unsigned bytes) {
  const uint32_t reg = addTemporary(bytes == 8 ? Type::U64 : Type::U32);
  writes(reg);
  Op op;
  op.run = readSpecial;
  op.operands[0] = slot(reg);
  op.immediate = static_cast<int64_t>(which) << 8 | (bytes == 8 ? 8 : 4);
  preludes.push_back(op);
  return slot(reg);
}

/// A variable's address as a value: `mov.u64 %rd1, buffer`.
Operand FunctionDecoder::symbolAddress(const ptx::Operand &operand, unsigned bytes) {
  if (bytes != 4 && bytes != 8) {
    fail("found the address of '" + operand.name + "', expected a value of " + std::to_string(bytes * 8) + " bits");
    return {};
  }
  const uint8_t width = static_cast<uint8_t>(bytes);
  if (auto shared = sharedOffsets.find(operand.name); shared != sharedOffsets.end()) {
    return frameValue({FrameValue::Kind::SharedAddress, 0, width, 0, shared->second + operand.value});
  }
  if (auto local = locals.find(operand.name); local != locals.end()) {
    return frameValue({FrameValue::Kind::LocalAddress, 0, width, 0, local->second.offset + operand.value});
  }
  if (auto parameter = kernelParameters.find(operand.name); parameter != kernelParameters.end()) {
    if (bytes != 8) {
      fail("found the address of parameter '" + operand.name + "', expected a value of 64 bits");
    }
    return frameValue({FrameValue::Kind::ParameterSpace, 0, width, 0, parameter->second.offset + operand.value});
  }
  if (const ModuleSymbol *symbol = context.symbol(operand.name)) {
    if (symbol->space == ptx::Space::Shared) {
      return frameValue(
          {FrameValue::Kind::SharedAddress, 0, width, 0, static_cast<int64_t>(symbol->address) + operand.value});
    }
    if (bytes != 8) {
      fail("found the address of '" + operand.name + "', expected a value of 64 bits");
    }
    return constantValue(symbol->address + static_cast<uint64_t>(operand.value), 0, width);
  }
  if (context.function(operand.name)) {
    return constantValue(context.functionAddress(operand.name), 0, width);
  }
  fail("unknown name '" + operand.name + "'");
  return {};
}

/// The base of `[buffer+4]`.
void FunctionDecoder::symbolBase(const ptx::Operand &symbol, Decoder::Address &address) {
  const ptx::Space wanted = address.space;
  const int64_t offset = address.offset + symbol.value;
  auto wrongSpace = [&](std::string_view found) {
    fail("'" + symbol.name + "' is in " + std::string(found) + " memory, expected another state space");
  };
  auto check = [&](uint64_t size) {
    if (size && offset >= 0 && static_cast<uint64_t>(offset) < size) {
      address.checkedBytes = size - static_cast<uint64_t>(offset);
    }
  };
  auto shared = [&](uint64_t place, uint64_t size) {
    if (wanted != ptx::Space::Shared && wanted != ptx::Space::Generic) {
      wrongSpace("shared");
    }
    address.base = frameValue({FrameValue::Kind::SharedAddress, 0, 4, 0, 0});
    address.narrow = true;
    address.offset = static_cast<int64_t>(place) + offset;
    address.space = ptx::Space::Shared;
    check(size);
  };
  if (auto found = sharedOffsets.find(symbol.name); found != sharedOffsets.end()) {
    shared(found->second, 0);
    return;
  }
  if (auto local = locals.find(symbol.name); local != locals.end()) {
    if (wanted != ptx::Space::Local && wanted != ptx::Space::Param && wanted != ptx::Space::Generic) {
      wrongSpace("local");
    }
    address.base = frameValue({FrameValue::Kind::LocalAddress, 0, 4, 0, 0});
    address.narrow = true;
    address.offset = local->second.offset + offset;
    address.space = ptx::Space::Local;
    check(local->second.size);
    return;
  }
  if (auto parameter = kernelParameters.find(symbol.name); parameter != kernelParameters.end()) {
    if (wanted != ptx::Space::Param && wanted != ptx::Space::Generic) {
      wrongSpace("parameter");
    }
    address.base = frameValue({FrameValue::Kind::ParameterSpace, 0, 8, 0, 0});
    address.offset = parameter->second.offset + offset;
    address.space = ptx::Space::Param;
    check(parameter->second.size);
    return;
  }
  if (const ModuleSymbol *known = context.symbol(symbol.name)) {
    if (known->space == ptx::Space::Shared) {
      shared(known->address, known->size);
      return;
    }
    if (wanted != known->space && wanted != ptx::Space::Generic) {
      wrongSpace(known->space == ptx::Space::Const ? "constant" : "global");
    }
    address.base = constantValue(known->address, 0, 8);
    address.offset = offset;
    check(known->size);
    return;
  }
  fail("unknown name '" + symbol.name + "'");
}

// --- The passes.

void FunctionDecoder::finishOp(Op &op, const ptx::Instruction &instruction, bool guarded) {
  op.source = &instruction;
  if (guarded && instruction.guard >= 0) {
    op.guard = {static_cast<uint16_t>(allocation.place[static_cast<uint32_t>(instruction.guard)]),
                instruction.guardNegated};
  }
}

void FunctionDecoder::decodeInstruction(uint32_t index) {
  current = index;
  failed = false;
  preludes.clear();
  const ptx::Instruction &instruction = function.instructions[index];
  if (pass == Pass::Effects) {
    effects.emplace_back();
    effect = &effects.back();
    if (instruction.guard >= 0) {
      effect->reads.push_back(static_cast<uint32_t>(instruction.guard));
      effect->conditional = true;
    }
  }
  if (effect && instruction.opcode == "ret") {
    for (const ptx::Variable &variable : function.results) {
      if (variable.space == ptx::Space::Register) {
        effect->reads.push_back(numberOf(variable));
      }
    }
  }
  Op op;
  const OpcodeTable::Found found = OpcodeTable::all().find(instruction);
  if (!found.decode) {
    fail("unknown opcode '" + instruction.opcode + "'");
  } else {
    modifier = found.modifiers;
    Decoder decoder;
    decoder.owner = this;
    (*found.decode)(decoder, op);
    if (!decoder.peek().empty()) {
      fail("unknown modifier '." + std::string(decoder.peek()) + "' of '" + instruction.opcode + "'");
    }
    if (!failed && !op.run) {
      fail("'" + instruction.opcode + "' does not exist in this form");
    }
  }
  if (pass == Pass::Effects) {
    effect->fallsThrough |= effect->conditional;
    firstOp.push_back(static_cast<uint32_t>(firstOp.empty() ? preludes.size() : firstOp.back() + preludes.size()));
    effect = nullptr;
    return;
  }
  // An op of the machine's own that some lanes write is written by all: only the instruction itself is guarded.
  for (Op &prelude : preludes) {
    finishOp(prelude, instruction, false);
    prelude.ownWork = true;
    code.ops.push_back(prelude);
    slotRanges.emplace_back();
  }
  finishOp(op, instruction, true);
  const InstructionEffects &known = effects[index];
  auto addSlots = [&](const std::vector<uint32_t> &registers) {
    for (uint32_t reg : registers) {
      if (granules[reg]) {
        code.slots.push_back({allocation.place[reg], granules[reg] * 64u});
      }
      op.readsUndefined |= undefined[reg] && &registers == &known.reads;
    }
    return code.slots.size();
  };
  SlotRange range;
  range.reads = code.slots.size();
  range.writes = addSlots(known.reads);
  range.end = addSlots(known.writes);
  slotRanges.push_back(range);
  code.ops.push_back(op);
}

void FunctionDecoder::run(Pass which) {
  pass = which;
  temporaries = 0;
  for (uint32_t i = 0; i < function.instructions.size() && !(firstError && which == Pass::Emit); ++i) {
    decodeInstruction(i);
  }
}

static Flow fallOffTheEnd(Warp &warp, const Op &op, Lanes lanes) { return returnFromFunction(warp, op, lanes); }

std::optional<ptx::Error> FunctionDecoder::decode() {
  const uint32_t count = static_cast<uint32_t>(function.instructions.size());
  granules.clear();
  for (const ptx::Register &reg : function.registers) {
    granules.push_back(granulesOf(reg.type));
  }
  granules.push_back(granulesOf(Type::Pred)); // The carry flag.
  run(Pass::Effects);
  if (firstError) {
    return firstError;
  }
  // The machine's own return stands behind the last instruction; labels may point there.
  effects.emplace_back();
  effects.back().fallsThrough = false;
  // `firstOp` holds the preludes up to and with each instruction's own: make it the index of the first of them.
  std::vector<uint32_t> first(count + 1);
  for (uint32_t i = 0, before = 0; i < count; ++i) {
    first[i] = i + before;
    before = firstOp[i];
  }
  first[count] = count + (count ? firstOp[count - 1] : 0);
  firstOp = std::move(first);

  const std::vector<LiveInterval> intervals = liveIntervals(effects, static_cast<uint32_t>(granules.size()));
  frameValueBytes = (frameValueBytes + 63) / 64 * 64;
  allocation = allocateRegisters(intervals, granules, frameValueBytes);
  undefined.assign(granules.size(), false);
  for (const LiveInterval &interval : intervals) {
    if (interval.undefinedAtEntry && interval.reg < function.registers.size() && !isFunctionParameter(interval.reg)) {
      undefined[interval.reg] = true;
      if (granules[interval.reg]) {
        code.undefinedSlots.emplace_back(allocation.place[interval.reg], function.registers[interval.reg].name);
      }
    }
  }
  if (allocation.predicateCount > 0xffff) {
    return ptx::Error{function.place, "found more than 65,535 predicates alive in '" + function.name + "'"};
  }
  code.forms.clear(); // The first pass's: its operands mean nothing.
  run(Pass::Emit);
  if (firstError) {
    return firstError;
  }
  Op end;
  end.run = fallOffTheEnd;
  end.ownWork = true;
  static const ptx::Instruction nothing;
  end.source = count ? &function.instructions[count - 1] : &nothing;
  code.ops.push_back(end);
  slotRanges.emplace_back();
  const std::span<const Op::Slot> slots(code.slots);
  for (size_t i = 0; i < code.ops.size(); ++i) {
    const SlotRange &range = slotRanges[i];
    code.ops[i].reads = slots.subspan(range.reads, range.writes - range.reads);
    code.ops[i].writes = slots.subspan(range.writes, range.end - range.writes);
  }
  placeRegisterParameters();
  code.registerBytes = allocation.registerBytes;
  code.predicateCount = allocation.predicateCount;
  return std::nullopt;
}

bool FunctionDecoder::isFunctionParameter(uint32_t reg) const {
  return std::any_of(function.parameters.begin(), function.parameters.end(), [&](const ptx::Variable &variable) {
    return variable.space == ptx::Space::Register && variable.name == function.registers[reg].name;
  });
}

/// The number of a `.reg` parameter or result.
uint32_t FunctionDecoder::numberOf(const ptx::Variable &variable) const {
  for (uint32_t reg = 0; reg < function.registers.size(); ++reg) {
    if (function.registers[reg].name == variable.name) {
      return reg;
    }
  }
  return 0;
}

void FunctionDecoder::placeRegisterParameters() {
  auto place = [&](const std::vector<ptx::Variable> &variables, std::vector<Code::LocalVariable> &places) {
    for (size_t i = 0; i < places.size(); ++i) {
      if (variables[i].space == ptx::Space::Register) {
        places[i] = {allocation.place[numberOf(variables[i])], ptx::sizeOf(variables[i].type), true};
      }
    }
  };
  if (!function.entry) {
    place(function.parameters, code.parameters);
    place(function.results, code.results);
  }
}

} // namespace emulator
