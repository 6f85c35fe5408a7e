#include "tests/runtime/emulator/programs/program_test.h"
#include "commands/nvrtc.h"
#include <fstream>
#include <iterator>
#include <map>

namespace emulator::cuda {

static const Nvrtc &compiler() {
  static const Nvrtc *nvrtc = new Nvrtc;
  return *nvrtc;
}

void ProgramTest::SetUp() {
  if (!compiler().available()) {
    GTEST_SKIP() << compiler().reason();
  }
  const RunOrder &run = GetParam();
  ASSERT_EQ(elah_emulator_set_option("order", run.order), 0);
  ASSERT_EQ(elah_emulator_set_option("seed", run.seed), 0);
  ASSERT_EQ(elah_emulator_set_option("adversarial", run.adversarial), 0);
  ASSERT_EQ(elah_emulator_set_option("check", run.check), 0);
  ASSERT_EQ(elah_emulator_set_option("print", "0"), 0);
  ASSERT_CUDA(cuInit(0));
  ASSERT_CUDA(cuDevicePrimaryCtxRetain(&context, 0));
  ASSERT_CUDA(cuCtxSetCurrent(context));
  elah_emulator_clear();
}

void ProgramTest::TearDown() {
  if (!context) {
    return;
  }
  EXPECT_CUDA(cuCtxSynchronize());
  for (size_t i = 0; i < elah_emulator_report_count(); ++i) {
    ADD_FAILURE() << elah_emulator_report_text(i);
  }
  EXPECT_CUDA(cuDevicePrimaryCtxReset_v2(0));
  EXPECT_CUDA(cuDevicePrimaryCtxRelease_v2(0));
}

CUfunction ProgramTest::kernel(const std::string &file, const std::string &name,
                               const std::vector<std::string> &options) {
  const std::string folder = std::string(ELAH_SOURCE_DIR) + "/tests/runtime/emulator/programs/";
  static std::map<std::pair<std::string, std::vector<std::string>>, std::string> compiled;
  std::string &ptx = compiled[{file, options}];
  if (ptx.empty()) {
    std::ifstream in(folder + file + ".cu");
    const std::string source{std::istreambuf_iterator<char>(in), {}};
    EXPECT_FALSE(source.empty()) << file;
    std::vector<std::string> all = options;
    all.push_back("--include-path=" + folder);
    const Nvrtc::Result result = compiler().compile(source, file + ".cu", all);
    EXPECT_TRUE(result.good) << result.log;
    ptx = result.ptx;
  }
  CUmodule module = nullptr;
  CUfunction function = nullptr;
  EXPECT_CUDA(cuModuleLoadData(&module, ptx.c_str()));
  EXPECT_CUDA(cuModuleGetFunction(&function, module, name.c_str()));
  return function;
}

CUresult ProgramTest::launchWith(CUfunction function, LaunchShape shape, void **parameters) {
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

CUtensorMap ProgramTest::matrixMap(CUtensorMapDataType type, unsigned elementBytes, CUdeviceptr address, uint64_t rows,
                                   uint64_t columns, uint64_t pitchBytes, uint32_t boxRows, uint32_t boxColumns,
                                   CUtensorMapSwizzle swizzle) {
  CUtensorMap map;
  const cuuint64_t dims[] = {columns, rows}, strides[] = {pitchBytes};
  const cuuint32_t box[] = {boxColumns, boxRows}, steps[] = {1, 1};
  EXPECT_CUDA(cuTensorMapEncodeTiled(&map, type, 2, reinterpret_cast<void *>(address), dims, strides, box, steps,
                                     CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                     CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE))
      << rows << " x " << columns << " of " << elementBytes << " bytes";
  return map;
}

std::vector<float> ProgramTest::wholeNumbers(size_t count, int most) {
  std::uniform_int_distribution<int> any(-most, most);
  std::vector<float> numbers(count);
  for (float &number : numbers) {
    number = static_cast<float>(any(random));
  }
  return numbers;
}

} // namespace emulator::cuda
