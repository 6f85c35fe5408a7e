// For each kind of report a kernel that earns it, and the same kernel put right, which earns none, in all orders.

#include "ops/tensor_map.h"
#include "tests/runtime/emulator/checker/checked_run.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace emulator;
using testing::HasSubstr;

namespace {

/// `text` with `part` in the place of the one `$`.
std::string with(std::string text, const std::string &part) {
  size_t at = text.find('$');
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, 1, part);
}

template <typename Each> void inAllOrders(CheckedLaunch launch, Each each) {
  for (Order order : {Order::Eager, Order::Lazy, Order::Random}) {
    launch.order = order;
    for (uint64_t seed = 0; seed < (order == Order::Random ? 8 : 1); ++seed) {
      launch.seed = seed;
      launch.adversarial = order == Order::Random;
      each(launch);
    }
  }
}

void expectClean(const std::string &body, const CheckedLaunch &launch) {
  inAllOrders(launch, [&](const CheckedLaunch &one) {
    CheckedResult result = runChecked(body, one);
    EXPECT_EQ(result.kinds(), "") << result.text();
    EXPECT_EQ(result.fault, "");
  });
}

/// The kind in all orders; other findings may follow from the same mistake.
void expectKind(const std::string &body, const CheckedLaunch &launch, const std::string &kind) {
  inAllOrders(launch, [&](const CheckedLaunch &one) {
    CheckedResult result = runChecked(body, one);
    EXPECT_THAT(result.kinds(), HasSubstr(kind)) << static_cast<int>(one.order) << "\n" << result.text();
  });
}

/// Bad without `cure` in the place of `$`, good with it.
void expectCured(const std::string &body, const std::string &cure, const CheckedLaunch &launch,
                 const std::string &kind) {
  expectKind(with(body, ""), launch, kind);
  expectClean(with(body, cure), launch);
}

} // namespace

TEST(Checker, OutOfBounds) {
  Buffer buffer(4096);
  CheckedLaunch launch{.block = 1, .arguments = {buffer.address()}};
  expectKind("st.global.u32 [%rd1+4096], %r1;", launch, "out-of-bounds");
  expectClean("st.global.u32 [%rd1+4092], %r1;", launch);
  CheckedResult result = runChecked("st.global.u32 [%rd1+4104], %r1;", launch);
  ASSERT_EQ(result.reports.size(), 1u) << result.text();
  EXPECT_THAT(result.reports[0].address, HasSubstr("0x1008 behind the beginning of global buffer"));
  EXPECT_EQ(result.reports[0].place.ptxText, "st.global.u32 [%rd1+4104], %r1");
  EXPECT_EQ(result.reports[0].place.warp, 0);
  EXPECT_EQ(result.reports[0].place.lane, 0);
  EXPECT_FALSE(result.fault.empty());
  launch.dynamicShared = 64;
  expectKind("mov.u32 %r3, dynamic; st.shared.u32 [%r3+64], %r1;", launch, "out-of-bounds");
  expectClean("mov.u32 %r3, dynamic; st.shared.u32 [%r3+60], %r1;", launch);
}

TEST(Checker, Misaligned) {
  Buffer buffer(4096);
  CheckedLaunch launch{.block = 1, .arguments = {buffer.address()}};
  expectKind("ld.global.u32 %r3, [%rd1+2];", launch, "misaligned");
  expectClean("ld.global.u16 %r3, [%rd1+2];", launch);
}

TEST(Checker, UninitialisedMemory) {
  Buffer unwritten(64, true), written(64);
  CheckedLaunch launch{.block = 1, .dynamicShared = 64, .arguments = {unwritten.address(), written.address()}};
  expectKind("ld.global.u32 %r3, [%rd1];", launch, "uninitialised-memory");
  expectClean("ld.global.u32 %r3, [%rd2];", launch);
  expectCured("mov.u32 %r3, dynamic; $ ld.shared.u32 %r4, [%r3+4];", "st.shared.u32 [%r3+4], %r1;", launch,
              "uninitialised-memory");
  // Three of four bytes.
  expectKind("mov.u32 %r3, dynamic; st.shared.u8 [%r3], %r1; st.shared.u16 [%r3+2], %r1; ld.shared.u32 %r4, [%r3];",
             launch, "uninitialised-memory");
}

TEST(Checker, UninitialisedRegister) {
  Buffer buffer(4096);
  expectCured("$ setp.eq.s32 %p1, %r1, 5; @%p1 bra SKIP; mov.u32 %r3, 1; SKIP: st.global.u32 [%rd1], %r3;",
              "mov.u32 %r3, 0;", {.block = 1, .arguments = {buffer.address()}}, "");
  expectKind("setp.eq.s32 %p1, %r1, 0; @%p1 bra SKIP; mov.u32 %r3, 1; SKIP: st.global.u32 [%rd1], %r3;",
             {.block = 1, .arguments = {buffer.address()}}, "uninitialised-register");
}

