#include "tests/runtime/emulator/programs/program_run.h"
#include "commands/nvrtc.h"
#include "tests/runtime/emulator/mutations/mutation.h"
#include <fstream>
#include <iterator>
#include <map>
#include <optional>

namespace emulator::cuda {

static const Nvrtc &compiler() {
  static const Nvrtc *nvrtc = new Nvrtc;
  return *nvrtc;
}

ProgramRun::ProgramRun(const RunOrder &order, ProgramEdits edits) : edits(std::move(edits)) {
  EXPECT_EQ(elah_emulator_set_option("order", order.order), 0);
  EXPECT_EQ(elah_emulator_set_option("seed", std::to_string(order.seed).c_str()), 0);
  EXPECT_EQ(elah_emulator_set_option("adversarial", order.adversarial ? "1" : "0"), 0);
  EXPECT_EQ(elah_emulator_set_option("check", order.check ? "1" : "0"), 0);
  EXPECT_EQ(elah_emulator_set_option("patience", std::to_string(order.patience).c_str()), 0);
  EXPECT_EQ(elah_emulator_set_option("print", "0"), 0);
  EXPECT_CUDA(cuInit(0));
  EXPECT_CUDA(cuDevicePrimaryCtxRetain(&context, 0));
  EXPECT_CUDA(cuCtxSetCurrent(context));
  elah_emulator_clear();
}

ProgramRun::~ProgramRun() {
  EXPECT_CUDA(cuDevicePrimaryCtxReset_v2(0));
  EXPECT_CUDA(cuDevicePrimaryCtxRelease_v2(0));
  elah_emulator_clear();
}

std::string ProgramRun::whyUnavailable() { return compiler().available() ? "" : compiler().reason(); }

CUresult ProgramRun::finish() { return cuCtxSynchronize(); }

std::vector<std::string> ProgramRun::reports() {
  std::vector<std::string> texts;
  for (size_t i = 0; i < elah_emulator_report_count(); ++i) {
    texts.emplace_back(elah_emulator_report_text(i));
  }
  return texts;
}

static std::optional<std::string> readProgram(const std::string &file) {
  std::ifstream in(std::string(ELAH_SOURCE_DIR) + "/tests/runtime/emulator/programs/" + file);
  return in ? std::optional(std::string{std::istreambuf_iterator<char>(in), {}}) : std::nullopt;
}

CUfunction ProgramRun::kernel(const std::string &file, const std::string &name,
                              const std::vector<std::string> &options) {
  const std::optional<std::string> text = readProgram(file + ".cu");
  EXPECT_TRUE(text) << file;
  std::string source = mutation::inlineIncludes(text.value_or(""), readProgram);
  source = edits.source ? edits.source(source) : source;
  static std::map<std::pair<std::string, std::vector<std::string>>, std::string> compiled;
  std::string &ptx = compiled[{source, options}];
  if (ptx.empty()) {
    const Nvrtc::Result result = compiler().compile(source, file + ".cu", options);
    refused += result.good ? "" : result.log;
    EXPECT_TRUE(result.good) << result.log;
    ptx = result.ptx;
  }
  CUmodule module = nullptr;
  CUfunction function = nullptr;
  EXPECT_CUDA(cuModuleLoadData(&module, ptx.c_str()));
  EXPECT_CUDA(cuModuleGetFunction(&function, module, name.c_str()));
  return function;
}

CUresult ProgramRun::launchWith(CUfunction function, LaunchShape shape, void **parameters) {
  if (edits.launch) {
    edits.launch(shape);
  }
  if (shape.shared > 48 * 1024) {
    EXPECT_CUDA(
        cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, static_cast<int>(shape.shared)));
  }
  std::vector<CUlaunchAttribute> attributes;
  if (shape.cluster.x * shape.cluster.y * shape.cluster.z > 1) {
    attributes.emplace_back().id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attributes.back().value.clusterDim = {shape.cluster.x, shape.cluster.y, shape.cluster.z};
  }
  if (shape.cooperative) {
    attributes.emplace_back().id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    attributes.back().value.cooperative = 1;
  }
  if (shape.dependent) {
    attributes.emplace_back().id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    attributes.back().value.programmaticStreamSerializationAllowed = 1;
  }
  const CUlaunchConfig config{
      shape.grid.x,  shape.grid.y, shape.grid.z, shape.block.x,     shape.block.y,
      shape.block.z, shape.shared, shape.stream, attributes.data(), static_cast<unsigned>(attributes.size())};
  return cuLaunchKernelEx(&config, function, parameters, nullptr);
}

CUtensorMap ProgramRun::matrixMap(CUtensorMapDataType type, unsigned elementBytes, CUdeviceptr address, uint64_t rows,
                                  uint64_t columns, uint64_t pitchBytes, uint32_t boxRows, uint32_t boxColumns,
                                  CUtensorMapSwizzle swizzle) {
  ProgramEdits::MatrixMap asked = {rows, columns, boxRows, boxColumns, swizzle};
  if (edits.map) {
    edits.map(asked);
  }
  CUtensorMap map;
  const cuuint64_t dims[] = {asked.columns, asked.rows}, strides[] = {pitchBytes};
  const cuuint32_t box[] = {asked.boxColumns, asked.boxRows}, steps[] = {1, 1};
  EXPECT_CUDA(cuTensorMapEncodeTiled(&map, type, 2, reinterpret_cast<void *>(address), dims, strides, box, steps,
                                     CU_TENSOR_MAP_INTERLEAVE_NONE, asked.swizzle, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                     CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE))
      << rows << " x " << columns << " of " << elementBytes << " bytes";
  return map;
}

std::vector<float> ProgramRun::wholeNumbers(size_t count, int most) {
  std::uniform_int_distribution<int> any(-most, most);
  std::vector<float> numbers(count);
  for (float &number : numbers) {
    number = static_cast<float>(any(random));
  }
  return numbers;
}

std::vector<Program> allPrograms() {
  std::vector<Program> all = scalarPrograms();
  for (const auto &more : {matrixPrograms(), asynchronousPrograms()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

} // namespace emulator::cuda
