#include "counters/tracer.h"
#include "machine/cta.h"
#include "machine/grid.h"
#include "machine/occupancy.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <queue>

namespace emulator {

/// Events of a launch that are kept: a trace that nobody can look at helps nobody.
static constexpr uint64_t maxEvents = 1 << 20;

/// A stretch of a warp's time, or an asynchronous operation's.
struct Slice {
  double begin = 0, end = 0;
  const Op *op = nullptr; ///< waited for, or the operation's; null: the warp ran
  uint64_t instructions = 0;
  uint32_t warp = 0;
  bool asynchronous = false;
};

struct Tracer::WarpTrace {
  double now = 0, runBegan = 0;
  uint64_t instructions = 0; ///< since then
  double tensorCoresFree = 0;
  /// Groups of asynchronous operations that were not waited for yet: when each ends. The last is the open one.
  struct Groups {
    uint64_t first = 0; ///< the front's number
    std::deque<double> ends{0.0};
  };
  Groups groups[5]; ///< by kind
};

struct Tracer::ClusterTrace {
  struct Meeting {
    double arriving = 0, met = 0;
  };
  struct CtaTrace {
    uint32_t index[3] = {0, 0, 0};
    std::vector<WarpTrace> warps;
    Meeting barriers[16], warpgroups[8];
    std::map<uint32_t, Meeting> mbarriers;
    std::vector<Slice> slices;
  };
  struct Operation {
    Tracer::WarpTrace *warp;
    uint32_t warpIndex;
    uint64_t group;
    AsyncKind kind;
    const Op *op;
    double issued;
    uint64_t bytes = 0;
    double ends = -1;
  };
  std::vector<CtaTrace> ctas;
  Meeting barrier;
  std::map<uint64_t, Operation> operations;
  Operation *current = nullptr;
  double end = 0;
};

Tracer::Tracer(const TimeModel &model) : model(model) {}
Tracer::~Tracer() = default;

Tracer::ClusterTrace &Tracer::of(const Cta &cta) { return *clusters[cta.cluster.linear]; }
Tracer::WarpTrace &Tracer::of(const Warp &warp) { return of(warp.cta).ctas[warp.cta.rank].warps[warp.index]; }

void Tracer::gridBegins(Grid &grid) {
  uint64_t count = 1;
  for (unsigned d = 0; d < 3; ++d) {
    count *= grid.config.grid[d] / grid.config.cluster[d];
  }
  clusters.resize(count);
}

void Tracer::ctaBegins(Cta &cta) {
  std::unique_ptr<ClusterTrace> &trace = clusters[cta.cluster.linear];
  if (!trace) {
    trace = std::make_unique<ClusterTrace>();
    trace->ctas.resize(cta.cluster.ctas.size());
  }
  ClusterTrace::CtaTrace &mine = trace->ctas[cta.rank];
  std::copy_n(cta.index, 3, mine.index);
  mine.warps.resize(cta.warps.size());
}

void Tracer::ctaEnds(Cta &cta) {
  ClusterTrace &trace = of(cta);
  ClusterTrace::CtaTrace &mine = trace.ctas[cta.rank];
  for (WarpTrace &warp : mine.warps) {
    if (warp.instructions && events++ < maxEvents) {
      mine.slices.push_back({warp.runBegan, warp.now, nullptr, warp.instructions,
                             static_cast<uint32_t>(&warp - mine.warps.data()), false});
    }
    warp.instructions = 0;
    trace.end = std::max(trace.end, warp.now);
  }
}

// --- Clocks.

void Tracer::instruction(Warp &warp, const Op &op, Lanes) {
  if (op.ownWork) {
    return;
  }
  WarpTrace &mine = of(warp);
  mine.now += model.issueCycles(classOf(*op.source), *op.source);
  ++mine.instructions;
}

/// The warp goes on at `until`, or at once where that is past.
void Tracer::wait(const Warp &warp, const Op &op, double until) {
  WarpTrace &mine = of(warp);
  if (until <= mine.now) {
    return;
  }
  std::vector<Slice> &slices = of(warp.cta).ctas[warp.cta.rank].slices;
  if (events.fetch_add(2) < maxEvents) {
    slices.push_back({mine.runBegan, mine.now, nullptr, mine.instructions, warp.index, false});
    slices.push_back({mine.now, until, &op, 0, warp.index, false});
  }
  mine.instructions = 0;
  mine.now = mine.runBegan = until;
}

void Tracer::barrierArrives(Warp &warp, const Op &, unsigned barrier, Lanes) {
  ClusterTrace::Meeting &meeting = of(warp.cta).ctas[warp.cta.rank].barriers[barrier % 16];
  meeting.arriving = std::max(meeting.arriving, of(warp).now);
}

void Tracer::barrierPasses(Warp &warp, const Op &op, unsigned barrier, Lanes) {
  wait(warp, op, of(warp.cta).ctas[warp.cta.rank].barriers[barrier % 16].arriving);
}

void Tracer::warpgroupArrives(Warp &warp, const Op &, Lanes) {
  ClusterTrace::Meeting &meeting = of(warp.cta).ctas[warp.cta.rank].warpgroups[warp.warpgroup() % 8];
  meeting.arriving = std::max(meeting.arriving, of(warp).now);
}

void Tracer::warpgroupPasses(Warp &warp, const Op &op, Lanes) {
  wait(warp, op, of(warp.cta).ctas[warp.cta.rank].warpgroups[warp.warpgroup() % 8].arriving);
}

void Tracer::clusterArrives(Warp &warp, const Op &, bool, Lanes) {
  ClusterTrace::Meeting &meeting = of(warp.cta).barrier;
  meeting.arriving = std::max(meeting.arriving, of(warp).now);
}

void Tracer::clusterPasses(Warp &warp, const Op &op, bool, Lanes) { wait(warp, op, of(warp.cta).barrier.arriving); }

double Tracer::timeOf(const Actor &actor, Cta &owner) {
  if (actor.warp) {
    return of(*actor.warp).now;
  }
  ClusterTrace::Operation *operation = of(owner).current;
  if (!operation) {
    return 0;
  }
  if (operation->ends < 0) {
    double begins = operation->issued;
    if (operation->kind == AsyncKind::Wgmma) {
      begins = std::max(begins, operation->warp->tensorCoresFree);
    }
    operation->ends = begins + model.completionCycles(operation->kind, *operation->op->source, operation->bytes);
    if (operation->kind == AsyncKind::Wgmma) {
      operation->warp->tensorCoresFree = operation->ends;
    }
  }
  return operation->ends;
}

void Tracer::mbarrierArrives(Actor actor, Cta &owner, uint32_t offset, uint32_t, bool, Lanes) {
  ClusterTrace::Meeting &meeting = of(owner).ctas[owner.rank].mbarriers[offset];
  meeting.arriving = std::max(meeting.arriving, timeOf(actor, owner));
}

void Tracer::mbarrierCompletes(Actor actor, Cta &owner, uint32_t offset, int64_t) {
  mbarrierArrives(actor, owner, offset, 0, false, 0);
}

void Tracer::mbarrierPhase(Cta &owner, uint32_t offset, uint32_t) {
  ClusterTrace::Meeting &meeting = of(owner).ctas[owner.rank].mbarriers[offset];
  meeting.met = meeting.arriving;
}

void Tracer::mbarrierPasses(Warp &warp, const Op &op, Cta &owner, uint32_t offset, Lanes) {
  wait(warp, op, of(owner).ctas[owner.rank].mbarriers[offset].met);
}

// --- Asynchronous operations.

void Tracer::asyncIssued(Warp &warp, const Op &op, Lanes, uint64_t id, AsyncKind kind) {
  WarpTrace &mine = of(warp);
  const WarpTrace::Groups &groups = mine.groups[static_cast<size_t>(kind)];
  const uint64_t group = groups.first + groups.ends.size() - 1;
  of(warp.cta).operations.insert_or_assign(id, ClusterTrace::Operation{&mine, warp.index, group, kind, &op, mine.now});
}

void Tracer::asyncRuns(uint64_t id, Cta &cta) {
  ClusterTrace &trace = of(cta);
  auto found = trace.operations.find(id);
  trace.current = found == trace.operations.end() ? nullptr : &found->second;
}

void Tracer::access(const MemoryAccess &access) {
  // What a copy moves: every one reads or writes shared memory.
  if (!access.actor.warp && access.shared && access.cta) {
    if (ClusterTrace::Operation *current = of(*access.cta).current) {
      current->bytes += access.bytes;
    }
  }
}

void Tracer::asyncDone(uint64_t id, Cta &cta) {
  ClusterTrace &trace = of(cta);
  auto found = trace.operations.find(id);
  if (found == trace.operations.end()) {
    return;
  }
  ClusterTrace::Operation &operation = found->second;
  trace.current = &operation;
  const double ends = timeOf({}, cta);
  WarpTrace::Groups &groups = operation.warp->groups[static_cast<size_t>(operation.kind)];
  if (operation.group >= groups.first) {
    double &group = groups.ends[operation.group - groups.first];
    group = std::max(group, ends);
  }
  trace.end = std::max(trace.end, ends);
  if (events++ < maxEvents) {
    trace.ctas[cta.rank].slices.push_back({operation.issued, ends, operation.op, 0, operation.warpIndex, true});
  }
  trace.current = nullptr;
  trace.operations.erase(found);
}

void Tracer::groupCommitted(Warp &warp, const Op &, AsyncKind kind, Lanes) {
  of(warp).groups[static_cast<size_t>(kind)].ends.push_back(0);
}

void Tracer::groupWaited(Warp &warp, const Op &op, AsyncKind kind, unsigned pending, bool, Lanes) {
  WarpTrace::Groups &groups = of(warp).groups[static_cast<size_t>(kind)];
  double until = 0;
  while (groups.ends.size() > size_t(pending) + 1) {
    until = std::max(until, groups.ends.front());
    groups.ends.pop_front();
    ++groups.first;
  }
  wait(warp, op, until);
}

// --- The launch as a whole.

void Tracer::gridEnds(Grid &grid) {
  // Clusters begin in their order, each where the first place becomes free.
  const LaunchConfig &config = grid.config;
  const uint64_t clusterCtas = uint64_t(config.cluster[0]) * config.cluster[1] * config.cluster[2];
  const Occupancy occupancy = occupancyOf(*config.kernel, config.block[0] * config.block[1] * config.block[2],
                                          config.dynamicSharedBytes, grid.device());
  const uint64_t places =
      std::max<uint64_t>(1, uint64_t(occupancy.ctas()) * grid.device().multiprocessors / clusterCtas);
  std::priority_queue<double, std::vector<double>, std::greater<>> free;
  begins.assign(clusters.size(), 0);
  for (size_t i = 0; i < clusters.size(); ++i) {
    if (free.size() >= places) {
      begins[i] = free.top();
      free.pop();
    }
    const double ends = begins[i] + (clusters[i] ? clusters[i]->end : 0);
    free.push(ends);
    end = std::max(end, ends);
  }
}

double Tracer::cycles() const { return end; }

namespace {

/// The process's trace files: each launch begins behind the one before it.
struct TraceFile {
  double end = 0; ///< microseconds
  uint64_t processes = 0, operations = 0;
};

std::string escaped(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
    }
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result;
}

} // namespace