TEST(Checker, SharedRaceBetweenWarps) {
  const std::string body = "mov.u32 %r3, dynamic; shl.b32 %r4, %r1, 2; add.u32 %r5, %r3, %r4; st.shared.u32 [%r5], "
                           "%r1; $ xor.b32 %r4, %r4, 128; add.u32 %r5, %r3, %r4; ld.shared.u32 %r6, [%r5];";
  CheckedLaunch launch{.block = 64, .dynamicShared = 256};
  // Without the barrier, who comes first sees nothing written yet: both are reports of the same mistake.
  inAllOrders(launch, [&](const CheckedLaunch &one) {
    EXPECT_THAT(runChecked(with(body, ""), one).kinds(), HasSubstr("shared-race"));
  });
  expectClean(with(body, "bar.sync 0;"), launch);
  expectClean(with(body, "barrier.sync 3, 64;"), launch);
  // Another barrier, another order.
  expectKind(with(body, "bar.warp.sync -1;"), launch, "shared-race");
  // A write after reads.
  expectCured("mov.u32 %r3, dynamic; setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [%r3], %r1; bar.sync 0; "
              "ld.shared.u32 %r4, [%r3]; $ @%p1 st.shared.u32 [%r3], 7;",
              "bar.sync 0;", launch, "shared-race");
}

TEST(Checker, SharedRaceInAWarp) {
  const std::string exchange = "mov.u32 %r3, dynamic; shl.b32 %r4, %r1, 2; add.u32 %r5, %r3, %r4; st.shared.u32 "
                               "[%r5], %r1; $ xor.b32 %r4, %r4, 4; add.u32 %r5, %r3, %r4; ld.shared.u32 %r6, [%r5];";
  expectCured(exchange, "bar.warp.sync -1;", {.dynamicShared = 128}, "shared-race");
  // Lanes that know each other's registers do not know each other's memory.
  for (const char *meeting : {"shfl.sync.bfly.b32 %r7, %r1, 16, 31, -1;", "vote.sync.ballot.b32 %r7, 1, -1;",
                              "redux.sync.add.u32 %r7, %r1, -1;", "match.any.sync.b32 %r7, %r1, -1;"}) {
    expectKind(with(exchange, meeting), {.dynamicShared = 128}, "shared-race");
  }
  // Two lanes that meet are not the four that communicate.
  expectKind("mov.u32 %r3, dynamic; shl.b32 %r4, %r1, 2; add.u32 %r5, %r3, %r4; st.shared.u32 [%r5], %r1; "
             "setp.lt.u32 %p1, %r1, 2; @!%p1 bra OTHERS; bar.warp.sync 3; bra.uni GO; OTHERS: bar.warp.sync "
             "0xfffffffc; GO: xor.b32 %r4, %r4, 8; add.u32 %r5, %r3, %r4; ld.shared.u32 %r6, [%r5];",
             {.dynamicShared = 128}, "shared-race");
}

TEST(Checker, LanesOfOneInstructionCollide) {
  Buffer buffer(512);
  CheckedLaunch launch{.dynamicShared = 64, .arguments = {buffer.address()}};
  // All lanes write their number to one word, or the same value.
  expectKind("mov.u32 %r3, dynamic; st.shared.u32 [%r3], %r1;", launch, "shared-race");
  expectClean("mov.u32 %r3, dynamic; and.b32 %r1, %r1, 0x100; st.shared.u32 [%r3], %r1;", launch);
  expectKind("st.global.u32 [%rd1], %r1;", launch, "global-race");
  // Of what is stored only the lowest byte is there; pairs collide where one part does.
  expectClean("shl.b32 %r1, %r1, 8; st.global.u8 [%rd1], %r1;", launch);
  expectKind("st.global.v2.u32 [%rd1], {%r2, %r1};", launch, "global-race");
  // Two lanes a place, downwards.
  const std::string pairs = "shr.u32 %r3, %r1, 1; sub.u32 %r3, 16, %r3; mad.wide.u32 %rd1, %r3, 4, %rd1; ";
  expectClean(pairs + "st.global.u32 [%rd1], %r3;", launch);
  expectKind(pairs + "st.global.u32 [%rd1], %r1;", launch, "global-race");
  // Each its own place; and where the values are meant to compete.
  expectClean("sub.u32 %r3, 31, %r1; mad.wide.u32 %rd1, %r3, 4, %rd1; st.global.u32 [%rd1], %r1;", launch);
  expectClean("st.relaxed.gpu.global.u32 [%rd1], %r1;", launch);
  CheckedResult result = runChecked("st.global.u32 [%rd1+4], %r1;", launch);
  ASSERT_EQ(result.reports.size(), 1u) << result.text();
  EXPECT_THAT(result.text(), HasSubstr("lanes of one instruction write different values to one place"));
  EXPECT_THAT(result.text(), HasSubstr("+0x4"));
}

