// PTX from outside: cuModuleLoadData takes any text. Every index that the parser gives must lead somewhere.
#include "ptx/module.h"
#include <cstdlib>

using namespace emulator::ptx;

static void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

static void check(const Function &function, const Operand &operand, int depth) {
  require(depth < 8);
  if (operand.kind == Operand::Kind::Register) {
    require(operand.index < function.registers.size());
  } else if (operand.kind == Operand::Kind::Label) {
    require(operand.index <= function.instructions.size());
  } else if (operand.kind == Operand::Kind::Symbol || operand.kind == Operand::Kind::Special) {
    require(!operand.name.empty());
  } else if (operand.kind == Operand::Kind::Address) {
    require(operand.elements.size() == 1 || operand.elements.size() == 2);
  } else if (operand.kind == Operand::Kind::Pair) {
    require(operand.elements.size() == 2);
  }
  for (const Operand &element : operand.elements) {
    check(function, element, depth + 1);
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::variant<Module, Error> result = parse(std::string(reinterpret_cast<const char *>(data), size));
  if (const Error *error = std::get_if<Error>(&result)) {
    require(!error->text.empty() && error->place.line > 0 && error->place.column > 0);
    return 0;
  }
  const Module &module = std::get<Module>(result);
  for (const Variable &variable : module.variables) {
    require(variable.initial.size() <= variable.size);
    for (const Relocation &relocation : variable.relocations) {
      require(relocation.offset + relocation.size <= variable.initial.size());
    }
  }
  for (const Function &function : module.functions) {
    require(function.aliasOf.empty() || module.function(function.name) != &function);
    for (const Instruction &instruction : function.instructions) {
      require(instruction.guard < static_cast<int64_t>(function.registers.size()));
      require(!module.textOf(instruction).empty());
      for (const Operand &operand : instruction.operands) {
        check(function, operand, 0);
      }
    }
    for (const BranchTargets &table : function.branchTables) {
      for (uint32_t index : table.instructions) {
        require(index <= function.instructions.size());
      }
    }
  }
  return 0;
}
