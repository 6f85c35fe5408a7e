#include "tests/runtime/cuda/echo_cuda_model.h"
#include "codegen/Cuda/KernelCache.h"
#include "codegen/Cuda/Nvrtc.h"
#include <fstream>
#include <iterator>

using namespace elah;

namespace {

proto::Extent extent(int64_t constant, std::vector<int64_t> coefficients = {}) {
  proto::Extent result;
  result.set_constant(constant);
  result.mutable_coefficients()->Add(coefficients.begin(), coefficients.end());
  return result;
}

/// One module holds all kernels of the model.
std::optional<cuda::CompiledKernel> compile(std::string &error) {
  std::ifstream file(ELAH_ECHO_CUDA_KERNELS, std::ios::binary);
  std::string source{std::istreambuf_iterator<char>(file), {}};
  std::unique_ptr<cuda::Nvrtc> nvrtc = cuda::Nvrtc::open(error);
  if (!nvrtc) {
    return std::nullopt;
  }
  cuda::KernelCache cache(ELAH_TEST_KERNEL_CACHE);
  std::string key = cuda::KernelCache::keyOf(source, nvrtc->version(), cuda::LineInfo::With);
  std::optional<cuda::CompiledKernel> kernel = cache.find(key);
  if (!kernel) {
    cuda::Nvrtc::Outcome outcome = nvrtc->compile(source, "echo_kernels.cu", cuda::LineInfo::With);
    error = outcome.log;
    kernel = outcome.kernel;
    if (kernel) {
      cache.store(key, *kernel);
    }
  }
  return kernel;
}

} // namespace

SmallArtifact echoCudaModel(std::string &error) {
  std::optional<cuda::CompiledKernel> compiled = compile(error);
  SmallArtifact artifact = echoModel();
  if (!compiled) {
    return artifact;
  }
  error.clear();
  artifact.sections.erase(ELAH_SECTION_CPU_OBJECT);
  artifact.sections[ELAH_SECTION_CUDA_MODULES] = compiled->cubin + compiled->ptx;
  proto::Manifest &manifest = artifact.manifest;
  manifest.set_target("cuda");
  manifest.clear_cpu();
  manifest.set_device("h800");
  manifest.set_compute_capability(90);
  manifest.add_buckets(2);
  manifest.add_buckets(8);
  proto::Weight &bias = *manifest.mutable_weights(0);
  bias.set_offset(256);
  artifact.sections[ELAH_SECTION_WEIGHTS].insert(0, 256 - 64, '\0');

  manifest.clear_kernels();
  auto kernel = [&](const char *symbol, uint32_t threads) {
    proto::Kernel &entry = *manifest.add_kernels();
    entry.set_symbol(symbol);
    entry.set_family("echo");
    proto::CudaKernel &cuda = *entry.mutable_cuda();
    cuda.set_cubin_size(compiled->cubin.size());
    cuda.set_ptx_offset(compiled->cubin.size());
    cuda.set_ptx_size(compiled->ptx.size());
    cuda.set_threads(threads);
    cuda.set_cluster(1);
    return &cuda;
  };
  kernel("echo_remember", 32)->set_uses_scratch(true);
  proto::CudaKernel &think = *kernel("echo_think", 32);
  think.set_uses_scratch(true);
  *think.mutable_scratch_bytes() = extent(0, {0, 0, 32 * 4});
  proto::TensorMap &map = *kernel("echo_speak", 64)->add_maps();
  map.set_operand(1);
  map.set_element(proto::MAP_ELEMENT_F32);
  *map.add_sizes() = extent(262);
  map.add_box(64);
  kernel("echo_say", 128);
  kernel("echo_lean", 128);

  auto variant = [&](int launch, uint32_t maxTokens, std::vector<uint32_t> kernels, proto::Extent rows, uint64_t tile) {
    proto::Variant &entry = *manifest.mutable_launches(launch)->add_variants();
    entry.set_max_tokens(maxTokens);
    for (uint32_t kernel : kernels) {
      proto::Step &step = *entry.add_steps();
      step.set_kernel(kernel);
      step.mutable_grid()->set_outer(1);
      *step.mutable_grid()->mutable_rows() = rows;
      step.mutable_grid()->set_row_tile(tile);
    }
  };
  for (proto::Launch &launch : *manifest.mutable_launches()) {
    launch.clear_kernel();
    launch.clear_grid();
  }
  proto::Probe &probe = *manifest.add_probes(); // The logits.
  probe.set_launch(2);
  probe.set_operand(2);
  probe.set_type(proto::ELEMENT_TYPE_F32);
  *probe.mutable_rows() = extent(0, {0, 0, 1});
  probe.set_columns(262);
  probe.set_row_bytes(262 * 4);
  variant(0, 8, {0}, extent(0, {1}), 32);
  variant(1, 8, {1}, extent(0, {0, 0, 1}), 1);
  variant(2, 2, {2}, extent(0, {0, 0, 1}), 1);
  variant(2, 8, {3, 4}, extent(0, {0, 0, 1}), 1);
  return artifact;
}
