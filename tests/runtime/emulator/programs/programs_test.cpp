// Every program in every order with the checker on: right results, no reports.
//
// ELAH_PROGRAM_ORDERS=50 adds that many random orders, every other one adversarial (tests/integration has the long
// run).

#include "tests/runtime/emulator/programs/program_run.h"
#include <cstdlib>

namespace emulator::cuda {
namespace {

std::vector<RunOrder> orders() {
  std::vector<RunOrder> all = {{"eager", 0, false, false}, {"eager"}, {"lazy"}};
  const char *asked = std::getenv("ELAH_PROGRAM_ORDERS");
  const uint64_t random = asked ? std::strtoull(asked, nullptr, 10) : 3;
  for (uint64_t seed = 1; seed <= random; ++seed) {
    all.push_back({"random", seed, seed % 2 == 0});
  }
  return all;
}

class Programs : public testing::TestWithParam<std::tuple<Program, RunOrder>> {};

TEST_P(Programs, AreRightInEveryOrder) {
  if (const std::string why = ProgramRun::whyUnavailable(); !why.empty()) {
    GTEST_SKIP() << why;
  }
  const auto &[program, order] = GetParam();
  ProgramRun run(order);
  program.run(run);
  EXPECT_CUDA(run.finish());
  for (const std::string &report : ProgramRun::reports()) {
    ADD_FAILURE() << report;
  }
}

std::string nameOf(const testing::TestParamInfo<Programs::ParamType> &info) {
  const auto &[program, order] = info.param;
  std::string name = program.name + "_" + order.order;
  name += order.check ? "" : "_unchecked";
  name += std::string(order.order) == "random" ? std::to_string(order.seed) : "";
  return name + (order.adversarial ? "_adversarial" : "");
}

INSTANTIATE_TEST_SUITE_P(All, Programs, testing::Combine(testing::ValuesIn(allPrograms()), testing::ValuesIn(orders())),
                         nameOf);

} // namespace
} // namespace emulator::cuda
