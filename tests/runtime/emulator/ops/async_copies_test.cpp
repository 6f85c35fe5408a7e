// mbarriers, cp.async, bulk copies and their reductions, st.async and red.async: small kernels, in every order.
#include "tests/runtime/emulator/kernel_run.h"

using namespace emulator;

namespace {

/// A kernel of `body`, with %tid in %r0, rank in %r1, shared `tile` (%r2) and `bar` (%r3), source and result in %rd1
/// and %rd2, and %p0 set for thread 0.
std::string kernel(const std::string &body) {
  return ".version 8.8\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 ps, .param .u64 pd)\n{\n"
         ".shared .align 128 .b8 tile[1024];\n.shared .align 8 .b64 bar;\n.reg .b32 %r<30>;\n.reg .b16 %h<4>;\n"
         ".reg .b64 %rd<20>;\n.reg .pred %p<8>;\n.reg .f32 %f<8>;\nld.param.u64 %rd1, [ps];\nld.param.u64 %rd2, [pd];\n"
         "mov.u32 %r0, %tid.x;\nmov.u32 %r1, %cluster_ctarank;\nmov.u32 %r2, tile;\nmov.u32 %r3, bar;\n"
         "setp.eq.u32 %p0, %r0, 0;\nmul.wide.u32 %rd3, %r0, 4;\nadd.s64 %rd4, %rd2, %rd3;\n" +
         body + "ret;\n}\n";
}

std::string initialise(unsigned count) {
  return "@%p0 mbarrier.init.shared::cta.b64 [%r3], " + std::to_string(count) +
         ";\nfence.mbarrier_init.release.cluster;\nfence.proxy.async;\nbar.sync 0;\n";
}

std::string waitFor(unsigned parity, const std::string &label) {
  return label + ":\nmbarrier.try_wait.parity.shared::cta.b64 %p7, [%r3], " + std::to_string(parity) + ";\n@!%p7 bra " +
         label + ";\n";
}

/// Stores the tile's words, one a thread.
const std::string storeTile = "shl.b32 %r20, %r0, 2;\nadd.u32 %r20, %r20, %r2;\nld.shared.b32 %r21, [%r20];\n"
                              "st.global.b32 [%rd4], %r21;\n";

struct Outcome {
  std::string fault;
  std::vector<uint32_t> result;
};

Outcome run(const std::string &body, Order order, unsigned threads = 32, unsigned ctas = 1) {
  std::vector<uint32_t> source(1024);
  for (unsigned i = 0; i < source.size(); ++i) {
    source[i] = 100 + i;
  }
  DeviceBuffer from(source), to(std::vector<uint32_t>(1024, 7));
  KernelRun launch;
  launch.block = threads;
  launch.grid = launch.cluster = ctas;
  launch.options.order = order;
  launch.options.seed = 3;
  launch.options.pollLimit = 256;
  std::optional<Fault> fault = launch(kernel(body), Parameters().add(from.address()).add(to.address()));
  Outcome done;
  done.fault = fault ? fault->text : "";
  done.result.assign(to.as<uint32_t>(), to.as<uint32_t>() + 1024);
  return done;
}

/// Word i of the result, for i below `count`, is expected(i), in every order.
template <typename Expected>
void check(const std::string &body, unsigned count, Expected expected, unsigned threads = 32, unsigned ctas = 1) {
  for (Order order : allOrders) {
    SCOPED_TRACE(nameOf(order));
    Outcome done = run(body, order, threads, ctas);
    ASSERT_EQ(done.fault, "") << body;
    for (unsigned i = 0; i < count; ++i) {
      ASSERT_EQ(done.result[i], static_cast<uint32_t>(expected(i))) << "word " << i;
    }
  }
}

std::string faultOf(const std::string &body) { return run(body, Order::Eager).fault; }

} // namespace

