#include "driver/reports.h"
#include "driver/report_store.h"
#include <cstdio>

namespace emulator::driver {

/// One for all launches: what a kernel finds may concern what another one did.
static const std::shared_ptr<Checker> &theChecker() {
  static const std::shared_ptr<Checker> *made = [] {
    auto *fresh = new std::shared_ptr<Checker>(std::make_shared<Checker>()); // The machine's threads outlive main.
    (*fresh)->reports().onReport = [](const Report &report) {
      ReportStore::instance().add({std::string(nameOf(report.kind)), report.toText(), report.toJson()});
    };
    return fresh;
  }();
  return *made;
}

Watch::Watch(const RunOptions &options) {
  std::vector<Observer *> all;
  if (options.check) {
    checker = theChecker();
    all.push_back(checker.get());
  }
  if (options.count) {
    counting = std::make_unique<CountingObserver>();
    all.push_back(counting.get());
  }
  if (!options.trace.empty()) {
    tracer = std::make_unique<Tracer>();
    all.push_back(tracer.get());
  }
  if (all.size() > 1) {
    several = std::make_unique<Observers>(std::move(all));
  }
}

Observer *Watch::observer() {
  if (several) {
    return several.get();
  }
  if (checker) {
    return checker.get();
  }
  return counting ? static_cast<Observer *>(counting.get()) : tracer.get();
}

void Watch::gridEnded(const Grid &grid) {
  if (tracer) {
    if (const std::string error = tracer->write(grid, grid.options.trace); !error.empty()) {
      std::fprintf(stderr, "ELAH_EMULATOR_TRACE: %s\n", error.c_str());
    }
  }
  if (counting) {
    LaunchCounters counters = counting->counters(grid);
    counters.emulatedCycles = tracer ? tracer->cycles() : 0;
    ReportStore::instance().addLaunch({"counters", counters.toText(), counters.toJson()});
  }
}

void clearFindings() { theChecker()->reports().clear(); }

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
  if (grid.options.check) {
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

} // namespace emulator::driver
