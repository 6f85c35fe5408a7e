#ifndef RUNTIME_DRIVERS_CPU_GRAPH_CALL_H
#define RUNTIME_DRIVERS_CPU_GRAPH_CALL_H

#include "src/status.h"
#include <cstdlib>
#include <elah/cpu_graph.h>
#include <memory>
#include <span>
#include <vector>

namespace elah {

struct GraphOutput {
  struct Free {
    void operator()(void *memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> data; ///< Null where there are no elements.
  std::vector<int64_t> dims;        ///< As long as the tensor's rank, before the call too.
};

/// Calls a plain graph's code once. What the code finds wrong (an index out of range, sizes that do not fit) is an
/// error in its own words; all that it had allocated is free again then. Threads may call at the same time.
Status callGraph(elah_cpu_graph graph, std::span<const void *const> weights, std::span<const elah_graph_tensor> inputs,
                 std::span<GraphOutput> outputs);

} // namespace elah

#endif
