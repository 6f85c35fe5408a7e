// How fast the emulator interprets: lane-instructions a second of host CPU time, and wgmma's flops. Numbers are by
// core: one CTA runs on one thread, and process time is counted, not the wall's.
#include "checker/checker.h"
#include "machine/grid.h"
#include "machine/memory.h"
#include "ptx/module.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace emulator {
namespace {

double processSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Program {
  const char *name;
  std::string body;      ///< of the loop
  unsigned instructions; ///< of the body, without the loop's own three
  unsigned iterations;
  double flops = 0; ///< of the body by all threads; 0: counts instructions
};

std::string repeated(const char *text, unsigned count) {
  std::string result;
  for (unsigned i = 0; i < count; ++i) {
    result += text;
  }
  return result;
}

std::string kernelOf(const Program &program) {
  std::string registers, list;
  for (int i = 0; i < 64; ++i) {
    list += (i ? ", %d" : "%d") + std::to_string(i);
  }
  std::string body = program.body;
  if (size_t at = body.find("ACC"); at != std::string::npos) {
    body.replace(at, 3, list);
  }
  return ".version 8.0\n.target sm_90a\n.address_size 64\n"
         ".visible .entry k(.param .u64 out) {\n.reg .pred %p<4>;\n.reg .b32 %r<16>;\n.reg .b64 %rd<8>;\n"
         ".reg .f32 %f<8>;\n.reg .f32 %d<64>;\n.shared .align 1024 .b8 memory[32768];\n"
         "ld.param.u64 %rd1, [out];\nmov.u32 %r1, %tid.x;\nmov.u32 %r2, 3;\nmov.u32 %r3, 5;\nmov.u32 %r9, 0;\n"
         "mov.f32 %f1, 0f3F800000;\nmov.f32 %f2, 0f3F000000;\nmov.f32 %f3, 0f3E800000;\n"
         "mul.wide.u32 %rd2, %r1, 4;\nadd.u64 %rd3, %rd1, %rd2;\nmov.u32 %r7, memory;\nshl.b32 %r8, %r1, 2;\n"
         "add.u32 %r8, %r8, %r7;\nxor.b32 %r10, %r8, 128;\nand.b32 %r15, %r8, 496;\nadd.u32 %r15, %r15, %r7;\n"
         "st.shared.u32 [%r8], %r1;\nst.shared.u32 [%r8+512], %r1;\nst.global.u32 [%rd3], %r1;\nmov.u64 %rd4, "
         "0x4000004000000040;\n"
         "loop:\n" +
         body + "add.u32 %r9, %r9, 1;\nsetp.lt.u32 %p1, %r9, " + std::to_string(program.iterations) +
         ";\n@%p1 bra loop;\nst.global.u32 [%rd3], %r2;\nst.global.f32 [%rd3+1024], %f1;\nret;\n}\n";
}

void run(const Program &program, bool check) {
  std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(kernelOf(program));
  if (ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
    std::fprintf(stderr, "%s: line %u: %s\n", program.name, error->place.line, error->text.c_str());
    std::exit(1);
  }
  auto loaded = LoadedModule::load(std::move(std::get<ptx::Module>(parsed)), 0);
  if (ptx::Error *error = std::get_if<ptx::Error>(&loaded)) {
    std::fprintf(stderr, "%s: line %u: %s\n", program.name, error->place.line, error->text.c_str());
    std::exit(1);
  }
  Allocation *out = GlobalMemory::instance().allocate(4096, 0, "out");
  const uint64_t address = out->address;
  constexpr unsigned threads = 128;
  double best = 1e30;
  for (int repeat = 0; repeat < 3; ++repeat) {
    LaunchConfig config;
    config.module = std::get<std::shared_ptr<LoadedModule>>(loaded);
    config.kernel = config.module->kernels().front();
    config.block[0] = threads;
    config.parameters.resize(8);
    std::memcpy(config.parameters.data(), &address, 8);
    RunOptions options;
    Checker checker;
    config.observer = check ? &checker : nullptr;
    const double before = processSeconds();
    std::optional<Fault> fault = Machine::instance().launch(std::move(config), options)->wait();
    best = std::min(best, processSeconds() - before);
    if (fault) {
      std::fprintf(stderr, "%s: %s\n", program.name, fault->text.c_str());
      std::exit(1);
    }
  }
  GlobalMemory::instance().free(address);
  if (program.flops > 0) {
    std::printf("%-12s checker %-3s %8.1f GFLOP/s\n", program.name, check ? "on" : "off",
                program.flops * program.iterations / best * 1e-9);
    return;
  }
  const double lanes = double(program.instructions + 3) * program.iterations * threads;
  std::printf("%-12s checker %-3s %8.3f G lane-instructions/s (%.1f ns a warp)\n", program.name, check ? "on" : "off",
              lanes / best * 1e-9, best / (lanes / 32) * 1e9);
}

} // namespace
} // namespace emulator

int main(int argc, char **argv) {
  using namespace emulator;
  const Program programs[] = {
      {"integer",
       repeated("mad.lo.u32 %r2, %r2, %r3, %r1;\nxor.b32 %r3, %r3, %r2;\nshl.b32 %r4, %r2, 3;\n"
                "add.u32 %r2, %r2, %r4;\n",
                8),
       32, 20000},
      {"float",
       repeated("fma.rn.f32 %f1, %f1, %f2, %f3;\nadd.f32 %f2, %f1, %f3;\nmul.f32 %f3, %f2, %f2;\n"
                "max.f32 %f2, %f2, %f3;\n",
                8),
       32, 20000},
      {"branches",
       repeated("setp.lt.u32 %p2, %r2, %r3;\nselp.b32 %r4, %r2, %r3, %p2;\n@%p2 add.u32 %r2, %r2, 1;\n"
                "cvt.u64.u32 %rd4, %r4;\n",
                8),
       32, 20000},
      {"shared",
       repeated("ld.shared.u32 %r4, [%r8];\nadd.u32 %r4, %r4, %r1;\nst.shared.u32 [%r8], %r4;\n"
                "add.u32 %r5, %r4, 1;\n",
                8),
       32, 20000},
      {"global",
       repeated("ld.global.u32 %r4, [%rd3];\nadd.u32 %r4, %r4, %r1;\nst.global.u32 [%rd3], %r4;\n"
                "add.u32 %r5, %r4, 1;\n",
                8),
       32, 20000},
      // Warps read what others wrote: the tiles of a matrix product.
      {"exchange",
       repeated("st.shared.u32 [%r8], %r4;\nbar.sync 0;\nld.shared.u32 %r5, [%r10];\nld.shared.u32 %r4, [%r10+4];\n"
                "ld.shared.v4.u32 {%r11, %r12, %r13, %r14}, [%r15];\nbar.sync 0;\nadd.u32 %r4, %r4, %r5;\n",
                4),
       28, 10000},
      {"ex2", repeated("ex2.approx.f32 %f1, %f1;\nmul.f32 %f1, %f1, %f2;\n", 8), 16, 10000},
      {"fp8 wgmma",
       "wgmma.fence.sync.aligned;\nwgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 {ACC}, %rd4, %rd4, 1, 1, 1;\n"
       "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n",
       4, 2000, 2.0 * 64 * 128 * 32},
  };
  // A name: that one alone.
  for (const Program &program : programs) {
    if (argc > 1 && std::strcmp(argv[1], program.name) != 0) {
      continue;
    }
    run(program, false);
    if (program.flops == 0) {
      run(program, true);
    }
  }
}
