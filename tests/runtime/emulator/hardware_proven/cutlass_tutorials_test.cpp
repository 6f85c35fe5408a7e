// CUTLASS's tutorials for sm_90 give right results: to the bit, as all sums of these inputs are exact in f16.
#include "tests/runtime/emulator/hardware_proven/cutlass_tutorials.h"

#include "checker/checker.h"
#include <bit>

using namespace emulator;

namespace {

struct Case {
  uint32_t m, n, k;
  bool kContiguous;
  int alpha = 1, beta = 0;
};

uint16_t half(int value) { return std::bit_cast<uint16_t>(static_cast<_Float16>(value)); }

uint32_t roundedUp(uint32_t value, uint32_t to) { return (value + to - 1) / to * to; }

/// A matrix of -1, 0 and 1: `lines` of `length` elements, `pitch` apart. Between them is NaN, which no kernel may use.
struct Matrix {
  uint32_t pitch;
  std::vector<int> values; ///< [line][element]
  DeviceBuffer buffer;

  Matrix(uint32_t lines, uint32_t length, uint32_t padding, uint32_t seed)
      : pitch(roundedUp(length, 8) + padding), values(size_t(lines) * length), buffer(size_t(lines) * pitch * 2) {
    std::mt19937 random(seed);
    std::fill_n(buffer.as<uint16_t>(), size_t(lines) * pitch, uint16_t(0x7E00));
    for (size_t line = 0; line < lines; ++line) {
      for (size_t i = 0; i < length; ++i) {
        values[line * length + i] = static_cast<int>(random() % 3) - 1;
        buffer.as<uint16_t>()[line * pitch + i] = half(values[line * length + i]);
      }
    }
  }
};

void check(const CutlassTutorial &tutorial, const Case &c, Order order, Observer *observer = nullptr) {
  std::shared_ptr<LoadedModule> module = readyModule(tutorial.file);
  if (!module) {
    GTEST_SKIP() << "ELAH_HARDWARE_PROVEN_PTX names no folder with " << tutorial.file;
  }
  SCOPED_TRACE(std::to_string(c.m) + " x " + std::to_string(c.n) + " x " + std::to_string(c.k) +
               (c.kContiguous ? " TN " : " NT ") + nameOf(order));
  const Matrix a(c.kContiguous ? c.m : c.k, c.kContiguous ? c.k : c.m, 8, 1);
  const Matrix b(c.kContiguous ? c.n : c.k, c.kContiguous ? c.k : c.n, 16, 2);
  const uint32_t pitchC = roundedUp(c.m, 2 * CutlassTutorial::tile);
  const Matrix initial(roundedUp(c.n, CutlassTutorial::tile), pitchC, 0, 3);

  CutlassTutorial::Problem problem = {c.m,
                                      c.n,
                                      c.k,
                                      c.kContiguous,
                                      a.pitch,
                                      b.pitch,
                                      pitchC,
                                      a.buffer.address(),
                                      b.buffer.address(),
                                      initial.buffer.address(),
                                      half(c.alpha),
                                      half(c.beta)};
  RunOptions options = RunOptions::fromEnvironment();
  options.order = order;
  options.adversarial = order == Order::Random;
  options.seed = 5;
  ReadyLaunch launch;
  launch.observer = observer;
  std::optional<Fault> fault = tutorial.run(launch, module, problem, options);
  ASSERT_FALSE(fault) << fault->text;

  auto at = [&](const Matrix &matrix, uint32_t rows, uint32_t row, uint32_t i) {
    return matrix.values[c.kContiguous ? size_t(row) * c.k + i : size_t(i) * rows + row];
  };
  for (uint32_t column = 0; column < c.n; ++column) {
    for (uint32_t row = 0; row < c.m; ++row) {
      int sum = 0;
      for (uint32_t i = 0; i < c.k; ++i) {
        sum += at(a, c.m, row, i) * at(b, c.n, column, i);
      }
      const size_t place = size_t(column) * pitchC + row;
      const int expected = c.alpha * sum + c.beta * initial.values[place];
      ASSERT_EQ(initial.buffer.as<uint16_t>()[place], half(expected)) << "row " << row << " column " << column;
    }
  }
}

} // namespace

TEST(CutlassTutorials, WgmmaByCpAsync) {
  for (Order order : allOrders) {
    check(cutlassWgmma, {128, 128, 128, false}, order);
    check(cutlassWgmma, {256, 128, 448, true}, order);
    check(cutlassWgmma, {128, 384, 256, false, 2, -3}, order);
    check(cutlassWgmma, {128, 128, 192, true, -1, 2}, order);
  }
}

TEST(CutlassTutorials, WgmmaByTma) {
  for (Order order : allOrders) {
    check(cutlassWgmmaTma, {256, 128, 64, false}, order);
    check(cutlassWgmmaTma, {256, 128, 576, true}, order);
    check(cutlassWgmmaTma, {512, 256, 256, false, 3, -2}, order);
    check(cutlassWgmmaTma, {256, 256, 192, true, -1, 1}, order);
  }
}

TEST(CutlassTutorials, WgmmaByTmaOfPartialTiles) {
  for (Order order : allOrders) {
    check(cutlassWgmmaTma, {72, 40, 136, false}, order);
    check(cutlassWgmmaTma, {200, 129, 40, true}, order);
    check(cutlassWgmmaTma, {264, 8, 328, false, 1, 1}, order);
    check(cutlassWgmmaTma, {1, 1, 8, true}, order);
  }
}

TEST(CutlassTutorials, TmaHasNothingToReport) {
  for (Order order : allOrders) {
    for (const Case &c : {Case{256, 128, 320, false, 2, 1}, Case{200, 100, 200, true}}) {
      Checker checker;
      check(cutlassWgmmaTma, c, order, &checker);
      for (const Report &report : checker.reports().all()) {
        ADD_FAILURE() << report.toText();
      }
    }
  }
}

TEST(CutlassTutorials, CpAsyncReportsNothingButItsMissingFence) {
  // What cp.async wrote is read by wgmma, through the async proxy, with no fence.proxy.async between, which hardware
  // lets pass.
  for (Order order : allOrders) {
    for (const Case &c : {Case{128, 128, 320, false, 2, 1}, Case{128, 128, 256, true}}) {
      Checker checker;
      check(cutlassWgmma, c, order, &checker);
      for (const Report &report : checker.reports().all()) {
        EXPECT_EQ(report.kind, ReportKind::MissingProxyFence) << report.toText();
      }
    }
  }
}
