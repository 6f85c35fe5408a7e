#include "machine/function_call.h"
#include "machine/function_decoder.h"
#include "machine/grid.h"
#include "machine/memory.h"
#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <ranges>
#include <set>

// A module on a device: its variables get memory, and each kernel becomes a program of its own, with its copies of the
// functions that it reaches. So shared memory is laid out by kernel, as the hardware's tools do.

namespace emulator {

static uint64_t alignUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

static uint64_t alignmentOf(const ptx::Variable &variable) {
  return std::max<uint64_t>(1, variable.alignment ? variable.alignment : ptx::sizeOf(variable.type));
}

namespace {

/// What a function's text mentions.
struct Mentions {
  std::set<std::string> names;
  bool indirectCall = false;
};

void mention(const ptx::Operand &operand, Mentions &mentions) {
  if (operand.kind == ptx::Operand::Kind::Symbol) {
    mentions.names.insert(operand.name);
  }
  for (const ptx::Operand &element : operand.elements) {
    mention(element, mentions);
  }
}

Mentions mentionsOf(const ptx::Function &function) {
  Mentions mentions;
  for (const ptx::Instruction &instruction : function.instructions) {
    for (const ptx::Operand &operand : instruction.operands) {
      mention(operand, mentions);
      mentions.indirectCall |= instruction.opcode == "call" && operand.kind == ptx::Operand::Kind::Register;
    }
  }
  return mentions;
}

/// A kernel with all that it reaches.
class KernelProgram : public ProgramContext {
public:
  KernelProgram(const ptx::Module &module, const ptx::Function &entry,
                const std::map<std::string, ModuleSymbol, std::less<>> &globals)
      : module(module), entry(entry), globals(globals) {}

  std::optional<ptx::Error> build();
  bool reaches(const ptx::Function &function) const { return codes.contains(&function); }

  const ModuleSymbol *symbol(std::string_view name) const override {
    auto shared = moduleShared.find(name);
    if (shared != moduleShared.end()) {
      return &shared->second;
    }
    auto found = globals.find(name);
    return found == globals.end() ? nullptr : &found->second;
  }
  const Code *code(std::string_view name) override {
    const ptx::Function *found = module.function(name);
    auto known = found ? codes.find(found) : codes.end();
    return known == codes.end() ? nullptr : known->second.get();
  }
  const ptx::Function *function(std::string_view name) const override { return module.function(name); }
  uint64_t functionAddress(std::string_view name) override {
    return functionAddressBase + 16 * static_cast<uint64_t>(module.function(name) - module.functions.data());
  }
  const std::vector<const Code *> *functionsByAddress() override { return &byAddress; }
  uint32_t placeShared(const ptx::Function &, const ptx::Variable &variable) override {
    return functionShared.at(&variable);
  }
  ConstantPool &constants() override { return pool; }

  Kernel kernel;
  ConstantPool pool;

private:
  void reach();
  void placeSharedMemory();
  uint32_t localBytes() const;

