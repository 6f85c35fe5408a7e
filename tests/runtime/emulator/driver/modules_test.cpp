#include "tests/runtime/emulator/driver/driver_test.h"
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>

namespace emulator::cuda {
namespace {

class Modules : public DriverTest {};

TEST_F(Modules, HaveFunctionsAndVariables) {
  kernel("add");
  CUfunction again = nullptr, none = nullptr;
  EXPECT_CUDA(cuModuleGetFunction(&again, module, "add"));
  EXPECT_EQ(again, kernel("add"));
  EXPECT_EQ(cuModuleGetFunction(&none, module, "subtract"), CUDA_ERROR_NOT_FOUND);
  CUdeviceptr counter = 0, table = 0;
  size_t bytes = 0;
  EXPECT_CUDA(cuModuleGetGlobal_v2(&counter, &bytes, module, "counter"));
  EXPECT_EQ(bytes, 4u);
  EXPECT_EQ(download<uint32_t>(counter, 1)[0], 7u);
  EXPECT_CUDA(cuModuleGetGlobal_v2(&table, &bytes, module, "table"));
  EXPECT_EQ(bytes, 16u);
  EXPECT_EQ(cuModuleGetGlobal_v2(&table, &bytes, module, "chair"), CUDA_ERROR_NOT_FOUND);
  const uint32_t ten = 10;
  EXPECT_CUDA(cuMemcpyHtoD_v2(table + 8, &ten, 4));
  EXPECT_CUDA(launch(kernel("bump_counter"), 1, 1, nullptr));
  EXPECT_EQ(download<uint32_t>(counter, 1)[0], 17u);
}

TEST_F(Modules, ListTheirFunctions) {
  kernel("add");
  unsigned count = 0;
  EXPECT_CUDA(cuModuleGetFunctionCount(&count, module));
  std::vector<CUfunction> functions(count);
  EXPECT_CUDA(cuModuleEnumerateFunctions(functions.data(), count, module));
  std::set<std::string> names;
  for (CUfunction function : functions) {
    const char *name = nullptr;
    EXPECT_CUDA(cuFuncGetName(&name, function));
    names.insert(name);
  }
  EXPECT_TRUE(names.contains("add"));
  EXPECT_TRUE(names.contains("secondary"));
  EXPECT_EQ(names.size(), count);
}

TEST_F(Modules, EndWithTheirHandles) {
  CUfunction add = kernel("add");
  EXPECT_CUDA(cuModuleUnload(module));
  EXPECT_EQ(cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
  int value = 0;
  EXPECT_EQ(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, add), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Modules, RefuseWhatTheyCannotRun) {
  CUmodule none = nullptr;
  EXPECT_EQ(cuModuleLoadData(&none, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuModuleLoadData(&none, "what is this?"), CUDA_ERROR_INVALID_IMAGE);
  EXPECT_EQ(cuModuleLoadData(&none, ".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry k() { frob; }"),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(cuModuleLoadData(&none, ".version 8.7\n.target sm_100a\n.address_size 64\n"), CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_EQ(cuModuleLoadData(&none, ".version 99.0\n.target sm_90\n.address_size 64\n"),
            CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  const unsigned char cubin[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
  EXPECT_EQ(cuModuleLoadData(&none, cubin), CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_EQ(cuModuleLoad(&none, "/no/such/file.ptx"), CUDA_ERROR_FILE_NOT_FOUND);
}

TEST_F(Modules, SayWhyInTheLog) {
  char log[256] = "unchanged";
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  CUmodule none = nullptr;
  EXPECT_EQ(cuModuleLoadDataEx(&none, ".version 8.0\n.target sm_90a\n.address_size 64\n.entry k() {\n  frob.u32;\n}\n",
                               2, options, values),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(std::strstr(log, "line 5"), nullptr) << log;
  EXPECT_NE(std::strstr(log, "frob"), nullptr) << log;
  EXPECT_EQ(reinterpret_cast<size_t>(values[1]), std::strlen(log));
}

TEST_F(Modules, LoadFromFiles) {
  const std::string path = testing::TempDir() + "elah_modules_test.ptx";
  std::ofstream(path) << kernelsPtx;
  CUmodule loaded = nullptr;
  EXPECT_CUDA(cuModuleLoad(&loaded, path.c_str()));
  CUfunction add = nullptr;
  EXPECT_CUDA(cuModuleGetFunction(&add, loaded, "add"));
  // A fatbin that ends early.
  std::ofstream(path, std::ios::binary) << std::string(
      "\x50\xed\x55\xba\x01\x00\x10\x00\xff\xff\x00\x00\x00\x00\x00\x00", 16);
  EXPECT_EQ(cuModuleLoad(&loaded, path.c_str()), CUDA_ERROR_NO_BINARY_FOR_GPU);
  std::remove(path.c_str());
}

TEST_F(Modules, LibrariesLoadForEachContext) {
  CUlibrary library = nullptr;
  ASSERT_CUDA(cuLibraryLoadData(&library, kernelsPtx, nullptr, nullptr, 0, nullptr, nullptr, 0));
  CUkernel fill = nullptr;
  ASSERT_CUDA(cuLibraryGetKernel(&fill, library, "fill"));
  const char *name = nullptr;
  EXPECT_CUDA(cuKernelGetName(&name, fill));
  EXPECT_STREQ(name, "fill");
  // A kernel is launched in place of a function.
  const CUdeviceptr a = upload(std::vector<uint32_t>(32));
  EXPECT_CUDA(launch(reinterpret_cast<CUfunction>(fill), 1, 32, nullptr, a, 6u, 32u));
  EXPECT_EQ(download<uint32_t>(a, 32), std::vector<uint32_t>(32, 6));
  CUfunction function = nullptr;
  EXPECT_CUDA(cuKernelGetFunction(&function, fill));
  EXPECT_CUDA(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100000, fill, device));
  int bytes = 0;
  EXPECT_CUDA(cuFuncGetAttribute(&bytes, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, function));
  EXPECT_EQ(bytes, 100000);
  CUdeviceptr counter = 0;
  EXPECT_CUDA(cuLibraryGetGlobal(&counter, nullptr, library, "counter"));
  EXPECT_EQ(download<uint32_t>(counter, 1)[0], 7u);
  unsigned count = 0;
  EXPECT_CUDA(cuLibraryGetKernelCount(&count, library));
  EXPECT_GE(count, 10u);
  CUmodule part = nullptr;
  EXPECT_CUDA(cuLibraryGetModule(&part, library));
  EXPECT_EQ(cuModuleUnload(part), CUDA_ERROR_NOT_PERMITTED);
  EXPECT_CUDA(cuLibraryUnload(library));
  EXPECT_EQ(cuLibraryGetKernel(&fill, library, "fill"), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Modules, OneInputLinks) {
  CUlinkState state = nullptr;
  ASSERT_CUDA(cuLinkCreate_v2(0, nullptr, nullptr, &state));
  EXPECT_CUDA(cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, const_cast<char *>(kernelsPtx), std::strlen(kernelsPtx) + 1,
                               "kernels", 0, nullptr, nullptr));
  void *image = nullptr;
  size_t bytes = 0;
  EXPECT_CUDA(cuLinkComplete(state, &image, &bytes));
  CUmodule linked = nullptr;
  EXPECT_CUDA(cuModuleLoadData(&linked, image));
  EXPECT_CUDA(cuLinkDestroy(state));
}

TEST_F(Modules, FunctionsSayWhatTheyNeed) {
  CUfunction shared = kernel("shared"), many = kernel("many");
  auto attribute = [](CUfunction function, CUfunction_attribute which) {
    int value = -1;
    EXPECT_CUDA(cuFuncGetAttribute(&value, which, function));
    return value;
  };
  EXPECT_EQ(attribute(shared, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK), 1024);
  EXPECT_EQ(attribute(shared, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES), 0);
  EXPECT_EQ(attribute(shared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES), 49152);
  EXPECT_EQ(attribute(shared, CU_FUNC_ATTRIBUTE_PTX_VERSION), 87);
  EXPECT_EQ(attribute(shared, CU_FUNC_ATTRIBUTE_BINARY_VERSION), 90);
  EXPECT_GT(attribute(shared, CU_FUNC_ATTRIBUTE_NUM_REGS), 0);
  EXPECT_EQ(cuFuncSetAttribute(shared, CU_FUNC_ATTRIBUTE_NUM_REGS, 3), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuFuncSetAttribute(shared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 300000),
            CUDA_ERROR_INVALID_VALUE);
  const size_t offsets[] = {0, 2, 4, 8, 16}, sizes[] = {1, 2, 4, 8, 8};
  for (size_t i = 0; i < 5; ++i) {
    size_t offset = 0, size = 0;
    EXPECT_CUDA(cuFuncGetParamInfo(many, i, &offset, &size));
    EXPECT_EQ(offset, offsets[i]);
    EXPECT_EQ(size, sizes[i]);
  }
  size_t offset = 0;
  EXPECT_EQ(cuFuncGetParamInfo(many, 5, &offset, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Modules, OccupancyFollowsSharedMemory) {
  CUfunction shared = kernel("shared");
  int blocks = 0;
  EXPECT_CUDA(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, shared, 128, 0));
  EXPECT_EQ(blocks, 16);
  EXPECT_CUDA(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, shared, 128, 100 << 10));
  EXPECT_EQ(blocks, 2);
  int grid = 0, block = 0;
  EXPECT_CUDA(cuOccupancyMaxPotentialBlockSize(&grid, &block, shared, nullptr, 0, 0));
  EXPECT_EQ(block, 1024);
  EXPECT_EQ(grid, 2 * 132);
  size_t bytes = 0;
  EXPECT_CUDA(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, shared, 2, 128));
  EXPECT_GT(bytes, 100u << 10);
  EXPECT_LT(bytes, 116u << 10);
  EXPECT_CUDA(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, shared, 128, bytes));
  EXPECT_EQ(blocks, 2);
  CUlaunchAttribute cluster{};
  cluster.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  cluster.value.clusterDim = {4, 1, 1};
  CUlaunchConfig config{64, 1, 1, 1024, 1, 1, 0, nullptr, &cluster, 1};
  int clusters = 0;
  EXPECT_CUDA(cuOccupancyMaxActiveClusters(&clusters, shared, &config));
  EXPECT_EQ(clusters, 66);
  EXPECT_CUDA(cuOccupancyMaxPotentialClusterSize(&clusters, shared, &config));
  EXPECT_EQ(clusters, 8);
}

} // namespace
} // namespace emulator::cuda