TEST(Mbarriers, PhasesAndParities) {
  // The parity before the first phase counts as passed; each completed phase flips it.
  check(initialise(1) + "@!%p0 bra end;\n"
                        "mbarrier.test_wait.parity.shared::cta.b64 %p1, [%r3], 1;\nselp.u32 %r5, 1, 0, %p1;\n"
                        "mbarrier.test_wait.parity.shared::cta.b64 %p1, [%r3], 0;\nselp.u32 %r6, 1, 0, %p1;\n"
                        "mbarrier.arrive.shared::cta.b64 %rd5, [%r3];\n"
                        "mbarrier.test_wait.shared::cta.b64 %p1, [%r3], %rd5;\nselp.u32 %r7, 1, 0, %p1;\n"
                        "mbarrier.test_wait.parity.shared::cta.b64 %p1, [%r3], 0;\nselp.u32 %r8, 1, 0, %p1;\n"
                        "mbarrier.test_wait.parity.shared::cta.b64 %p1, [%r3], 1;\nselp.u32 %r9, 1, 0, %p1;\n"
                        "st.global.v4.b32 [%rd2], {%r5, %r6, %r7, %r8};\nst.global.b32 [%rd2+16], %r9;\nend:\n",
        5, [](unsigned i) { return (std::vector<int>{1, 0, 1, 1, 0})[i]; });
}

TEST(Mbarriers, CountsArrivals) {
  // 32 threads arrive; the state tells how many were pending before.
  check(initialise(34) +
            "mbarrier.arrive.shared::cta.b64 %rd5, [%r3];\nmbarrier.pending_count.b64 %r5, %rd5;\n"
            "st.global.b32 [%rd4], %r5;\n@%p0 mbarrier.arrive.shared::cta.b64 _, [%r3], 2;\n" +
            waitFor(0, "w"),
        32, [](unsigned i) { return 34 - i; });
}

TEST(Mbarriers, DroppedArrivalsAreMissedNext) {
  // Of two, one drops out: the second phase needs one arrival.
  check(initialise(2) +
            "@%p0 mbarrier.arrive_drop.shared::cta.b64 _, [%r3];\n"
            "@%p0 mbarrier.arrive.shared::cta.b64 _, [%r3];\n" +
            waitFor(0, "w") + "@%p0 mbarrier.arrive.release.cta.shared::cta.b64 _, [%r3];\n" + waitFor(1, "x") +
            "st.global.b32 [%rd4], 1;\n",
        32, [](unsigned) { return 1; });
}

TEST(Mbarriers, BytesMayCompleteBeforeTheyAreExpected) {
  check(initialise(1) +
            "@%p0 mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%r3], 64;\n"
            "@%p0 mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r3], 32;\n"
            "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 32;\n" +
            waitFor(0, "w") + "st.global.b32 [%rd4], 5;\n",
        32, [](unsigned) { return 5; });
}

TEST(Mbarriers, RemoteArrivals) {
  // Each CTA arrives at the other's barrier.
  check(
      initialise(1) +
          "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\nxor.b32 %r5, %r1, 1;\n"
          "mapa.shared::cluster.u32 %r6, %r3, %r5;\n@%p0 mbarrier.arrive.release.cluster.shared::cluster.b64 _, "
          "[%r6];\n" +
          waitFor(0, "w") +
          "mad.lo.u32 %r7, %r1, 32, %r0;\nmul.wide.u32 %rd5, %r7, 4;\nadd.s64 %rd6, %rd2, %rd5;\n"
          "st.global.b32 [%rd6], %r1;\nbarrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n",
      64, [](unsigned i) { return i / 32; }, 32, 2);
}

TEST(Mbarriers, Misuse) {
  EXPECT_NE(faultOf("@%p0 mbarrier.arrive.shared::cta.b64 _, [%r3];\n").find("no mbarrier"), std::string::npos);
  EXPECT_NE(faultOf(initialise(1) + "@%p0 mbarrier.arrive.shared::cta.b64 _, [%r3], 2;\n").find("2 arrivals"),
            std::string::npos);
  EXPECT_NE(faultOf("@%p0 mbarrier.init.shared::cta.b64 [%r3], 0;\n").find("count 0"), std::string::npos);
  EXPECT_NE(faultOf(initialise(1) + "@%p0 st.shared.b32 [%r3], 5;\n@%p0 mbarrier.arrive.shared::cta.b64 _, [%r3];\n")
                .find("overwritten"),
            std::string::npos);
  EXPECT_NE(
      faultOf(initialise(1) + "@%p0 mbarrier.arrive.noComplete.shared::cta.b64 %rd5, [%r3], 1;\n").find("noComplete"),
      std::string::npos);
  EXPECT_NE(faultOf(initialise(2) + "@%p0 mbarrier.arrive.shared::cta.b64 _, [%r3];\n" + waitFor(0, "w"))
                .find("1 of 2 arrivals"),
            std::string::npos);
  EXPECT_NE(faultOf(initialise(1) + "@%p0 mbarrier.inval.shared::cta.b64 [%r3];\n"
                                    "@%p0 mbarrier.arrive.shared::cta.b64 _, [%r3];\n")
                .find("no mbarrier"),
            std::string::npos);
}

