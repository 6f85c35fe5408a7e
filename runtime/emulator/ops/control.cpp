#include "machine/cta.h"
#include "machine/decoder.h"
#include "machine/function_call.h"
#include "machine/grid.h"
#include "machine/warp.h"
#include "ops/device_print.h"
#include <algorithm>
#include <cstring>

// PTX ISA 9.7.12, control flow, and what stands near it: bra brx call ret exit trap brkpt nanosleep pmevent.

namespace emulator {

using ptx::Type;

namespace {

Flow branchTo(Warp &warp, const Op &op, Lanes lanes) { return warp.branch(op.target, lanes); }

/// All lanes in the same direction: nothing of the group stays.
Flow branchByIndex(Warp &warp, const Op &op, Lanes lanes) {
  const std::vector<uint32_t> &targets = *static_cast<const std::vector<uint32_t> *>(op.form);
  const uint32_t *indices = warp.read<uint32_t>(op.operands[0]);
  const uint32_t first = indices[__builtin_ctz(lanes)];
  if (first >= targets.size()) {
    return warp.fault(Fault::Kind::IllegalInstruction, op, lanes, first,
                      "brx.idx with index " + std::to_string(first) + ", expected less than " +
                          std::to_string(targets.size()));
  }
  Lanes same = 0;
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    same |= indices[lane] == first ? Lanes(1) << lane : 0;
  }
  if (same != lanes) {
    warp.putOff(lanes & ~same);
  }
  return warp.branch(targets[first], same);
}

Flow exitLanes(Warp &warp, const Op &op, Lanes lanes) { return warp.exit(lanes); }

Flow trap(Warp &warp, const Op &op, Lanes lanes) { return warp.fault(Fault::Kind::Trap, op, lanes, 0, "trap"); }

Flow breakpoint(Warp &warp, const Op &op, Lanes lanes) {
  return warp.fault(Fault::Kind::Trap, op, lanes, 0, "brkpt, and no debugger is attached");
}

Flow nanosleep(Warp &, const Op &, Lanes) { return Flow::Yield; }

Flow nothing(Warp &, const Op &, Lanes) { return Flow::Next; }

void decodeBranch(Decoder &d, Op &op) {
  d.accept("uni");
  op.target = d.label(0);
  op.run = branchTo;
  d.operandsEnd(1);
  d.endsFlow();
}

void decodeIndexedBranch(Decoder &d, Op &op) {
  d.expect("idx");
  d.accept("uni");
  op.operands[0] = d.source(0, Type::U32);
  const ptx::Operand &name = d.operand(1);
  std::vector<uint32_t> targets;
  for (const ptx::BranchTargets &table : d.function().branchTables) {
    if (table.name == name.name) {
      for (uint32_t instruction : table.instructions) {
        targets.push_back(d.labelAt(instruction));
      }
    }
  }
  if (targets.empty()) {
    d.error("unknown list of branch targets '" + name.name + "'");
  }
  op.form = d.keep(std::move(targets));
  op.run = branchByIndex;
  d.operandsEnd(2);
  d.endsFlow();
}

/// One argument or result at the call.
CallValue callValue(Decoder &d, const ptx::Operand &operand, bool result) {
  CallValue value;
  if (operand.kind == ptx::Operand::Kind::Symbol) {
    if (std::optional<Decoder::LocalVariable> local = d.localVariable(operand.name)) {
      value.offset = local->offset;
      value.size = local->size;
      return value;
    }
  }
  value.inRegister = true;
  if (operand.kind == ptx::Operand::Kind::Register) {
    const Type type = d.registerType(operand);
    value.size = ptx::sizeOf(type);
    value.slot = result ? d.destination(operand, type) : d.source(operand, type);
    return value;
  }
  if (result) {
    d.error("expected a parameter variable or a register for a result");
    return value;
  }
  const bool isDouble = operand.kind == ptx::Operand::Kind::Float64;
  const Type type = operand.kind == ptx::Operand::Kind::Float32 ? Type::F32 : isDouble ? Type::F64 : Type::B64;
  value.size = ptx::sizeOf(type);
  value.slot = d.source(operand, type);
  return value;
}

void decodeCall(Decoder &d, Op &op) {
  using Kind = ptx::Operand::Kind;
  d.accept("uni");
  // results (a vector), callee, arguments (a vector), prototype.
  unsigned next = 0;
  CallForm form;
  std::vector<const ptx::Operand *> arguments;
  if (d.operandCount() > next && d.operand(next).kind == Kind::Vector) {
    for (const ptx::Operand &result : d.operand(next).elements) {
      form.results.push_back(callValue(d, result, true));
    }
    ++next;
  }
  const ptx::Operand &callee = d.operand(next++);
  if (d.operandCount() > next && d.operand(next).kind == Kind::Vector) {
    for (const ptx::Operand &argument : d.operand(next).elements) {
      form.arguments.push_back(callValue(d, argument, false));
    }
    ++next;
  }
  if (callee.kind == Kind::Register) {
    form.table = d.functionsByAddress();
    op.operands[0] = d.source(callee, Type::B64);
    op.run = callFunction;
  } else {
    std::string external;
    form.code = d.callee(callee, &external);
    if (form.code) {
      if (form.code->parameters.size() != form.arguments.size() || form.code->results.size() != form.results.size()) {
        d.error("found " + std::to_string(form.arguments.size()) + " arguments and " +
                std::to_string(form.results.size()) + " results, expected " +
                std::to_string(form.code->parameters.size()) + " and " + std::to_string(form.code->results.size()));
      }
      op.run = callFunction;
    } else if (!external.empty()) {
      op.run = externalFunction(external);
      if (!op.run) {
        d.error("call of '" + external + "', which is declared, and defined nowhere");
      }
    }
  }
  op.form = d.keep(std::move(form));
}

} // namespace

void addControl(OpcodeTable &table) {
  table.add("bra", decodeBranch);
  table.add("brx", decodeIndexedBranch);
  table.add("call", decodeCall);
  table.add("ret", [](Decoder &d, Op &op) {
    d.accept("uni");
    d.operandsEnd(0);
    d.endsFlow();
    op.run = returnFromFunction;
  });
  table.add("exit", [](Decoder &d, Op &op) {
    d.operandsEnd(0);
    d.endsFlow();
    op.run = exitLanes;
  });
  table.add("trap", [](Decoder &d, Op &op) {
    d.operandsEnd(0);
    op.run = trap;
  });
  table.add("brkpt", [](Decoder &d, Op &op) {
    d.operandsEnd(0);
    op.run = breakpoint;
  });
  table.add("nanosleep", [](Decoder &d, Op &op) {
    d.expect("u32");
    op.operands[0] = d.source(0, Type::U32);
    d.operandsEnd(1);
    op.run = nanosleep;
  });
  table.add("pmevent", [](Decoder &d, Op &op) {
    d.accept("mask");
    d.constant(0);
    d.operandsEnd(1);
    op.run = nothing;
  });
}

} // namespace emulator
