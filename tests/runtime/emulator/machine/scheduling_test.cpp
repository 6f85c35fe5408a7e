// Which lanes, warps, CTAs and grids may go on: divergence and how it ends, lanes and CTAs that poll for one another,
// calls, dependent launches, and what is said when nothing can go on.
#include "checker/observer.h"
#include "tests/runtime/emulator/kernel_run.h"
#include <numeric>

namespace emulator {
namespace {

std::string kernel(const std::string &parameters, const std::string &body, const std::string &before = "") {
  return ".version 8.0\n.target sm_90a\n.address_size 64\n" + before + ".visible .entry k(" + parameters +
         ") {\n.reg .pred %p<8>;\n.reg .b32 %r<32>;\n.reg .b64 %rd<16>;\n" + body + "}\n";
}

std::vector<RunOptions> schedules() {
  std::vector<RunOptions> all(1);
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    RunOptions options;
    options.adversarial = true;
    options.seed = seed;
    options.order = Order::Random;
    all.push_back(options);
  }
  return all;
}

std::shared_ptr<LoadedModule> load(const std::string &text) {
  std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(text);
  if (ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
    ADD_FAILURE() << "line " << error->place.line << ": " << error->text;
    return nullptr;
  }
  auto loaded = LoadedModule::load(std::move(std::get<ptx::Module>(parsed)), 0);
  if (ptx::Error *error = std::get_if<ptx::Error>(&loaded)) {
    ADD_FAILURE() << "line " << error->place.line << ": " << error->text;
    return nullptr;
  }
  return std::get<std::shared_ptr<LoadedModule>>(loaded);
}

// Each lane runs a loop of its own length and in it goes two ways; all meet behind it.
TEST(Scheduling, LanesDivergeAndMeet) {
  const std::string text = kernel(".param .u64 out", R"(
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, 0;
  mov.u32 %r3, 0;
loop:
  setp.ge.u32 %p1, %r2, %r1;
  @%p1 bra done;
  and.b32 %r4, %r2, 1;
  setp.eq.u32 %p2, %r4, 0;
  @%p2 bra even;
  add.u32 %r3, %r3, 100;
  bra next;
even:
  add.u32 %r3, %r3, 1;
next:
  add.u32 %r2, %r2, 1;
  bra loop;
done:
  activemask.b32 %r5;
  bar.warp.sync -1;
  vote.sync.ballot.b32 %r6, %p1, -1;
  mul.wide.u32 %rd2, %r1, 8;
  add.u64 %rd3, %rd1, %rd2;
  st.global.v2.u32 [%rd3], {%r3, %r6};
  ret;
)");
  for (const RunOptions &options : schedules()) {
    DeviceBuffer out(64 * 8);
    KernelRun run;
    run.block = 64;
    run.options = options;
    std::optional<Fault> fault = run(text, Parameters().add(out.address()));
    ASSERT_FALSE(fault) << fault->text;
    for (uint32_t lane = 0; lane < 64; ++lane) {
      EXPECT_EQ(out.as<uint32_t>()[lane * 2], lane / 2 * 100 + (lane + 1) / 2) << lane;
      EXPECT_EQ(out.as<uint32_t>()[lane * 2 + 1], ~0u) << lane;
    }
  }
}

// One lane polls what another lane of its warp writes later: pre-Volta hardware would hang.
TEST(Scheduling, LanesPollForLanesOfTheirWarp) {
  const std::string text = kernel(".param .u64 flag", R"(
  ld.param.u64 %rd1, [flag];
  mov.u32 %r1, %tid.x;
  setp.ne.u32 %p1, %r1, 31;
  @!%p1 bra writer;
poll:
  ld.volatile.global.u32 %r2, [%rd1];
  setp.eq.u32 %p2, %r2, 0;
  @%p2 bra poll;
  bra meet;
writer:
  mov.u32 %r2, 7;
  st.volatile.global.u32 [%rd1], %r2;
meet:
  bar.warp.sync -1;
  redux.sync.add.u32 %r3, %r2, -1;
  st.global.u32 [%rd1+4], %r3;
  ret;
)");
  for (const RunOptions &options : schedules()) {
    DeviceBuffer flag(8);
    KernelRun run;
    run.block = 32;
    run.options = options;
    std::optional<Fault> fault = run(text, Parameters().add(flag.address()));
    ASSERT_FALSE(fault) << fault->text;
    EXPECT_EQ(flag.as<uint32_t>()[1], 7u * 32);
  }
}

// A lock that all lanes of a warp want: compare-and-swap in a loop.
TEST(Scheduling, LanesShareALock) {
  const std::string text = kernel(".param .u64 lock", R"(
  ld.param.u64 %rd1, [lock];
acquire:
  atom.acquire.gpu.global.cas.b32 %r1, [%rd1], 0, 1;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra acquire;
  ld.relaxed.gpu.global.u32 %r2, [%rd1+4];
  add.u32 %r2, %r2, 1;
  st.relaxed.gpu.global.u32 [%rd1+4], %r2;
  atom.release.gpu.global.exch.b32 %r3, [%rd1], 0;
  ret;
)");
  for (const RunOptions &options : schedules()) {
    DeviceBuffer lock(8);
    KernelRun run;
    run.grid = 4;
    run.block = 64;
    run.options = options;
    std::optional<Fault> fault = run(text, Parameters().add(lock.address()));
    ASSERT_FALSE(fault) << fault->text;
    EXPECT_EQ(lock.as<uint32_t>()[1], 256u);
  }
}

// The first CTA waits for all others, whichever starts first.
TEST(Scheduling, CtasPollForCtas) {
  const std::string text = kernel(".param .u64 counter", R"(
  ld.param.u64 %rd1, [counter];
  mov.u32 %r1, %ctaid.x;
  red.release.gpu.global.add.u32 [%rd1], 1;
poll:
  ld.acquire.gpu.global.u32 %r3, [%rd1];
  setp.lt.u32 %p2, %r3, 200;
  @%p2 bra poll;
  red.relaxed.gpu.global.add.u32 [%rd1+4], %r1;
  ret;
)");
  for (const RunOptions &options : schedules()) {
    DeviceBuffer counter(8);
    KernelRun run;
    run.grid = 200;
    run.block = 1;
    run.options = options;
    std::optional<Fault> fault = run(text, Parameters().add(counter.address()));
    ASSERT_FALSE(fault) << fault->text;
    EXPECT_EQ(counter.as<uint32_t>()[1], 199u * 200 / 2);
  }
}

// A kernel polls what the host, and what a kernel launched later, writes.
TEST(Scheduling, GridsPollForTheHostAndForOtherGrids) {
  std::shared_ptr<LoadedModule> waits = load(kernel(".param .u64 flag", R"(
  ld.param.u64 %rd1, [flag];
poll:
  ld.acquire.sys.global.u32 %r1, [%rd1];
  setp.lt.u32 %p1, %r1, 2;
  @%p1 bra poll;
  ret;
)"));
  std::shared_ptr<LoadedModule> adds = load(kernel(".param .u64 flag", R"(
  ld.param.u64 %rd1, [flag];
  red.release.sys.global.add.u32 [%rd1], 1;
  ret;
)"));
  ASSERT_TRUE(waits && adds);
  DeviceBuffer flag(4);
  auto config = [&](const std::shared_ptr<LoadedModule> &module) {
    LaunchConfig launch;
    launch.module = module;
    launch.kernel = module->kernel("k");
    launch.parameters = Parameters().add(flag.address()).bytes;
    return launch;
  };
  std::shared_ptr<Grid> first = Machine::instance().launch(config(waits), {});
  EXPECT_FALSE(Machine::instance().launch(config(adds), {})->wait());
  EXPECT_FALSE(first->ended());
  __atomic_fetch_add(flag.as<uint32_t>(), 1, __ATOMIC_RELEASE);
  EXPECT_FALSE(first->wait());
}

// A dependent's prologue may run before its primary ends; behind griddepcontrol.wait all that it wrote is there.
TEST(Scheduling, DependentsWaitForPrimaries) {
  std::shared_ptr<LoadedModule> primary = load(kernel(".param .u64 data", R"(
  ld.param.u64 %rd1, [data];
  griddepcontrol.launch_dependents;
  mov.u32 %r1, 0;
loop:
  add.u32 %r1, %r1, 1;
  setp.lt.u32 %p1, %r1, 20000;
  @%p1 bra loop;
  mov.u32 %r2, %ctaid.x;
  mul.wide.u32 %rd2, %r2, 4;
  add.u64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r1;
  ret;
)"));
  std::shared_ptr<LoadedModule> dependent = load(kernel(".param .u64 data", R"(
  ld.param.u64 %rd1, [data];
  griddepcontrol.wait;
  mov.u32 %r2, %ctaid.x;
  mul.wide.u32 %rd2, %r2, 4;
  add.u64 %rd3, %rd1, %rd2;
  ld.global.u32 %r1, [%rd3];
  st.global.u32 [%rd3+64], %r1;
  ret;
)"));
  ASSERT_TRUE(primary && dependent);
  for (const RunOptions &options : schedules()) {
    DeviceBuffer data(128);
    LaunchConfig first, second;
    first.module = primary;
    first.kernel = primary->kernel("k");
    second.module = dependent;
    second.kernel = dependent->kernel("k");
    first.grid[0] = second.grid[0] = 16;
    first.parameters = second.parameters = Parameters().add(data.address()).bytes;
    std::shared_ptr<Grid> grid = Machine::instance().launch(first, options);
    second.primaries = {grid};
    EXPECT_FALSE(Machine::instance().launch(second, options)->wait());
    for (unsigned i = 0; i < 16; ++i) {
      EXPECT_EQ(data.as<uint32_t>()[16 + i], 20000u);
    }
    EXPECT_FALSE(grid->wait());
  }
}

// Recursion, an indirect call with a target for each lane, and branches by index.
TEST(Scheduling, CallsKeepAFrameForEachDepth) {
  const std::string functions = R"(
.func (.param .b32 result) factorial(.param .b32 n) {
  .reg .pred %p<2>;
  .reg .b32 %r<6>;
  ld.param.b32 %r1, [n];
  setp.le.u32 %p1, %r1, 1;
  mov.u32 %r2, 1;
  @%p1 bra done;
  sub.u32 %r3, %r1, 1;
  {
    .param .b32 p0;
    .param .b32 r0;
    st.param.b32 [p0], %r3;
    call (r0), factorial, (p0);
    ld.param.b32 %r4, [r0];
  }
  mul.lo.u32 %r2, %r4, %r1;
done:
  st.param.b32 [result], %r2;
  ret;
}
.func (.param .b32 result) twice(.param .b32 n) {
  .reg .b32 %r<3>;
  ld.param.b32 %r1, [n];
  shl.b32 %r2, %r1, 1;
  st.param.b32 [result], %r2;
  ret;
}
)";
  const std::string text = kernel(".param .u64 out", R"(
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  and.b32 %r2, %r1, 7;
  mov.u64 %rd2, factorial;
  mov.u64 %rd3, twice;
  setp.lt.u32 %p1, %r1, 16;
  selp.b64 %rd4, %rd2, %rd3, %p1;
  {
    .param .b32 p0;
    .param .b32 r0;
    st.param.b32 [p0], %r2;
    prototype: .callprototype (.param .b32 _) _ (.param .b32 _);
    call (r0), %rd4, (p0), prototype;
    ld.param.b32 %r3, [r0];
  }
  and.b32 %r4, %r1, 3;
  targets: .branchtargets a, b, c, d;
  brx.idx %r4, targets;
a:
  add.u32 %r3, %r3, 1000;
b:
  add.u32 %r3, %r3, 1000;
c:
  add.u32 %r3, %r3, 1000;
d:
  mul.wide.u32 %rd5, %r1, 4;
  add.u64 %rd6, %rd1, %rd5;
  st.global.u32 [%rd6], %r3;
  ret;
)",
                                  functions);
  const uint32_t factorials[] = {1, 1, 2, 6, 24, 120, 720, 5040};
  for (const RunOptions &options : schedules()) {
    DeviceBuffer out(128);
    KernelRun run;
    run.block = 32;
    run.options = options;
    std::optional<Fault> fault = run(text, Parameters().add(out.address()));
    ASSERT_FALSE(fault) << fault->text;
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t called = lane < 16 ? factorials[lane & 7] : 2 * (lane & 7);
      EXPECT_EQ(out.as<uint32_t>()[lane], called + 1000 * (3 - (lane & 3))) << lane;
    }
  }
}

TEST(Scheduling, EndlessRecursionOverflowsTheStack) {
  const std::string text = kernel(".param .u64 out", R"(
  call f;
  ret;
)",
                                  ".func f() {\n  call f;\n  ret;\n}\n");
  std::optional<Fault> fault = KernelRun()(text, Parameters().add(uint64_t(0)));
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, Fault::Kind::StackOverflow) << fault->text;
}