  const ptx::Module &module;
  const ptx::Function &entry;
  const std::map<std::string, ModuleSymbol, std::less<>> &globals;
  std::vector<const ptx::Function *> functions; // The entry first.
  std::map<const ptx::Function *, Mentions> mentions;
  std::map<const ptx::Function *, std::unique_ptr<Code>> codes;
  std::map<std::string, ModuleSymbol, std::less<>> moduleShared;
  std::map<const ptx::Variable *, uint32_t> functionShared;
  std::vector<const Code *> byAddress;
  bool indirect = false;
};

void KernelProgram::reach() {
  std::deque<const ptx::Function *> open = {&entry};
  auto add = [&](const ptx::Function *function) {
    if (function && !function->declared && codes.try_emplace(function, std::make_unique<Code>()).second) {
      functions.push_back(function);
      open.push_back(function);
    }
  };
  codes.emplace(&entry, std::make_unique<Code>());
  functions.push_back(&entry);
  byAddress.assign(module.functions.size(), nullptr);
  while (!open.empty()) {
    const ptx::Function *function = open.front();
    open.pop_front();
    Mentions &mentioned = mentions[function] = mentionsOf(*function);
    for (const std::string &name : mentioned.names) {
      const ptx::Function *callee = module.function(name);
      if (callee && !callee->entry) {
        add(callee);
      }
    }
    if (mentioned.indirectCall && !indirect) {
      // Where it leads is known when it runs: any function may be meant.
      indirect = true;
      for (const ptx::Function &any : module.functions) {
        if (!any.entry) {
          add(&any);
        }
      }
    }
  }
  for (const auto &[function, made] : codes) {
    FunctionDecoder::placeLocals(*function, *made);
    if (!function->entry) {
      byAddress[static_cast<size_t>(function - module.functions.data())] = made.get();
    }
  }
}

void KernelProgram::placeSharedMemory() {
  // Static variables from the CTA's first byte on, then dynamic shared memory: all arrays without a size are one.
  uint64_t end = reservedSharedBytes, dynamicAlignment = 16;
  std::vector<ModuleSymbol *> dynamicSymbols;
  std::vector<const ptx::Variable *> dynamicVariables;
  std::set<std::string> mentioned;
  for (const auto &[function, names] : mentions) {
    mentioned.insert(names.names.begin(), names.names.end());
  }
  for (const ptx::Variable &variable : module.variables) {
    if (variable.space != ptx::Space::Shared || !mentioned.contains(variable.name)) {
      continue;
    }
    ModuleSymbol &symbol = moduleShared[variable.name];
    symbol = {ptx::Space::Shared, 0, variable.size};
    if (variable.size == 0) {
      dynamicAlignment = std::max(dynamicAlignment, alignmentOf(variable));
      dynamicSymbols.push_back(&symbol);
      continue;
    }
    symbol.address = alignUp(end, alignmentOf(variable));
    end = symbol.address + variable.size;
    kernel.sharedVariables.push_back(
        {variable.name, static_cast<uint32_t>(symbol.address), static_cast<uint32_t>(variable.size)});
  }
  for (const ptx::Function *function : functions) {
    for (const ptx::Variable &variable : function->variables) {
      if (variable.space != ptx::Space::Shared) {
        continue;
      }
      if (variable.size == 0) {
        dynamicAlignment = std::max(dynamicAlignment, alignmentOf(variable));
        dynamicVariables.push_back(&variable);
        continue;
      }
      functionShared[&variable] = static_cast<uint32_t>(end = alignUp(end, alignmentOf(variable)));
      kernel.sharedVariables.push_back(
          {variable.name, static_cast<uint32_t>(end), static_cast<uint32_t>(variable.size)});
      end += variable.size;
    }
  }
  if (!dynamicSymbols.empty() || !dynamicVariables.empty()) {
    end = alignUp(end, dynamicAlignment);
  }
  for (ModuleSymbol *symbol : dynamicSymbols) {
    symbol->address = end;
  }
  kernel.sharedVariables.push_back({"dynamic shared", static_cast<uint32_t>(end), 0});
  for (const ptx::Variable *variable : dynamicVariables) {
    functionShared[variable] = static_cast<uint32_t>(end);
  }
  kernel.staticSharedBytes = static_cast<uint32_t>(end - reservedSharedBytes);
}

/// The deepest chain of calls; where functions call themselves, room for a stack as deep as most programs need.
uint32_t KernelProgram::localBytes() const {
  constexpr uint32_t recursiveStack = 64 << 10;
  std::map<const ptx::Function *, uint32_t> known;
  std::set<const ptx::Function *> open;
  bool recursive = indirect;
  auto depth = [&](auto &self, const ptx::Function *function) -> uint32_t {
    if (auto found = known.find(function); found != known.end()) {
      return found->second;
    }
    if (!open.insert(function).second) {
      recursive = true;
      return 0;
    }
    uint32_t deepest = 0;
    for (const std::string &name : mentions.at(function).names) {
      const ptx::Function *callee = module.function(name);
      if (callee && codes.contains(callee)) {
        deepest = std::max(deepest, self(self, callee));
      }
    }
    open.erase(function);
    return known[function] = codes.at(function)->localBytes + deepest;
  };
  const uint32_t bytes = depth(depth, &entry);
  return recursive ? bytes + recursiveStack : bytes;
}

std::optional<ptx::Error> KernelProgram::build() {
  reach();
  placeSharedMemory();
  uint32_t peak = 0;
  for (const ptx::Function *function : functions) {
    FunctionDecoder decoder(module, *function, *this, *codes.at(function));
    if (std::optional<ptx::Error> error = decoder.decode()) {
      return error;
    }
    peak = std::max(peak, decoder.peakRegisters());
  }
  pool.seal();
  kernel.name = entry.name;
  kernel.code = codes.at(&entry).get();
  kernel.bounds = entry.bounds;
  uint64_t end = 0;
  for (const ptx::Variable &variable : entry.parameters) {
    const uint64_t offset = alignUp(end, alignmentOf(variable));
    end = offset + variable.size;
    kernel.parameters.push_back({variable.name, static_cast<uint32_t>(offset), static_cast<uint32_t>(variable.size)});
  }
  kernel.parameterBytes = static_cast<uint32_t>(end);
  kernel.localBytes = localBytes();
  for (const ptx::Variable &variable : module.variables) {
    kernel.constantBytes += variable.space == ptx::Space::Const ? static_cast<uint32_t>(variable.size) : 0;
  }
  const ptx::LaunchBounds &bounds = kernel.bounds;
  auto product = [](const uint32_t (&threads)[3]) {
    return threads[0] ? uint64_t(threads[0]) * std::max(1u, threads[1]) * std::max(1u, threads[2]) : 0;
  };
  const uint64_t limit = product(bounds.requiredThreads) ? product(bounds.requiredThreads) : product(bounds.maxThreads);
  kernel.maxThreads = limit ? static_cast<uint32_t>(std::min<uint64_t>(limit, 1024)) : 1024;
  // What ptxas may use: a multiple of 8, at most 255, such that the CTAs that the bounds ask for fit.
  uint32_t most = bounds.maxRegisters ? bounds.maxRegisters : 255;
  if (limit) {
    const uint64_t threads = alignUp(limit, 32) * std::max(1u, bounds.minCtasPerSm);
    most = std::min<uint32_t>(most, static_cast<uint32_t>(std::max<uint64_t>(16, 65536 / threads / 8 * 8)));
  }
  // A kernel that moves registers between its warps begins with all that its bounds allow.
  const bool moves = std::any_of(functions.begin(), functions.end(), [](const ptx::Function *function) {
    return std::any_of(function->instructions.begin(), function->instructions.end(),
                       [](const ptx::Instruction &instruction) { return instruction.opcode == "setmaxnreg"; });
  });
  kernel.registers = std::min(255u, moves && limit ? most : std::min(most, std::max(16u, (peak + 8 + 7) / 8 * 8)));
  return std::nullopt;
}

} // namespace

struct LoadedModule::Impl {
  ptx::Module module;
  std::map<std::string, ModuleSymbol, std::less<>> symbols;
  std::map<std::string, Allocation *, std::less<>> variables;
  std::map<std::string, std::unique_ptr<KernelProgram>, std::less<>> programs;
  std::vector<const Kernel *> kernels;

