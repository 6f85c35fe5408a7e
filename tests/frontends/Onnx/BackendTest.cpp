// ONNX's own backend tests (libonnx-testdata), on the reference interpreter and compiled for this machine.
// backend_cases.txt names what each case is expected to come to, "pass" or "unsupported"; a case that does otherwise
// fails the test, in either direction.
//   onnx-backend --print [SUITE]    prints the list as it would have to be, of another suite of that form, too
#include "compiler/Driver/Pipeline.h"
#include "compiler/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "tests/codegen/Cpu/CompiledGraph.h"
#include "tests/frontends/Onnx/BackendCases.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"
#include <cstdio>

namespace elah {
namespace {

const char *suite = "/usr/share/libonnx-testdata/data";
bool prints = false;

mlir::FailureOr<llvm::SmallVector<HostValue>> interpretCase(mlir::ModuleOp module, llvm::ArrayRef<HostValue> inputs,
                                                            llvm::StringRef folder) {
  InterpretOptions options;
  options.precision = Precision::F32;
  options.weightFolder = folder.str();
  mlir::PassManager passes(module.getContext());
  passes.addPass(createDecomposeCompositesPass());
  if (mlir::failed(passes.run(module))) {
    return mlir::failure();
  }
  return interpret(module, "main", inputs, options);
}

/// As `elah compile` compiles a plain graph.
mlir::FailureOr<llvm::SmallVector<HostValue>> runCase(mlir::ModuleOp module, llvm::ArrayRef<HostValue> inputs,
                                                      llvm::StringRef folder) {
  mlir::PassManager passes(module.getContext());
  buildGraphPipeline(passes, [](Phase phase) { return phase < Phase::R1; });
  if (mlir::failed(passes.run(module))) {
    return mlir::failure();
  }
  return runCompiled(module, "main", inputs, folder);
}

std::map<std::string, std::string> expectedStates() {
  auto file = llvm::MemoryBuffer::getFile(ELAH_SOURCE_DIR "/tests/frontends/Onnx/backend_cases.txt");
  std::map<std::string, std::string> states;
  llvm::SmallVector<llvm::StringRef> lines;
  if (file) {
    (*file)->getBuffer().split(lines, '\n', -1, /*KeepEmpty=*/false);
  }
  for (llvm::StringRef line : lines) {
    auto [state, name] = line.split(' ');
    states[name.str()] = state.str();
  }
  return states;
}

/// Holds every case to the list. Compiled graphs keep sequences inside: a case that has them outside is counted apart.
void checkAll(const Engine &engine, int casesWithSequences) {
  std::vector<std::string> cases = backendCases(suite);
  if (!prints) {
    ASSERT_EQ(cases.size(), 1072u) << "is libonnx-testdata installed?";
  }
  std::map<std::string, std::string> expected = expectedStates();
  std::map<std::string, std::array<int, 3>> table;
  int sequences = 0;
  for (const std::string &name : cases) {
    CaseResult result = runBackendCase(suite, name, engine);
    if (result.state == CaseResult::Fail && llvm::StringRef(result.message).contains("sequences stay inside")) {
      ++sequences;
      continue;
    }
    ++table[name.substr(0, name.find('/'))][result.state];
    const char *state = result.state == CaseResult::Pass          ? "pass"
                        : result.state == CaseResult::Unsupported ? "unsupported"
                                                                  : "fail";
    if (prints) {
      std::printf("%s %s%s%s\n", state, name.c_str(), result.state == CaseResult::Fail ? " # " : "",
                  result.state == CaseResult::Fail ? result.message.c_str() : "");
    } else {
      EXPECT_EQ(state, expected[name]) << name << ": " << result.message;
    }
  }
  FILE *out = prints ? stderr : stdout;
  std::fprintf(out, "%-20s %6s %12s %6s\n", "cases", "pass", "unsupported", "fail");
  for (const auto &[kind, counts] : table) {
    std::fprintf(out, "%-20s %6d %12d %6d\n", kind.c_str(), counts[0], counts[1], counts[2]);
  }
  EXPECT_EQ(sequences, casesWithSequences);
}

TEST(OnnxBackend, InterpretedCasesEndAsListed) { checkAll(interpretCase, 0); }
TEST(OnnxBackend, CompiledCasesEndAsListed) { checkAll(runCase, 12); }

// What ONNX Runtime gives for its own operators, and for those that ONNX has had since operator set 18
// (make_runtime_cases.py).
TEST(OnnxRuntimeCases, AllPass) {
  const char *folder = ELAH_SOURCE_DIR "/tests/frontends/Onnx/runtime_cases";
  std::vector<std::string> cases = backendCases(folder);
  EXPECT_GE(cases.size(), 50u);
  for (const std::string &name : cases) {
    for (const Engine &engine : {Engine(interpretCase), Engine(runCase)}) {
      CaseResult result = runBackendCase(folder, name, engine);
      EXPECT_EQ(result.state, CaseResult::Pass) << name << ": " << result.message;
    }
  }
}

} // namespace
} // namespace elah

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  elah::prints = argc > 1 && llvm::StringRef(argv[1]) == "--print";
  elah::suite = argc > 2 ? argv[2] : elah::suite;
  return RUN_ALL_TESTS();
}
