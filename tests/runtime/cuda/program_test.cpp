// Sessions on the emulator: the echo model's kernels in CUDA, in graphs by bucket, under the checker.
#include "drivers/cuda/device.h"
#include "emulator/include/elah_emulator.h"
#include "src/self_test.h"
#include "tests/runtime/cuda/echo_cuda_model.h"
#include "tests/runtime/echo_session.h"
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <unistd.h>

using namespace elah;
using testing::AllOf;
using testing::HasSubstr;

namespace {

/// The emulator's own interface, from the library that sessions open.
struct EmulatorControl {
  Result<std::unique_ptr<cuda::Device>> device = cuda::Device::open("emulator");
  template <typename Function> Function find(const char *name) {
    return reinterpret_cast<Function>((*device)->library().find(name));
  }
  void set(const char *name, const char *value) {
    EXPECT_EQ(find<decltype(&elah_emulator_set_option)>("elah_emulator_set_option")(name, value), 0);
  }
  std::vector<std::string> reports() {
    std::vector<std::string> texts;
    size_t count = find<decltype(&elah_emulator_report_count)>("elah_emulator_report_count")();
    for (size_t i = 0; i < count; ++i) {
      texts.push_back(find<decltype(&elah_emulator_report_text)>("elah_emulator_report_text")(i));
    }
    return texts;
  }
  size_t allocations() { return find<decltype(&elah_emulator_allocation_count)>("elah_emulator_allocation_count")(); }
  void clear() { find<decltype(&elah_emulator_clear)>("elah_emulator_clear")(); }
};

class CudaProgramTest : public EchoSession {
protected:
  static void SetUpTestSuite() { setenv("ELAH_EMULATOR", ELAH_EMULATOR_LIBRARY, 1); }

  void SetUp() override {
    std::string error;
    model = echoCudaModel(error);
    ASSERT_EQ(error, "");
    ASSERT_TRUE(emulator.device.ok()) << emulator.device.status().message();
    emulator.set("print", "0");
    emulator.set("check", "1");
    emulator.set("order", "eager");
    emulator.set("adversarial", "0");
    emulator.clear();
  }