// Two warps wait at different barriers: the report says who waits for what.
TEST(Scheduling, DeadlocksAreReportedWithTheirWaits) {
  const std::string text = kernel(".param .u64 out", R"(
  mov.u32 %r1, %tid.x;
  setp.lt.u32 %p1, %r1, 32;
  @%p1 bra first;
  bar.sync 2, 64;
  ret;
first:
  bar.sync 1, 64;
  ret;
)");
  KernelRun run;
  run.block = 64;
  std::optional<Fault> fault = run(text, Parameters().add(uint64_t(0)));
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, Fault::Kind::Deadlock);
  EXPECT_NE(fault->text.find("barrier 1: 32 of 64 threads arrived"), std::string::npos) << fault->text;
  EXPECT_NE(fault->text.find("barrier 2: 32 of 64 threads arrived"), std::string::npos) << fault->text;
}

// Whoever polls memory waits, too: for what it looks at.
TEST(Scheduling, DeadlocksSayWhatIsPolled) {
  const std::string text = kernel(".param .u64 out", R"(
  .shared .align 4 .b32 flag;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  st.shared.u32 [flag], 7;
  setp.lt.u32 %p1, %r1, 32;
  @%p1 bra first;
own:
  ld.volatile.shared.u32 %r2, [flag];
  setp.eq.u32 %p1, %r2, 7;
  @%p1 bra own;
  ret;
first:
  ld.acquire.gpu.global.u32 %r2, [%rd1+8];
  setp.ne.u32 %p1, %r2, 1;
  @%p1 bra first;
  ret;
)");
  DeviceBuffer out(64);
  out.as<uint32_t>()[2] = 5;
  KernelRun run;
  run.block = 64;
  run.options.patience = 50;
  std::optional<Fault> fault = run(text, Parameters().add(out.address()));
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, Fault::Kind::Deadlock);
  EXPECT_NE(fault->text.find("polls global buffer (64 bytes) +0x8, where 0x5 stands, at line"), std::string::npos)
      << fault->text;
  EXPECT_NE(fault->text.find("polls shared+0x400 of CTA rank 0, where 0x7 stands, at line"), std::string::npos)
      << fault->text;
}

