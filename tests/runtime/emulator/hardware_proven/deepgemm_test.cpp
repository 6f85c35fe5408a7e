// DeepGEMM's FP8 kernels give right results. Tolerance: its tests' 1e-3.
#include "tests/runtime/emulator/hardware_proven/deepgemm.h"

#include "checker/checker.h"
#include "ops/tile_product.h"
#include <cmath>
#include <functional>
#include <iostream>

using namespace emulator;

namespace {

constexpr uint32_t n = DeepGemm::n, k = DeepGemm::k, kBlocks = DeepGemm::kBlocks;

/// e4m3 values with the spread of activations, and their scales.
struct Quantised {
  std::vector<uint8_t> values; ///< [rows][k]
  std::vector<float> scales;
};

Quantised randomRows(uint64_t rows, size_t scales, uint32_t seed) {
  std::mt19937 random(seed);
  Quantised result;
  result.values.resize(rows * k);
  for (uint8_t &value : result.values) {
    uint32_t r = random();
    value = static_cast<uint8_t>((r & 0x80) | (0x20 + (r >> 8) % 0x40)); // Magnitudes from 2^-3 to 30.
  }
  result.scales.resize(scales);
  for (float &scale : result.scales) {
    scale = 0.01f + static_cast<float>(random() % 1000) * 1e-5f;
  }
  return result;
}

/// Runs with `rows` rows of A a group slot (`slots` of them: 1, or one a group), and compares some columns of the rows
/// that `group` gives a group for.
void check(const DeepGemm &gemm, uint32_t rows, uint32_t slots, const std::vector<int32_t> &layout,
           const std::function<int(uint64_t row)> &group, const RunOptions &options, double *seconds = nullptr,
           Observer *observer = nullptr) {
  std::shared_ptr<LoadedModule> module = readyModule(gemm.file);
  if (!module) {
    GTEST_SKIP() << "ELAH_HARDWARE_PROVEN_PTX names no folder with " << gemm.file;
  }
  const uint64_t total = uint64_t(rows) * slots;
  const uint32_t pitch = DeepGemm::scalePitch(rows);
  Quantised a = randomRows(total, uint64_t(pitch) * kBlocks * slots, 1);
  Quantised b = randomRows(uint64_t(n) * gemm.groups, uint64_t(n / 128) * kBlocks * gemm.groups, 2);
  DeviceBuffer bufferA(a.values), scalesA(a.scales), bufferB(b.values), scalesB(b.scales), d(total * n * 2),
      groupLayout(layout.empty() ? std::vector<int32_t>(1) : layout);
  ReadyLaunch launch;
  launch.observer = observer;
  const DeepGemm::Operands operands = {bufferA.address(), scalesA.address(),
                                       bufferB.address(), scalesB.address(),
                                       d.address(),       layout.empty() ? uint64_t(0) : groupLayout.address()};
  std::optional<Fault> fault = gemm.run(launch, module, rows, slots, operands, options);
  ASSERT_FALSE(fault) << fault->text;
  if (seconds) {
    *seconds = launch.seconds;
  }

  std::vector<float> row(k), column(k);
  std::vector<double> got, expected;
  for (uint32_t sample = 0; sample < 48; ++sample) {
    const uint32_t at = sample * 2654435761u % n;
    for (uint64_t r = sample % 3; r < total; r += 3) {
      const int g = group(r);
      if (g < 0) {
        continue;
      }
      const uint64_t rowB = uint64_t(g) * n + at;
      widen(Element::E4M3, reinterpret_cast<const std::byte *>(&a.values[r * k]), k, row.data());
      widen(Element::E4M3, reinterpret_cast<const std::byte *>(&b.values[rowB * k]), k, column.data());
      double sum = 0;
      for (uint32_t block = 0; block < kBlocks; ++block) {
        double part = 0;
        for (uint32_t i = block * 128; i < block * 128 + 128; ++i) {
          part += double(row[i]) * column[i];
        }
        sum += part * a.scales[(r / rows * kBlocks + block) * pitch + r % rows] *
               b.scales[(uint64_t(g) * (n / 128) + at / 128) * kBlocks + block];
      }
      expected.push_back(sum);
      got.push_back(fromBf16(d.as<uint16_t>()[r * n + at]));
    }
  }
  EXPECT_LT(relativeDifference(got, expected), 1e-5); // DeepGEMM asks for 1e-3, of what quantisation left.
}

RunOptions in(Order order) {
  RunOptions options = RunOptions::fromEnvironment();
  options.order = order;
  options.seed = 7;
  return options;
}

} // namespace

TEST(DeepGemm, Dense) {
  for (uint32_t rows : {128u, 64u, 200u}) {
    check(deepGemmDense, rows, 1, {}, [](uint64_t) { return 0; }, in(Order::Eager));
  }
}

TEST(DeepGemm, DenseInOtherOrders) {
  for (Order order : {Order::Lazy, Order::Random}) {
    check(deepGemmDense, 128, 1, {}, [](uint64_t) { return 0; }, in(order));
  }
}

TEST(DeepGemm, ReportsNothingButTheStoreAtItsEnd) {
  // It ends without waiting until its last bulk stores have read shared memory, which hardware lets pass.
  Checker checker;
  check(deepGemmDense, 64, 1, {}, [](uint64_t) { return 0; }, in(Order::Random), nullptr, &checker);
  for (const Report &report : checker.reports().all()) {
    EXPECT_EQ(report.kind, ReportKind::SourceInUse) << report.toText();
  }
}

TEST(DeepGemm, GroupedContiguous) {
  // Groups of 1 or 2 blocks of 128 rows; one block belongs to no group.
  std::vector<int32_t> layout;
  for (int32_t group : {0, 1, 1, 2, -1, 5}) {
    layout.insert(layout.end(), 128, group);
  }
  const uint32_t rows = static_cast<uint32_t>(layout.size());
  check(deepGemmContiguous, rows, 1, layout, [&](uint64_t row) { return layout[row]; }, in(Order::Eager));
}

TEST(DeepGemm, GroupedMasked) {
  const std::vector<int32_t> counts = {64, 0, 17, 128, 1, 0, 100, 5};
  check(
      deepGemmMasked, 128, 8, counts,
      [&](uint64_t row) { return row % 128 < uint64_t(counts[row / 128]) ? static_cast<int>(row / 128) : -1; },
      in(Order::Eager));
}

TEST(DeepGemm, Speed) {
  // As many operations as 128 x 7168 x 16384 have: M 512 of this kernel's N and K.
  double seconds = 0;
  check(deepGemmDense, 512, 1, {}, [](uint64_t) { return 0; }, in(Order::Eager), &seconds);
  if (seconds > 0) {
    std::cout << "[  TIMING  ] 30 GFLOP of FP8 GEMM in " << seconds << " s, " << 2.0 * 512 * n * k / seconds / 1e9
              << " GFLOP/s\n";
  }
}
