// Counts that follow from a kernel: by class and form, by path, exact in every order.
#include "tests/runtime/emulator/counters/counted_run.h"

using namespace emulator;

namespace {

const LaunchCounters::Executed &of(const LaunchCounters &counters, InstructionClass which) {
  return counters.byClass[static_cast<size_t>(which)];
}

TEST(Counters, InstructionsByClassAndFormByWarpsAndByLanes) {
  CountedRun run;
  run.grid = 3;
  run.block = 48; // A warp and a half.
  const LaunchCounters counters = run("mov.f32 %f1, 0f3F800000;\n"
                                      "mov.u32 %r3, 0;\n"
                                      "loop:\n"
                                      "fma.rn.f32 %f1, %f1, %f1, %f1;\n"
                                      "add.u32 %r3, %r3, 1;\n"
                                      "setp.lt.u32 %p1, %r3, 10;\n"
                                      "@%p1 bra loop;\n"
                                      "setp.lt.u32 %p2, %r0, 8;\n"
                                      "@%p2 ex2.approx.f32 %f2, %f1;\n"   // 8 lanes of the first warp
                                      "@!%p2 div.rn.f32 %f2, %f1, %f1;\n" // the others
                                      "shfl.sync.bfly.b32 %r4, %r3, 1, 31, 0xffffffff;\n");
  EXPECT_EQ(of(counters, InstructionClass::Float).warps, 3u * 2 * 10);
  EXPECT_EQ(of(counters, InstructionClass::Float).lanes, 3u * 48 * 10);
  EXPECT_EQ(counters.byForm.at("fma.rn.f32").lanes, 3u * 48 * 10);
  // shl, and the loop's add and setp; the setp behind it.
  EXPECT_EQ(of(counters, InstructionClass::Integer).warps, 3u * 2 * (1 + 20 + 1));
  const LaunchCounters::Executed &ex2 = counters.byForm.at("ex2.approx.f32");
  EXPECT_EQ(ex2.warps, 3u);
  EXPECT_EQ(ex2.lanes, 3u * 8);
  EXPECT_EQ(ex2.skipped, 3u); // by the second warp
  EXPECT_EQ(counters.byForm.at("div.rn.f32").lanes, 3u * 40);
  EXPECT_EQ(of(counters, InstructionClass::Special).lanes, 3u * 48);
  EXPECT_EQ(of(counters, InstructionClass::WarpWide).warps, 3u * 2);
  EXPECT_EQ(of(counters, InstructionClass::Constant).warps, 3u * 2 * 2); // the parameters
  EXPECT_EQ(counters.constant.requests, 3u * 2 * 2);
  // The last branch is not taken: its guard lets nobody pass.
  EXPECT_EQ(counters.byForm.at("bra").warps, 3u * 2 * 9);
  EXPECT_EQ(counters.byForm.at("bra").skipped, 3u * 2);
  uint64_t warps = 0;
  for (const LaunchCounters::Executed &executed : counters.byClass) {
    warps += executed.warps;
  }
  EXPECT_EQ(warps, counters.instructions.warps);
}

TEST(Counters, DivergedLanesExecuteApart) {
  const LaunchCounters counters = CountedRun()("setp.lt.u32 %p1, %r0, 12;\n"
                                               "@%p1 bra less;\n"
                                               "add.f32 %f1, %f1, %f1;\n"
                                               "bra join;\n"
                                               "less:\n"
                                               "mul.f32 %f1, %f1, %f1;\n"
                                               "join:\n"
                                               "sub.f32 %f2, %f1, %f1;\n");
  EXPECT_EQ(counters.byForm.at("add.f32").lanes, 20u);
  EXPECT_EQ(counters.byForm.at("mul.f32").lanes, 12u);
  EXPECT_EQ(counters.byForm.at("sub.f32").lanes, 32u);
  EXPECT_EQ(counters.byForm.at("sub.f32").warps, 1u);
}

TEST(Counters, GlobalSectorsAndLines) {
  const LaunchCounters counters = CountedRun()("add.u64 %rd4, %rd1, %rd3;\n"
                                               "ld.global.u32 %r5, [%rd4];\n" // 128 bytes: 4 sectors, 1 line
                                               "shl.b64 %rd5, %rd3, 5;\n"
                                               "add.u64 %rd5, %rd5, %rd1;\n"
                                               "ld.global.u32 %r6, [%rd5];\n" // every 128 bytes
                                               "ld.global.u32 %r7, [%rd1];\n" // one word for all
                                               "add.u64 %rd6, %rd2, %rd3;\n"
                                               "st.global.u32 [%rd6+16], %r5;\n" // 5 sectors, 2 lines
                                               "atom.global.add.u32 %r8, [%rd2], 1;\n");
  EXPECT_EQ(counters.globalLoads.requests, 3u);
  EXPECT_EQ(counters.globalLoads.bytes, 3u * 128);
  EXPECT_EQ(counters.globalLoads.sectors, 4u + 32 + 1);
  EXPECT_EQ(counters.globalLoads.lines, 1u + 32 + 1);
  EXPECT_EQ(counters.globalStores.sectors, 5u);
  EXPECT_EQ(counters.globalStores.lines, 2u);
  EXPECT_EQ(counters.globalAtomics.requests, 1u);
  EXPECT_EQ(counters.globalAtomics.sectors, 1u);
}

TEST(Counters, SharedBankConflicts) {
  const LaunchCounters stores = CountedRun()("shl.b32 %r5, %r1, 1;\n"
                                             "add.u32 %r5, %r5, %r2;\n"
                                             "st.shared.u32 [%r5], %r0;\n"); // every second bank: two passes
  EXPECT_EQ(stores.sharedStores.requests, 1u);
  EXPECT_EQ(stores.sharedStores.bytes, 128u);
  EXPECT_EQ(stores.sharedStores.wavefronts, 2u);
  EXPECT_EQ(stores.sharedStores.conflicts, 1u);
  const LaunchCounters loads = CountedRun()("shl.b32 %r5, %r0, 4;\n"
                                            "add.u32 %r5, %r5, %r2;\n"
                                            "ld.shared.v4.u32 {%r6, %r7, %r8, %r9}, [%r5];\n" // a quarter each pass
                                            "ld.shared.u32 %r6, [%r2];\n"                     // one word for all
                                            "shl.b32 %r5, %r0, 6;\n"
                                            "add.u32 %r5, %r5, %r2;\n"
                                            "ld.shared.u32 %r6, [%r5];\n"); // banks 0 and 16
  EXPECT_EQ(loads.sharedLoads.requests, 3u);
  EXPECT_EQ(loads.sharedLoads.wavefronts, 4u + 1 + 16);
  EXPECT_EQ(loads.sharedLoads.conflicts, 0u + 0 + 15);
}

/// One thread copies `tile` in and, from there, out; all wait. Twice.
constexpr const char *copies = R"(
  setp.ne.u32 %p1, %r0, 0;
  mov.u32 %r4, bar;
  @%p1 bra wait;
  mbarrier.init.shared::cta.b64 [%r4], 1;
  fence.mbarrier_init.release.cluster;
  fence.proxy.async;
  mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r4], 1024;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%rd1], 1024, [%r4];