// A lane that shfl names has gone to another place for good.
TEST(Scheduling, MissingLanesOfASyncAreADeadlock) {
  const std::string text = kernel(".param .u64 out", R"(
  mov.u32 %r1, %laneid;
  setp.lt.u32 %p1, %r1, 16;
  @%p1 bra low;
  bar.sync 1, 64;
low:
  shfl.sync.idx.b32 %r2, %r1, 0, 31, -1;
  ret;
)");
  KernelRun run;
  run.block = 32;
  std::optional<Fault> fault = run(text, Parameters().add(uint64_t(0)));
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, Fault::Kind::Deadlock);
  EXPECT_NE(fault->text.find("waits for lanes 0xffff0000 of its warp"), std::string::npos) << fault->text;
}

// bar.warp.sync may be reached by different ways, and exited lanes are not waited for.
TEST(Scheduling, WarpSyncsMeetAcrossPlaces) {
  const std::string text = kernel(".param .u64 out", R"(
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %laneid;
  setp.eq.u32 %p2, %r1, 5;
  @%p2 exit;
  setp.lt.u32 %p1, %r1, 16;
  @%p1 bra low;
  st.global.u32 [%rd1], %r1;
  bar.warp.sync -1;
  ret;
low:
  bar.warp.sync -1;
  ld.global.u32 %r2, [%rd1];
  st.global.u32 [%rd1+4], %r2;
  ret;
)");
  for (const RunOptions &options : schedules()) {
    DeviceBuffer out(8);
    KernelRun run;
    run.block = 32;
    run.options = options;
    std::optional<Fault> fault = run(text, Parameters().add(out.address()));
    ASSERT_FALSE(fault) << fault->text;
    EXPECT_NE(out.as<uint32_t>()[1], 0u);
  }
}

