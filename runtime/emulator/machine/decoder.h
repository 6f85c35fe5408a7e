#ifndef RUNTIME_EMULATOR_MACHINE_DECODER_H
#define RUNTIME_EMULATOR_MACHINE_DECODER_H

// From parsed PTX to a program. Each file of ops/ owns some opcodes: it registers a decoder for each, which reads the
// modifiers in the ISA's order, asks for the operands, and chooses a handler. What it does not consume is an error with
// the instruction's line and text; nothing is guessed.
//
//   void addShuffles(OpcodeTable &table) {
//     table.add("shfl", [](Decoder &d, Op &op) {
//       d.expect("sync");
//       auto mode = d.oneOf({"up", "down", "bfly", "idx"});
//       d.expect("b32");
//       op.operands[0] = d.destination(0, ptx::Type::B32);
//       ...
//       op.run = shuffle;
//     });
//   }

#include "machine/program.h"
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace emulator {

class Device;

/// Reads one instruction. After the first error it goes on silently with harmless answers, so decoders need no checks.
class Decoder {
public:
  const ptx::Instruction &instruction() const;

  // Modifiers, in order.
  bool accept(std::string_view word);
  void expect(std::string_view word);
  /// The index of the word that stands next; an error where none does.
  unsigned oneOf(std::initializer_list<std::string_view> words);
  /// As above, -1 where none stands next.
  int optionalOf(std::initializer_list<std::string_view> words);
  /// The type that stands next, an error where there is none or one not in `allowed` (empty: all).
  ptx::Type type(std::initializer_list<ptx::Type> allowed = {});
  std::optional<ptx::Type> optionalType(std::initializer_list<ptx::Type> allowed = {});
  /// The next word, consumed, for a decoder that reads it itself ("m64n128k32"); empty at the end.
  std::string_view word();
  std::string_view peek() const;

  // Operands. A register's type must fit (PTX ISA 9.4 "operand size exceeding" rules for ld, st, cvt: `relaxed`).
  unsigned operandCount() const;
  /// An error where the instruction has more operands than these.
  void operandsEnd(unsigned count);
  const ptx::Operand &operand(unsigned index) const;
  Operand source(const ptx::Operand &operand, ptx::Type type, bool relaxed = false);
  Operand source(unsigned index, ptx::Type type, bool relaxed = false) { return source(operand(index), type, relaxed); }
  /// A sink gives a slot that nobody reads.
  Operand destination(const ptx::Operand &operand, ptx::Type type, bool relaxed = false);
  Operand destination(unsigned index, ptx::Type type, bool relaxed = false) {
    return destination(operand(index), type, relaxed);
  }
  /// The type that a register was declared with; None for anything else.
  ptx::Type registerType(const ptx::Operand &operand) const;
  ptx::Type registerType(unsigned index) const { return registerType(operand(index)); }
  /// Bytes a lane of what `source` and `destination` give for a relaxed operand: the register's width, which may
  /// exceed the type's; the type's own for immediates and sinks.
  unsigned width(const ptx::Operand &operand, ptx::Type type) const;
  unsigned width(unsigned index, ptx::Type type) const { return width(operand(index), type); }
  /// A register of the machine's own, that one instruction writes and reads.
  Operand temporary(ptx::Type type);
  /// Puts an instruction of the machine's own before this one (reading a clock, say); it runs for the whole group.
  void before(Op op);
  /// The code that a call leads to; null for an external function (`externalName` says which).
  const Code *callee(const ptx::Operand &operand, std::string *externalName);
  /// Where a function's or a call's parameter lies in its frame's local memory.
  struct LocalVariable {
    uint32_t offset = 0, size = 0;
  };
  std::optional<LocalVariable> localVariable(std::string_view name) const;
  /// Code of functions by the number that stands for a function's address.
  const std::vector<const Code *> *functionsByAddress() const;
  const ptx::Function &function() const;
  /// A register that wgmma reads and writes while later instructions run: it keeps its slot until `landsRegisters`.
  Operand accumulator(const ptx::Operand &operand, ptx::Type type);
  /// A register that wgmma reads while later instructions run: likewise.
  Operand lateSource(const ptx::Operand &operand, ptx::Type type);
  /// Behind this instruction (wgmma.wait_group) registers of earlier wgmmas may be used for something else: for the
  /// allocator it reads every accumulator and late source that can be in flight where it stands.
  void landsRegisters();
  /// The carry flag (CC.CF), which no program names.
  Predicate carrySource();
  Predicate carryDestination();
  Predicate predicateSource(const ptx::Operand &operand);
  Predicate predicateDestination(const ptx::Operand &operand);
  /// An immediate; an error otherwise.
  int64_t constant(unsigned index);
  /// `[base+offset]`: the base as 64-bit values (a 32-bit register is zero-extended at run time: see `narrow`), the
  /// offset in bytes. `space` resolves symbols and is None for a generic address.
  struct Address {
    Operand base;
    bool narrow = false; ///< base holds 32-bit values
    int64_t offset = 0;
    /// Where it leads: the space that was asked for, but Local for parameters of calls and of functions other than
    /// kernels, which lie in local memory.
    ptx::Space space = ptx::Space::Generic;
    /// A symbol, whose bounds hold for `checkedBytes` from the address on: 0 for a register's address.
    uint64_t checkedBytes = 0;
  };
  Address address(const ptx::Operand &operand, ptx::Space space);
  Address address(unsigned index, ptx::Space space) { return address(operand(index), space); }
  uint32_t label(unsigned index);
  /// The op that an instruction of the function begins with: a place that this one may go to.
  uint32_t labelAt(uint32_t instructionIndex);
  /// Nothing falls through to the next instruction, where no guard lets lanes pass.
  void endsFlow();

  /// Keeps what a handler needs beyond the op's fields.
  template <typename Form> const Form *keep(Form form) {
    auto held = std::make_shared<Form>(std::move(form));
    const Form *pointer = held.get();
    hold(std::move(held));
    return pointer;
  }

  /// The error of this instruction, unless one is there already.
  void error(const std::string &text);

private:
  friend class FunctionDecoder;
  void hold(std::shared_ptr<void> form);
  class FunctionDecoder *owner = nullptr;
};

class OpcodeTable {
public:
  using Decode = std::function<void(Decoder &, Op &)>;
  /// `opcode` may go on with modifiers ("st.async", "cp.async.bulk.tensor"), which the decoder then finds consumed.
  void add(std::string_view opcode, Decode decode);
  struct Found {
    const Decode *decode = nullptr;
    unsigned modifiers = 0; ///< of the instruction, that the name in the table has consumed
  };
  /// By the longest name that the instruction begins with; null where there is none.
  Found find(const ptx::Instruction &instruction) const;
  /// All that the emulator knows, from every file of ops/.
  static const OpcodeTable &all();

private:
  std::map<std::string, Decode, std::less<>> decoders;
};

// One a file of ops/. Those that are compiled for several architectures (ops/lanes.h) are in ops/opcodes.cpp.
void addAtomics(OpcodeTable &table);   ///< atom red fence membar
void addControl(OpcodeTable &table);   ///< bra brx call ret exit trap brkpt nanosleep pmevent
void addWarpWide(OpcodeTable &table);  ///< shfl vote match redux elect activemask bar.warp.sync
void addBarriers(OpcodeTable &table);  ///< bar barrier (named and cluster), griddepcontrol, setmaxnreg, mapa getctarank
void addMbarriers(OpcodeTable &table); ///< mbarrier
void addAsyncCopies(
    OpcodeTable &table); ///< cp.async, cp.async.bulk, cp.reduce.async.bulk, st.async, red.async, multimem
void addTensorCopies(OpcodeTable &table);    ///< cp.async.bulk.tensor, cp.reduce.async.bulk.tensor, tensormap
void addWarpMatrix(OpcodeTable &table);      ///< mma ldmatrix stmatrix movmatrix wmma
void addWarpgroupMatrix(OpcodeTable &table); ///< wgmma

} // namespace emulator

#endif