TEST(Checker, BytesOfAWordAreApart) {
  expectClean("mov.u32 %r3, dynamic; add.u32 %r4, %r3, %r1; st.shared.u8 [%r4], %r1; ld.shared.u8 %r5, [%r4];",
              {.block = 64, .dynamicShared = 64});
  expectKind("mov.u32 %r3, dynamic; shr.u32 %r4, %r1, 5; add.u32 %r4, %r3, %r4; st.shared.u8 [%r4], %r1; "
             "setp.eq.u32 %p1, %r1, 32; @%p1 st.shared.u16 [%r3], 7;",
             {.block = 64, .dynamicShared = 64}, "shared-race");
}

TEST(Checker, GlobalRaceBetweenCtas) {
  Buffer buffer(64);
  CheckedLaunch launch{.grid = 2, .block = 1, .arguments = {buffer.address()}};
  expectKind("st.global.u32 [%rd1], %r2;", launch, "global-race");
  expectClean("mul.wide.u32 %rd2, %r2, 4; add.u64 %rd2, %rd1, %rd2; st.global.u32 [%rd2], %r2;", launch);
  expectClean("red.global.add.u32 [%rd1], 1;", launch);
  expectKind("setp.eq.u32 %p1, %r2, 0; @%p1 st.global.u32 [%rd1], 3; @!%p1 red.global.add.u32 [%rd1], 1;", launch,
             "global-race");
}

TEST(Checker, ScopesOfAtomics) {
  Buffer buffer(64);
  CheckedLaunch launch{.grid = 2, .block = 1, .dynamicShared = 16, .arguments = {buffer.address()}};
  // Atomic within each CTA only.
  expectKind("atom.cta.global.add.u32 %r3, [%rd1], 1;", launch, "global-race");
  expectClean("atom.gpu.global.add.u32 %r3, [%rd1], 1;", launch);
  launch.cluster = 2;
  expectKind("red.relaxed.cta.global.add.u32 [%rd1], 1;", launch, "global-race");
  expectClean("red.relaxed.cluster.global.add.u32 [%rd1], 1;", launch);
  launch.cluster = 1;
  launch.block = 64;
  launch.grid = 1;
  expectClean("atom.cta.global.add.u32 %r3, [%rd1], 1;", launch);
  // Reductions by copies are relaxed in the GPU's scope.
  launch.block = 1;
  launch.grid = 2;
  expectClean("mov.u32 %r3, dynamic; st.shared.v4.u32 [%r3], {%r2, %r2, %r2, %r2}; fence.proxy.async; "
              "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%rd1], [%r3], 16; "
              "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;",
              launch);
}

TEST(Checker, MasksNameThoseWhoExecute) {
  const std::string body = "shfl.sync.idx.b32 %r3, %r1, 0, 31, $;";
  expectKind(with(body, "0x7fffffff"), {}, "fault");
  expectClean(with(body, "0xffffffff"), {});
  // Two halves with masks of their own, at one instruction.
  expectClean("mov.u32 %r4, 0xffff; setp.gt.u32 %p1, %r1, 15; @%p1 mov.u32 %r4, 0xffff0000; bar.warp.sync %r4;", {});
}

TEST(Checker, GlobalFlags) {
  // CTA 0 writes data and raises a flag, CTA 1 polls the flag and reads.
  const std::string body = "setp.eq.u32 %p1, %r2, 0; @!%p1 bra READER; st.global.u32 [%rd1], 42; $; ret; READER: "
                           "POLL: %; setp.eq.u32 %p2, %r3, 0; @%p2 bra POLL; & ld.global.u32 %r4, [%rd1];";
  auto variant = [&](const std::string &store, const std::string &load, const std::string &fence) {
    std::string text = with(body, store);
    text.replace(text.find("POLL: %") + 6, 1, load);
    return text.replace(text.find('&'), 1, fence);
  };
  for (unsigned threads : {1u, 2u}) {
    Buffer one(64), two(64), three(64), four(64);
    CheckedLaunch launch{.grid = 2, .block = 1, .threads = threads};
    auto run = [&](const std::string &text, Buffer &buffer) {
      launch.arguments = {buffer.address()};
      return runChecked(text, launch);
    };
    CheckedResult released =
        run(variant("st.release.gpu.global.u32 [%rd1+32], 1", "ld.acquire.gpu.global.u32 %r3, [%rd1+32]", ""), one);
    EXPECT_EQ(released.kinds(), "") << released.text();
    CheckedResult fenced = run(variant("fence.acq_rel.gpu; st.relaxed.gpu.global.u32 [%rd1+32], 1",
                                       "ld.relaxed.gpu.global.u32 %r3, [%rd1+32]", "fence.acq_rel.gpu;"),
                               two);
    EXPECT_EQ(fenced.kinds(), "") << fenced.text();
    CheckedResult relaxed =
        run(variant("st.relaxed.gpu.global.u32 [%rd1+32], 1", "ld.acquire.gpu.global.u32 %r3, [%rd1+32]", ""), three);
    EXPECT_EQ(relaxed.kinds(), "global-race") << relaxed.text();
    CheckedResult narrow =
        run(variant("st.release.cta.global.u32 [%rd1+32], 1", "ld.acquire.gpu.global.u32 %r3, [%rd1+32]", ""), four);
    EXPECT_EQ(narrow.kinds(), "global-race") << narrow.text();
  }
}