  Status create(uint64_t cacheTokens = 0, const char *device = "emulator") {
    session.reset();
    bytes = model.bytes();
    Result<std::unique_ptr<Artifact>> opened =
        Artifact::fromMemory(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
    if (!opened.ok()) {
      return opened.status();
    }
    artifact = std::move(*opened);
    return createSession(cacheTokens, device);
  }

  /// As users do, from a file.
  Status createFromFile() {
    std::string path = testing::TempDir() + "echo_cuda_" + std::to_string(getpid()) + ".elah";
    std::ofstream(path, std::ios::binary) << model.bytes();
    Result<std::unique_ptr<Artifact>> opened = Artifact::open(path.c_str());
    std::remove(path.c_str());
    if (!opened.ok()) {
      return opened.status();
    }
    artifact = std::move(*opened);
    return createSession(0, "emulator");
  }

  Status createSession(uint64_t cacheTokens, const char *device) {
    elah_session_options options = {};
    options.threads = 2;
    options.cache_tokens = cacheTokens;
    options.device = device;
    Result<std::unique_ptr<Session>> created = Session::create(*artifact, options);
    if (!created.ok()) {
      return created.status();
    }
    session = std::move(*created);
    return Status();
  }

  /// The error of the model with a changed manifest: of the file, or of a session on it.
  std::string errorWith(const std::function<void(proto::Manifest &)> &change) {
    SmallArtifact kept = model;
    change(model.manifest);
    Status status = create();
    model = kept;
    return status.message();
  }

  EmulatorControl emulator;
  SmallArtifact model;
  std::string bytes;
};

TEST_F(CudaProgramTest, raggedBatchesInAllOrders) {
  for (const char *order : {"eager", "lazy", "random"}) {
    SCOPED_TRACE(order);
    emulator.set("order", order);
    emulator.set("adversarial", std::string(order) == "random" ? "1" : "0");
    emulator.set("seed", "3");
    Status created = create();
    ASSERT_TRUE(created.ok()) << created.message();
    std::map<uint32_t, Ids> histories;
    uint32_t a = *session->createSequence(), b = *session->createSequence(), c = *session->createSequence();
    check({{b, {10, 11, 12, 13, 14}, ELAH_LOGITS_NONE}, {a, {1, 2}}}, histories);
    check({{c, {20}}, {a, {3, 4, 5}, ELAH_LOGITS_ALL}, {b, {15, 16, 17, 18}, ELAH_LOGITS_NONE}}, histories);
    check({{a, {6}}, {b, {19}}}, histories);
    check({{b, {1}, ELAH_LOGITS_NONE}}, histories);
    check({{c, {1, 2, 3, 4, 5, 6, 7, 8}, ELAH_LOGITS_ALL}}, histories);
    EXPECT_THAT(emulator.reports(), testing::ElementsAre());
  }
}

TEST_F(CudaProgramTest, randomBatchesWithPagesUsedAgain) {
  Status created = create(44); // eleven pages for three sequences of up to eight
  ASSERT_TRUE(created.ok()) << created.message();
  std::map<uint32_t, Ids> histories;
  uint32_t state = 1;
  auto random = [&](uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 16) % below;
  };
  int refused = 0;
  for (int round = 0; round < 200; ++round) {
    if (histories.size() < 3 && random(2)) {
      histories[*session->createSequence()];
    }
    std::vector<Part> parts;
    size_t total = 0;
    for (auto &[id, history] : histories) {
      size_t count = 1 + random(4);
      if (random(3) && total + count <= 8 && history.size() + count <= 32) {
        parts.push_back({id, Ids(count), static_cast<elah_logits>(random(3))});
        std::generate(parts.back().tokens.begin(), parts.back().tokens.end(), [&] { return random(262); });
        total += count;
      }
    }
    size_t pages = 0;
    for (auto &[id, history] : histories) {
      size_t added = 0;
      for (const Part &part : parts) {
        added += part.sequence == id ? part.tokens.size() : 0;
      }
      pages += (history.size() + added + 3) / 4;
    }
    bool refuses = pages > 11;
    if (refuses) {
      ASSERT_EQ(step(parts).code(), ELAH_OUT_OF_MEMORY);
      ++refused;
    } else if (!parts.empty()) {
      check(parts, histories);
    }
    if (!histories.empty() && (refuses || random(20) == 0)) {
      uint32_t victim = histories.begin()->first;
      ASSERT_TRUE(session->freeSequence(victim).ok());
      histories.erase(victim);
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_THAT(emulator.reports(), testing::ElementsAre());
}

TEST_F(CudaProgramTest, leavesNothingOnTheDevice) {
  size_t before = emulator.allocations();
  ASSERT_TRUE(create().ok());
  EXPECT_GT(emulator.allocations(), before);
  session.reset();
  EXPECT_EQ(emulator.allocations(), before);
}

TEST_F(CudaProgramTest, launchesOneByOneWithoutGraphs) {
  setenv("ELAH_CUDA_GRAPHS", "0", 1);
  Status created = create();
  unsetenv("ELAH_CUDA_GRAPHS");
  ASSERT_TRUE(created.ok()) << created.message();
  std::map<uint32_t, Ids> histories;
  uint32_t s = *session->createSequence();
  check({{s, {1, 2, 3, 4, 5}, ELAH_LOGITS_ALL}}, histories);
  check({{s, {6}}}, histories);
  EXPECT_THAT(emulator.reports(), testing::ElementsAre());
}

TEST_F(CudaProgramTest, readsWeightsOfAMappedFileInPlace) {
  const size_t before = emulator.allocations();
  ASSERT_TRUE(createFromFile().ok());
  const size_t ofOne = emulator.allocations() - before;
  elah_session_options options = {};
  options.device = "emulator";
  {
    Result<std::unique_ptr<Session>> second = Session::create(*artifact, options);
    ASSERT_TRUE(second.ok()) << second.status().message();
    // The weights are registered once.
    EXPECT_EQ(emulator.allocations() - before, 2 * ofOne - 1);
    session.swap(*second);
  }
  std::map<uint32_t, Ids> histories;
  check({{*session->createSequence(), {1, 2, 3}}}, histories);
  session.reset();
  EXPECT_EQ(emulator.allocations(), before);
  EXPECT_THAT(emulator.reports(), testing::ElementsAre());
}

TEST_F(CudaProgramTest, probesStayWithinTheirBuffers) {
  model.manifest.mutable_probes(0)->set_row_bytes(1 << 20);
  model.manifest.mutable_probes(0)->mutable_rows()->set_constant(1);
  ASSERT_TRUE(create().ok());
  Result<std::string> goldens = recordSelfTest(*session);
  ASSERT_FALSE(goldens.ok());
  EXPECT_THAT(goldens.status().message(), HasSubstr("a probe of launch 'echo_speak' lies outside its buffer"));
  EXPECT_EQ(session->logitRows(), 0u);
}

TEST_F(CudaProgramTest, selfTestsOfOtherProgramsAreRefused) {
  model.sections[ELAH_SECTION_SELF_TEST] = std::string(100, '\0'); // less than two digests
  ASSERT_TRUE(create().ok());
  Result<SelfTestReport> report = runSelfTest(*session);
  // The first row has a digest, of zeros; it is off, or there are too few.
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->operation, "echo_speak");
  model.sections[ELAH_SECTION_SELF_TEST] = std::string(10, '\0');
  ASSERT_TRUE(create().ok());
  EXPECT_THAT(runSelfTest(*session).status().message(), HasSubstr("the golden digests are not those of this program"));
}

TEST_F(CudaProgramTest, sessionsShareADevice) {
  ASSERT_TRUE(create().ok());
  std::unique_ptr<Session> other = std::move(session);
  std::unique_ptr<Artifact> otherArtifact = std::move(artifact);
  std::string otherBytes = std::move(bytes);
  ASSERT_TRUE(create().ok());
  std::map<uint32_t, Ids> histories, otherHistories;
  uint32_t mine = *session->createSequence(), others = *other->createSequence();
  check({{mine, {1, 2, 3}}}, histories);
  std::swap(session, other);
  check({{others, {9}}}, otherHistories);
  other.reset();
  check({{others, {8, 7}}}, otherHistories);
}

TEST_F(CudaProgramTest, logitRowsMayBeLimited) {
  model.manifest.mutable_limits()->set_max_logit_rows(2);
  ASSERT_TRUE(create().ok());
  std::map<uint32_t, Ids> histories;
  uint32_t s = *session->createSequence();
  check({{s, {1, 2, 3, 4}}}, histories);
  Status status = step({{s, {5, 6, 7}, ELAH_LOGITS_ALL}});
  EXPECT_EQ(status.code(), ELAH_OUT_OF_RANGE);
  EXPECT_THAT(status.message(), HasSubstr("a step gives at most 2 rows of logits, found 3"));
  // Nothing has happened.
  EXPECT_EQ(*session->lengthOf(s), 4u);
  check({{s, {5, 6}, ELAH_LOGITS_ALL}}, histories);
}

TEST_F(CudaProgramTest, aFaultOfAKernelIsAnErrorAndChangesNoSequence) {
  // The bias begins near its end: what follows is outside of the weights' memory.
  model.manifest.mutable_buffers(10)->set_byte_offset(256 * 4);
  ASSERT_TRUE(create(12).ok());
  uint32_t s = *session->createSequence();
  Status status = step({{s, {1, 2, 3, 4, 5}}});
  EXPECT_EQ(status.code(), ELAH_INTERNAL);
  EXPECT_THAT(status.message(), HasSubstr("running a step on the emulator (NVIDIA H800): an illegal memory access"));
  EXPECT_EQ(*session->lengthOf(s), 0u);
  EXPECT_EQ(session->logitRows(), 0u);
  EXPECT_FALSE(emulator.reports().empty());
}

TEST_F(CudaProgramTest, devicesAreFoundByName) {
  // Where there is no driver. (A machine with one says what it has, or runs.)
  if (Result<std::unique_ptr<cuda::DriverLibrary>> driver = cuda::DriverLibrary::open("libcuda.so.1"); !driver.ok()) {
    EXPECT_THAT(create(0, "cuda").message(),
                AllOf(HasSubstr("CUDA driver"), HasSubstr("; device 'emulator' needs no GPU, and is slow")));
  }
  EXPECT_THAT(create(0, "gpu").message(), HasSubstr("unknown device 'gpu': expected cpu, cuda, cuda:N or emulator"));
  EXPECT_THAT(create(0, "cuda:x").message(), HasSubstr("unknown device 'cuda:x'"));
  EXPECT_THAT(create(0, "cpu").message(),
              HasSubstr("the artifact was compiled for h800: it runs on a GPU (--device cuda) or, slowly, on the "
                        "emulator (--device emulator), not on the CPU"));
  setenv("ELAH_EMULATOR", "/nowhere/libcuda.so.1", 1);
  EXPECT_THAT(create().message(), HasSubstr("the emulator is not there: looked for /nowhere/libcuda.so.1;"));
  unsetenv("ELAH_EMULATOR");
  EXPECT_THAT(create().message(), HasSubstr("the emulator is not there: looked for /"));
  // A folder will do.
  std::string library = ELAH_EMULATOR_LIBRARY;
  setenv("ELAH_EMULATOR", library.substr(0, library.rfind('/')).c_str(), 1);
  EXPECT_TRUE(create().ok());
  setenv("ELAH_EMULATOR", ELAH_EMULATOR_LIBRARY, 1);
}

TEST_F(CudaProgramTest, cpuArtifactsDoNotRunOnGpus) {
  model = echoModel();
  EXPECT_THAT(create().message(),
              HasSubstr("the artifact was compiled for a CPU (x86-64), and does not run on device 'emulator'"));
}

TEST_F(CudaProgramTest, otherDevicesAreRefused) {
  EXPECT_THAT(errorWith([](proto::Manifest &manifest) { manifest.set_compute_capability(100); }),
              HasSubstr("the artifact was compiled for h800, of compute capability 10.0; the emulator (NVIDIA H800) is "
                        "of 9.0"));
}

TEST_F(CudaProgramTest, tooLittleMemorySaysHowMuchIsNeeded) {
  model.manifest.mutable_cache()->set_pool_row_bytes(0, 1 << 20);
  Status status = create(60000);
  EXPECT_EQ(status.code(), ELAH_OUT_OF_MEMORY);
  EXPECT_THAT(status.message(),
              HasSubstr("the emulator (NVIDIA H800) has 80.00 GiB of memory free, of 80.00; the artifact needs 117.19: "
                        "0.00 for weights, 117.19 for a KV cache of 60000 tokens, 0.00 for buffers"));
  model.manifest.mutable_cache()->set_pool_row_bytes(0, 1 << 28);
  EXPECT_THAT(create(1 << 30).message(), HasSubstr("larger than any device"));
}

TEST_F(CudaProgramTest, badModulesNameTheirKernel) {
  EXPECT_THAT(errorWith([](proto::Manifest &manifest) { manifest.mutable_kernels(1)->set_symbol("echo_thinks"); }),
              HasSubstr("loading kernel 'echo_thinks' on the emulator (NVIDIA H800): named symbol not found"));
  EXPECT_THAT(
      errorWith([](proto::Manifest &manifest) { manifest.mutable_kernels(1)->mutable_cuda()->set_ptx_size(99); }),
      HasSubstr("loading kernel 'echo_think'"));
}

TEST_F(CudaProgramTest, badLaunchesNameTheirPlace) {
  EXPECT_THAT(errorWith([](proto::Manifest &manifest) {
                manifest.mutable_kernels(2)->mutable_cuda()->mutable_maps(0)->set_box(0, 3); // 12 bytes, not of 16
              }),
              HasSubstr("launch 'echo_speak' in steps of 2 tokens: encoding a tensor map: invalid argument"));
  EXPECT_THAT(errorWith([](proto::Manifest &manifest) {
                manifest.mutable_launches(0)->mutable_variants(0)->mutable_steps(0)->mutable_grid()->set_outer(1u
                                                                                                               << 31);
              }),
              HasSubstr("launch 'echo_remember' in steps of 2 tokens: the grid has too many blocks"));
  EXPECT_THAT(errorWith([](proto::Manifest &manifest) {
                manifest.mutable_kernels(2)->mutable_cuda()->set_shared_bytes(232448); // besides its static memory
              }),
              HasSubstr("loading kernel 'echo_speak' on the emulator (NVIDIA H800): asking for shared memory"));
}

TEST_F(CudaProgramTest, hostileManifestsAreRefused) {
  auto cuda = [](proto::Manifest &manifest, int kernel) { return manifest.mutable_kernels(kernel)->mutable_cuda(); };
  struct Case {
    std::function<void(proto::Manifest &)> change;
    const char *error;
  };
  auto mapOf = [&](proto::Manifest &m) { return cuda(m, 2)->mutable_maps(0); };
  const char *noModule = "has no module in the section of CUDA modules", *noMap = "has a tensor map out of range";
  const char *nowhere = "leads nowhere", *range = "out of range", *hole = "has no kernel for some steps";
  const char *noProbe = "probe 0 leads nowhere";
  const char *buckets = "expected up to 64 buckets that rise to the 8 tokens of a step";
  const Case cases[] = {
      {[&](proto::Manifest &m) { m.mutable_kernels(0)->clear_cuda(); }, noModule},
      {[&](proto::Manifest &m) { cuda(m, 0)->set_cubin_size(0); }, noModule},
      {[&](proto::Manifest &m) { cuda(m, 0)->set_cubin_offset(UINT64_MAX); }, noModule},
      {[&](proto::Manifest &m) { cuda(m, 0)->set_ptx_size(UINT64_MAX); }, noModule},
      {[&](proto::Manifest &m) { cuda(m, 0)->set_ptx_offset(cuda(m, 0)->ptx_offset() + 1); }, noModule},
      {[&](proto::Manifest &m) { cuda(m, 0)->set_threads(0); }, range},
      {[&](proto::Manifest &m) { cuda(m, 0)->set_threads(1025); }, range},
      {[&](proto::Manifest &m) { cuda(m, 0)->set_cluster(0); }, range},
      {[&](proto::Manifest &m) { cuda(m, 0)->set_cluster(17); }, range},
      {[&](proto::Manifest &m) { cuda(m, 0)->set_shared_bytes(232449); }, range},
      {[&](proto::Manifest &m) { cuda(m, 0)->mutable_scratch_bytes()->set_constant(-1); }, range},
      {[&](proto::Manifest &m) { m.mutable_kernels(0)->set_symbol(std::string("a\0b", 3)); }, range},
      {[&](proto::Manifest &m) { mapOf(m)->set_operand(3); }, nowhere},
      {[&](proto::Manifest &m) { mapOf(m)->set_byte_offset(8); }, noMap},
      {[&](proto::Manifest &m) { mapOf(m)->set_element(static_cast<proto::MapElement>(6)); }, noMap},
      {[&](proto::Manifest &m) { mapOf(m)->set_swizzle(static_cast<proto::MapSwizzle>(-1)); }, noMap},
      {[&](proto::Manifest &m) { mapOf(m)->clear_sizes(); }, noMap},
      {[&](proto::Manifest &m) { mapOf(m)->add_strides(16); }, noMap},
      {[&](proto::Manifest &m) { mapOf(m)->set_box(0, 257); }, noMap},
      {[&](proto::Manifest &m) { mapOf(m)->set_box(0, 0); }, noMap},
      {[&](proto::Manifest &m) { mapOf(m)->mutable_sizes(0)->set_constant(INT64_MAX); }, range},
      {[&](proto::Manifest &m) { mapOf(m)->mutable_sizes(0)->set_constant(0); }, "a size out of range"},
      {[&](proto::Manifest &m) {
         for (int i = 0; i < 40; ++i) {
           *cuda(m, 2)->add_maps() = cuda(m, 2)->maps(0);
         }
       },
       nowhere},
      {[&](proto::Manifest &m) { m.clear_buckets(); }, buckets},
      {[&](proto::Manifest &m) { m.set_buckets(0, 8); }, buckets},
      {[&](proto::Manifest &m) { m.set_buckets(1, 7); }, buckets},
      {[&](proto::Manifest &m) { m.add_buckets(16); }, buckets},
      {[&](proto::Manifest &m) { m.mutable_limits()->set_max_logit_rows(9); }, "more logit rows than tokens"},
      {[&](proto::Manifest &m) { m.mutable_launches(2)->clear_variants(); }, hole},
      {[&](proto::Manifest &m) { m.mutable_launches(2)->mutable_variants(1)->set_max_tokens(7); }, hole},
      {[&](proto::Manifest &m) { m.mutable_launches(2)->mutable_variants(1)->set_max_tokens(2); }, hole},
      {[&](proto::Manifest &m) { m.mutable_launches(2)->mutable_variants(0)->clear_steps(); }, hole},
      {[&](proto::Manifest &m) { m.mutable_launches(0)->mutable_variants(0)->mutable_steps(0)->set_kernel(5); },
       nowhere},
      {[&](proto::Manifest &m) { m.mutable_launches(0)->mutable_variants(0)->mutable_steps(0)->clear_grid(); },
       nowhere},
      {[&](proto::Manifest &m) { m.mutable_launches(0)->set_buffers(0, 99); }, nowhere},
      {[&](proto::Manifest &m) { m.mutable_weights(0)->set_offset(64); }, "lies outside the weights section"},
      {[&](proto::Manifest &m) { m.mutable_probes(0)->set_launch(3); }, noProbe},
      {[&](proto::Manifest &m) { m.mutable_probes(0)->set_operand(9); }, noProbe},
      {[&](proto::Manifest &m) { m.mutable_probes(0)->set_operand(1); }, noProbe}, // a weight
      {[&](proto::Manifest &m) { m.mutable_probes(0)->set_type(proto::ELEMENT_TYPE_I32); }, noProbe},
      {[&](proto::Manifest &m) { m.mutable_probes(0)->set_columns(0); }, noProbe},
      {[&](proto::Manifest &m) { m.mutable_probes(0)->set_row_bytes(262 * 4 - 1); }, noProbe},
      {[&](proto::Manifest &m) { m.mutable_probes(0)->mutable_rows()->set_constant(-1); }, "an extent out of range"},
  };
  for (const Case &attempt : cases) {
    std::string error = errorWith(attempt.change);
    EXPECT_THAT(error, HasSubstr(attempt.error)) << "case " << &attempt - cases;
  }
}

} // namespace
