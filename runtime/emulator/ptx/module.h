#ifndef RUNTIME_EMULATOR_PTX_MODULE_H
#define RUNTIME_EMULATOR_PTX_MODULE_H

// PTX as text says it: what the parser returns, and what the decoder (machine/decoder.h) turns into a program.
//
// The parser knows PTX's grammar (PTX ISA, chapters 4 to 6 and 11) but no opcodes: an instruction keeps its modifiers
// as words, and the file of ops/ that owns the opcode reads them. So an unknown opcode or modifier is found in one
// place, and is an error with line and text.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace emulator::ptx {

/// Fundamental and alternate types (PTX ISA 5.2). Packed types (`f16x2`, `e4m3x2`) are types of an instruction, never
/// of a register.
enum class Type : uint8_t {
  None,
  Pred,
  B8,
  B16,
  B32,
  B64,
  B128,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  F16,
  F16x2,
  BF16,
  BF16x2,
  TF32,
  F32,
  F32x2,
  F64,
  E4M3,
  E5M2,
  E4M3x2,
  E5M2x2,
  E2M1x2,
  E8M0x2,
  UE8M0x2,
  U8x4,
  S8x4,
  U16x2,
  S16x2,
};

/// Bytes that a value of the type takes in a register or in memory; 0 for Pred and None.
unsigned sizeOf(Type type);
/// "f32"; and its inverse, None where the word is no type.
std::string_view nameOf(Type type);
Type typeNamed(std::string_view word);

enum class Space : uint8_t { Generic, Register, Special, Const, Global, Local, Param, Shared };

/// A place in the PTX text; both count from 1.
struct Place {
  uint32_t line = 0, column = 0;
};

/// What `.loc` says of an instruction: a line of the source it was compiled from. `file` indexes Module::files; line 0
/// where nothing is known.
struct SourceLine {
  uint32_t file = 0, line = 0;
};

/// A bad text: what was found, where, and what was expected.
struct Error {
  Place place;
  std::string text;
};

/// One operand as written. Kinds that hold others use `elements`.
struct Operand {
  enum class Kind : uint8_t {
    Register, ///< `%r1`: `index` in Function::registers; `negated` for `!%p1`
    Special,  ///< `%tid.x`: `name` is "tid.x"
    Integer,  ///< `value`; WARP_SZ too
    Float32,  ///< `0f3F800000`: `value` holds the bits
    Float64,  ///< `0d...` or a decimal fraction: `value` holds the bits
    Symbol,   ///< the address of a variable, or a function: `name`, plus `value` bytes
    Address,  ///< `[base+value]`: elements[0] is a Register, Symbol or Integer; elements[1], where present, the
              ///< coordinates of a tensor copy (a Vector)
    Vector,   ///< `{a, b, c}`
    Pair,     ///< `d|p`: two destinations
    Label,    ///< `index` of the instruction it stands before (Function::instructions.size() for the end); `name`
    Sink,     ///< `_`
  };
  Kind kind = Kind::Sink;
  bool negated = false; ///< `!%p1`, or `-%r1` nowhere else
  uint32_t index = 0;
  int64_t value = 0;
  std::string name;
  std::vector<Operand> elements;
  Place place;
};

struct Instruction {
  Place place;
  SourceLine source;
  int32_t guard = -1; ///< `@%p1`: a register, or -1
  bool guardNegated = false;
  std::string opcode; ///< "wgmma"
  std::vector<std::string>
      modifiers; ///< {"mma_async", "sync", "aligned", "m64n128k32", "f32", "e4m3", "e4m3"}; "shared::cluster" is one
  std::vector<Operand>
      operands; ///< as written; for `call`: results (Vector), callee, arguments (Vector), prototype (Symbol)
  uint32_t textBegin = 0, textEnd = 0; ///< in Module::text
};

/// An initial value that is an address: `bytes[offset..offset+size)` becomes the address of `symbol` + `addend`.
struct Relocation {
  uint64_t offset = 0;
  unsigned size = 8;
  std::string symbol;
  int64_t addend = 0;
  unsigned shift = 0;   ///< `0xff00(symbol)`: the address's bits from here on (PTX ISA 5.4.4)
  bool generic = false; ///< `generic(symbol)`
};

enum class Linkage : uint8_t { Internal, Visible, Extern, Weak, Common };

struct Variable {
  std::string name; ///< unique in its function and module: a name that an inner scope declares again gets a suffix
  Space space = Space::Generic; ///< Register for a function's `.reg` parameter: `name` is in Function::registers too
  Type type = Type::None;
  unsigned vector = 1;    ///< `.v4`
  unsigned alignment = 0; ///< bytes; natural where nothing is said
  uint64_t size = 0;      ///< bytes; 0 for an extern array without size (dynamic shared memory)
  Linkage linkage = Linkage::Internal;
  bool managed = false;         ///< `.attribute(.managed)`
  std::vector<uint8_t> initial; ///< the first bytes, at most `size`; zeros follow
  std::vector<Relocation> relocations;
  Place place;
};

struct Register {
  std::string name;
  Type type;
};

/// What a launch must respect (PTX ISA 11.4); 0 where nothing is said.
struct LaunchBounds {
  uint32_t requiredThreads[3] = {0, 0, 0}; ///< `.reqntid`
  uint32_t maxThreads[3] = {0, 0, 0};      ///< `.maxntid`
  uint32_t minCtasPerSm = 0, maxRegisters = 0;
  uint32_t requiredCluster[3] = {0, 0, 0}; ///< `.reqnctapercluster`
  uint32_t maxClusterRank = 0;
  bool explicitCluster = false;
};

struct BranchTargets { ///< `.branchtargets`, by name
  std::string name;
  std::vector<uint32_t> instructions;
};

struct Prototype { ///< `.callprototype`, of indirect calls; `.calltargets` gives its functions' common one
  std::string name;
  std::vector<Variable> results, parameters;
};

struct Function {
  std::string name;
  bool entry = false;
  bool declared = false; ///< a declaration without a body (vprintf, an extern function)
  Linkage linkage = Linkage::Internal;
  std::vector<Variable> results, parameters;
  std::string aliasOf; ///< `.alias`: the function that this is another name of
  LaunchBounds bounds;
  std::vector<Register> registers;       ///< of all scopes; `%f<100>` gives 100, `.v4` %v gives %v.x to %v.w
  std::vector<Variable> variables;       ///< .local, .shared and call-site .param of all scopes
  std::vector<Instruction> instructions; ///< labels are resolved to indices
  std::vector<BranchTargets> branchTables;
  std::vector<Prototype> prototypes;
  Place place;
};

struct Module {
  unsigned versionMajor = 0, versionMinor = 0;
  std::string target; ///< "sm_90a"
  unsigned addressSize = 64;
  std::vector<Variable> variables; ///< .global, .const, .shared of the module's scope
  std::vector<Function> functions;
  std::vector<std::string> files; ///< of `.file`, by number
  std::string text;               ///< what was parsed, for messages

  /// The function of this name, or the one it is an alias of; null where there is none.
  const Function *function(std::string_view name) const;
  std::string_view textOf(const Instruction &instruction) const;
};

/// Parses what NVRTC, nvcc and LLVM print. Never throws, never crashes; nesting and sizes are bounded.
std::variant<Module, Error> parse(std::string text);

/// The PTX inside a fatbin (plain, LZ4 or Zstandard compressed) for the newest target up to `sm`; an error that says
/// what the container holds where it has none.
std::variant<std::string, Error> ptxOfFatbin(const void *bytes, uint64_t size, unsigned sm);

} // namespace emulator::ptx

#endif