wait:
  bar.sync 0;
again:
  mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r4], 0;
  @!%p2 bra again;
  @%p1 bra end;
  cp.async.bulk.global.shared::cta.bulk_group [%rd2], [%r2], 512;
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group 0;
end:
)";

TEST(Counters, CopiesAndBarriersInEveryOrder) {
  for (Order order : allOrders) {
    SCOPED_TRACE(nameOf(order));
    CountedRun run;
    run.grid = 2;
    run.block = 64;
    run.options.order = order;
    const LaunchCounters counters = run(copies);
    EXPECT_EQ(counters.bulkCopies.operations, 2u * 2);
    EXPECT_EQ(counters.bulkCopies.globalRead, 2u * 1024);
    EXPECT_EQ(counters.bulkCopies.sharedWritten, 2u * 1024);
    EXPECT_EQ(counters.bulkCopies.sharedRead, 2u * 512);
    EXPECT_EQ(counters.bulkCopies.globalWritten, 2u * 512);
    EXPECT_EQ(counters.bulkCopies.sectors, 2u * (1024 + 512) / 32);
    EXPECT_EQ(counters.bulkCopies.lines, 2u * (1024 + 512) / 128);
    EXPECT_EQ(counters.named.arrivals, 2u * 2);
    EXPECT_EQ(counters.named.waits, 2u * 2);
    EXPECT_EQ(counters.mbarriers.arrivals, 2u);
    EXPECT_EQ(counters.mbarriers.waits, 2u * 2);
    EXPECT_EQ(counters.groupWaits, 2u);
    EXPECT_EQ(counters.byForm.at("mbarrier.try_wait.parity.shared::cta.b64").warps, 2u * 2);
    EXPECT_EQ(of(counters, InstructionClass::Copy).warps, 2u * 4);
    EXPECT_GT(counters.emulatedCycles, 600); // The copy's latency is in it.
  }
}

TEST(Counters, MatrixProducts) {
  std::string accumulators;
  for (unsigned i = 0; i < 64; ++i) {
    accumulators += (i ? ", %f" : "%f") + std::to_string(i);
  }
  CountedRun run;
  run.block = 256; // two warpgroups
  run.dynamicSharedBytes = 1 << 16;
  const LaunchCounters counters =
      run("mov.u64 %rd4, 0x4000004000000040;\nwgmma.fence.sync.aligned;\n"
          "wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 {" +
          accumulators +
          "}, %rd4, %rd4, 1, 1, 1;\nwgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n"
          "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f0, %f1, %f2, %f3}, {%r1, %r1, %r1, %r1}, {%r1, %r1}, "
          "{%f4, %f5, %f6, %f7};\n");
  ASSERT_EQ(counters.wgmma.size(), 1u);
  EXPECT_EQ(counters.wgmma.at("f32.e4m3.e4m3").instructions, 2u);
  EXPECT_EQ(counters.wgmma.at("f32.e4m3.e4m3").flops, 2u * 2 * 64 * 128 * 32);
  EXPECT_EQ(counters.wgmmaSharedBytes, 2u * 32 * (64 + 128));
  EXPECT_EQ(counters.matrix.at("f32.bf16.bf16.f32").flops, 8u * 2 * 16 * 8 * 16);
}

TEST(Counters, OccupancySaysWhatIsShort) {
  CountedRun run;
  run.block = 1024;
  LaunchCounters counters = run("");
  EXPECT_EQ(counters.occupancy.ctas(), 2u);
  EXPECT_EQ(counters.occupancy.limit(), "threads");
  run.block = 32;
  run.dynamicSharedBytes = 100 * 1024; // Two of 105 KiB in 228.
  counters = run("");
  EXPECT_EQ(counters.occupancy.ctas(), 2u);
  EXPECT_EQ(counters.occupancy.limit(), "shared memory");
  EXPECT_NE(counters.toText().find("2 CTAs a multiprocessor (3 % of its warps), limited by shared memory"),
            std::string::npos)
      << counters.toText();
}

} // namespace