std::string Tracer::write(const Grid &grid, const std::string &path) const {
  static std::mutex mutex;
  static std::map<std::string, TraceFile> files;
  std::lock_guard lock(mutex);
  auto [entry, fresh] = files.try_emplace(path);
  TraceFile &file = entry->second;
  // The array's end is written each time, and overwritten by the next launch: the file can be read at any time.
  static constexpr char arrayEnd[] = "\n]\n";
  std::FILE *to = std::fopen(path.c_str(), fresh ? "w" : "r+");
  if (!to) {
    return "cannot write '" + path + "': " + std::strerror(errno);
  }
  if (fresh) {
    std::fputs("[", to);
  } else {
    std::fseek(to, -static_cast<long>(sizeof arrayEnd - 1), SEEK_END);
  }
  const double microseconds = 1000.0 / grid.device().clockKhz; // A cycle's.
  const std::string kernel = escaped(grid.config.kernel->name);
  const char *separator = file.processes ? ",\n" : "\n";
  auto put = [&](const char *format, auto... values) {
    std::fputs(separator, to);
    std::fprintf(to, format, values...);
    separator = ",\n";
  };
  for (size_t number = 0; number < clusters.size(); ++number) {
    if (!clusters[number]) {
      continue;
    }
    for (const ClusterTrace::CtaTrace &cta : clusters[number]->ctas) {
      const unsigned long long process = ++file.processes;
      put(R"({"ph":"M","name":"process_name","pid":%llu,"args":{"name":"%s, CTA %u,%u,%u"}})", process, kernel.c_str(),
          cta.index[0], cta.index[1], cta.index[2]);
      for (size_t warp = 0; warp < cta.warps.size(); ++warp) {
        put(R"({"ph":"M","name":"thread_name","pid":%llu,"tid":%zu,"args":{"name":"warp %zu"}})", process, warp, warp);
      }
      for (const Slice &slice : cta.slices) {
        const double begin = file.end + (begins[number] + slice.begin) * microseconds;
        const double length = (slice.end - slice.begin) * microseconds;
        if (!slice.op) {
          put(R"({"ph":"X","name":"runs","cat":"warp","pid":%llu,"tid":%u,"ts":%.5f,"dur":%.5f,"args":{"cycles":%.0f,)"
              R"("instructions":%llu}})",
              process, slice.warp, begin, length, slice.end - slice.begin, (unsigned long long)slice.instructions);
          continue;
        }
        const std::string form = formOf(*slice.op->source), text = escaped(grid.textOf(*slice.op->source));
        if (!slice.asynchronous) {
          put(R"({"ph":"X","name":"waits: %s","cat":"wait","pid":%llu,"tid":%u,"ts":%.5f,"dur":%.5f,)"
              R"("args":{"cycles":%.0f,"line":%u,"instruction":"%s"}})",
              form.c_str(), process, slice.warp, begin, length, slice.end - slice.begin, slice.op->source->place.line,
              text.c_str());
          continue;
        }
        const unsigned long long operation = ++file.operations;
        put(R"({"ph":"b","name":"%s","cat":"asynchronous","id":%llu,"pid":%llu,"tid":%u,"ts":%.5f,)"
            R"("args":{"cycles":%.0f,"line":%u,"instruction":"%s"}})",
            form.c_str(), operation, process, slice.warp, begin, slice.end - slice.begin, slice.op->source->place.line,
            text.c_str());
        put(R"({"ph":"e","name":"%s","cat":"asynchronous","id":%llu,"pid":%llu,"tid":%u,"ts":%.5f})", form.c_str(),
            operation, process, slice.warp, begin + length);
      }
    }
  }
  if (const uint64_t all = events.load(); all > maxEvents) {
    put(R"({"ph":"i","s":"g","name":"%llu more slices of %s are left out","pid":%llu,"tid":0,"ts":%.5f})",
        (unsigned long long)(all - maxEvents), kernel.c_str(), (unsigned long long)file.processes, file.end);
  }
  file.end += end * microseconds;
  std::fputs(arrayEnd, to);
  const bool written = !std::ferror(to);
  return std::fclose(to) == 0 && written ? "" : "cannot write '" + path + "': " + std::strerror(errno);
}

} // namespace emulator