// Two halves of a warp come to shuffles, votes, matches and elections of their own, in functions of their own, with
// other registers and immediates: they exchange with each other (PTX ISA, shfl.sync: all lanes of the mask execute it
// "with the same qualifiers and same membermask").
TEST(Scheduling, WarpExchangesMeetAcrossPlaces) {
  const std::string text = kernel(".param .u64 out", R"(
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %laneid;
  mul.wide.u32 %rd2, %r1, 20;
  add.u64 %rd1, %rd1, %rd2;
  setp.lt.u32 %p1, %r1, 16;
  @%p1 bra low;
  add.u32 %r1, %r1, 1000;
  mov.u32 %r9, 16;
  shfl.sync.bfly.b32 %r1, %r1, %r9, 31, -1;
  mov.pred %p3, 0;
  vote.sync.ballot.b32 %r4, %p3, -1;
  mov.u64 %rd5, 7;
  match.any.sync.b64 %r5, %rd5, -1;
  redux.sync.add.u32 %r6, 1, -1;
  elect.sync _|%p4, -1;
  selp.u32 %r7, 1, 0, %p4;
  st.global.u32 [%rd1], %r1;
  bra store;
low:
  .reg .b32 %other<4>;
  add.u32 %other2, %r1, 2000;
  shfl.sync.bfly.b32 %other1|%p7, %other2, 16, 31, -1;
  selp.u32 %other1, %other1, 0, %p7;
  setp.lt.u32 %p5, %r1, 3;
  vote.sync.ballot.b32 %r4, %p5, -1;
  cvt.u64.u32 %rd6, %r1;
  match.any.sync.b64 %r5, %rd6, -1;
  redux.sync.add.u32 %r6, %r1, -1;
  elect.sync _|%p6, -1;
  selp.u32 %r7, 1, 0, %p6;
  st.global.u32 [%rd1], %other1;
store:
  st.global.u32 [%rd1+4], %r4;
  st.global.u32 [%rd1+8], %r5;
  st.global.u32 [%rd1+12], %r6;
  redux.sync.add.u32 %r7, %r7, -1;
  st.global.u32 [%rd1+16], %r7;
  ret;
)");
  for (const RunOptions &options : schedules()) {
    DeviceBuffer out(32 * 20);
    KernelRun run;
    run.block = 32;
    run.options = options;
    std::optional<Fault> fault = run(text, Parameters().add(out.address()));
    ASSERT_FALSE(fault) << fault->text;
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t *values = out.as<uint32_t>() + lane * 5;
      EXPECT_EQ(values[0], (lane ^ 16) + (lane < 16 ? 1000 : 2000)) << lane;
      EXPECT_EQ(values[1], 7u);
      EXPECT_EQ(values[2], lane >= 16 || lane == 7 ? 0xffff0080u : 1u << lane) << lane;
      EXPECT_EQ(values[3], 15u * 16 / 2 + 16);
      EXPECT_EQ(values[4], 1u); // one leader
    }
  }
}

