// One form of an instruction after the other: forms/*.txt holds operands and results worked out from the PTX ISA
// (make_forms.py; memory.txt and sequences.txt by hand), each is a kernel of its own here, in every order, with the
// checker on, which must have nothing to say.
#include "checker/checker.h"
#include "machine/grid.h"
#include "machine/memory.h"
#include "ptx/module.h"
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace emulator {
namespace {

struct Column {
  std::string type;
  std::vector<uint64_t> values; ///< bits
};

struct Form {
  std::string place, instruction;
  std::vector<Column> operands;
  Column result;
  double tolerance = 0;
};

unsigned bytesOf(const std::string &type) {
  return type == "pred" ? 4 : static_cast<unsigned>(std::stoul(type.substr(type.find_first_of("0123456789")))) / 8;
}

Column readColumn(std::istringstream words) {
  Column column;
  words >> column.type;
  for (std::string word; words >> word;) {
    column.values.push_back(word[0] == '-' ? static_cast<uint64_t>(std::stoll(word, nullptr, 0))
                                           : std::stoull(word, nullptr, 0));
  }
  return column;
}

std::vector<Form> readForms() {
  std::vector<Form> forms;
  std::vector<std::filesystem::path> files;
  for (const auto &entry : std::filesystem::directory_iterator(ELAH_SOURCE_DIR "/tests/runtime/emulator/forms")) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const std::filesystem::path &path : files) {
    std::ifstream file(path);
    unsigned number = 0;
    for (std::string line; std::getline(file, line);) {
      ++number;
      if (line.empty() || line[0] == '#') {
        continue;
      }
      Form form;
      form.place = path.filename().string() + ":" + std::to_string(number);
      if (size_t at = line.find(" ~ "); at != std::string::npos) {
        form.tolerance = std::stod(line.substr(at + 3));
        line.resize(at);
      }
      size_t arrow = line.find(" => ");
      form.result = readColumn(std::istringstream(line.substr(arrow + 4)));
      std::string left = line.substr(0, arrow);
      size_t bar = left.find(" | ");
      form.instruction = left.substr(0, bar);
      while (bar != std::string::npos) {
        size_t next = left.find(" | ", bar + 3);
        form.operands.push_back(
            readColumn(std::istringstream(left.substr(bar + 3, next == std::string::npos ? next : next - bar - 3))));
        bar = next;
      }
      forms.push_back(std::move(form));
    }
  }
  return forms;
}

/// A register's type, and that of its load or store.
std::string registerType(const std::string &type) { return type == "f16" ? "b16" : type; }

/// Thread i reads value i of each operand, and writes the result's.
std::string kernelOf(const Form &form) {
  std::string declarations = "  .reg ." + registerType(form.result.type) + " %d;\n", loads, operands = "%d";
  std::string parameters = ".param .u64 out";
  for (size_t i = 0; i < form.operands.size(); ++i) {
    std::string name(1, "abce"[i]), type = registerType(form.operands[i].type);
    parameters += ", .param .u64 in_" + name;
    declarations += "  .reg ." + type + " %" + name + ";\n";
    loads += "  ld.param.u64 %base, [in_" + name + "];\n  mad.wide.u32 %base, %thread, " +
             std::to_string(bytesOf(form.operands[i].type)) + ", %base;\n";
    loads += type == "pred" ? "  ld.global.u32 %word, [%base];\n  setp.ne.u32 %" + name + ", %word, 0;\n"
                            : "  ld.global." + type + " %" + name + ", [%base];\n";
    operands += ", %" + name;
  }
  std::string text = form.instruction;
  size_t space = text.find(' ');
  if (space == std::string::npos) {
    text += " " + operands;
  } else { // Operands are spelt out: d, a, b, c are registers.
    for (size_t at = space; at < text.size(); ++at) {
      bool isName = text[at] >= 'a' && text[at] <= 'd' && text[at - 1] == ' ';
      if (isName) {
        text.insert(at++, "%");
      }
    }
  }
  std::string store = form.result.type == "pred" ? "  selp.u32 %word, 1, 0, %d;\n  st.global.u32 [%base], %word;\n"
                                                 : "  st.global." + registerType(form.result.type) + " [%base], %d;\n";
  return ".version 8.6\n.target sm_90a\n.address_size 64\n.visible .entry form(" + parameters +
         ") {\n  .reg .b32 %thread, %word;\n  .reg .b64 %base;\n" + declarations + "  mov.u32 %thread, %tid.x;\n" +
         loads + "  " + text + ";\n  ld.param.u64 %base, [out];\n  mad.wide.u32 %base, %thread, " +
         std::to_string(bytesOf(form.result.type)) + ", %base;\n" + store + "  ret;\n}\n";
}

class DeviceBytes {
public:
  DeviceBytes(const std::vector<uint64_t> &values, unsigned bytes) : bytes(bytes) {
    allocation = GlobalMemory::instance().allocate(values.size() * bytes, 0, "values");
    for (size_t i = 0; i < values.size(); ++i) {
      std::memcpy(at(i), &values[i], bytes);
    }
  }
  ~DeviceBytes() { GlobalMemory::instance().free(allocation->address); }
  uint64_t address() const { return allocation->address; }
  uint64_t value(size_t index) const {
    uint64_t bits = 0;
    std::memcpy(&bits, at(index), bytes);
    return bits;
  }

private:
  char *at(size_t index) const { return reinterpret_cast<char *>(allocation->address) + index * bytes; }
  unsigned bytes;
  Allocation *allocation;
};

double numberOf(const std::string &type, uint64_t bits) {
  if (type == "f32") {
    uint32_t word = static_cast<uint32_t>(bits);
    float value;
    std::memcpy(&value, &word, sizeof(value));
    return value;
  }
  if (type == "f64") {
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }
  uint16_t half = static_cast<uint16_t>(bits);
  _Float16 value;
  std::memcpy(&value, &half, sizeof(value));
  return static_cast<double>(value);
}

bool agrees(const Form &form, uint64_t found, uint64_t expected) {
  const std::string &type = form.result.type;
  unsigned bits = bytesOf(type) * 8;
  uint64_t mask = bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
  if ((found & mask) == (expected & mask)) {
    return true;
  }
  if (type[0] != 'f') {
    return false;
  }
  double a = numberOf(type, found), b = numberOf(type, expected);
  return (std::isnan(a) && std::isnan(b)) ||
         (form.tolerance > 0 && std::abs(a - b) <= form.tolerance * std::max(1e-3, std::abs(b)));
}

/// What is wrong with a form in one order; empty if nothing is.
std::string run(const Form &form, const std::shared_ptr<LoadedModule> &module, const RunOptions &options) {
  size_t threads = form.result.values.size();
  std::vector<std::unique_ptr<DeviceBytes>> inputs;
  DeviceBytes output(std::vector<uint64_t>(threads, 0), bytesOf(form.result.type));
  std::vector<uint64_t> parameters{output.address()};
  for (const Column &operand : form.operands) {
    if (operand.values.size() != threads) {
      return "columns of different lengths";
    }
    inputs.push_back(std::make_unique<DeviceBytes>(operand.values, bytesOf(operand.type)));
    parameters.push_back(inputs.back()->address());
  }
  Checker checker;
  LaunchConfig config;
  config.kernel = module->kernel("form");
  config.module = module;
  config.block[0] = static_cast<uint32_t>(threads);
  config.parameters.resize(parameters.size() * 8);
  std::memcpy(config.parameters.data(), parameters.data(), config.parameters.size());
  config.observer = &checker;
  if (std::optional<Fault> fault = Machine::instance().launch(std::move(config), options)->wait()) {
    return "fault: " + fault->text;
  }
  for (const Report &report : checker.reports().all()) {
    return report.toText();
  }
  for (size_t i = 0; i < threads; ++i) {
    if (!agrees(form, output.value(i), form.result.values[i])) {
      char text[128];
      std::snprintf(text, sizeof(text), "thread %zu: expected 0x%llx, found 0x%llx", i,
                    static_cast<unsigned long long>(form.result.values[i]),
                    static_cast<unsigned long long>(output.value(i)));
      return text;
    }
  }
  return "";
}

TEST(Forms, GiveWhatTheIsaSays) {
  std::vector<Form> forms = readForms();
  std::vector<RunOptions> ways(6);
  ways[1].order = Order::Lazy;
  for (uint64_t seed : {1, 2, 3}) {
    ways[1 + seed].order = Order::Random;
    ways[1 + seed].seed = seed;
  }
  ways[5].order = Order::Lazy;
  ways[5].adversarial = true;
  for (const Form &form : forms) {
    std::string text = kernelOf(form);
    std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(text);
    if (ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
      ADD_FAILURE() << form.place << ": " << form.instruction << ": " << error->text << "\n" << text;
      continue;
    }
    auto loaded = LoadedModule::load(std::move(std::get<ptx::Module>(parsed)), 0);
    if (ptx::Error *error = std::get_if<ptx::Error>(&loaded)) {
      ADD_FAILURE() << form.place << ": " << form.instruction << ": " << error->text;
      continue;
    }
    for (const RunOptions &options : ways) {
      std::string wrong = run(form, std::get<std::shared_ptr<LoadedModule>>(loaded), options);
      if (!wrong.empty()) {
        ADD_FAILURE() << form.place << ": " << form.instruction << ": " << wrong;
        break;
      }
    }
  }
  std::printf("%zu forms in %zu orders\n", forms.size(), ways.size());
  EXPECT_GE(forms.size(), 465u);
}

} // namespace
} // namespace emulator
