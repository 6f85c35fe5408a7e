#include "counters/launch_counters.h"
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <utility>
#include <vector>

namespace emulator {

namespace {

__attribute__((format(printf, 1, 2))) std::string formatted(const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

using Long = unsigned long long;

std::string sizes(const uint32_t (&xyz)[3]) { return formatted("%ux%ux%u", xyz[0], xyz[1], xyz[2]); }
std::string list(const uint32_t (&xyz)[3]) { return formatted("[%u,%u,%u]", xyz[0], xyz[1], xyz[2]); }

std::string lineOf(const char *what, const LaunchCounters::Global &global) {
  return global.requests
             ? formatted("  global %-9s %12llu requests %15llu bytes %12llu sectors %12llu lines\n", what,
                         (Long)global.requests, (Long)global.bytes, (Long)global.sectors, (Long)global.lines)
             : "";
}

std::string lineOf(const char *what, const LaunchCounters::Shared &shared) {
  return shared.requests
             ? formatted("  shared %-9s %12llu requests %15llu bytes %12llu wavefronts %9llu conflicts\n", what,
                         (Long)shared.requests, (Long)shared.bytes, (Long)shared.wavefronts, (Long)shared.conflicts)
             : "";
}

std::string lineOf(const char *what, const LaunchCounters::Private &memory) {
  return memory.requests
             ? formatted("  %-16s %12llu requests %15llu bytes\n", what, (Long)memory.requests, (Long)memory.bytes)
             : "";
}

std::string lineOf(const char *what, const LaunchCounters::Copies &copies) {
  return copies.operations
             ? formatted("  %-16s %12llu operations; bytes: global %llu read, %llu written; shared %llu read, %llu "
                         "written; %llu sectors, %llu lines\n",
                         what, (Long)copies.operations, (Long)copies.globalRead, (Long)copies.globalWritten,
                         (Long)copies.sharedRead, (Long)copies.sharedWritten, (Long)copies.sectors, (Long)copies.lines)
             : "";
}

std::string json(const LaunchCounters::Executed &executed) {
  return formatted("{\"warps\":%llu,\"lanes\":%llu,\"skipped\":%llu}", (Long)executed.warps, (Long)executed.lanes,
                   (Long)executed.skipped);
}

std::string json(const LaunchCounters::Global &global) {
  return formatted("{\"requests\":%llu,\"bytes\":%llu,\"sectors\":%llu,\"lines\":%llu}", (Long)global.requests,
                   (Long)global.bytes, (Long)global.sectors, (Long)global.lines);
}

std::string json(const LaunchCounters::Shared &shared) {
  return formatted("{\"requests\":%llu,\"bytes\":%llu,\"wavefronts\":%llu,\"conflicts\":%llu}", (Long)shared.requests,
                   (Long)shared.bytes, (Long)shared.wavefronts, (Long)shared.conflicts);
}

std::string json(const LaunchCounters::Private &memory) {
  return formatted("{\"requests\":%llu,\"bytes\":%llu}", (Long)memory.requests, (Long)memory.bytes);
}

std::string json(const LaunchCounters::Copies &copies) {
  return formatted("{\"operations\":%llu,\"globalRead\":%llu,\"globalWritten\":%llu,\"sharedRead\":%llu,"
                   "\"sharedWritten\":%llu,\"sectors\":%llu,\"lines\":%llu}",
                   (Long)copies.operations, (Long)copies.globalRead, (Long)copies.globalWritten,
                   (Long)copies.sharedRead, (Long)copies.sharedWritten, (Long)copies.sectors, (Long)copies.lines);
}

std::string json(const LaunchCounters::Barriers &barriers) {
  return formatted("{\"arrivals\":%llu,\"waits\":%llu}", (Long)barriers.arrivals, (Long)barriers.waits);
}

std::string json(const std::map<std::string, LaunchCounters::Products> &products) {
  std::string text = "{";
  for (const auto &[types, product] : products) {
    text += (text.size() > 1 ? ",\"" : "\"") + types +
            formatted("\":{\"instructions\":%llu,\"flops\":%llu}", (Long)product.instructions, (Long)product.flops);
  }
  return text + "}";
}

double percentOf(const Occupancy &occupancy) {
  return occupancy.warpsPerMultiprocessor
             ? 100.0 * occupancy.ctas() * occupancy.warpsPerCta / occupancy.warpsPerMultiprocessor
             : 0;
}

} // namespace

std::string LaunchCounters::toText() const {
  std::string text = "counters of '" + kernel + "', grid " + sizes(grid) + ", block " + sizes(block) + ", cluster " +
                     sizes(cluster) + "\n";
  text +=
      formatted("  occupancy        %u CTAs a multiprocessor (%.0f %% of its warps), limited by %s: registers admit "
                "%u (about %u a thread), shared memory %u (%u bytes), threads %u\n",
                occupancy.ctas(), percentOf(occupancy), std::string(occupancy.limit()).c_str(), occupancy.byRegisters,
                registers, occupancy.byShared, staticSharedBytes + dynamicSharedBytes, occupancy.byThreads);
  text += formatted("  instructions     %12llu by warps, %llu by lanes, %llu skipped by their guards\n",
                    (Long)instructions.warps, (Long)instructions.lanes, (Long)instructions.skipped);
  for (unsigned i = 0; i < instructionClasses; ++i) {
    if (byClass[i].warps) {
      text += formatted("    %-14s %12llu by warps, %llu by lanes\n",
                        std::string(nameOf(static_cast<InstructionClass>(i))).c_str(), (Long)byClass[i].warps,
                        (Long)byClass[i].lanes);
    }
  }
  for (const auto &[what, products] : {std::pair("wgmma", &wgmma), std::pair("mma", &matrix)}) {
    for (const auto &[types, product] : *products) {
      text += formatted("  %-16s %12llu instructions, %llu flop, %s\n", what, (Long)product.instructions,
                        (Long)product.flops, types.c_str());
    }
  }
  if (wgmmaSharedBytes) {
    text += formatted("  wgmma factors    %12llu bytes from shared memory\n", (Long)wgmmaSharedBytes);
  }
  text += lineOf("loads", globalLoads) + lineOf("stores", globalStores) + lineOf("atomics", globalAtomics);
  text += lineOf("loads", sharedLoads) + lineOf("stores", sharedStores) + lineOf("atomics", sharedAtomics);
  text += lineOf("local", local) + lineOf("constant", constant);
  text += lineOf("tensor copies", tensorCopies) + lineOf("bulk copies", bulkCopies) + lineOf("cp.async", laneCopies) +
          lineOf("st.async", remoteStores);
  text += formatted("  barriers         named: %llu arrivals, %llu waits; cluster: %llu, %llu; mbarriers: %llu, %llu "
                    "(and %llu polls); %llu waits for groups\n",
                    (Long)named.arrivals, (Long)named.waits, (Long)clusters.arrivals, (Long)clusters.waits,
                    (Long)mbarriers.arrivals, (Long)mbarriers.waits, (Long)polls, (Long)groupWaits);
  if (emulatedCycles > 0) {
    text += formatted("  emulated time    %12.0f cycles, by the trace's model\n", emulatedCycles);
  }
  return text;
}

std::string LaunchCounters::toJson() const {
  // A PTX name needs no escapes: letters, digits, _ $ %.
  std::string text = "{\"kernel\":\"" + kernel + "\",\"grid\":" + list(grid) + ",\"block\":" + list(block) +
                     ",\"cluster\":" + list(cluster);
  text += formatted(",\"sharedBytes\":%u,\"registersEstimated\":%u", staticSharedBytes + dynamicSharedBytes, registers);
  text += formatted(",\"occupancy\":{\"ctas\":%u,\"warpsPercent\":%.1f,\"limit\":\"%s\",\"byRegisters\":%u,"
                    "\"byShared\":%u,\"byThreads\":%u,\"byCtas\":%u}",
                    occupancy.ctas(), percentOf(occupancy), std::string(occupancy.limit()).c_str(),
                    occupancy.byRegisters, occupancy.byShared, occupancy.byThreads, occupancy.byCtas);
  text += ",\"instructions\":" + json(instructions) + ",\"classes\":{";
  for (unsigned i = 0; i < instructionClasses; ++i) {
    text += (i ? ",\"" : "\"") + std::string(nameOf(static_cast<InstructionClass>(i))) + "\":" + json(byClass[i]);
  }
  text += "},\"forms\":{";
  bool first = true;
  for (const auto &[form, executed] : byForm) {
    text += (first ? "\"" : ",\"") + form + "\":" + json(executed);
    first = false;
  }
  text += "},\"wgmma\":" + json(wgmma) + ",\"mma\":" + json(matrix);
  text += formatted(",\"wgmmaSharedBytes\":%llu", (Long)wgmmaSharedBytes);
  const std::pair<const char *, std::string> parts[] = {{"globalLoads", json(globalLoads)},
                                                        {"globalStores", json(globalStores)},
                                                        {"globalAtomics", json(globalAtomics)},
                                                        {"sharedLoads", json(sharedLoads)},
                                                        {"sharedStores", json(sharedStores)},
                                                        {"sharedAtomics", json(sharedAtomics)},
                                                        {"local", json(local)},
                                                        {"constant", json(constant)},
                                                        {"tensorCopies", json(tensorCopies)},
                                                        {"bulkCopies", json(bulkCopies)},
                                                        {"laneCopies", json(laneCopies)},
                                                        {"remoteStores", json(remoteStores)},
                                                        {"namedBarriers", json(named)},
                                                        {"clusterBarriers", json(clusters)},
                                                        {"mbarriers", json(mbarriers)}};
  for (const auto &[name, value] : parts) {
    text += std::string(",\"") + name + "\":" + value;
  }
  text += formatted(",\"groupWaits\":%llu,\"polls\":%llu", (Long)groupWaits, (Long)polls);
  if (emulatedCycles > 0) {
    text += formatted(",\"emulatedCycles\":%.0f", emulatedCycles);
  }
  return text + "}";
}

} // namespace emulator
