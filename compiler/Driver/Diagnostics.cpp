// MLIR prints a diagnostic for the one who works on IR. Who compiles a model sees files and modules instead.
#include "compiler/Driver/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace elah {
namespace {

/// "file:line:column", without what is zero; a module's path; or nothing.
std::string describe(Location location) {
  if (auto name = location->findInstanceOf<NameLoc>()) {
    return name.getName().str();
  }
  std::string text;
  if (auto file = location->findInstanceOf<FileLineColLoc>()) {
    text = file.getFilename().str();
    for (unsigned number : {file.getLine(), file.getColumn()}) {
      if (number != 0) {
        text += ":" + std::to_string(number);
      }
    }
  }
  return text;
}

llvm::StringRef describe(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Note:
  case DiagnosticSeverity::Remark:
    return "note";
  }
  llvm_unreachable("unknown severity");
}

void append(std::string &text, const Diagnostic &diagnostic) {
  std::string place = describe(diagnostic.getLocation());
  std::string message = diagnostic.str();
  // "folder/config.json: what is wrong" in a folder says where by itself, and better.
  if (!place.empty() && llvm::StringRef(message).starts_with(place)) {
    auto [file, rest] = llvm::StringRef(message).split(": ");
    if (!rest.empty()) {
      std::string narrower = file.str();
      message = rest.str();
      place = narrower;
    }
  }
  if (!place.empty()) {
    text += place + ": ";
  }
  text += describe(diagnostic.getSeverity());
  text += ": " + message;
}

} // namespace

std::string formatDiagnostic(const Diagnostic &diagnostic) {
  std::string text;
  append(text, diagnostic);
  for (const Diagnostic &note : diagnostic.getNotes()) {
    text += "\n  ";
    append(text, note);
  }
  return text;
}

} // namespace elah