  std::optional<ptx::Error> allocate(int device);
  std::optional<ptx::Error> relocate();
};

std::optional<ptx::Error> LoadedModule::Impl::allocate(int device) {
  for (const ptx::Variable &variable : module.variables) {
    if (variable.space != ptx::Space::Global && variable.space != ptx::Space::Const) {
      continue;
    }
    if (variable.linkage == ptx::Linkage::Extern) {
      return ptx::Error{variable.place, "'" + variable.name + "' is declared extern, and defined nowhere"};
    }
    Allocation *allocation =
        GlobalMemory::instance().allocate(std::max<uint64_t>(1, variable.size), device, variable.name);
    if (!allocation) {
      return ptx::Error{variable.place, "no memory for '" + variable.name + "'"};
    }
    allocation->writable = variable.space == ptx::Space::Global;
    allocation->initialised = true;
    std::byte *bytes = reinterpret_cast<std::byte *>(allocation->address);
    std::memset(bytes, 0, allocation->size);
    if (!variable.initial.empty()) {
      std::memcpy(bytes, variable.initial.data(), std::min<uint64_t>(variable.initial.size(), variable.size));
    }
    variables[variable.name] = allocation;
    symbols[variable.name] = {variable.space, allocation->address, variable.size};
  }
  return relocate();
}

std::optional<ptx::Error> LoadedModule::Impl::relocate() {
  for (const ptx::Variable &variable : module.variables) {
    for (const ptx::Relocation &relocation : variable.relocations) {
      uint64_t value = 0;
      if (auto found = symbols.find(relocation.symbol); found != symbols.end()) {
        value = found->second.address;
      } else if (const ptx::Function *function = module.function(relocation.symbol)) {
        value = functionAddressBase + 16 * static_cast<uint64_t>(function - module.functions.data());
      } else {
        return ptx::Error{variable.place, "found the address of '" + relocation.symbol + "' in the value of '" +
                                              variable.name + "', expected a global or constant variable"};
      }
      value += static_cast<uint64_t>(relocation.addend);
      value >>= relocation.shift;
      auto target = variables.find(variable.name);
      if (target != variables.end() && relocation.offset + relocation.size <= target->second->size &&
          relocation.size <= sizeof value) {
        std::memcpy(reinterpret_cast<std::byte *>(target->second->address) + relocation.offset, &value,
                    relocation.size);
      }
    }
  }
  return std::nullopt;
}

std::variant<std::shared_ptr<LoadedModule>, ptx::Error> LoadedModule::load(ptx::Module module, int device) {
  std::shared_ptr<LoadedModule> loaded = std::make_shared<LoadedModule>();
  loaded->impl = std::make_unique<Impl>();
  Impl &impl = *loaded->impl;
  impl.module = std::move(module);
  if (std::optional<ptx::Error> error = impl.allocate(device)) {
    return *error;
  }
  for (const ptx::Function &function : impl.module.functions) {
    if (!function.entry || function.declared) {
      continue;
    }
    auto program = std::make_unique<KernelProgram>(impl.module, function, impl.symbols);
    if (std::optional<ptx::Error> error = program->build()) {
      return *error;
    }
    impl.kernels.push_back(&program->kernel);
    impl.programs[function.name] = std::move(program);
  }
  // What no kernel calls is decoded only to see that it can be.
  std::vector<std::unique_ptr<KernelProgram>> uncalled;
  auto isDecoded = [&](const ptx::Function &function) {
    auto reaches = [&](const auto &program) { return program->reaches(function); };
    return std::ranges::any_of(std::views::values(impl.programs), reaches) || std::ranges::any_of(uncalled, reaches);
  };
  for (const ptx::Function &function : impl.module.functions) {
    if (function.entry || function.declared || isDecoded(function)) {
      continue;
    }
    uncalled.push_back(std::make_unique<KernelProgram>(impl.module, function, impl.symbols));
    if (std::optional<ptx::Error> error = uncalled.back()->build()) {
      return *error;
    }
  }
  return loaded;
}

LoadedModule::~LoadedModule() {
  if (impl) {
    for (const auto &[name, allocation] : impl->variables) {
      GlobalMemory::instance().free(allocation->address);
    }
  }
}

const Kernel *LoadedModule::kernel(std::string_view name) const {
  auto found = impl->programs.find(name);
  return found == impl->programs.end() ? nullptr : &found->second->kernel;
}

std::vector<const Kernel *> LoadedModule::kernels() const { return impl->kernels; }

const Allocation *LoadedModule::variable(std::string_view name) const {
  auto found = impl->variables.find(name);
  return found == impl->variables.end() ? nullptr : found->second;
}

const ptx::Module &LoadedModule::text() const { return impl->module; }

const std::byte *LoadedModule::constants(const Kernel &kernel) const {
  return impl->programs.find(kernel.name)->second->pool.bytes();
}

} // namespace emulator
