#include "counters/instruction_class.h"
#include <algorithm>
#include <cstdio>
#include <unordered_map>

namespace emulator {

using Class = InstructionClass;

std::string_view nameOf(Class which) {
  static constexpr std::string_view names[instructionClasses] = {
      "integer", "float",    "special", "conversion", "move",    "control", "warp-wide", "global", "shared",
      "local",   "constant", "generic", "atomic",     "barrier", "copy",    "matrix",    "wgmma",  "other"};
  return names[static_cast<unsigned>(which)];
}

static bool has(const ptx::Instruction &instruction, std::string_view word) {
  return std::find(instruction.modifiers.begin(), instruction.modifiers.end(), word) != instruction.modifiers.end();
}

/// Arithmetic that exists for both: the last type among the modifiers says which.
static Class byType(const ptx::Instruction &instruction) {
  for (auto word = instruction.modifiers.rbegin(); word != instruction.modifiers.rend(); ++word) {
    switch (ptx::typeNamed(*word)) {
    case ptx::Type::None:
      continue;
    case ptx::Type::F16:
    case ptx::Type::F16x2:
    case ptx::Type::BF16:
    case ptx::Type::BF16x2:
    case ptx::Type::F32:
    case ptx::Type::F32x2:
    case ptx::Type::F64:
      return Class::Float;
    default:
      return Class::Integer;
    }
  }
  return Class::Integer;
}

static Class bySpace(const ptx::Instruction &instruction) {
  static const std::unordered_map<std::string_view, Class> spaces = {
      {"global", Class::Global},          {"shared", Class::Shared},         {"shared::cta", Class::Shared},
      {"shared::cluster", Class::Shared}, {"local", Class::Local},           {"const", Class::Constant},
      {"param", Class::Constant},         {"param::entry", Class::Constant}, {"param::func", Class::Local}};
  for (const std::string &word : instruction.modifiers) {
    if (auto found = spaces.find(word); found != spaces.end()) {
      return found->second;
    }
  }
  return Class::Generic;
}

Class classOf(const ptx::Instruction &instruction) {
  static const std::unordered_map<std::string_view, Class> fixed = {{"activemask", Class::WarpWide},
                                                                    {"applypriority", Class::Other},
                                                                    {"atom", Class::Atomic},
                                                                    {"bar", Class::Barrier},
                                                                    {"barrier", Class::Barrier},
                                                                    {"bra", Class::Control},
                                                                    {"brkpt", Class::Control},
                                                                    {"brx", Class::Control},
                                                                    {"call", Class::Control},
                                                                    {"cos", Class::Special},
                                                                    {"cp", Class::Copy},
                                                                    {"createpolicy", Class::Other},
                                                                    {"cvt", Class::Conversion},
                                                                    {"cvta", Class::Move},
                                                                    {"discard", Class::Other},
                                                                    {"elect", Class::WarpWide},
                                                                    {"ex2", Class::Special},
                                                                    {"exit", Class::Control},
                                                                    {"fence", Class::Barrier},
                                                                    {"getctarank", Class::Integer},
                                                                    {"griddepcontrol", Class::Barrier},
                                                                    {"ldmatrix", Class::Shared},
                                                                    {"lg2", Class::Special},
                                                                    {"mapa", Class::Integer},
                                                                    {"match", Class::WarpWide},
                                                                    {"mbarrier", Class::Barrier},
                                                                    {"membar", Class::Barrier},
                                                                    {"mma", Class::Matrix},
                                                                    {"mov", Class::Move},
                                                                    {"movmatrix", Class::WarpWide},
                                                                    {"nanosleep", Class::Control},
                                                                    {"pmevent", Class::Other},
                                                                    {"prefetch", Class::Other},
                                                                    {"prefetchu", Class::Other},
                                                                    {"rcp", Class::Special},
                                                                    {"redux", Class::WarpWide},
                                                                    {"ret", Class::Control},
                                                                    {"rsqrt", Class::Special},
                                                                    {"setmaxnreg", Class::Barrier},
                                                                    {"shfl", Class::WarpWide},
                                                                    {"sin", Class::Special},
                                                                    {"sqrt", Class::Special},
                                                                    {"stmatrix", Class::Shared},
                                                                    {"tanh", Class::Special},
                                                                    {"tensormap", Class::Copy},
                                                                    {"trap", Class::Control},
                                                                    {"vote", Class::WarpWide},
                                                                    {"wgmma", Class::Wgmma}};
  const std::string &opcode = instruction.opcode;
  if (opcode == "ld" || opcode == "st" || opcode == "ldu") {
    return has(instruction, "async") ? Class::Copy : bySpace(instruction);
  }
  if (opcode == "red") {
    return has(instruction, "async") ? Class::Copy : Class::Atomic;
  }
  if (opcode == "wmma") {
    return has(instruction, "mma") ? Class::Matrix : bySpace(instruction);
  }
  if (opcode == "div") {
    return byType(instruction) == Class::Float ? Class::Special : Class::Integer;
  }
  if (auto found = fixed.find(opcode); found != fixed.end()) {
    return found->second;
  }
  return byType(instruction);
}

std::string formOf(const ptx::Instruction &instruction) {
  std::string text = instruction.opcode;
  for (const std::string &word : instruction.modifiers) {
    text += "." + word;
  }
  return text;
}

MatrixShape matrixShapeOf(const ptx::Instruction &instruction) {
  MatrixShape shape;
  const bool wgmma = instruction.opcode == "wgmma" && has(instruction, "mma_async");
  if (!wgmma && instruction.opcode != "mma" && !(instruction.opcode == "wmma" && has(instruction, "mma"))) {
    return shape;
  }
  // "m64n128k32", and what follows it or stands before: layouts, roundings, and the types.
  static constexpr std::string_view notTypes[] = {"mma_async", "mma",       "sync", "aligned", "row",
                                                  "col",       "satfinite", "xor",  "and",     "popc",
                                                  "rn",        "rz",        "rm",   "rp",      "block_scale"};
  for (const std::string &word : instruction.modifiers) {
    if (std::sscanf(word.c_str(), "m%un%uk%u", &shape.m, &shape.n, &shape.k) == 3) {
      continue;
    }
    if (std::find(std::begin(notTypes), std::end(notTypes), word) == std::end(notTypes)) {
      shape.types += (shape.types.empty() ? "" : ".") + word;
    }
  }
  shape.sharedA =
      wgmma && instruction.operands.size() > 1 && instruction.operands[1].kind != ptx::Operand::Kind::Vector;
  return shape;
}

} // namespace emulator
