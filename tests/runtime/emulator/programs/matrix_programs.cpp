// Matrix products on tensor cores, from the simplest kernel to a warp specialised one: D = A * B^T for whole numbers,
// so that every sum is exact, at shapes that no tile divides.

#include "tests/runtime/emulator/programs/program_run.h"
#include <cmath>
#include <cstring>

namespace emulator::cuda {
namespace {

struct Element {
  const char *name;
  unsigned bytes;
  int most; ///< whole numbers up to it are exact
  CUtensorMapDataType map;
  std::vector<std::string> options; ///< for wgmma.cuh
};

static std::vector<Element> elements() {
  const std::string bf16 = "-DTAIL=\", 1, 1, 0, 0\"", fp8 = "-DTAIL=\", 1, 1\"";
  return {{"f16", 2, 8, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, {"-DINSTRUCTION=\"m64n64k16.f32.f16.f16\"", bf16}},
          {"bf16", 2, 8, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, {"-DINSTRUCTION=\"m64n64k16.f32.bf16.bf16\"", bf16}},
          {"tf32", 4, 8, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, {"-DINSTRUCTION=\"m64n64k8.f32.tf32.tf32\"", fp8}},
          {"e4m3", 1, 4, CU_TENSOR_MAP_DATA_TYPE_UINT8, {"-DINSTRUCTION=\"m64n64k32.f32.e4m3.e4m3\"", fp8}},
          {"e5m2", 1, 4, CU_TENSOR_MAP_DATA_TYPE_UINT8, {"-DINSTRUCTION=\"m64n64k32.f32.e5m2.e5m2\"", fp8}},
          {"s8",
           1,
           100,
           CU_TENSOR_MAP_DATA_TYPE_UINT8,
           {"-DINSTRUCTION=\"m64n64k32.s32.s8.s8\"", "-DTAIL=\"\"", "-DINTEGER"}}};
}

/// A whole number as an element's bits.
static uint32_t encode(const Element &element, float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, 4);
  const std::string name = element.name;
  if (name == "tf32") {
    return bits;
  }
  if (name == "bf16") {
    return bits >> 16;
  }
  if (name == "s8") {
    return static_cast<uint8_t>(static_cast<int8_t>(value));
  }
  if (value == 0) {
    return 0;
  }
  // Sign, exponent of another bias, the mantissa's first bits.
  const unsigned mantissa = name == "f16"    ? 10
                            : name == "e4m3" ? 3
                                             : 2,
                 exponent = name == "f16" || name == "e5m2" ? 5 : 4;
  const uint32_t rebased = ((bits >> 23 & 255) - 127 + (1u << (exponent - 1)) - 1) << mantissa;
  return (bits >> 31) << (exponent + mantissa) | rebased | (bits >> (23 - mantissa) & ((1u << mantissa) - 1));
}

/// Rows of elements, each row `pitch` bytes.
static std::vector<uint8_t> encoded(const Element &element, const std::vector<float> &values, size_t columns,
                                    size_t pitch) {
  std::vector<uint8_t> bytes(values.size() / columns * pitch);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t bits = encode(element, values[i]);
    std::memcpy(&bytes[i / columns * pitch + i % columns * element.bytes], &bits, element.bytes);
  }
  return bytes;
}

static void expectProduct(const std::vector<float> &a, const std::vector<float> &b, const std::vector<float> &d, int m,
                          int n, int k) {
  for (int row = 0; row < m; ++row) {
    for (int column = 0; column < n; ++column) {
      float expected = 0;
      for (int i = 0; i < k; ++i) {
        expected += a[static_cast<size_t>(row * k + i)] * b[static_cast<size_t>(column * k + i)];
      }
      ASSERT_EQ(d[static_cast<size_t>(row * n + column)], expected) << row << " " << column;
    }
  }
}

struct Swizzle {
  const char *name;
  CUtensorMapSwizzle map;
  unsigned span, mode;
};

