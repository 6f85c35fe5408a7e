#include "artifact_fixture.h"
#include "dialects/Exec/Exec.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace elah {
namespace {

std::string typeName(const proto::Source &source) {
  static const char *const names[] = {"f32", "bf16", "f16", "f8E4M3FN"};
  std::string text = "tensor<";
  for (uint64_t size : source.shape()) {
    text += std::to_string(size) + "x";
  }
  text += names[source.format()];
  if (source.has_scales()) {
    text += llvm::formatv(", #r1.blocks<{0}, {1}>", source.scales().rows(), source.scales().columns()).str();
  }
  return text + ">";
}

/// The attribute of a tensor in the shards.
std::string weightName(const std::string &name, const proto::Source &source) {
  uint64_t size = bytesOf(source.format(), 1);
  for (uint64_t dim : source.shape()) {
    size *= dim;
  }
  std::string scales;
  if (source.has_scales()) {
    proto::Source scale;
    scale.set_shard(source.scales().shard());
    scale.set_offset(source.scales().offset());
    scale.add_shape((source.shape(0) + source.scales().rows() - 1) / source.scales().rows());
    scale.add_shape((source.shape(1) + source.scales().columns() - 1) / source.scales().columns());
    scales = " scaled_by " + weightName(name + "_scale_inv", scale).substr(std::strlen("#r1.weight"));
  }
  return llvm::formatv("#r1.weight<\"{0}\" in \"{1}\" at {2} size {3} : {4}{5}>", name,
                       ShardFolder::nameOf(source.shard()), source.offset(), size, typeName(source), scales)
      .str();
}

constexpr const char *moduleText = R"(
module attributes {{r1.architecture = "TestForCausalLM", r1.vocabulary = 48 : i64, r1.bos_token = 7 : i64,
    r1.eos_tokens = array<i64: 3, 5>, r1.parameters = 12345 : i64, exec.cache = array<i64: 2, 32, 256, 128>,
    exec.limits = array<i64: 64, 4, 16>, exec.active_weight_bytes = 4242 : i64, exec.flops_per_token = 99 : i64} {{
  exec.weight @norm <kind = vector, sources = [{0}, {1}]> bytes 424
  exec.weight @head <kind = panels, sources = [{2}], packing = #kernel.packing<bf16, n = 48, k = 37, panel = 16,
    step = 2, batch = 1, swiglu = false, blocks = 0 x 0>> bytes 3648
  exec.weight @table <kind = table, sources = [{3}]> bytes 6000
  exec.weight @experts <kind = panels, sources = [{4}, {5}], packing = #kernel.packing<f8, n = 18, k = 21, panel = 16,
    step = 4, batch = 1, swiglu = true, blocks = 16 x 16>> bytes 768
  exec.weight @scales <kind = scales, sources = [{4}, {5}]> bytes 16
  exec.weight @heads <kind = head_panels, sources = [{6}], packing = #kernel.packing<f32, n = 5, k = 7, panel = 8,
    step = 1, batch = 2, swiglu = false, blocks = 0 x 0>, headStride = 6, headFirst = 1, transposed = false> bytes 512
  exec.weight @large <kind = table, sources = [{7}]> bytes 6400000
  exec.kernel @hash_weight(%a: memref<?x37xbf16>, %w: memref<3648xi8>, %c: memref<?x48xf32>)
      rows [#exec.extent<logit_rows>, #exec.extent<3648>, #exec.extent<logit_rows>] {{
    kernel.gemm %a, %w to %c {{packing = #kernel.packing<bf16, n = 48, k = 37, panel = 16, step = 2, batch = 1,
      swiglu = false, blocks = 0 x 0>, compute = #kernel<compute bf16>, activation = #kernel<activation none>}
        : memref<?x37xbf16>, memref<3648xi8>, memref<?x48xf32>
  }
  exec.program @forward attributes {{arena = [[#exec.extent<74 * logit_rows>, #exec.extent<64>],
      [#exec.extent<192 * logit_rows>]]} {{
    %tokens = exec.input token_ids : memref<?xi32>
    %keys = exec.cache pool 1 layer 1 : memref<?x64xbf16>
    %w = exec.weight_ref @head : memref<3648xi8>
    %t = exec.weight_ref @table : memref<30x100xbf16>
    %a = exec.alloc rows <logit_rows> {{slot = 0} : memref<?x37xbf16>
    %c = exec.alloc rows <logit_rows> {{slot = 1} : memref<?x48xf32>
    %v = exec.view %t column 20 : memref<30x100xbf16> -> memref<30x40xbf16, strided<[100, 1], offset: ?>>
    exec.launch @hash_weight(%a, %w, %c) grid(3, <1>, 1) : memref<?x37xbf16>, memref<3648xi8>, memref<?x48xf32>
        loc("lm_head")
    exec.launch @hash_weight(%a, %w, %c) grid(3, <1>, 1) : memref<?x37xbf16>, memref<3648xi8>, memref<?x48xf32>
    exec.return %c : memref<?x48xf32>
  }
}
)";

} // namespace

std::string readFile(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string messageOf(llvm::Error error) { return error ? llvm::toString(std::move(error)) : ""; }

ArtifactFixture::ArtifactFixture() {
  context.loadDialect<r1::R1Dialect, kernel::KernelDialect, exec::ExecDialect>();
  std::vector<std::string> names;
  int index = 0;
  for (const proto::Source &source :
       {model.addTensor(proto::ELEMENT_FORMAT_BF16, {100}), model.addTensor(proto::ELEMENT_FORMAT_F32, {6}),
        model.addTensor(proto::ELEMENT_FORMAT_F32, {48, 37}), model.addTensor(proto::ELEMENT_FORMAT_BF16, {30, 100}),
        model.addScaled(9, 21, 16, 16), model.addScaled(9, 21, 16, 16),
        model.addTensor(proto::ELEMENT_FORMAT_BF16, {12, 7}),
        model.addTensor(proto::ELEMENT_FORMAT_BF16, {3'200, 1'000})}) {
    names.push_back(weightName("tensor." + std::to_string(index++), source));
  }
  model.write();
  std::ofstream(model.path / "config.json") << "{\"architectures\": []}";
  std::ofstream(model.path / "tokenizer.json") << "{\"model\": {}}";
  std::ofstream(model.path / "generation_config.json") << "{}";
  std::string text =
      llvm::formatv(moduleText, names[0], names[1], names[2], names[3], names[4], names[5], names[6], names[7]).str();
  context.disableMultithreading(); // tests fork
  module = parseSourceString<ModuleOp>(text, &context);
  if (!module) {
    ADD_FAILURE() << text;
  }
}

ArtifactContents ArtifactFixture::contents() {
  ArtifactContents contents;
  contents.module = *module;
  contents.object = readFile(ELAH_TEST_KERNELS);
  contents.scratchBytes["hash_weight"] = 4'096;
  contents.target.name = "x86-64-v3";
  contents.target.requiredFlags = {"avx2", "fma"};
  contents.modelFolder = model.path.string();
  contents.flags = {{"max-context", "64"}, {"cpu", "x86-64-v3"}};
  return contents;
}

std::string ArtifactFixture::write(WriteOptions options) {
  if (options.outputPath.empty()) {
    options.outputPath = outputPath().string();
  }
  std::string message = messageOf(writeArtifact(contents(), options));
  EXPECT_EQ(message, "");
  return readFile(options.outputPath);
}

std::string ArtifactFixture::write(WeightMode weights) {
  WriteOptions options;
  options.weights = weights;
  return write(std::move(options));
}

} // namespace elah
