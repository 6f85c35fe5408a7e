// Kernels compiled in child processes into a cache, and what goes wrong on the way: bad kernels, crashes, kills,
// damage.
#include "codegen/Cuda/CompileKernels.h"
#include "codegen/Cuda/KernelCache.h"
#include <csignal>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char **environ;

namespace elah::cuda {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

const CudaTarget &target = *findCudaTarget("h800");

KernelSpec specOf(const std::string &symbol, const std::string &body, unsigned threads = 128) {
  KernelSpec spec;
  spec.symbol = symbol;
  spec.family = "test";
  spec.schedule = "tile 1x1";
  spec.source = "#include \"kernels/dims.cuh\"\nextern \"C\" __global__ void __launch_bounds__(" +
                std::to_string(threads) + ") " + symbol + "(float *out, const elah::Dims *dims) {" + body + "}\n";
  spec.operands = 1;
  spec.threads = threads;
  return spec;
}

/// Some kernels that differ.
std::vector<KernelSpec> someKernels(int count) {
  std::vector<KernelSpec> specs;
  for (int i = 0; i < count; ++i) {
    specs.push_back(specOf("k" + std::to_string(i), "out[dims->tokens] = " + std::to_string(i) + ";"));
  }
  return specs;
}

class CompileKernels : public testing::Test {
protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("elah-cache-" + std::to_string(::getpid()));
    fs::remove_all(folder);
  }
  void TearDown() override { fs::remove_all(folder); }

  CompileKernelsOutcome compile(std::span<const KernelSpec> specs) const {
    CompileKernelsOptions options;
    options.cacheFolder = folder;
    return compileKernels(specs, target, options);
  }
  std::string errorOf(const KernelSpec &spec) const {
    CompileKernelsOutcome outcome = compile({&spec, 1});
    EXPECT_EQ(outcome.kernels.size(), 0u);
    return outcome.errors.size() == 1 ? outcome.errors[0] : std::to_string(outcome.errors.size()) + " errors";
  }
  std::vector<fs::path> cached() const {
    std::vector<fs::path> files;
    for (const fs::directory_entry &entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".kernel") {
        files.push_back(entry.path());
      }
    }
    return files;
  }

  fs::path folder;
};

std::string read(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// This program again, compiling `count` kernels into `folder` (see main).
pid_t startCompilation(const fs::path &folder, int count) {
  std::string program = "/proc/self/exe", verb = "compile-some", where = folder, number = std::to_string(count);
  char *arguments[] = {program.data(), verb.data(), where.data(), number.data(), nullptr};
  pid_t child = 0;
  EXPECT_EQ(posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environ), 0);
  return child;
}

TEST_F(CompileKernels, CompilesOnceAndThenFinds) {
  std::vector<KernelSpec> specs = someKernels(3);
  specs.push_back(specs[0]); // A kernel may be asked for twice.
  CompileKernelsOutcome cold = compile(specs);
  ASSERT_THAT(cold.errors, ElementsAre());
  EXPECT_EQ(cold.found, 0u);
  ASSERT_EQ(cold.kernels.size(), 4u);
  EXPECT_EQ(cold.kernels[3], cold.kernels[0]);
  EXPECT_THAT(cold.kernels[1].ptx, HasSubstr(".entry k1("));
  EXPECT_EQ(cold.kernels[1].cubin.substr(1, 3), "ELF");
  EXPECT_GT(cold.kernels[1].registers, 0u);
  EXPECT_EQ(cached().size(), 3u);
  CompileKernelsOutcome warm = compile(specs);
  EXPECT_EQ(warm.found, 4u);
  EXPECT_EQ(warm.kernels, cold.kernels);
}

TEST_F(CompileKernels, GoesOnWithoutACache) {
  folder = "/proc/nobody-writes-here";
  EXPECT_THAT(compile(someKernels(1)).errors, ElementsAre());
}

TEST_F(CompileKernels, TellsOfProgress) {
  CompileKernelsOptions options;
  options.cacheFolder = folder;
  std::vector<size_t> counts;
  options.onProgress = [&](size_t done, size_t total) {
    EXPECT_EQ(total, 3u);
    counts.push_back(done);
  };
  compileKernels(someKernels(3), target, options);
  EXPECT_THAT(counts, ElementsAre(1, 2, 3));
}

TEST_F(CompileKernels, NamesTheKernelThatDoesNotCompile) {
  EXPECT_THAT(errorOf(specOf("wrong", "out[0] = nonsense;")),
              AllOf(HasSubstr("wrong (tile 1x1): does not compile:"), HasSubstr("wrong.cu(2): error"),
                    HasSubstr("\"nonsense\" is undefined")));
}

