#include "tests/runtime/emulator/checker/checked_run.h"
#include "checker/shadow.h"
#include <cstring>
#include <gtest/gtest.h>
#include <set>

namespace emulator {

Buffer::Buffer(uint64_t bytes, bool uninitialised) {
  static int number = 0;
  allocation = GlobalMemory::instance().allocate(bytes, 0, "buffer " + std::to_string(number++));
  trackInitialisation(*allocation);
  if (!uninitialised) {
    fill(0);
  }
}

Buffer::~Buffer() { GlobalMemory::instance().free(allocation->address); }

void Buffer::fill(uint8_t byte) {
  std::memset(reinterpret_cast<void *>(allocation->address), byte, allocation->size);
  hostWrote(allocation->address, allocation->size);
}

std::string CheckedResult::kinds() const {
  std::set<std::string_view> names;
  for (const Report &report : reports) {
    names.insert(nameOf(report.kind));
  }
  std::string result;
  for (std::string_view name : names) {
    result += (result.empty() ? "" : " ") + std::string(name);
  }
  return result;
}

std::string CheckedResult::text() const {
  std::string result;
  for (const Report &report : reports) {
    result += report.toText();
  }
  return result + fault;
}

CheckedResult runChecked(const std::string &body, const CheckedLaunch &launch) {
  std::string text = ".version 9.0\n.target sm_90a\n.address_size 64\n.extern .shared .align 128 .b8 dynamic[];\n";
  text += ".visible .entry k(";
  std::string loads;
  if (!launch.tensorMap.empty()) {
    text += ".param .align 64 .b8 map[128]";
  }
  for (size_t i = 0; i < launch.arguments.size(); ++i) {
    std::string name = "argument" + std::to_string(i);
    text += (text.back() == '(' ? "" : ", ") + std::string(".param .u64 ") + name;
    loads += "ld.param.u64 %rd" + std::to_string(i + 1) + ", [" + name + "];\n";
  }
  text += ") {\n.reg .b32 %r<16>; .reg .b64 %rd<16>; .reg .f32 %f<16>; .reg .pred %p<8>;\n"
          "mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x;\n" +
          loads + body + "\nret;\n}\n";
  CheckedResult result;
  std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(text);
  if (const ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
    ADD_FAILURE() << error->place.line << ": " << error->text << "\n" << text;
    return result;
  }
  std::variant<std::shared_ptr<LoadedModule>, ptx::Error> loaded =
      LoadedModule::load(std::move(std::get<ptx::Module>(parsed)), 0);
  if (const ptx::Error *error = std::get_if<ptx::Error>(&loaded)) {
    ADD_FAILURE() << error->place.line << ": " << error->text << "\n" << text;
    return result;
  }
  LaunchConfig config;
  config.module = std::get<std::shared_ptr<LoadedModule>>(loaded);
  config.kernel = config.module->kernel("k");
  config.grid[0] = launch.grid;
  config.block[0] = launch.block;
  config.cluster[0] = launch.cluster;
  config.dynamicSharedBytes = launch.dynamicShared;
  config.parameters.resize(config.kernel->parameterBytes);
  for (const Parameter &parameter : config.kernel->parameters) {
    if (parameter.name == "map") {
      std::memcpy(config.parameters.data() + parameter.offset, launch.tensorMap.data(), 128);
    } else {
      size_t index = std::stoul(parameter.name.substr(std::strlen("argument")));
      std::memcpy(config.parameters.data() + parameter.offset, &launch.arguments[index], 8);
    }
  }
  Checker checker;
  config.observer = &checker;
  RunOptions options;
  options.order = launch.order;
  options.seed = launch.seed;
  options.adversarial = launch.adversarial;
  options.threads = launch.threads;
  options.check = true;
  options.pollLimit = 256;
  std::shared_ptr<Grid> grid = Machine::instance().launch(std::move(config), options);
  if (std::optional<Fault> fault = grid->wait()) {
    result.fault = fault->text.empty() ? "fault" : fault->text;
  }
  result.reports = checker.reports().all();
  return result;
}

} // namespace emulator