TEST(Checker, MbarrierOrders) {
  // Warp 1 writes and arrives, warp 0 waits and reads.
  const std::string body =
      "mov.u32 %r3, dynamic; setp.eq.u32 %p1, %r1, 0; @%p1 mbarrier.init.shared::cta.b64 [%r3], 32; bar.sync 0; "
      "setp.lt.u32 %p2, %r1, 32; @%p2 bra READER; shl.b32 %r4, %r1, 2; add.u32 %r5, %r3, %r4; st.shared.u32 [%r5], "
      "%r1; mbarrier.arrive.shared::cta.b64 _, [%r3]; ret; READER: $ shl.b32 %r4, %r1, 2; add.u32 %r5, %r3, %r4; "
      "ld.shared.u32 %r6, [%r5+128];";
  expectCured(body, "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r3], 0; @!%p3 bra WAIT;",
              {.block = 64, .dynamicShared = 256}, "shared-race");
}

TEST(Checker, CopyAsync) {
  Buffer buffer(64);
  expectCured("mov.u32 %r3, dynamic; cp.async.ca.shared.global [%r3], [%rd1], 16; cp.async.commit_group; $ "
              "ld.shared.u32 %r4, [%r3];",
              "cp.async.wait_group 0;", {.block = 1, .dynamicShared = 64, .arguments = {buffer.address()}},
              "shared-race");
  // The last of two groups is not waited for.
  expectKind("mov.u32 %r3, dynamic; cp.async.ca.shared.global [%r3], [%rd1], 16; cp.async.commit_group; "
             "cp.async.ca.shared.global [%r3+16], [%rd1], 16; cp.async.commit_group; cp.async.wait_group 1; "
             "ld.shared.u32 %r4, [%r3+16];",
             {.block = 1, .dynamicShared = 64, .arguments = {buffer.address()}}, "shared-race");
}

namespace {

/// Two bulk loads on two mbarriers; `$`: the wait. Reads what the first copied.
const std::string bulkLoad =
    "mov.u32 %r3, dynamic; setp.eq.u32 %p1, %r1, 0; @!%p1 bra MEET; mbarrier.init.shared::cta.b64 [%r3], 1; "
    "mbarrier.init.shared::cta.b64 [%r3+8], 1; # MEET: bar.sync 0; @!%p1 bra READ; "
    "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 128; "
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3+128], [%rd1], 128, [%r3]; "
    "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3+8], 128; "
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3+256], [%rd1], 128, [%r3+8]; "
    "READ: $ ld.shared.u32 %r4, [%r3+128]; bar.sync 0; @%p1 bra LAST; ret; LAST: "
    "LAST1: mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r3], 0; @!%p3 bra LAST1; "
    "LAST2: mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r3+8], 0; @!%p3 bra LAST2;";

std::string bulkLoadWith(const std::string &fence, const std::string &wait) {
  std::string text = with(bulkLoad, wait);
  return text.replace(text.find('#'), 1, fence);
}

const std::string initFence = "fence.mbarrier_init.release.cluster;";
const std::string waitFirst = "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r3], 0; @!%p3 bra WAIT;";

} // namespace

TEST(Checker, BulkLoadIsWaitedFor) {
  Buffer buffer(128);
  CheckedLaunch launch{.block = 64, .dynamicShared = 384, .arguments = {buffer.address()}};
  expectClean(bulkLoadWith(initFence, waitFirst), launch);
  expectClean(bulkLoadWith("fence.proxy.async.shared::cta;", waitFirst), launch);
  expectKind(bulkLoadWith(initFence, ""), launch, "shared-race");
  expectKind(bulkLoadWith(initFence, "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r3+8], 0; @!%p3 bra WAIT;"),
             launch, "shared-race");
}

TEST(Checker, MbarrierInitFence) {
  Buffer buffer(128);
  CheckedLaunch launch{.block = 64, .dynamicShared = 384, .arguments = {buffer.address()}};
  expectKind(bulkLoadWith("", waitFirst), launch, "missing-mbarrier-init-fence");
}

