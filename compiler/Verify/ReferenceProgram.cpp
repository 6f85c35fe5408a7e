// The same program once more, slowly: kernels that are right one by one could still be launched in the wrong order, on
// the wrong buffers, or on memory that another still needs.
#include "compiler/Verify/ReferenceProgram.h"
#include "compiler/Verify/ManifestOperations.h"
#include "llvm/ADT/STLExtras.h"
#include <numeric>

using namespace mlir;

namespace elah {
llvm::Expected<ReferenceProgram> ReferenceProgram::create(const ArtifactFile &artifact, MLIRContext &context) {
  ReferenceProgram program(artifact);
  const proto::Manifest &manifest = artifact.manifest;
  for (int index = 0; index < manifest.operations_size(); ++index) {
    auto module = parseOperation(manifest, static_cast<uint32_t>(index), context);
    if (!module) {
      return module.takeError();
    }
    program.operations.push_back(std::move(*module));
  }
  const int64_t pageTokens = manifest.cache().page_tokens();
  const int64_t pages = (manifest.limits().max_context() - 1) / pageTokens + 1;
  program.dims = {0, 1, 1, pages * pageTokens, pages};
  program.slots.resize(static_cast<size_t>(manifest.slots_size()));
  for (uint32_t rowBytes : manifest.cache().pool_row_bytes()) {
    program.pools.emplace_back(static_cast<size_t>(rowBytes) * manifest.cache().layers() * program.dims[3]);
  }
  return program;
}

std::span<uint8_t> ReferenceProgram::memoryOf(const proto::Buffer &buffer) {
  std::span<uint8_t> memory;
  switch (buffer.place_case()) {
  case proto::Buffer::kWeight: {
    const proto::Weight &weight = manifest->weights(static_cast<int>(buffer.weight()));
    llvm::StringRef bytes = artifact->section(ELAH_SECTION_WEIGHTS).substr(weight.offset(), weight.size());
    // Operations only read them.
    memory = {const_cast<uint8_t *>(bytes.bytes_begin()), bytes.size()};
    break;
  }
  case proto::Buffer::kSlot:
    memory = slots[buffer.slot()];
    break;
  case proto::Buffer::kInput: {
    std::vector<int32_t> &input = inputs[buffer.input()];
    memory = {reinterpret_cast<uint8_t *>(input.data()), input.size() * sizeof(int32_t)};
    break;
  }
  case proto::Buffer::kCache: {
    std::vector<uint8_t> &pool = pools[buffer.cache().pool()];
    size_t layer = pool.size() / manifest->cache().layers();
    memory = std::span<uint8_t>(pool).subspan(buffer.cache().layer() * layer, layer);
    break;
  }
  case proto::Buffer::PLACE_NOT_SET:
    break;
  }
  return memory.subspan(buffer.byte_offset());
}

bool ReferenceProgram::isWeight(const proto::Launch &launch, unsigned operand) const {
  return manifest->buffers(static_cast<int>(launch.buffers(static_cast<int>(operand)))).has_weight();
}

llvm::Expected<std::vector<float>> ReferenceProgram::step(llvm::ArrayRef<uint32_t> tokens, Around around) {
  const auto count = static_cast<int32_t>(tokens.size());
  dims[0] = count;
  std::vector<int32_t> places(tokens.size()), pages(static_cast<size_t>(dims[4]));
  std::iota(places.begin(), places.end(), static_cast<int32_t>(length));
  std::iota(pages.begin(), pages.end(), 0);
  length += count;
  inputs[proto::INPUT_TOKEN_IDS].assign(tokens.begin(), tokens.end());
  inputs[proto::INPUT_POSITIONS] = inputs[proto::INPUT_CACHE_ROWS] = places;
  inputs[proto::INPUT_TOKEN_SEQUENCE].assign(tokens.size(), 0);
  inputs[proto::INPUT_SEQUENCE_STARTS] = {0, count};
  inputs[proto::INPUT_CONTEXT_LENGTHS] = {static_cast<int32_t>(length)};
  inputs[proto::INPUT_PAGE_TABLE] = pages;
  inputs[proto::INPUT_LOGIT_TOKENS] = {count - 1};
  // Kernels of a bucket may read all of its rows.
  std::array<int64_t, 5> bucket = dims;
  bucket[0] = *llvm::find_if(manifest->buckets(), [&](int64_t served) { return served >= count; });
  bucket[1] = std::min<int64_t>(bucket[0], manifest->limits().max_sequences());
  bucket[2] = std::min<int64_t>(bucket[0], manifest->limits().max_logit_rows() ? manifest->limits().max_logit_rows()
                                                                               : manifest->limits().max_tokens());
  for (std::vector<int32_t> &input : inputs) {
    input.resize(std::max(input.size(), static_cast<size_t>(bucket[0] + 1)));
  }
  inputs[proto::INPUT_PAGE_TABLE].resize(static_cast<size_t>(bucket[1] * bucket[4]));
  for (auto [slot, described] : llvm::zip_equal(slots, manifest->slots())) {
    int64_t bytes = 0;
    for (const proto::Extent &size : described.sizes()) {
      bytes = std::max(bytes, extentOf(size).evaluate(bucket));
    }
    slot.resize(static_cast<size_t>(bytes));
  }
  for (const proto::Launch &launch : manifest->launches()) {
    exec::KernelOp kernel = kernelOf(*operations[launch.operation()]);
    Operation *op = kernel.getKernel();
    SmallVector<KernelOperand> operands;
    for (auto [value, buffer] : llvm::zip_equal(op->getOperands(), launch.buffers())) {
      operands.push_back({cast<MemRefType>(value.getType()), memoryOf(manifest->buffers(static_cast<int>(buffer)))});
    }
    auto evaluate = [&] { return evaluateKernel(op, operands, dims); };
    if (llvm::Error error = around({launch, kernel, operands, bucket, dims, evaluate})) {
      return error;
    }
  }
  std::span<uint8_t> logits = memoryOf(manifest->buffers(static_cast<int>(manifest->logits())));
  std::vector<float> values(manifest->vocabulary());
  std::memcpy(values.data(), logits.data(), values.size() * sizeof(float));
  return values;
}

bool ReferenceProgram::quantizesCache() const {
  return llvm::any_of(operations, [](const OwningOpRef<ModuleOp> &module) {
    bool isFp8 = false;
    ModuleOp(*module).walk([&](kernel::LatentAppendOp append) { isFp8 |= append.getFp8Row().has_value(); });
    return isFp8;
  });
}

} // namespace elah