// A ballot and a shuffle do not meet, nor do other masks.
TEST(Scheduling, OtherExchangesDoNotMeet) {
  const std::string text = kernel(".param .u64 out", R"(
  mov.u32 %r1, %laneid;
  setp.lt.u32 %p1, %r1, 16;
  @%p1 bra low;
  shfl.sync.bfly.b32 %r1, %r1, 16, 31, -1;
  ret;
low:
  shfl.sync.up.b32 %r1, %r1, 16, 0, -1;
  ret;
)");
  KernelRun run;
  run.block = 32;
  run.options.pollLimit = 256;
  std::optional<Fault> fault = run(text, Parameters().add(uint64_t(0)));
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, Fault::Kind::Deadlock);
}

// Clusters: ranks, distributed shared memory, and a barrier between.
// A lane (32) whose wait ends as it times out goes on to a barrier, before the others of its warp: they meet there all
// the same.
TEST(Scheduling, LanesMeetAfterATimeOut) {
  const std::string text = kernel(".param .u64 out", R"(
  .shared .align 8 .b64 never;
  .shared .align 8 .b64 soon;
  .shared .align 8 .b64 later;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %rd2, %r1, 4;
  add.u64 %rd1, %rd1, %rd2;
  mov.u32 %r2, never;
  mov.u32 %r3, soon;
  mov.u32 %r4, later;
  setp.ne.u32 %p1, %r1, 0;
  setp.ne.u32 %p2, %r1, 32;
  setp.lt.u32 %p3, %r1, 32;
  @%p1 bra initialized;
  mbarrier.init.shared.b64 [%r2], 1;
  mbarrier.init.shared.b64 [%r3], 1;
  mbarrier.init.shared.b64 [%r4], 1;
initialized:
  bar.sync 0;
  @%p3 bra arrive;
  @%p2 bra wait;
first:
  mbarrier.try_wait.parity.shared.b64 %p4, [%r3], 0;
  @!%p4 bra first;
together:
  bar.sync 1, 32;
  bra all;
wait:
  mbarrier.try_wait.parity.shared.b64 %p4, [%r4], 0;
  @!%p4 bra wait;
  bra together;
arrive:
  @%p1 bra all;
  mbarrier.try_wait.parity.shared.b64 %p4, [%r2], 0;
  mbarrier.arrive.shared.b64 _, [%r3];
  mbarrier.try_wait.parity.shared.b64 %p4, [%r2], 0;
  mbarrier.arrive.shared.b64 _, [%r4];
all:
  bar.sync 0;
  st.global.u32 [%rd1], %r1;
  ret;
)");
  for (const RunOptions &options : schedules()) {
    DeviceBuffer out(64 * 4);
    KernelRun run;
    run.block = 64;
    run.options = options;
    std::optional<Fault> fault = run(text, Parameters().add(out.address()));
    ASSERT_FALSE(fault) << fault->text;
    EXPECT_EQ(out.as<uint32_t>()[63], 63u);
  }
}

