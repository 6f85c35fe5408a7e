#include "driver/reports.h"
#include "checker/checker.h"
#include "driver/report_store.h"

namespace emulator::driver {

/// One for all launches: what a kernel finds may concern what another one did.
static const std::shared_ptr<Checker> &checker() {
  static const std::shared_ptr<Checker> *made = [] {
    auto *fresh = new std::shared_ptr<Checker>(std::make_shared<Checker>()); // The machine's threads outlive main.
    (*fresh)->reports().onReport = [](const Report &report) {
      ReportStore::instance().add({std::string(nameOf(report.kind)), report.toText(), report.toJson()});
    };
    return fresh;
  }();
  return *made;
}

std::shared_ptr<Observer> makeObserver(const LaunchConfig &, const RunOptions &options) {
  return options.check ? checker() : nullptr;
}

void clearFindings() { checker()->reports().clear(); }

static const char *kindOf(Fault::Kind kind) {
  switch (kind) {
  case Fault::Kind::IllegalAddress:
    return "illegal address";
  case Fault::Kind::Misaligned:
    return "misaligned address";
  case Fault::Kind::IllegalInstruction:
    return "illegal instruction";
  case Fault::Kind::Trap:
    return "trap";
  case Fault::Kind::Assertion:
    return "assertion";
  case Fault::Kind::Deadlock:
    return "deadlock";
  case Fault::Kind::IllegalBarrier:
    return "illegal barrier";
  case Fault::Kind::StackOverflow:
    return "stack overflow";
  case Fault::Kind::Unsupported:
    return "unsupported";
  }
  return "fault";
}

void reportFault(const Grid &grid, const Fault &fault, CUresult code) {
  if (grid.observer) {
    return; // The checker was told of it, and says more.
  }
  const std::string &kernel = grid.config.kernel->name;
  ReportEntry entry;
  entry.kind = kindOf(fault.kind);
  entry.text =
      formatted("emulator: %s in '%s' (%s): %s", entry.kind.c_str(), kernel.c_str(), nameOf(code), fault.text.c_str());
  entry.json = formatted("{\"kind\":%s,\"code\":%d,\"kernel\":%s,\"text\":%s", quoted(entry.kind).c_str(),
                         static_cast<int>(code), quoted(kernel).c_str(), quoted(fault.text).c_str());
  if (fault.kind == Fault::Kind::IllegalAddress || fault.kind == Fault::Kind::Misaligned) {
    entry.json += formatted(",\"address\":\"0x%llx\"", (unsigned long long)fault.address);
  }
  if (fault.actor.op && fault.actor.op->source) {
    const ptx::Instruction &instruction = *fault.actor.op->source;
    const std::string text(grid.textOf(instruction));
    entry.text += formatted("\n  PTX line %u: %s", instruction.place.line, text.c_str());
    entry.json += formatted(",\"line\":%u,\"instruction\":%s", instruction.place.line, quoted(text).c_str());
    const std::vector<std::string> &files = grid.config.module->text().files;
    if (instruction.source.line != 0 && instruction.source.file < files.size()) {
      const std::string &file = files[instruction.source.file];
      entry.text += formatted("\n  %s:%u", file.c_str(), instruction.source.line);
      entry.json += formatted(",\"source\":%s,\"sourceLine\":%u", quoted(file).c_str(), instruction.source.line);
    }
  }
  entry.json += "}";
  ReportStore::instance().add(std::move(entry));
}

void gridEnded(const Grid &, const std::shared_ptr<Observer> &) {}

} // namespace emulator::driver