TEST(Checker, TransactionCounts) {
  Buffer buffer(256);
  CheckedLaunch launch{.block = 32, .dynamicShared = 384, .arguments = {buffer.address()}};
  const std::string body =
      "mov.u32 %r3, dynamic; setp.eq.u32 %p1, %r1, 0; @!%p1 bra END; mbarrier.init.shared::cta.b64 [%r3], 1; "
      "fence.mbarrier_init.release.cluster; mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], $; "
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3+128], [%rd1], 128, [%r3]; "
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3+256], [%rd1], 128, [%r3]; "
      "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r3], 0; @!%p3 bra WAIT; ld.shared.u32 %r4, [%r3+128]; "
      "END:";
  expectClean(with(body, "256"), launch);
  expectKind(with(body, "128"), launch, "wrong-transaction-count");
  expectKind(with(body, "272"), launch, "wrong-transaction-count");
  expectKind(with(body, "272"), launch, "deadlock");
}

namespace {

/// A warp writes shared memory, one thread stores it; `$` between write and barrier, `#` behind the store.
std::string bulkStore(const std::string &fence, const std::string &wait) {
  std::string text =
      with("mov.u32 %r3, dynamic; shl.b32 %r4, %r1, 2; add.u32 %r5, %r3, %r4; st.shared.u32 [%r5], %r1; $ bar.sync 0; "
           "setp.eq.u32 %p1, %r1, 0; @!%p1 bra MEET; cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r3], 256; "
           "cp.async.bulk.commit_group; # MEET: bar.sync 0; st.shared.u32 [%r5], 9; @%p1 cp.async.bulk.wait_group 0;",
           fence);
  return text.replace(text.find('#'), 1, wait);
}

} // namespace

TEST(Checker, ProxyFence) {
  Buffer buffer(256);
  CheckedLaunch launch{.block = 64, .dynamicShared = 256, .arguments = {buffer.address()}};
  expectClean(bulkStore("fence.proxy.async.shared::cta;", "cp.async.bulk.wait_group.read 0;"), launch);
  expectKind(bulkStore("", "cp.async.bulk.wait_group.read 0;"), launch, "missing-proxy-fence");
  // The fence may also stand behind the barrier, before the store: it is on the way from the one to the other.
  expectClean("mov.u32 %r3, dynamic; shl.b32 %r4, %r1, 2; add.u32 %r5, %r3, %r4; st.shared.u32 [%r5], %r1; bar.sync 0; "
              "setp.eq.u32 %p1, %r1, 0; @!%p1 ret; fence.proxy.async; "
              "cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r3], 256; cp.async.bulk.commit_group; "
              "cp.async.bulk.wait_group 0;",
              launch);
}

TEST(Checker, BulkStoreSource) {
  Buffer buffer(256);
  CheckedLaunch launch{.block = 64, .dynamicShared = 256, .arguments = {buffer.address()}};
  expectKind(bulkStore("fence.proxy.async;", ""), launch, "source-in-use");
  const std::string exits = "mov.u32 %r3, dynamic; shl.b32 %r4, %r1, 2; add.u32 %r5, %r3, %r4; st.shared.u32 [%r5], "
                            "%r1; fence.proxy.async; bar.sync 0; setp.eq.u32 %p1, %r1, 0; @!%p1 ret; "
                            "cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r3], 256; "
                            "cp.async.bulk.commit_group; $";
  expectCured(exits, "cp.async.bulk.wait_group.read 0;", launch, "source-in-use");
}

TEST(Checker, MbarrierMisuse) {
  CheckedLaunch launch{.block = 1, .dynamicShared = 64};
  const std::string init = "mov.u32 %r3, dynamic; mbarrier.init.shared::cta.b64 [%r3], 1; ";
  expectKind(init + "mbarrier.arrive.shared::cta.b64 _, [%r3], 2;", launch, "mbarrier-misuse");
  expectKind(init + "mbarrier.init.shared::cta.b64 [%r3], 1;", launch, "mbarrier-misuse");
  expectKind("mov.u32 %r3, dynamic; mbarrier.arrive.shared::cta.b64 _, [%r3];", launch, "mbarrier-misuse");
  expectKind(init + "st.shared.u32 [%r3+4], 0;", launch, "mbarrier-overwritten");
  expectClean(init + "mbarrier.arrive.shared::cta.b64 _, [%r3]; mbarrier.inval.shared::cta.b64 [%r3]; "
                     "st.shared.u32 [%r3], 0; ld.shared.u32 %r4, [%r3];",
              launch);
  // Another warp must not use it before it has met the one that made it.
  expectCured("mov.u32 %r3, dynamic; setp.eq.u32 %p1, %r1, 0; @%p1 mbarrier.init.shared::cta.b64 [%r3], 2; $ "
              "setp.ge.u32 %p2, %r1, 32; and.b32 %r4, %r1, 31; setp.eq.and.u32 %p3, %r4, 0, %p2; nanosleep.u32 100; "
              "@%p3 mbarrier.arrive.shared::cta.b64 _, [%r3];",
              "bar.sync 0;", {.block = 64, .dynamicShared = 64}, "mbarrier-misuse");
}