TEST_F(CompileKernels, NamesAllThatFail) {
  std::vector<KernelSpec> specs = someKernels(2);
  specs.push_back(specOf("first", "out[0] = nonsense;"));
  specs.push_back(specOf("second", "asm(\"no instruction;\");"));
  CompileKernelsOutcome outcome = compile(specs);
  EXPECT_THAT(outcome.errors, ElementsAre(HasSubstr("first (tile 1x1)"), HasSubstr("second (tile 1x1)")));
  EXPECT_TRUE(outcome.kernels.empty());
}

TEST_F(CompileKernels, RefusesSpills) {
  // 1,024 threads may have 64 registers each: 100 values that live at once do not fit.
  KernelSpec spec = specOf("spills", R"(
    float v[100];
    #pragma unroll
    for (int i = 0; i < 100; ++i) {
      asm volatile("ld.global.f32 %0, [%1];" : "=f"(v[i]) : "l"(out + threadIdx.x + i * 1024));
    }
    #pragma unroll
    for (int i = 0; i < 100; ++i) {
      asm volatile("st.global.f32 [%0], %1;" :: "l"(out + threadIdx.x * 100 + i), "f"(v[99 - i]));
    }
  )",
                           1024);
  EXPECT_THAT(errorOf(spec), MatchesRegex("spills \\(tile 1x1\\): found [0-9]+ bytes of spills, expected at most 0"));
}

TEST_F(CompileKernels, RefusesRemarksOfTheAssembler) {
  // An accumulator that is touched while wgmma may still write it.
  KernelSpec spec = specOf("serialized", R"(
    float a = out[0], b = out[1], c = out[2], d = out[3];
    unsigned long long descriptor = dims->tokens;
    asm volatile("wgmma.fence.sync.aligned;");
    for (int i = 0; i < 4; ++i) {
      asm volatile("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0,%1,%2,%3}, %4, %4, 1,1,1,0,0;"
                   : "+f"(a), "+f"(b), "+f"(c), "+f"(d) : "l"(descriptor));
      a += 1.0f;
    }
    asm volatile("wgmma.commit_group.sync.aligned;");
    asm volatile("wgmma.wait_group.sync.aligned 0;");
    out[threadIdx.x] = a + b + c + d;
  )");
  EXPECT_THAT(errorOf(spec), AllOf(HasSubstr("serialized (tile 1x1): the assembler remarks (C75"),
                                   HasSubstr("wgmma.mma_async instructions are serialized")));
}

TEST_F(CompileKernels, RefusesWhatTheTargetOrTheScheduleDoesNotHave) {
  KernelSpec spec = someKernels(1)[0];
  spec.sharedBytes = 232449;
  EXPECT_THAT(errorOf(spec), HasSubstr("found 232449 bytes of shared memory, expected at most 232448"));
  spec.sharedBytes = 120000;
  spec.blocksPerMultiprocessor = 2;
  EXPECT_THAT(errorOf(spec), HasSubstr("holds 1 blocks, expected room for 2"));
  spec = someKernels(1)[0];
  spec.maxRegisters = 1;
  EXPECT_THAT(errorOf(spec), MatchesRegex(".*found [0-9]+ registers, expected at most 1"));
  spec = someKernels(1)[0];
  spec.symbol = "k";
  EXPECT_THAT(errorOf(spec), HasSubstr("found no entry of the kernel's name"));
}

TEST_F(CompileKernels, RefusesWhatTheEmulatorDoesNotRun) {
  KernelSpec spec = specOf("unproven", "asm volatile(\"multimem.red.release.gpu.global.add.f32 [%0], %1;\" :: "
                                       "\"l\"(out), \"f\"(1.0f) : \"memory\");");
  EXPECT_THAT(errorOf(spec),
              AllOf(HasSubstr("unproven (tile 1x1): the emulator does not run its PTX: line "), HasSubstr("multimem")));
}

TEST_F(CompileKernels, SurvivesACrashOfTheCompiler) {
  ASSERT_EQ(setenv("ELAH_NVRTC", ELAH_CRASHING_NVRTC, 1), 0);
  std::vector<KernelSpec> specs = {specOf("bad", "crash;"), specOf("refused", "")};
  CompileKernelsOutcome outcome = compile(specs);
  unsetenv("ELAH_NVRTC");
  EXPECT_THAT(outcome.errors, ElementsAre(HasSubstr("bad (tile 1x1): the CUDA compiler crashed: Aborted"),
                                          HasSubstr("refused (tile 1x1): does not compile:\nNVRTC_ERROR_COMPILATION")));
}

TEST_F(CompileKernels, SaysWhereItLookedForTheCompiler) {
  ASSERT_EQ(setenv("ELAH_NVRTC", "/nowhere/libnvrtc.so", 1), 0);
  EXPECT_THAT(errorOf(someKernels(1)[0]), AllOf(HasSubstr("found no NVRTC"), HasSubstr("in /nowhere/libnvrtc.so;")));
  unsetenv("ELAH_NVRTC");
}