TEST(CopyAsync, SizesFillAndGroups) {
  const std::string addresses = "shl.b32 %r5, %r0, 4;\nadd.u32 %r6, %r2, %r5;\nmul.wide.u32 %rd5, %r0, 16;\n"
                                "add.s64 %rd6, %rd1, %rd5;\nsetp.lt.u32 %p2, %r0, 8;\n";
  const std::string end = "cp.async.commit_group;\ncp.async.wait_group 0;\nbar.sync 0;\n" + storeTile;
  check(addresses + "@%p2 cp.async.cg.shared.global.L2::128B [%r6], [%rd6], 16;\n" + end, 32,
        [](unsigned i) { return 100 + i; });
  check(addresses + "@%p2 cp.async.ca.shared.global [%r6], [%rd6], 16, 4;\n" + end, 32,
        [](unsigned i) { return i % 4 ? 0 : 100 + i; });
  check(addresses + "setp.lt.u32 %p3, %r0, 4;\n@%p2 cp.async.ca.shared.global [%r6], [%rd6], 16, %p3;\n" + end, 32,
        [](unsigned i) { return i < 16 ? 0 : 100 + i; });
  check("shl.b32 %r5, %r0, 2;\nadd.u32 %r6, %r2, %r5;\nadd.s64 %rd6, %rd1, %rd3;\n"
        "cp.async.ca.shared.global [%r6], [%rd6], 4;\ncp.async.wait_all;\nbar.sync 0;\n" +
            storeTile,
        32, [](unsigned i) { return 100 + i; });
}

TEST(CopyAsync, ArrivesAtMbarriers) {
  for (bool noIncrement : {false, true}) {
    // Without .noinc the arrival brings its own pending count, and thread 0's arrival completes the phase.
    check(initialise(noIncrement ? 32 : 1) +
              "shl.b32 %r5, %r0, 2;\nadd.u32 %r6, %r2, %r5;\nadd.s64 %rd6, %rd1, %rd3;\n"
              "cp.async.ca.shared.global [%r6], [%rd6], 4;\ncp.async.mbarrier.arrive" +
              (noIncrement ? ".noinc" : "") + ".shared::cta.b64 [%r3];\n" +
              (noIncrement ? "" : "@%p0 mbarrier.arrive.shared::cta.b64 _, [%r3];\n") + waitFor(0, "w") + storeTile,
          32, [](unsigned i) { return 100 + i; });
  }
}

TEST(CopyAsync, IsPoisonUntilWaitedFor) {
  Outcome lazy = run("shl.b32 %r5, %r0, 2;\nadd.u32 %r6, %r2, %r5;\nadd.s64 %rd6, %rd1, %rd3;\n"
                     "cp.async.ca.shared.global [%r6], [%rd6], 4;\ncp.async.commit_group;\ncp.async.wait_group 1;\n" +
                         storeTile,
                     Order::Lazy);
  ASSERT_EQ(lazy.fault, "");
  EXPECT_EQ(lazy.result[0], 0xFFFFFFFFu);
}

TEST(BulkCopies, GlobalToSharedAndBack) {
  check(initialise(1) +
            "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 128;\n"
            "@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%rd1], 128, [%r3];\n" +
            waitFor(0, "w") +
            "fence.proxy.async;\n@%p0 cp.async.bulk.global.shared::cta.bulk_group [%rd2], [%r2], 128;\n"
            "@%p0 cp.async.bulk.commit_group;\n@%p0 cp.async.bulk.wait_group 0;\n",
        33, [](unsigned i) { return i < 32 ? 100 + i : 7; });
}

TEST(BulkCopies, WaitReadLetsTheSourceGo) {
  // The source is read by wait_group.read, so that what follows may overwrite it.
  check("shl.b32 %r5, %r0, 2;\nadd.u32 %r6, %r2, %r5;\nst.shared.b32 [%r6], %r0;\nfence.proxy.async;\nbar.sync 0;\n"
        "@%p0 cp.async.bulk.global.shared::cta.bulk_group [%rd2], [%r2], 128;\n@%p0 cp.async.bulk.commit_group;\n"
        "@%p0 cp.async.bulk.wait_group.read 0;\nbar.sync 0;\nst.shared.b32 [%r6], 999;\n",
        32, [](unsigned i) { return i; });
}

