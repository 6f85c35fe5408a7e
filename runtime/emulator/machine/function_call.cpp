#include "machine/function_call.h"
#include "machine/cta.h"
#include <algorithm>
#include <cstring>

namespace emulator {

namespace {

/// One side of a copy: a value of a frame.
struct Side {
  const Frame *frame;
  bool inRegister;
  const std::byte *registers; // The frame's, or the constants.
  uint32_t offset, size;

  std::byte *lane(Warp &warp, unsigned lane) const {
    if (inRegister) {
      return const_cast<std::byte *>(registers) + offset + static_cast<size_t>(lane) * size;
    }
    return warp.cta.localMemory(warp, lane) + frame->localBase + offset;
  }
};

void copy(Warp &warp, const Side &to, const Side &from, Lanes lanes) {
  const uint32_t size = std::min(to.size, from.size);
  for (; lanes; lanes &= lanes - 1) {
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(lanes));
    std::memcpy(to.lane(warp, lane), from.lane(warp, lane), size);
  }
}

Side callerSide(Warp &warp, const Frame &frame, const CallValue &value) {
  return {&frame, value.inRegister, value.slot.constant ? warp.constants : frame.registers,
          value.inRegister ? value.slot.offset : value.offset, value.size};
}

Side calleeSide(const Frame &frame, const Code::LocalVariable &variable) {
  return {&frame, variable.inRegister, frame.registers, variable.offset, variable.size};
}

} // namespace

Flow callFunction(Warp &warp, const Op &op, Lanes lanes) {
  const CallForm &form = *static_cast<const CallForm *>(op.form);
  const Code *code = form.code;
  if (!code) {
    // Lanes may have different targets: those of the first lane's go now, the others find themselves here again.
    const uint64_t *addresses = warp.read<uint64_t>(op.operands[0]);
    const uint64_t first = addresses[__builtin_ctz(lanes)];
    Lanes same = 0;
    for (Lanes rest = lanes; rest; rest &= rest - 1) {
      const unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
      same |= addresses[lane] == first ? Lanes(1) << lane : 0;
    }
    const uint64_t number = (first - functionAddressBase) / 16;
    if (first < functionAddressBase || first % 16 || number >= form.table->size() || !(*form.table)[number]) {
      return warp.fault(Fault::Kind::IllegalInstruction, op, same, first, "an indirect call to no function's address");
    }
    code = (*form.table)[number];
    if (code->parameters.size() != form.arguments.size() || code->results.size() != form.results.size()) {
      return warp.fault(Fault::Kind::IllegalInstruction, op, same, first,
                        "an indirect call to '" + code->function->name + "', which has other parameters");
    }
    if (same != lanes) {
      warp.putOff(lanes & ~same);
      lanes = same;
    }
  }
  const Frame *caller = warp.frame;
  if (!warp.enter(*code, lanes)) {
    return warp.fault(Fault::Kind::StackOverflow, op, lanes, 0,
                      "the call of '" + code->function->name + "' exceeds the stack");
  }
  for (size_t i = 0; i < form.arguments.size(); ++i) {
    copy(warp, calleeSide(*warp.frame, code->parameters[i]), callerSide(warp, *caller, form.arguments[i]), lanes);
  }
  return Flow::Moved;
}

Flow returnFromFunction(Warp &warp, const Op &op, Lanes lanes) {
  const Frame *caller = warp.caller();
  if (!caller) {
    return warp.exit(lanes);
  }
  const CallForm &form = *static_cast<const CallForm *>(warp.callOp()->form);
  const Code &code = *warp.frame->code;
  for (size_t i = 0; i < form.results.size(); ++i) {
    copy(warp, callerSide(warp, *caller, form.results[i]), calleeSide(*warp.frame, code.results[i]), lanes);
  }
  return warp.leave(lanes);
}

} // namespace emulator