TEST_F(CompileKernels, CompilesAgainWhatIsDamaged) {
  std::vector<KernelSpec> specs = someKernels(1);
  CompileKernelsOutcome first = compile(specs);
  ASSERT_EQ(cached().size(), 1u);
  const fs::path file = cached()[0];
  const std::string whole = read(file);
  ASSERT_TRUE(deserialize(whole));
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    // Cut off, one bit turned, or something else altogether.
    std::string damaged = whole;
    if (i % 3 == 0) {
      damaged.resize(random() % damaged.size());
    } else if (i % 3 == 1) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    } else {
      damaged = std::string(random() % 100, 'x');
    }
    ASSERT_FALSE(deserialize(damaged)) << i;
    if (i < 6) {
      std::ofstream(file, std::ios::binary) << damaged;
      CompileKernelsOutcome again = compile(specs);
      ASSERT_THAT(again.errors, ElementsAre());
      EXPECT_EQ(again.found, 0u);
      EXPECT_EQ(again.kernels, first.kernels);
      EXPECT_EQ(read(file), whole);
    }
  }
}

TEST_F(CompileKernels, SixteenShareACache) {
  std::vector<pid_t> children;
  for (int i = 0; i < 16; ++i) {
    children.push_back(startCompilation(folder, 4));
  }
  for (pid_t child : children) {
    int status = 1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(cached().size(), 4u);
  CompileKernelsOutcome outcome = compile(someKernels(4));
  EXPECT_EQ(outcome.found, 4u);
}

TEST_F(CompileKernels, SurvivesKillsAtAnyMoment) {
  std::mt19937 random(1);
  int killed = 0;
  for (int round = 0; round < 24; ++round) {
    if (round % 6 == 0) {
      fs::remove_all(folder);
    }
    pid_t child = startCompilation(folder, 6);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 200'000));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    killed += WIFSIGNALED(status);
    if (!fs::exists(folder)) {
      continue;
    }
    for (const fs::path &file : cached()) {
      ASSERT_TRUE(deserialize(read(file))) << file;
    }
  }
  EXPECT_GT(killed, 0);
  EXPECT_THAT(compile(someKernels(6)).errors, ElementsAre());
}

TEST_F(CompileKernels, RemovesWhatTheKilledLeft) {
  fs::create_directories(folder);
  std::ofstream(folder / ".old.abcdef") << "half";
  std::ofstream(folder / ".new.abcdef") << "half";
  fs::last_write_time(folder / ".old.abcdef", fs::file_time_type::clock::now() - std::chrono::hours(25));
  compile(someKernels(1));
  EXPECT_FALSE(fs::exists(folder / ".old.abcdef"));
  EXPECT_TRUE(fs::exists(folder / ".new.abcdef"));
}

TEST(KernelCache, KeyDependsOnAllThatTheResultDependsOn) {
  std::string source = someKernels(1)[0].source;
  std::string key = KernelCache::keyOf(source, "13.0", LineInfo::Without);
  EXPECT_EQ(key, KernelCache::keyOf(source, "13.0", LineInfo::Without));
  EXPECT_NE(key, KernelCache::keyOf(source, "13.1", LineInfo::Without));
  EXPECT_NE(key, KernelCache::keyOf(source, "13.0", LineInfo::With));
  EXPECT_NE(key, KernelCache::keyOf(source + " ", "13.0", LineInfo::Without));
}

TEST(KernelCache, StandsWhereTheEnvironmentSays) {
  setenv("HOME", "/home/r1", 1);
  unsetenv("XDG_CACHE_HOME");
  unsetenv("ELAH_CACHE");
  EXPECT_EQ(KernelCache::defaultFolder(), "/home/r1/.cache/elah");
  setenv("XDG_CACHE_HOME", "/caches", 1);
  EXPECT_EQ(KernelCache::defaultFolder(), "/caches/elah");
  setenv("ELAH_CACHE", "/here", 1);
  EXPECT_EQ(KernelCache::defaultFolder(), "/here");
}

} // namespace
} // namespace elah::cuda

int main(int argc, char **argv) {
  using namespace elah::cuda;
  if (std::optional<int> status = runKernelCompiler(argc, argv)) {
    return *status;
  }
  if (argc == 4 && std::string(argv[1]) == "compile-some") {
    CompileKernelsOptions options;
    options.cacheFolder = argv[2];
    return compileKernels(someKernels(std::atoi(argv[3])), *elah::findCudaTarget("h800"), options).errors.empty() ? 0
                                                                                                                  : 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