TEST(Checker, Deadlock) {
  CheckedLaunch launch{.block = 64, .dynamicShared = 64};
  expectKind("setp.lt.u32 %p1, %r1, 32; @%p1 bar.sync 1, 64; @!%p1 bar.sync 2, 64;", launch, "deadlock");
  const std::string waits = "mov.u32 %r3, dynamic; mbarrier.init.shared::cta.b64 [%r3], 2; "
                            "mbarrier.arrive.shared::cta.b64 _, [%r3]; WAIT: "
                            "mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r3], 0; @!%p1 bra WAIT;";
  launch.block = 1;
  CheckedResult result = runChecked(waits, launch);
  ASSERT_EQ(result.kinds(), "deadlock") << result.text();
  EXPECT_THAT(result.reports[0].text, HasSubstr("1 of 2 arrivals"));
  EXPECT_THAT(result.reports[0].text, HasSubstr("mbarrier.try_wait"));
}

TEST(Checker, DeadCta) {
  // CTA 1 exits; CTA 0 arrives at its barrier.
  const std::string body =
      "mov.u32 %r3, dynamic; mbarrier.init.shared::cta.b64 [%r3], 1; fence.mbarrier_init.release.cluster; "
      "barrier.cluster.arrive.relaxed.aligned; barrier.cluster.wait.acquire.aligned; setp.eq.u32 %p1, %r2, 1; @%p1 bra "
      "LAST; mapa.shared::cluster.u32 %r4, %r3, 1; mbarrier.arrive.shared::cluster.b64 _, [%r4]; LAST: $";
  CheckedLaunch launch{.grid = 2, .block = 1, .cluster = 2, .dynamicShared = 64};
  expectClean(with(body, "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;"), launch);
  // Who arrives sleeps long before.
  std::string late = with(body, "");
  late.replace(late.find("mapa"), 0,
               "mov.u32 %r5, 0; SLEEP: add.u32 %r5, %r5, 1; nanosleep.u32 1000; setp.lt.u32 "
               "%p2, %r5, 200; @%p2 bra SLEEP; ");
  expectKind(late, launch, "dead-cta");
}

TEST(Checker, CtaExitsAfterWhatOthersDoInIt) {
  // CTA 0 uses the memory of CTA 1, which sleeps before it exits: here the use comes first, but nothing says that.
  const std::string head =
      "mov.u32 %r3, dynamic; st.shared.u32 [%r3+8], 1; mbarrier.init.shared::cta.b64 [%r3], 1; "
      "fence.mbarrier_init.release.cluster; barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned; "
      "setp.eq.u32 %p1, %r2, 1; mapa.shared::cluster.u32 %r4, %r3, 1; @%p1 bra OWNER; ";
  const std::string owner = " bra END; OWNER: mov.u32 %r5, 0; SLEEP: add.u32 %r5, %r5, 1; nanosleep.u32 1000; "
                            "setp.lt.u32 %p2, %r5, 200; @%p2 bra SLEEP; & END: $";
  const std::string wait =
      "WAIT: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p3, [%r3], 0; @!%p3 bra WAIT;";
  const std::string arrival = "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r4];";
  for (Order order : {Order::Eager, Order::Lazy, Order::Random}) {
    const CheckedLaunch launch{.grid = 2, .block = 1, .cluster = 2, .dynamicShared = 64, .order = order};
    for (const std::string use : {"ld.shared::cluster.u32 %r6, [%r4+8];", "st.shared::cluster.u32 [%r4+8], 2;",
                                  "atom.relaxed.cluster.shared::cluster.add.u32 %r6, [%r4+8], 1;", arrival.c_str(),
                                  "st.shared::cluster.u8 [%r4+9], 2;"}) {
      std::string body = head + use + owner;
      body.replace(body.find('&'), 1, "");
      expectKind(with(body, ""), launch, "dead-cta");
      // To have arrived is not to have waited.
      expectKind(with(body, "barrier.cluster.arrive.aligned;"), launch, "dead-cta");
      expectClean(with(body, "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;"), launch);
    }
    // The owner waits for an arrival behind the use.
    std::string waits = head + "ld.shared::cluster.u32 %r6, [%r4+8];" + arrival + owner;
    waits.replace(waits.find('&'), 1, wait);
    expectClean(with(waits, ""), launch);
    std::string early = head + arrival + "ld.shared::cluster.u32 %r6, [%r4+8];" + owner;
    early.replace(early.find('&'), 1, wait);
    expectKind(with(early, ""), launch, "dead-cta");
  }
}

