#include "codegen/Cuda/KernelText.h"
#include <cctype>
#include <cstdio>

namespace elah::cuda {
namespace {

/// "rms_norm": "RmsNorm".
std::string typeName(const std::string &family) {
  std::string name;
  bool isFirst = true;
  for (char letter : family) {
    if (letter != '_') {
      name += isFirst ? static_cast<char>(std::toupper(static_cast<unsigned char>(letter))) : letter;
    }
    isFirst = letter == '_';
  }
  return name;
}

} // namespace

// FNV-1a, 64 bits.
std::string fingerprintOf(const std::string &text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char letter : text) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  }
  char digits[20];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

std::string floatLiteral(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%af", static_cast<double>(static_cast<float>(value)));
  return text;
}

std::string identifierPart(const std::string &text) {
  std::string name;
  for (char letter : text.substr(text.rfind(':') + 1)) {
    name += letter == '-' ? 'm' : std::isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
  }
  return name;
}

KernelText::KernelText(std::string family) : family(std::move(family)) { symbol = this->family; }

KernelText &KernelText::operand(const char *type, const char *name) {
  parameters += (operands ? ", " : "") + std::string(type) + " *" + name;
  fields += std::string(".") + name + " = " + name + ", ";
  ++operands;
  return *this;
}

KernelText &KernelText::shape(const char *field, const std::string &constant) {
  shapeFields += std::string(".") + field + " = " + constant + ", ";
  symbol += std::string("_") + field + identifierPart(constant);
  return *this;
}
KernelText &KernelText::shape(const char *field, int64_t value) { return shape(field, std::to_string(value)); }
KernelText &KernelText::shape(const char *field, bool value) {
  shapeFields += std::string(".") + field + " = " + (value ? "true" : "false") + ", ";
  symbol += value ? std::string("_") + field : "";
  return *this;
}

KernelText &KernelText::schedule(const char *field, int64_t value) {
  scheduleFields += std::string(".") + field + " = " + std::to_string(value) + ", ";
  symbol += std::string("_") + field + std::to_string(value);
  return *this;
}

KernelText &KernelText::number(const char *name, double value) {
  numbers += std::string(", .") + name + " = " + floatLiteral(value);
  symbol += std::string("_") + name + identifierPart(floatLiteral(value));
  return *this;
}

KernelText &KernelText::table(const char *name, const std::vector<double> &values) {
  std::string text = "__constant__ float " + std::string(name) + "[" + std::to_string(values.size()) + "] = {";
  for (size_t i = 0; i < values.size(); ++i) {
    text += (i ? ", " : "") + floatLiteral(values[i]);
  }
  tables += text + "};\n";
  arguments += std::string(", ") + name;
  symbol += std::string("_") + name + fingerprintOf(text);
  return *this;
}

KernelSpec KernelText::finish(const char *scheduleType, unsigned threads, const KernelGrid &grid,
                              const std::string &schedule) {
  KernelSpec spec;
  spec.symbol = symbol;
  spec.family = family;
  spec.schedule = schedule;
  spec.operands = operands;
  spec.threads = threads;
  spec.grid = grid;
  const std::string type = typeName(family);
  spec.source = "#include \"kernels/" + family + ".cuh\"\nusing namespace elah;\nconstexpr " + type +
                "Shape shape = {" + shapeFields + "};\n";
  if (!scheduleFields.empty()) {
    spec.source += std::string("constexpr ") + scheduleType + " schedule = {" + scheduleFields + "};\n";
  }
  spec.source += tables + "extern \"C\" __global__ void __launch_bounds__(" + std::to_string(threads) + ")\n" + symbol +
                 "(" + parameters + ", const Dims *dims) {\n  " + family + "<shape" +
                 (scheduleFields.empty() ? "" : ", schedule") + ">({" + fields + ".dims = dims" + numbers + "}" +
                 arguments + ");\n}\n";
  return spec;
}

} // namespace elah::cuda
