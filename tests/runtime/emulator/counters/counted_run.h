#ifndef TESTS_RUNTIME_EMULATOR_COUNTERS_COUNTED_RUN_H
#define TESTS_RUNTIME_EMULATOR_COUNTERS_COUNTED_RUN_H

// Runs PTX that a test wrote with a counting observer and a tracer.

#include "checker/observers.h"
#include "counters/counting_observer.h"
#include "counters/tracer.h"
#include "tests/runtime/emulator/kernel_run.h"
#include <memory>
#include <string>

namespace emulator {

struct CountedRun {
  uint32_t grid = 1, block = 32, cluster = 1, dynamicSharedBytes = 0;
  RunOptions options;
  std::string trace; ///< a file; empty: none is written

  /// `body` finds %tid.x in %r0, the parameters `in` and `out` in %rd1 and %rd2, 4 times %tid.x in %r1 (and in %rd3),
  /// and 4,096 bytes of shared memory at %r2. No fault is expected.
  LaunchCounters operator()(const std::string &body) const {
    const std::string text =
        ".version 8.8\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 in, .param .u64 out)\n{\n"
        ".shared .align 1024 .b8 tile[4096];\n.shared .align 8 .b64 bar;\n.reg .b32 %r<30>;\n.reg .b64 %rd<20>;\n"
        ".reg .pred %p<8>;\n.reg .f32 %f<70>;\nld.param.u64 %rd1, [in];\nld.param.u64 %rd2, [out];\n"
        "mov.u32 %r0, %tid.x;\nshl.b32 %r1, %r0, 2;\nmov.u32 %r2, tile;\ncvt.u64.u32 %rd3, %r1;\n" +
        body + "ret;\n}\n";
    std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(text);
    if (ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
      ADD_FAILURE() << "line " << error->place.line << ": " << error->text << "\n" << text;
      return {};
    }
    auto loaded = LoadedModule::load(std::move(std::get<ptx::Module>(parsed)), 0);
    if (ptx::Error *error = std::get_if<ptx::Error>(&loaded)) {
      ADD_FAILURE() << "line " << error->place.line << ": " << error->text << "\n" << text;
      return {};
    }
    DeviceBuffer in(1 << 16), out(1 << 16);
    CountingObserver counting;
    Tracer tracer;
    Observers both({&counting, &tracer});
    LaunchConfig config;
    config.module = std::get<std::shared_ptr<LoadedModule>>(loaded);
    config.kernel = config.module->kernels().front();
    config.grid[0] = grid;
    config.block[0] = block;
    config.cluster[0] = cluster;
    config.dynamicSharedBytes = dynamicSharedBytes;
    config.parameters = Parameters().add(in.address()).add(out.address()).bytes;
    config.observer = &both;
    std::shared_ptr<Grid> launched = Machine::instance().launch(std::move(config), options);
    if (std::optional<Fault> fault = launched->wait()) {
      ADD_FAILURE() << fault->text;
    }
    if (!trace.empty()) {
      EXPECT_EQ(tracer.write(*launched, trace), "");
    }
    LaunchCounters counters = counting.counters(*launched);
    counters.emulatedCycles = tracer.cycles();
    return counters;
  }
};

} // namespace emulator

#endif