TEST(Checker, ClusterBarrier) {
  // CTA 0 writes into CTA 1, which reads.
  expectCured("mov.u32 %r3, dynamic; st.shared.u32 [%r3], 0; barrier.cluster.arrive.aligned; "
              "barrier.cluster.wait.aligned; setp.eq.u32 %p1, %r2, 1; mapa.shared::cluster.u32 %r4, %r3, 1; "
              "@!%p1 st.shared::cluster.u32 [%r4], 7; $ @%p1 ld.shared.u32 %r5, [%r3];"
              "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;",
              "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;",
              {.grid = 2, .block = 1, .cluster = 2, .dynamicShared = 64}, "shared-race");
}

namespace {

/// A warpgroup fills its operands and multiplies. `$`: between writes and barrier; `#`: before the wgmma; `&`: behind
/// the commit.
std::string warpgroupProduct(const std::string &proxyFence, const std::string &fence, const std::string &wait) {
  std::string text =
      with("mov.u32 %r3, dynamic; mad.lo.u32 %r4, %r1, 20, %r3; st.shared.u32 [%r4], 0; st.shared.u32 [%r4+4], 0; "
           "st.shared.u32 [%r4+8], 0; st.shared.u32 [%r4+12], 0; st.shared.u32 [%r4+16], 0; $ bar.sync 0; "
           "cvt.u64.u32 %rd2, %r3; shr.u64 %rd2, %rd2, 4; or.b64 %rd2, %rd2, 0x1000080000; add.u64 %rd3, %rd2, 128; "
           "mov.f32 %f1, 0f00000000; mov.f32 %f2, %f1; mov.f32 %f3, %f1; mov.f32 %f4, %f1; # "
           "{ .reg .pred p; setp.ne.u32 p, 1, 0; wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f1, %f2, %f3, "
           "%f4}, %rd2, %rd3, p, 1, 1, 0, 0; } wgmma.commit_group.sync.aligned; & st.global.f32 [%rd1], %f1; "
           "wgmma.wait_group.sync.aligned 0;",
           proxyFence);
  text.replace(text.find('#'), 1, fence);
  text.replace(text.find('&'), 1, wait);
  // Each thread its own word.
  return text.replace(text.find("st.global"), 0, "mad.wide.u32 %rd1, %r1, 4, %rd1; ");
}

const std::string asyncFence = "fence.proxy.async.shared::cta;", productFence = "wgmma.fence.sync.aligned;",
                  productWait = "wgmma.wait_group.sync.aligned 0;";

} // namespace

TEST(Checker, WarpgroupProducts) {
  Buffer buffer(512);
  CheckedLaunch launch{.block = 128, .dynamicShared = 2560, .arguments = {buffer.address()}};
  expectClean(warpgroupProduct(asyncFence, productFence, productWait), launch);
  expectKind(warpgroupProduct("", productFence, productWait), launch, "missing-proxy-fence");
  expectKind(warpgroupProduct(asyncFence, "", productWait), launch, "missing-wgmma-fence");
  expectKind(warpgroupProduct(asyncFence, productFence, ""), launch, "register-in-flight");
  // Operands overwritten while the product may still read them.
  expectCured("mov.u32 %r3, dynamic; mad.lo.u32 %r4, %r1, 20, %r3; st.shared.u32 [%r4], 0; st.shared.u32 [%r4+4], 0; "
              "st.shared.u32 [%r4+8], 0; st.shared.u32 [%r4+12], 0; st.shared.u32 [%r4+16], 0; "
              "fence.proxy.async; bar.sync 0; cvt.u64.u32 %rd2, %r3; shr.u64 %rd2, %rd2, 4; or.b64 %rd2, %rd2, "
              "0x1000080000; add.u64 %rd3, %rd2, 128; mov.f32 %f1, 0f00000000; mov.f32 %f2, %f1; mov.f32 %f3, %f1; "
              "mov.f32 %f4, %f1; wgmma.fence.sync.aligned; { .reg .pred p; setp.ne.u32 p, 1, 0; "
              "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f1, %f2, %f3, %f4}, %rd2, %rd3, p, 1, 1, 0, 0; } "
              "wgmma.commit_group.sync.aligned; $ bar.sync 0; st.shared.u32 [%r4], 1; "
              "wgmma.wait_group.sync.aligned 0;",
              productWait, launch, "shared-race");
  // Who has waited for a group has waited for all four warps' products, and may overwrite what any of them read.
  std::string refills = warpgroupProduct(asyncFence, productFence, productWait);
  refills += " and.b32 %r5, %r1, 127; xor.b32 %r5, %r5, 96; mad.lo.u32 %r4, %r5, 20, %r3; st.shared.u32 [%r4], 1;";
  for (Order order : {Order::Eager, Order::Lazy, Order::Random}) {
    launch.order = order;
    launch.adversarial = order == Order::Random;
    expectClean(refills, launch);
  }
}