static void wgmma(ProgramRun &run, const Element &element, const Swizzle &swizzle) {
  const int m = 75, n = 70, k = 150 / static_cast<int>(element.bytes) + 3;
  std::vector<std::string> options = element.options;
  options.push_back("-DSPAN=" + std::to_string(swizzle.span));
  options.push_back("-DMODE=" + std::to_string(swizzle.mode));
  options.push_back("-DELEMENT=" + std::to_string(element.bytes));
  const CUfunction gemm = run.kernel("gemm_wgmma", "gemm", options);
  const std::vector<float> a = run.wholeNumbers(static_cast<size_t>(m * k), element.most),
                           b = run.wholeNumbers(static_cast<size_t>(n * k), element.most);
  const size_t pitch = (static_cast<size_t>(k) * element.bytes + 15) / 16 * 16;
  const CUdeviceptr as = run.upload(encoded(element, a, static_cast<size_t>(k), pitch)),
                    bs = run.upload(encoded(element, b, static_cast<size_t>(k), pitch)), d = run.reserve<float>(m * n);
  auto map = [&](CUdeviceptr address, int rows) {
    return run.matrixMap(element.map, element.bytes, address, static_cast<uint64_t>(rows), static_cast<uint64_t>(k),
                         pitch, 64, swizzle.span / element.bytes, swizzle.map);
  };
  ASSERT_CUDA(run.launch(gemm, {{2, 2}, {128}, 2 * 64 * 128}, map(as, m), map(bs, n), d, m, n, k));
  std::vector<float> result = run.download<float>(d, m * n);
  if (std::string(element.name) == "s8") {
    for (float &value : result) {
      int whole = 0;
      std::memcpy(&whole, &value, 4);
      value = static_cast<float>(whole);
    }
  }
  expectProduct(a, b, result, m, n, k);
}

/// bf16 matrices for the other kernels.
struct Bf16Product {
  int m, n, k;
};

#define PREPARE(product)                                                                                               \
  const auto [m, n, k] = product;                                                                                      \
  const Element bf16 = elements()[1];                                                                                  \
  const size_t pitch = (static_cast<size_t>(k) * 2 + 15) / 16 * 16;                                                    \
  const std::vector<float> a = run.wholeNumbers(static_cast<size_t>(m * k), 8),                                        \
                           b = run.wholeNumbers(static_cast<size_t>(n * k), 8);                                        \
  const CUdeviceptr as = run.upload(encoded(bf16, a, static_cast<size_t>(k), pitch)),                                  \
                    bs = run.upload(encoded(bf16, b, static_cast<size_t>(k), pitch)),                                  \
                    d = run.reserve<float>(static_cast<size_t>(m * n));                                                \
  [[maybe_unused]] auto map = [&](CUdeviceptr address, int rows, uint32_t boxRows) {                                   \
    return run.matrixMap(bf16.map, 2, address, static_cast<uint64_t>(rows), static_cast<uint64_t>(k), pitch, boxRows,  \
                         64, CU_TENSOR_MAP_SWIZZLE_128B);                                                              \
  };                                                                                                                   \
  const unsigned tilesM = static_cast<unsigned>((m + 63) / 64), tilesN = static_cast<unsigned>((n + 63) / 64);

static void wgmmaFromRegisters(ProgramRun &run) {
  PREPARE((Bf16Product{75, 70, 104}));
  const CUfunction gemm = run.kernel("gemm_wgmma_layouts", "gemm_registers", {"-DFROM_REGISTERS"});
  ASSERT_CUDA(run.launch(gemm, {{tilesN, tilesM}, {128}}, as, map(bs, n, 64), d, m, n, k));
  expectProduct(a, b, run.download<float>(d, static_cast<size_t>(m * n)), m, n, k);
}

