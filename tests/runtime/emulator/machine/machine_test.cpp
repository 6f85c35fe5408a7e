#include "machine/grid.h"
#include "machine/memory.h"
#include "ptx/module.h"
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace emulator {
namespace {

std::shared_ptr<LoadedModule> load(const std::string &body) {
  std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(".version 8.0\n.target sm_90a\n.address_size 64\n" + body);
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

/// The error that loading gives.
std::string loadError(const std::string &body) {
  std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(".version 8.0\n.target sm_90a\n.address_size 64\n" + body);
  if (ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
    return error->text;
  }
  auto loaded = LoadedModule::load(std::move(std::get<ptx::Module>(parsed)), 0);
  ptx::Error *error = std::get_if<ptx::Error>(&loaded);
  return error ? std::to_string(error->place.line) + ": " + error->text : "";
}

template <typename T> class Buffer {
public:
  explicit Buffer(std::vector<T> values) : count(values.size()) {
    allocation = GlobalMemory::instance().allocate(count * sizeof(T), 0, "a buffer");
    std::memcpy(reinterpret_cast<void *>(allocation->address), values.data(), count * sizeof(T));
  }
  ~Buffer() { GlobalMemory::instance().free(allocation->address); }
  uint64_t address() const { return allocation->address; }
  std::vector<T> values() const {
    const T *begin = reinterpret_cast<const T *>(allocation->address);
    return std::vector<T>(begin, begin + count);
  }

private:
  size_t count;
  Allocation *allocation;
};

LaunchConfig launchOf(std::shared_ptr<LoadedModule> module, const char *kernel, uint32_t grid, uint32_t block,
                      std::vector<uint64_t> parameters) {
  LaunchConfig config;
  config.kernel = module->kernel(kernel);
  config.module = std::move(module);
  config.grid[0] = grid;
  config.block[0] = block;
  config.parameters.resize(parameters.size() * 8);
  std::memcpy(config.parameters.data(), parameters.data(), config.parameters.size());
  return config;
}

std::optional<Fault> run(LaunchConfig config, RunOptions options = {}) {
  return Machine::instance().launch(std::move(config), options)->wait();
}

TEST(Machine, AddsVectors) {
  std::shared_ptr<LoadedModule> module = load(R"(
.visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 n) {
  .reg .pred %p<2>;
  .reg .b32 %r<5>;
  .reg .f32 %f<4>;
  .reg .b64 %rd<11>;
  ld.param.u64 %rd1, [a];
  ld.param.u64 %rd2, [b];
  ld.param.u64 %rd3, [c];
  ld.param.u64 %rd10, [n];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  cvt.u64.u32 %rd9, %r4;
  setp.ge.u64 %p1, %rd9, %rd10;
  @%p1 bra $done;
  cvta.to.global.u64 %rd1, %rd1;
  mul.wide.u32 %rd4, %r4, 4;
  add.s64 %rd5, %rd1, %rd4;
  add.s64 %rd6, %rd2, %rd4;
  add.s64 %rd7, %rd3, %rd4;
  ld.global.f32 %f1, [%rd5];
  ld.global.f32 %f2, [%rd6];
  add.f32 %f3, %f1, %f2;
  st.global.f32 [%rd7], %f3;
$done:
  ret;
})");
  ASSERT_TRUE(module);
  const size_t count = 1000;
  std::vector<float> x(count), y(count);
  for (size_t i = 0; i < count; ++i) {
    x[i] = static_cast<float>(i);
    y[i] = static_cast<float>(2 * i);
  }
  Buffer<float> a(x), b(y), c(std::vector<float>(count, -1.0f));
  std::optional<Fault> fault = run(launchOf(module, "add", 8, 128, {a.address(), b.address(), c.address(), count}));
  ASSERT_FALSE(fault) << fault->text;
  std::vector<float> sums = c.values();
  for (size_t i = 0; i < count; ++i) {
    ASSERT_EQ(sums[i], static_cast<float>(3 * i));
  }
}

// A module is refused for what stands in any function of it, also where no kernel comes to it.
TEST(Machine, EveryFunctionIsDecoded) {
  const std::string kernel = ".visible .entry k() { ret; }\n";
  EXPECT_EQ(loadError(kernel + ".func f() {\n  .reg .b32 %r;\n  frobnicate.u32 %r, 1;\n  ret;\n}").substr(0, 2), "7:");
  EXPECT_EQ(loadError(".extern .func g();\n.func f() {\n  call g;\n  ret;\n}\n" + kernel).substr(0, 2), "6:");
  EXPECT_EQ(loadError(kernel + ".func g() { ret; }\n.func f() { call g; call f; ret; }"), "");
  EXPECT_EQ(loadError(".func g() {\n  .reg .b32 %r;\n  add.fast.u32 %r, %r, 1;\n  ret;\n}\n"
                      ".func f() { call g; ret; }\n.visible .entry k() { call f; ret; }\n")
                .substr(0, 2),
            "6:");
}

} // namespace
} // namespace emulator