TEST(Checker, TensorMapFence) {
  // A kernel copies its parameter's tensor map to global memory and uses it there.
  Buffer tensor(256), place(128);
  std::vector<uint8_t> map(128);
  TensorMap description;
  description.type = TensorType::U32;
  description.rank = 1;
  description.address = tensor.address();
  description.dims[0] = 64;
  description.box[0] = 32;
  description.elementStrides[0] = 1;
  description.pack(map.data());
  std::string copy = "mov.b64 %rd3, map; cvta.param.u64 %rd3, %rd3;";
  for (int offset = 0; offset < 128; offset += 16) {
    copy += " ld.v2.u64 {%rd4, %rd5}, [%rd3+" + std::to_string(offset) + "]; st.global.v2.u64 [%rd1+" +
            std::to_string(offset) + "], {%rd4, %rd5};";
  }
  const std::string body =
      copy + " mov.u32 %r3, dynamic; mbarrier.init.shared::cta.b64 [%r3], 1; fence.mbarrier_init.release.cluster; $ "
             "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 128; mov.u32 %r4, 0; "
             "cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [%r3+128], [%rd1, {%r4}], "
             "[%r3]; WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r3], 0; @!%p1 bra WAIT; "
             "ld.shared.u32 %r5, [%r3+128];";
  CheckedLaunch launch{.block = 1, .dynamicShared = 256, .arguments = {place.address()}, .tensorMap = map};
  expectCured(body, "fence.proxy.tensormap::generic.acquire.gpu [%rd1], 128;", launch, "missing-tensormap-fence");
}

TEST(Checker, Leak) {
  Checker checker;
  checker.leaked("buffer 3 (4096 bytes)");
  ASSERT_EQ(checker.reports().size(), 1u);
  EXPECT_THAT(checker.reports().all()[0].toText(), HasSubstr("leak"));
  EXPECT_THAT(checker.reports().all()[0].toText(), HasSubstr("buffer 3 (4096 bytes)"));
}

TEST(Checker, ReportsAreDataAndText) {
  CheckedResult result = runChecked(
      ".shared .b32 tile[64]; mov.u32 %r3, tile; shr.u32 %r1, %r1, 5; st.shared.u32 [%r3+8], %r1;", {.block = 64});
  ASSERT_EQ(result.reports.size(), 1u) << result.text();
  const Report &report = result.reports[0];
  EXPECT_EQ(report.kind, ReportKind::SharedRace);
  EXPECT_EQ(report.kernel, "k");
  EXPECT_EQ(report.address, "shared tile+0x8 (address 0x408) of CTA rank 0");
  EXPECT_TRUE(report.hasOther);
  EXPECT_NE(report.place.warp, report.other.warp);
  EXPECT_EQ(report.place.ptxLine, report.other.ptxLine);
  EXPECT_THAT(report.toText(), HasSubstr("st.shared.u32 [%r3+8], %r1"));
  EXPECT_THAT(report.toJson(), HasSubstr("\"kind\": \"shared-race\""));
}

// Four warps read a tile again and again, word by word in another lane each time: the sets of readers become many, and
// those that no word names any more go. What is left of them still knows who read.
TEST(Checker, ManySetsOfReaders) {
  CheckedLaunch launch{.block = 128, .dynamicShared = 4096};
  const std::string body = R"(
    mov.u32 %r3, dynamic;
    shl.b32 %r4, %r1, 2;
    add.u32 %r4, %r4, %r3;     // a word for each thread to write
    and.b32 %r5, %r1, 31;
    shl.b32 %r5, %r5, 2;
    add.u32 %r5, %r5, %r3;     // a word of each quarter to read
    mov.u32 %r6, 0;
    loop:
    st.shared.u32 [%r4], %r6;
    bar.sync 0;
    ld.shared.u32 %r7, [%r5];
    ld.shared.u32 %r8, [%r5+128];
    ld.shared.u32 %r9, [%r5+256];
    ld.shared.u32 %r10, [%r5+384];
    bar.sync 0;
    add.u32 %r6, %r6, 1;
    setp.lt.u32 %p1, %r6, 60;
    @%p1 bra loop;
    st.shared.u32 [%r4], %r6;
    bar.sync 0;
    ld.shared.u32 %r7, [%r5+384];
    $
    st.shared.u32 [%r4], %r6;
  )";
  expectCured(body, "bar.sync 0;", launch, "shared-race");
}
