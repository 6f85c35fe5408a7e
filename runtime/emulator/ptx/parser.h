#ifndef RUNTIME_EMULATOR_PTX_PARSER_H
#define RUNTIME_EMULATOR_PTX_PARSER_H

// Recursive descent over PTX. Names are resolved on the way: registers, variables and parameters when they are met (PTX
// declares before use), labels at the end of the scope that holds them, and what is left, functions and variables that
// come later in the module, at the end of the text.

#include "ptx/lexer.h"
#include <array>
#include <optional>
#include <unordered_map>

namespace emulator::ptx {

class Parser {
public:
  explicit Parser(Module &module) : module(module), lexer(module.text) {}

  bool parse();
  const Error &error() const { return lexer.error(); }

private:
  /// What a name in a function means.
  struct Binding {
    enum class Kind : uint8_t { Register, RegisterRange, Variable, Parameter, Result, Label, Table, Prototype };
    Kind kind;
    uint8_t vector = 1; ///< `.v4`
    uint32_t scope = 0;
    uint32_t index = 0;
    uint32_t count = 1; ///< `%f<100>`
  };

  /// A name that was met before what it names.
  struct Unresolved {
    std::string_view name;
    Place place;
    uint32_t instruction = 0;           ///< or a table's index
    std::array<uint16_t, 4> path = {0}; ///< operand, element, element of the element...
    uint8_t depth = 0;                  ///< of the path; 0: `entry` of the branch table `instruction`
    uint32_t entry = 0;
    bool onlyLabel = false; ///< a branch's target
  };

  struct Scope {
    size_t shadowedBefore, unresolvedBefore;
  };

  struct Shadowed {
    std::string_view name;
    bool existed;
    Binding before;
  };

  struct Declaration { ///< What stands before the names of `.global .align 16 .b8 a[4], b;`
    Space space = Space::Generic;
    Linkage linkage = Linkage::Internal;
    Type type = Type::None;
    unsigned vector = 1, alignment = 0;
    bool managed = false;
  };

  struct ModuleName {
    bool isFunction;
    uint32_t index;
  };

  // parser.cpp: the module's scope
  bool header();
  bool statement();
  bool fileDirective();
  bool section();
  bool alias();
  bool moduleVariables(Declaration declaration);
  bool function(Linkage linkage, bool entry);
  bool functionDirectives(Function &function);
  bool dimensions(uint32_t (&value)[3]);
  bool addFunction(Function function, std::string_view name);
  bool resolveModule();
  bool pragma();

  // declarations.cpp
  bool typeWords(Declaration &declaration);
  bool attribute(Declaration &declaration);
  bool variable(const Declaration &declaration, Variable &variable, std::string_view &name);
  bool parameterList(std::vector<Variable> &parameters, std::vector<std::string_view> &names, bool prototype);
  bool initialValue(Variable &variable, const std::vector<uint64_t> &extents);
  bool initialLevel(Variable &variable, const std::vector<uint64_t> &extents, size_t level, uint64_t begin,
                    uint64_t &end);
  bool initialScalar(Variable &variable, uint64_t offset);
  bool initialAddress(Variable &variable, uint64_t offset, unsigned size, unsigned shift);

  // body.cpp: a function's statements
  bool body();
  bool bodyStatement();
  bool bodyDirective();
  bool registers();
  bool bodyVariables(Space space, Linkage linkage);
  bool location();
  bool labelled(std::string_view name, Place place);
  bool branchTargets(std::string_view name, Place place);
  bool callPrototype(std::string_view name, Place place);
  bool callTargets(std::string_view name, Place place);
  bool openScope();
  bool closeScope();
  bool resolve(const Unresolved &name, const Binding &binding);
  bool bind(std::string_view name, Place place, Binding binding);
  bool bindParameters(const std::vector<Variable> &variables, const std::vector<std::string_view> &names,
                      Binding::Kind kind);
  bool addRegisters(std::string_view name, Type type, unsigned vector, uint64_t count, bool range, Place place);
  std::string uniqueName(std::string_view name);

  // operands.cpp
  bool instruction(Instruction instruction, std::string_view opcode);
  bool callOperands(std::vector<Operand> &operands);
  bool operand(Operand &operand, unsigned depth);
  bool pairOf(Operand &operand, unsigned depth, size_t unresolvedBefore);
  bool named(Operand &operand, unsigned depth);
  bool vectorOf(Operand &operand, unsigned depth, char close);
  bool address(Operand &operand, unsigned depth);
  bool constantOperand(Operand &operand);
  bool findRegister(std::string_view name, Binding &binding) const;
  bool registerOperand(Operand &operand, const Binding &binding);
  bool special(Operand &operand, std::string_view name, Place place);
  void addUnresolved(std::string_view name, Place place, unsigned depth);
  bool guardOf(Instruction &instruction);

  Module &module;
  Lexer lexer;
  std::unordered_map<std::string_view, ModuleName> moduleNames;
  std::vector<std::pair<std::string_view, Place>> moduleUses; ///< names that must exist at the end
  size_t initialBytes = 0, registerCount = 0, instructionCount = 0, operandCount = 0;

  // Of the function that is being parsed.
  Function current;
  std::vector<std::string_view> resultNames, parameterNames; ///< in the text, which outlives what is bound to it
  std::unordered_map<std::string_view, Binding> bindings;
  std::unordered_map<std::string_view, uint32_t> nameUses; ///< of variables, for suffixes
  std::vector<Shadowed> shadowed;
  std::vector<Unresolved> unresolved;
  std::vector<Scope> scopes;
  SourceLine source;
  std::array<uint16_t, 4> path = {0};
  bool branching = false; ///< the operand is a branch's
  bool inAddress = false; ///< the operand is an address's base
};

} // namespace emulator::ptx

#endif