static void wgmmaOfATransposedMatrix(ProgramRun &run) {
  PREPARE((Bf16Product{75, 72, 100}));
  // B as K rows of N.
  std::vector<float> across(b.size());
  for (int row = 0; row < n; ++row) {
    for (int i = 0; i < k; ++i) {
      across[static_cast<size_t>(i * n + row)] = b[static_cast<size_t>(row * k + i)];
    }
  }
  const CUdeviceptr lying = run.upload(encoded(bf16, across, static_cast<size_t>(n), static_cast<size_t>(n) * 2));
  const CUtensorMap mapB = run.matrixMap(bf16.map, 2, lying, static_cast<uint64_t>(k), static_cast<uint64_t>(n),
                                         static_cast<uint64_t>(n) * 2, 64, 64, CU_TENSOR_MAP_SWIZZLE_128B);
  const CUfunction gemm = run.kernel("gemm_wgmma_layouts", "gemm_transposed",
                                     {"-DTAIL=\", 1, 1, 0, 1\"", "-DINSTRUCTION=\"m64n64k16.f32.bf16.bf16\""});
  ASSERT_CUDA(run.launch(gemm, {{tilesN, tilesM}, {128}}, map(as, m, 64), mapB, d, m, n, k));
  expectProduct(a, b, run.download<float>(d, static_cast<size_t>(m * n)), m, n, k);
}

static void mmaSync(ProgramRun &run) {
  PREPARE((Bf16Product{75, 70, 104}));
  ASSERT_CUDA(run.launch(run.kernel("gemm_mma", "gemm"), {{tilesN, tilesM}, {128}}, d, as, bs, m, n, k));
  expectProduct(a, b, run.download<float>(d, static_cast<size_t>(m * n)), m, n, k);
}

static void multicastInClusters(ProgramRun &run) {
  PREPARE((Bf16Product{100, 70, 330}));
  const CUfunction gemm = run.kernel("gemm_multicast", "gemm");
  ASSERT_CUDA(run.launch(gemm, {{tilesN, tilesM}, {128}}, map(as, m, 64), map(bs, n, 32), d, m, n, k));
  expectProduct(a, b, run.download<float>(d, static_cast<size_t>(m * n)), m, n, k);
}

static void warpSpecialised(ProgramRun &run) {
  PREPARE((Bf16Product{200, 132, 330}));
  const CUfunction gemm = run.kernel("gemm_specialised", "gemm");
  const CUtensorMap mapD =
      run.matrixMap(CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, d, static_cast<uint64_t>(m), static_cast<uint64_t>(n),
                    static_cast<uint64_t>(n) * 4, 128, 64, CU_TENSOR_MAP_SWIZZLE_NONE);
  // Two CTAs for six tiles.
  ASSERT_CUDA(run.launch(gemm, {{2}, {384}, 3 * (128 + 64) * 128 + 128 * 64 * 4 + 1024}, map(as, m, 128),
                         map(bs, n, 64), mapD, m, n, k));
  expectProduct(a, b, run.download<float>(d, static_cast<size_t>(m * n)), m, n, k);
}

} // namespace

std::vector<Program> matrixPrograms() {
  std::vector<Program> programs = {{"WgmmaFromRegisters", wgmmaFromRegisters},
                                   {"WgmmaOfATransposedMatrix", wgmmaOfATransposedMatrix},
                                   {"MmaSync", mmaSync},
                                   {"MulticastInClusters", multicastInClusters},
                                   {"WarpSpecialised", warpSpecialised}};
  for (const Swizzle &swizzle : {Swizzle{"Swizzle128", CU_TENSOR_MAP_SWIZZLE_128B, 128, 1},
                                 {"Swizzle64", CU_TENSOR_MAP_SWIZZLE_64B, 64, 2},
                                 {"Swizzle32", CU_TENSOR_MAP_SWIZZLE_32B, 32, 3},
                                 {"NoSwizzle", CU_TENSOR_MAP_SWIZZLE_NONE, 16, 0}}) {
    for (const Element &element : elements()) {
      programs.push_back({std::string("Wgmma_") + element.name + "_" + swizzle.name,
                          [=](ProgramRun &run) { wgmma(run, element, swizzle); }});
    }
  }
  return programs;
}

} // namespace emulator::cuda
