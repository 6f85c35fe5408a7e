// A kernel that shows what the runner does: operands, dims, scratch memory, a tensor map, early start, reports.
#include "tests/codegen/Cuda/KernelRunner.h"
#include <gtest/gtest.h>
#include <numeric>

namespace elah::cuda {
namespace {

/// out[t][c] = in[t][c] + 1 for the step's tokens, the input by TMA, each block a row; counts blocks in a semaphore,
/// and the last one puts it back. `before` stands before everything.
std::string sourceOf(const char *before, const char *wait = "asm volatile(\"griddepcontrol.wait;\" ::: \"memory\");",
                     const char *leave = "atomicExch((unsigned *)scratch, 0u);") {
  return std::string(R"(#include "kernels/dims.cuh"
extern "C" __global__ void __launch_bounds__(64)
add_one(const float *in, float *out, const elah::Dims *dims, void *scratch,
        const __grid_constant__ elah::TensorMap map) {
  __shared__ alignas(128) float row[64];
  __shared__ alignas(8) unsigned long long barrier;
  )") + before +
         wait +
         R"(
  if (blockIdx.x < dims->tokens) {
    unsigned bar = (unsigned)__cvta_generic_to_shared(&barrier), data = (unsigned)__cvta_generic_to_shared(row);
    if (threadIdx.x == 0) {
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" :: "r"(bar));
      asm volatile("fence.mbarrier_init.release.cluster;");
      asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 256;" :: "r"(bar) : "memory");
      asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
        :: "r"(data), "l"(&map), "r"(0), "r"(blockIdx.x), "r"(bar) : "memory");
    }
    __syncthreads();
    unsigned done = 0;
    while (!done) {
      asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
        : "=r"(done) : "r"(bar) : "memory");
    }
    out[blockIdx.x * 64 + threadIdx.x] = row[threadIdx.x] + 1.0f;
  }
  if (threadIdx.x == 0 && atomicAdd((unsigned *)scratch, 1u) == gridDim.x - 1) {
    )" + leave +
         R"(
  }
}
)";
}

KernelSpec specOf(std::string source) {
  KernelSpec spec;
  spec.symbol = "add_one";
  spec.family = "test";
  spec.schedule = "a row a block";
  spec.source = std::move(source);
  spec.operands = 2;
  spec.threads = 64;
  spec.maxRegisters = 64;
  spec.usesSemaphores = true;
  TensorMap map;
  map.element = MapElement::F32;
  map.sizes = {Extent::of(64), Extent::tokens()};
  map.strides = {256};
  map.box = {64, 1};
  spec.maps = {map};
  spec.grid.rows = Extent::tokens();
  return spec;
}

constexpr std::array<int64_t, 5> bucket = {8, 1, 1, 64, 1}, dims = {5, 1, 1, 64, 1};

RunOutcome runOn(const KernelSpec &spec, std::vector<Operand> &operands, const RunOrder &order) {
  std::vector<float> input(8 * 64);
  std::iota(input.begin(), input.end(), 0.0f);
  operands = {Operand::input(input), Operand::output<float>(input.size())};
  return runKernels({&spec, 1}, operands, bucket, dims, order);
}

TEST(KernelRunner, RunsAKernelInAllOrders) {
  KernelSpec spec = specOf(sourceOf(""));
  std::string error;
  std::optional<CompiledKernel> compiled = compileForTest(spec, error);
  ASSERT_TRUE(compiled) << error;
  EXPECT_EQ(complaintsOf(spec, *compiled), "");
  EXPECT_GT(compiled->registers, 0u);
  EXPECT_GE(compiled->staticSharedBytes, 264u);
  EXPECT_NE(compiled->ptx.find(".entry add_one"), std::string::npos);
  EXPECT_EQ(compiled->cubin.substr(1, 3), "ELF");
  std::vector<RunOrder> orders = testOrders();
  orders.push_back({.order = "eager", .count = true});
  for (const RunOrder &order : orders) {
    SCOPED_TRACE(order.describe());
    std::vector<Operand> operands;
    RunOutcome outcome = runOn(spec, operands, order);
    ASSERT_TRUE(outcome.clean()) << outcome.describe();
    std::vector<float> output = operands[1].as<float>();
    for (int i = 0; i < 5 * 64; ++i) {
      ASSERT_EQ(output[i], i + 1.0f) << i;
    }
  }
}

TEST(KernelRunner, ReportsAForgottenWait) {
  KernelSpec spec = specOf(sourceOf("", ""));
  size_t reports = 0;
  for (const RunOrder &order : testOrders(4)) {
    std::vector<Operand> operands;
    RunOutcome outcome = runOn(spec, operands, order);
    EXPECT_EQ(outcome.error, "");
    reports += outcome.reports.size();
  }
  EXPECT_GT(reports, 0u);
}

TEST(KernelRunner, ReportsASemaphoreThatIsNotLeftZero) {
  KernelSpec spec = specOf(sourceOf("", "asm volatile(\"griddepcontrol.wait;\" ::: \"memory\");", ""));
  std::vector<Operand> operands;
  RunOutcome outcome = runOn(spec, operands, {.order = "lazy"});
  EXPECT_EQ(outcome.error, "");
  ASSERT_EQ(outcome.reports.size(), 1u) << outcome.describe();
  EXPECT_EQ(outcome.reports[0], "semaphore 0 was not left zero");
}

TEST(KernelRunner, ShowsWhatDoesNotCompile) {
  KernelSpec spec = specOf(sourceOf("int x = nonsense;\n"));
  std::vector<Operand> operands;
  RunOutcome outcome = runOn(spec, operands, {});
  EXPECT_NE(outcome.error.find("identifier \"nonsense\" is undefined"), std::string::npos) << outcome.error;
}

TEST(KernelRunner, ComplainsOfRegisters) {
  KernelSpec spec = specOf(sourceOf(""));
  spec.maxRegisters = 2;
  std::string error;
  std::optional<CompiledKernel> compiled = compileForTest(spec, error);
  ASSERT_TRUE(compiled) << error;
  EXPECT_NE(complaintsOf(spec, *compiled).find("registers, expected at most 2"), std::string::npos);
}

} // namespace
} // namespace elah::cuda
