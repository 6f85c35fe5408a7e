#include "codegen/Cuda/RowSchedule.h"
#include <algorithm>

namespace elah::cuda {

std::string RowSchedule::describe() const {
  return std::to_string(threadsPerRow) + " threads a row, " + std::to_string(rowsPerBlock) +
         (rowsPerBlock == 1 ? " row" : " rows") + " a block";
}

std::vector<RowSchedule> legalRowSchedules(int64_t units) {
  std::vector<RowSchedule> schedules;
  for (int64_t share = 1; share <= 4; share *= 2) {
    int64_t warps = std::clamp<int64_t>((units + share * 32 - 1) / (share * 32), 1, 32);
    if (warps == 32 && units > share * 1024) {
      continue; // More than that for each thread.
    }
    auto threads = static_cast<unsigned>(32 * warps);
    schedules.push_back({threads, threads == 32 ? 4u : 1u});
    if (threads == 32) {
      break;
    }
  }
  if (schedules.empty()) {
    schedules.push_back({1024, 1});
  }
  return schedules;
}

RowSchedule chooseRowSchedule(int64_t units) {
  // Two units a thread, where there is a choice: half of the threads of one, and still two loads under way.
  std::vector<RowSchedule> schedules = legalRowSchedules(units);
  return schedules[std::min<size_t>(1, schedules.size() - 1)];
}

int64_t accessWidth(int64_t most, std::initializer_list<int64_t> multiples) {
  while (std::any_of(multiples.begin(), multiples.end(), [&](int64_t value) { return value % most != 0; })) {
    most /= 2;
  }
  return most;
}

KernelSpec finishRows(KernelText &text, const RowSchedule &schedule, const Extent &rows) {
  text.schedule("threadsPerRow", schedule.threadsPerRow).schedule("rowsPerBlock", schedule.rowsPerBlock);
  KernelGrid grid;
  grid.rows = rows;
  grid.rowTile = schedule.rowsPerBlock;
  return text.finish("RowSchedule", schedule.threads(), grid, schedule.describe());
}

} // namespace elah::cuda
