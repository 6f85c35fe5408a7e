// Words for what was found.

#include "checker/cluster_state.h"
#include <cstdio>

namespace emulator {

using namespace checking;

namespace {

std::string hexadecimal(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

} // namespace

std::string Checker::Impl::sharedAddress(const Cta &cta, uint64_t offset) {
  const Parameter *variable = nullptr;
  for (const Parameter &candidate : cta.cluster.grid.config.kernel->sharedVariables) {
    if (candidate.offset <= offset) {
      variable = &candidate;
    }
  }
  std::string where = "shared " + hexadecimal(offset) + (offset < reservedSharedBytes ? " (reserved)" : "");
  if (variable) {
    where = (variable->size ? "shared " : "") + variable->name + "+" + hexadecimal(offset - variable->offset) +
            " (address " + hexadecimal(offset) + ")";
  }
  return where + " of CTA rank " + std::to_string(cta.rank);
}

std::string Checker::Impl::globalAddress(uint64_t address) {
  const Allocation *allocation = GlobalMemory::instance().find(address);
  if (!allocation) {
    allocation = GlobalMemory::instance().nearest(address);
    if (!allocation) {
      return "address " + hexadecimal(address);
    }
    return "address " + hexadecimal(address) + ", " + hexadecimal(address - allocation->address) +
           " behind the beginning of global " + allocation->name + " (" + std::to_string(allocation->size) + " bytes)";
  }
  return "global " + allocation->name + " (" + std::to_string(allocation->size) + " bytes) +" +
         hexadecimal(address - allocation->address);
}

AccessPlace Checker::Impl::place(const ClusterState &state, const Op *op, uint32_t warp, int lane, std::string what) {
  AccessPlace place;
  place.what = std::move(what);
  if (op && op->source) {
    place.ptxLine = op->source->place.line;
    const ptx::Module &module = state.grid->module->text();
    place.ptxText = module.textOf(*op->source);
    const ptx::SourceLine &source = op->source->source;
    const std::vector<std::string> &files = module.files;
    if (source.line && source.file < files.size()) {
      place.sourceLine = files[source.file] + ":" + std::to_string(source.line);
    }
  }
  if (warp < state.warpCount()) {
    const CtaState &cta = state.ctas[warp / state.warpsPerCta];
    std::copy(std::begin(cta.index), std::end(cta.index), std::begin(place.cta));
    place.warp = static_cast<int32_t>(warp % state.warpsPerCta);
    place.lane = lane;
  }
  return place;
}

AccessPlace Checker::Impl::placeOf(Epoch epoch, ClusterState &state, std::string what, const Op *&op) {
  std::shared_ptr<ClusterState> holder = serialOf(epoch) == state.serial ? nullptr : clusterOf(epoch, state);
  const ClusterState *of = serialOf(epoch) == state.serial ? &state : holder.get();
  if (!of || recordNumber(epoch) == 0) {
    AccessPlace unknown;
    unknown.what = what + " by a kernel that ran at the same time";
    return unknown;
  }
  const Record &record = (*of->records)[recordNumber(epoch)];
  op = record.op;
  const bool thread = record.kind == Record::Kind::Thread;
  const int lane = !thread ? record.lane : laneOf(epoch) == manyLanes ? -1 : static_cast<int>(laneOf(epoch));
  return place(*of, record.op, record.warp, lane, thread ? std::move(what) : "asynchronous " + what);
}

bool Checker::Impl::repeated(ClusterState &state, ReportKind kind, const Op *op, Epoch other) {
  const Op *otherOp = nullptr;
  if (other && recordNumber(other) != 0) {
    std::shared_ptr<ClusterState> holder = serialOf(other) == state.serial ? nullptr : clusterOf(other, state);
    const ClusterState *of = serialOf(other) == state.serial ? &state : holder.get();
    otherOp = of ? (*of->records)[recordNumber(other)].op : nullptr;
  }
  auto lineOf = [](const Op *op) { return op && op->source ? op->source->place.line : 0; };
  return log.repeated({kind, state.grid->kernelHash, lineOf(op), lineOf(otherOp)});
}

void Checker::Impl::report(ClusterState &state, ReportKind kind, const std::string &text, const std::string &address,
                           const Op *op, uint32_t warp, int lane, const std::string &what, Epoch other,
                           const std::string &otherWhat) {
  const Op *otherOp = nullptr;
  AccessPlace otherPlace;
  if (other) {
    otherPlace = placeOf(other, state, otherWhat, otherOp);
  }
  ReportLog::Key key = {kind, state.grid->kernelHash, op && op->source ? op->source->place.line : 0,
                        other ? otherPlace.ptxLine : 0};
  if (log.repeated(key)) {
    return;
  }
  Report report;
  report.kind = kind;
  report.kernel = state.grid->kernel;
  report.text = text;
  report.address = address;
  report.place = place(state, op, warp, lane, what);
  report.hasOther = other != 0;
  report.other = std::move(otherPlace);
  log.add(key, std::move(report));
}

} // namespace emulator