TEST(BulkCopies, Reductions) {
  const std::string begin = "shl.b32 %r5, %r0, 2;\nadd.u32 %r6, %r2, %r5;\nst.shared.b32 [%r6], %r0;\n"
                            "fence.proxy.async;\nbar.sync 0;\n@%p0 cp.reduce.async.bulk.global.shared::cta.bulk_group";
  const std::string end = " [%rd2], [%r2], 128;\n@%p0 cp.async.bulk.commit_group;\n@%p0 cp.async.bulk.wait_group 0;\n";
  check(begin + ".add.u32" + end, 32, [](unsigned i) { return 7 + i; });
  check(begin + ".min.s32" + end, 32, [](unsigned i) { return std::min(7u, i); });
  check(begin + ".max.u32" + end, 32, [](unsigned i) { return std::max(7u, i); });
  check(begin + ".xor.b32" + end, 32, [](unsigned i) { return 7u ^ i; });
  check(begin + ".inc.u32" + end, 32, [](unsigned i) { return 7 >= i ? 0 : 8; });
}

TEST(BulkCopies, SharedToAnotherCta) {
  // Each CTA sends its tile to the other's upper half, and waits for what comes.
  check(
      initialise(1) +
          "shl.b32 %r5, %r0, 2;\nadd.u32 %r6, %r2, %r5;\nmad.lo.u32 %r7, %r1, 1000, %r0;\nst.shared.b32 [%r6], %r7;\n"
          "fence.proxy.async;\n@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 128;\n"
          "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\nxor.b32 %r8, %r1, 1;\n"
          "add.u32 %r9, %r2, 512;\nmapa.shared::cluster.u32 %r10, %r9, %r8;\n"
          "mapa.shared::cluster.u32 %r11, %r3, %r8;\n"
          "@%p0 cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r10], [%r2], 128, [%r11];\n" +
          waitFor(0, "w") +
          "ld.shared.b32 %r12, [%r6+512];\nmad.lo.u32 %r13, %r1, 32, %r0;\nmul.wide.u32 %rd5, %r13, 4;\n"
          "add.s64 %rd6, %rd2, %rd5;\nst.global.b32 [%rd6], %r12;\n"
          "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n",
      64, [](unsigned i) { return (1 - i / 32) * 1000 + i % 32; }, 32, 2);
}

TEST(StoreAsync, CompletesItsBytes) {
  // Lane i stores two words and adds to a third, in the CTA's own memory.
  check(initialise(1) +
            "shl.b32 %r5, %r0, 3;\nadd.u32 %r6, %r2, %r5;\nmov.b32 %r9, 0;\nst.shared.b32 [%r2+512], %r9;\n"
            "bar.sync 0;\n@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 384;\nadd.u32 %r7, %r0, 40;\n"
            "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%r6], {%r0, %r7}, [%r3];\n"
            "add.u32 %r8, %r2, 512;\n"
            "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r8], %r0, [%r3];\n" +
            waitFor(0, "w") +
            "ld.shared.b32 %r10, [%r6+4];\nst.global.b32 [%rd4], %r10;\nld.shared.b32 %r11, [%r2+512];\n"
            "@%p0 st.global.b32 [%rd2+128], %r11;\n",
        33, [](unsigned i) { return i < 32 ? 40 + i : 31 * 32 / 2; });
}

TEST(BulkCopies, Faults) {
  EXPECT_NE(faultOf(initialise(1) + "@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], "
                                    "[%rd1], 100, [%r3];\n")
                .find("multiple of 16"),
            std::string::npos);
  EXPECT_NE(faultOf(initialise(1) + "add.u32 %r2, %r2, 4;\n@%p0 "
                                    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], "
                                    "[%rd1], 64, [%r3];\n")
                .find("multiple of 16"),
            std::string::npos);
  EXPECT_NE(faultOf(initialise(1) + "@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], "
                                    "[%rd1], 65536, [%r3];\n")
                .find("no memory is"),
            std::string::npos);
}
