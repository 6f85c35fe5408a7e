#ifndef RUNTIME_EMULATOR_MACHINE_FUNCTION_DECODER_H
#define RUNTIME_EMULATOR_MACHINE_FUNCTION_DECODER_H

// Turns one function into code, in two passes over the same decoders. The first learns what each instruction reads and
// writes; then registers get their slots; the second makes the ops, whose operands are slots. So an op, and whatever
// form it keeps, never needs patching.

#include "machine/decoder.h"
#include "machine/liveness.h"
#include "machine/register_allocation.h"
#include <cstddef>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace emulator {

/// Values that instructions read but never write, one copy for all warps and functions of a kernel: each is spread over
/// 32 lanes.
class ConstantPool {
public:
  /// A byte offset in `bytes()`.
  uint32_t add(uint64_t low, uint64_t high, unsigned width);
  const std::byte *bytes() const;
  void seal(); ///< Before `bytes()`; nothing is added after.

private:
  std::map<std::pair<unsigned, std::pair<uint64_t, uint64_t>>, uint32_t> known;
  std::vector<std::byte> data;
  std::unique_ptr<std::byte[]> storage;
  std::byte *aligned = nullptr;
};

/// What a name outside of functions stands for.
struct ModuleSymbol {
  ptx::Space space = ptx::Space::Global;
  uint64_t address = 0; ///< global and constant: a host address; shared: an offset in the CTA's memory
  uint64_t size = 0;    ///< 0: as much as the launch gives (dynamic shared memory)
};

/// Everything that decoding a function needs to know of the others.
class ProgramContext {
public:
  virtual ~ProgramContext() = default;
  virtual const ModuleSymbol *symbol(std::string_view name) const = 0;
  /// Code that is or will be decoded; null for a name that is no function with a body.
  virtual const Code *code(std::string_view function) = 0;
  virtual const ptx::Function *function(std::string_view name) const = 0;
  /// The number that stands for a function's address.
  virtual uint64_t functionAddress(std::string_view function) = 0;
  virtual const std::vector<const Code *> *functionsByAddress() = 0;
  /// Places a shared variable of the function in the kernel's shared memory: its offset.
  virtual uint32_t placeShared(const ptx::Function &function, const ptx::Variable &variable) = 0;
  virtual ConstantPool &constants() = 0;
};

class FunctionDecoder {
public:
  FunctionDecoder(const ptx::Module &module, const ptx::Function &function, ProgramContext &context, Code &code);
  /// The first error, if there is one.
  std::optional<ptx::Error> decode();
  /// Most 32-bit registers alive at once.
  uint32_t peakRegisters() const { return allocation.peakWords; }
  /// Local memory: `[function's own parameters and results, call parameters, .local variables]`.
  static void placeLocals(const ptx::Function &function, Code &code);

private:
  friend class Decoder;
  enum class Pass : uint8_t { Effects, Emit };

  void run(Pass pass);
  void decodeInstruction(uint32_t index);
  uint32_t addTemporary(ptx::Type type);
  Operand slot(uint32_t reg);
  void reads(uint32_t reg);
  void writes(uint32_t reg);
  Operand frameValue(FrameValue value);
  Operand changingSpecial(unsigned which, unsigned bytes);
  Operand symbolAddress(const ptx::Operand &operand, unsigned bytes);
  void symbolBase(const ptx::Operand &symbol, Decoder::Address &address);
  Operand constantValue(uint64_t low, uint64_t high, unsigned width);
  void fail(const std::string &text);
  bool isFunctionParameter(uint32_t reg) const;
  uint32_t numberOf(const ptx::Variable &variable) const;
  void placeRegisterParameters();
  void finishOp(Op &op, const ptx::Instruction &instruction, bool guarded);

  const ptx::Module &module;
  const ptx::Function &function;
  ProgramContext &context;
  Code &code;
  std::map<std::string, Code::LocalVariable, std::less<>> locals;
  std::map<std::string, Parameter, std::less<>> kernelParameters;
  std::map<std::string, uint32_t, std::less<>> sharedOffsets;

  Pass pass = Pass::Effects;
  uint32_t current = 0;  // Instruction.
  unsigned modifier = 0; // Next to be read.
  bool failed = false;   // This instruction has an error.
  std::optional<ptx::Error> firstError;
  std::vector<uint8_t> granules; // By register number: the function's, then temporaries.
  uint32_t temporaries = 0;      // Taken so far in this pass.
  std::vector<InstructionEffects> effects;
  InstructionEffects *effect = nullptr;
  std::vector<uint32_t> firstOp; // By instruction.
  std::vector<Op> preludes;      // Of the current instruction.
  std::vector<bool> undefined;   // By register.
  std::map<std::tuple<int, int, int, int64_t>, uint32_t> frameValueOffsets;
  uint32_t frameValueBytes = 0;
  RegisterAllocation allocation;
  struct SlotRange {
    size_t reads = 0, writes = 0, end = 0; // In code.slots: reads, then writes.
  };
  std::vector<SlotRange> slotRanges; // By op.
};

} // namespace emulator

#endif