TEST(Scheduling, ClustersMeetAndShareMemory) {
  const std::string text = kernel(".param .u64 out", R"(
  .shared .align 4 .b8 word[4];
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %cluster_ctarank;
  mov.u32 %r9, %ctaid.x;
  mov.u32 %r2, word;
  st.shared.u32 [word], %r9;
  barrier.cluster.arrive;
  barrier.cluster.wait;
  add.u32 %r3, %r1, 1;
  and.b32 %r3, %r3, 3;
  mapa.shared::cluster.u32 %r4, %r2, %r3;
  ld.shared::cluster.u32 %r5, [%r4];
  barrier.cluster.arrive;
  barrier.cluster.wait;
  mul.wide.u32 %rd2, %r9, 4;
  add.u64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r5;
  ret;
)");
  for (const RunOptions &options : schedules()) {
    DeviceBuffer out(32);
    KernelRun run;
    run.grid = 8;
    run.cluster = 4;
    run.block = 1;
    run.options = options;
    std::optional<Fault> fault = run(text, Parameters().add(out.address()));
    ASSERT_FALSE(fault) << fault->text;
    for (uint32_t cta = 0; cta < 8; ++cta) {
      EXPECT_EQ(out.as<uint32_t>()[cta], cta / 4 * 4 + (cta + 1) % 4);
    }
  }
}

// One thread: twice the same run, to the instruction, so also the clock.
TEST(Scheduling, OneThreadRepeatsARun) {
  const std::string text = kernel(".param .u64 out", R"(
  ld.param.u64 %rd1, [out];
  atom.relaxed.gpu.global.add.u32 %r1, [%rd1], 1;
  mov.u32 %r2, %ctaid.x;
  mov.u64 %rd4, %clock64;
  mul.wide.u32 %rd2, %r1, 16;
  add.u64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3+16], %r2;
  st.global.u64 [%rd3+24], %rd4;
  ret;
)");
  std::vector<uint8_t> before;
  for (int i = 0; i < 2; ++i) {
    DeviceBuffer out(16 * 41);
    KernelRun run;
    run.grid = 40;
    run.block = 1;
    run.options.threads = 1;
    run.options.adversarial = true;
    run.options.seed = 5;
    std::optional<Fault> fault = run(text, Parameters().add(out.address()));
    ASSERT_FALSE(fault) << fault->text;
    std::vector<uint8_t> bytes(out.as<uint8_t>(), out.as<uint8_t>() + 16 * 41);
    if (i) {
      EXPECT_EQ(bytes, before);
    }
    before = bytes;
  }
}

} // namespace
} // namespace emulator
