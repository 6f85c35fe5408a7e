// The exec dialect's program as the runtime reads it: symbols become indices, attributes become
// messages, and nothing is decided here.
#include "codegen/Artifact/Manifest.h"
#include "codegen/Artifact/Recipe.h"
#include "dialects/Exec/Exec.h"
#include "elah/artifact.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/MathExtras.h"
#include <map>

using namespace mlir;

namespace elah {
namespace {

/// Modules are loaded where they are mapped.
uint64_t alignModule(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

class ManifestBuilder {
public:
  ManifestBuilder(ModuleOp module, const CpuTarget &target, const llvm::StringMap<uint64_t> &scratchBytes,
                  const CudaCode *cuda)
      : module(module), target(target), scratchBytes(scratchBytes), cuda(cuda) {}

  proto::Manifest build() {
    describeTarget();
    collectShards();
    module.walk([&](exec::WeightOp weight) { addWeight(weight); });
    if (auto graphs = module.getOps<exec::GraphOp>(); !graphs.empty()) {
      describeGraph(*graphs.begin());
      return std::move(manifest);
    }
    describeModel();
    if (cuda) {
      addCudaKernels();
    } else {
      module.walk([&](exec::KernelOp kernel) { addKernel(kernel); });
    }
    exec::ProgramOp program = *module.getOps<exec::ProgramOp>().begin();
    if (ArrayAttr arena = program.getArenaAttr()) {
      for (Attribute sizes : arena) {
        proto::Slot *slot = manifest.add_slots();
        for (Attribute size : cast<ArrayAttr>(sizes)) {
          setExtent(*slot->add_sizes(), cast<exec::ExtentAttr>(size));
        }
      }
    }
    for (Operation &op : program.getBody().front()) {
      if (auto launch = dyn_cast<exec::LaunchOp>(op)) {
        addLaunch(launch);
      } else if (auto result = dyn_cast<exec::ReturnOp>(op)) {
        manifest.set_logits(bufferOf(result.getLogits()));
      }
    }
    return std::move(manifest);
  }

private:
  int64_t integer(StringRef name) const {
    auto attribute = module->getAttrOfType<IntegerAttr>(name);
    return attribute ? attribute.getInt() : 0;
  }

  void describeTarget() {
    if (auto architecture = module->getAttrOfType<StringAttr>("r1.architecture")) {
      manifest.set_architecture(architecture.getValue().str());
    }
    if (cuda) {
      manifest.set_target("cuda");
      manifest.set_device(std::string(cuda->target->name));
      manifest.set_compute_capability(cuda->target->computeCapability);
      for (int64_t tokens : cuda->buckets) {
        manifest.add_buckets(static_cast<uint32_t>(tokens));
      }
      return;
    }
    manifest.set_target("cpu");
    manifest.set_cpu(target.name);
    for (const std::string &flag : target.requiredFlags) {
      manifest.add_cpu_features(flag);
    }
  }

  void describeGraph(exec::GraphOp graph) {
    auto function = cast<FunctionOpInterface>(module.lookupSymbol(graph.getFunction()));
    manifest.mutable_graph()->set_symbol(graph.getSymName().str());
    for (auto [index, type] : llvm::enumerate(function.getArgumentTypes())) {
      setPort(*manifest.mutable_graph()->add_inputs(), cast<RankedTensorType>(type),
              function.getArgAttrOfType<StringAttr>(index, "r1.name"),
              function.getArgAttrOfType<ArrayAttr>(index, "r1.dims"));
    }
    for (auto [index, type] : llvm::enumerate(function.getResultTypes())) {
      setPort(*manifest.mutable_graph()->add_outputs(), cast<RankedTensorType>(type),
              function.getResultAttrOfType<StringAttr>(index, "r1.name"),
              function.getResultAttrOfType<ArrayAttr>(index, "r1.dims"));
    }
  }

  static void setPort(proto::Port &port, RankedTensorType type, StringAttr name, ArrayAttr dims) {
    port.set_name(name.getValue().str());
    port.set_type(elementType(type.getElementType()));
    for (int64_t axis = 0; axis < type.getRank(); ++axis) {
      proto::Dimension *dim = port.add_dims();
      dim->set_size(type.isDynamicDim(axis) ? -1 : type.getDimSize(axis));
      if (dims && static_cast<int64_t>(dims.size()) > axis) {
        dim->set_symbol(cast<StringAttr>(dims[axis]).getValue().str());
      }
    }
  }

  static proto::ElementType elementType(Type type) {
    if (type.isF32()) {
      return proto::ELEMENT_TYPE_F32;
    }
    if (type.isF64()) {
      return proto::ELEMENT_TYPE_F64;
    }
    if (type.isF16()) {
      return proto::ELEMENT_TYPE_F16;
    }
    if (type.isBF16()) {
      return proto::ELEMENT_TYPE_BF16;
    }
    if (isa<Float8E4M3FNType>(type)) {
      return proto::ELEMENT_TYPE_F8E4M3;
    }
    bool isUnsigned = type.isUnsignedInteger();
    switch (type.getIntOrFloatBitWidth()) {
    case 1:
      return proto::ELEMENT_TYPE_BOOL;
    case 8:
      return isUnsigned ? proto::ELEMENT_TYPE_U8 : proto::ELEMENT_TYPE_I8;
    case 16:
      return isUnsigned ? proto::ELEMENT_TYPE_U16 : proto::ELEMENT_TYPE_I16;
    case 32:
      return isUnsigned ? proto::ELEMENT_TYPE_U32 : proto::ELEMENT_TYPE_I32;
    case 64:
      return isUnsigned ? proto::ELEMENT_TYPE_U64 : proto::ELEMENT_TYPE_I64;
    }
    llvm_unreachable("a graph's tensors are of types that the emitter knows");
  }

  void describeModel() {
    ArrayRef<int64_t> limits = module->getAttrOfType<DenseI64ArrayAttr>("exec.limits").asArrayRef();
    manifest.mutable_limits()->set_max_context(limits[0]);
    manifest.mutable_limits()->set_max_sequences(limits[1]);
    manifest.mutable_limits()->set_max_tokens(limits[2]);
    if (cuda) {
      // A prompt's rows of logits would take gibibytes of a device: as many as 256 MiB hold, and one for each sequence.
      int64_t rows = std::max<int64_t>(limits[1], (int64_t(256) << 20) / (4 * integer("r1.vocabulary")));
      manifest.mutable_limits()->set_max_logit_rows(static_cast<uint32_t>(std::min(rows, limits[2])));
    }
    ArrayRef<int64_t> cache = module->getAttrOfType<DenseI64ArrayAttr>("exec.cache").asArrayRef();
    manifest.mutable_cache()->set_layers(cache[0]);
    manifest.mutable_cache()->set_page_tokens(cache[1]);
    for (int64_t bytes : cache.drop_front(2)) {
      manifest.mutable_cache()->add_pool_row_bytes(bytes);
    }
    manifest.set_vocabulary(integer("r1.vocabulary"));
    if (auto eos = module->getAttrOfType<DenseI64ArrayAttr>("r1.eos_tokens")) {
      for (int64_t token : eos.asArrayRef()) {
        manifest.add_eos_tokens(token);
      }
    }
    manifest.set_bos_token(static_cast<uint32_t>(std::max<int64_t>(integer("r1.bos_token"), 0)));
    manifest.set_parameters(integer("r1.parameters"));
    manifest.set_active_weight_bytes(integer("exec.active_weight_bytes"));
    manifest.set_flops_per_token(integer("exec.flops_per_token"));
  }

  /// Shards in the order of their names, whatever order the weights have.
  void collectShards() {
    module.walk([&](exec::WeightOp op) {
      for (r1::WeightAttr weight : op.getRecipe().getWeights()) {
        shardIndex[weight.getFile().getValue().str()] = 0;
        if (r1::WeightAttr scales = weight.getScales()) {
          shardIndex[scales.getFile().getValue().str()] = 0;
        }
        if (r1::WeightAttr zeros = weight.getZeros()) {
          shardIndex[zeros.getFile().getValue().str()] = 0;
        }
      }
    });
    for (auto &[name, index] : shardIndex) {
      index = manifest.shards_size();
      manifest.add_shards()->set_name(name);
    }
  }

  void addWeight(exec::WeightOp op) {
    weightIndex[op.getSymNameAttr()] = manifest.weights_size();
    proto::Weight *weight = manifest.add_weights();
    weight->set_name(op.getRecipe().getWeights().front().getName().getValue().str());
    // The processor prefetches by pages: a stream whose steps lie across their borders is up to a seventh slower.
    uint64_t cpuAlignment = op.getBytes() >= ELAH_ARTIFACT_PAGE ? ELAH_ARTIFACT_PAGE : 64;
    nextWeight = llvm::alignTo(nextWeight, cuda ? 256 : cpuAlignment);
    weight->set_offset(nextWeight);
    weight->set_size(op.getBytes());
    *weight->mutable_recipe() =
        describeRecipe(op.getRecipe(), [&](StringRef file) { return shardIndex.at(file.str()); });
    nextWeight += op.getBytes();
  }

  void addKernel(exec::KernelOp op) {
    kernelIndex[op.getSymNameAttr()] = manifest.kernels_size();
    proto::Kernel *kernel = manifest.add_kernels();
    kernel->set_symbol(op.getSymName().str());
    kernel->set_scratch_bytes(scratchBytes.lookup(op.getSymName()));
    StringRef family = op.getKernel()->getName().stripDialect();
    kernel->set_family(family.str());
  }

  void addCudaKernels() {
    module.walk([&](exec::KernelOp kernel) {
      operationIndex[kernel.getSymNameAttr()] = manifest.operations_size();
      llvm::raw_string_ostream stream(*manifest.add_operations());
      kernel.print(stream);
    });
    uint64_t offset = 0;
    for (auto [spec, compiled] : llvm::zip_equal(cuda->specs, cuda->compiled)) {
      proto::Kernel *kernel = manifest.add_kernels();
      kernel->set_symbol(spec.symbol);
      kernel->set_family(spec.family);
      proto::CudaKernel &code = *kernel->mutable_cuda();
      code.set_cubin_offset(offset);
      code.set_cubin_size(compiled.cubin.size());
      offset += alignModule(compiled.cubin.size());
      code.set_ptx_offset(offset);
      code.set_ptx_size(compiled.ptx.size());
      offset += alignModule(compiled.ptx.size());
      code.set_threads(spec.threads);
      code.set_cluster(spec.cluster);
      code.set_shared_bytes(spec.sharedBytes);
      setExtent(*code.mutable_scratch_bytes(), spec.scratchBytes);
      code.set_uses_scratch(spec.usesScratch());
      code.set_registers(compiled.registers);
      code.set_static_shared_bytes(compiled.staticSharedBytes);
      code.set_schedule(spec.schedule);
      code.set_predicted_us(static_cast<float>(spec.seconds * 1e6));
      for (const cuda::TensorMap &map : spec.maps) {
        proto::TensorMap &stored = *code.add_maps();
        stored.set_operand(map.operand);
        stored.set_byte_offset(map.byteOffset);
        stored.set_element(static_cast<proto::MapElement>(map.element));
        for (const cuda::Extent &size : map.sizes) {
          setExtent(*stored.add_sizes(), size);
        }
        stored.mutable_strides()->Assign(map.strides.begin(), map.strides.end());
        stored.mutable_box()->Assign(map.box.begin(), map.box.end());
        stored.set_swizzle(static_cast<proto::MapSwizzle>(map.swizzle));
      }
    }
  }

  /// What a launch runs in each bucket; neighbours that run the same are one variant.
  void addVariants(proto::Launch &launch, const std::vector<std::vector<size_t>> &steps) {
    for (size_t bucket = 0; bucket < steps.size(); ++bucket) {
      if (bucket + 1 < steps.size() && steps[bucket + 1] == steps[bucket]) {
        continue;
      }
      proto::Variant *variant = launch.add_variants();
      variant->set_max_tokens(static_cast<uint32_t>(cuda->buckets[bucket]));
      for (size_t index : steps[bucket]) {
        const cuda::KernelGrid &grid = cuda->specs[index].grid;
        proto::Step *step = variant->add_steps();
        step->set_kernel(static_cast<uint32_t>(index));
        step->mutable_grid()->set_outer(static_cast<uint64_t>(grid.outer));
        step->mutable_grid()->set_row_tile(static_cast<uint64_t>(grid.rowTile));
        step->mutable_grid()->set_max_blocks(static_cast<uint64_t>(grid.maxBlocks));
        setExtent(*step->mutable_grid()->mutable_rows(), grid.rows);
      }
    }
  }

  static void setExtent(proto::Extent &extent, const cuda::Extent &value) {
    extent.set_constant(value.constant);
    size_t count = value.coefficients.size();
    for (; count > 0 && value.coefficients[count - 1] == 0; --count) {
    }
    extent.mutable_coefficients()->Assign(value.coefficients.begin(),
                                          value.coefficients.begin() + static_cast<ptrdiff_t>(count));
  }

  void addLaunch(exec::LaunchOp op) {
    proto::Launch *launch = manifest.add_launches();
    for (Value buffer : op.getBuffers()) {
      launch->add_buffers(bufferOf(buffer));
    }
    if (cuda) {
      launch->set_operation(operationIndex.lookup(op.getKernelAttr().getAttr()));
      addVariants(*launch, cuda->steps.at(op.getKernel().str()));
      addProbes(op);
    } else {
      launch->set_kernel(kernelIndex.lookup(op.getKernelAttr().getAttr()));
      launch->mutable_grid()->set_outer(op.getOuter());
      launch->mutable_grid()->set_row_tile(op.getRowTile());
      setExtent(*launch->mutable_grid()->mutable_rows(), op.getRows());
    }
    if (auto name = op.getLoc()->findInstanceOf<NameLoc>()) {
      launch->set_name(name.getName().getValue().str());
    }
  }

  /// Probes of what a launch has written, as far as it is whole rows of the arena, a row for each token or each row of
  /// logits: rows in the order of experts move when a token chooses others, and are seen where they are combined.
  void addProbes(exec::LaunchOp op) {
    auto kernel = cast<exec::KernelOp>(SymbolTable::lookupNearestSymbolFrom(op, op.getKernelAttr()));
    Operation *body = kernel.getKernel();
    if (isa<kernel::DispatchOp, kernel::GroupedGemmOp, kernel::ExpertPlanOp, kernel::LatentAppendOp>(body)) {
      return;
    }
    if (auto heads = dyn_cast<kernel::HeadGemmOp>(body);
        heads && static_cast<int64_t>(heads.getOutputStride()) != heads.getPacking().getColumns()) {
      return; // The rest of each head's values is another launch's.
    }
    unsigned inputs = cast<kernel::KernelOpInterface>(body).getInputCount();
    bool isQuantized = false;
    for (unsigned i = inputs; i < op.getBuffers().size(); ++i) {
      auto type = cast<MemRefType>(op.getBuffers()[i].getType());
      bool areScales = isQuantized && type.getElementType().isF32(); // Padded; seen by what reads the rows.
      isQuantized = isa<Float8E4M3FNType>(type.getElementType());
      bool isProbed = type.getElementType().isF32() || type.getElementType().isBF16() || isQuantized;
      SmallVector<int64_t> strides;
      int64_t offset = 0;
      if (!isProbed || areScales || type.getRank() != 2 || failed(type.getStridesAndOffset(strides, offset)) ||
          ShapedType::isDynamic(strides[0]) || manifest.buffers(bufferOf(op.getBuffers()[i])).has_cache()) {
        continue;
      }
      proto::Probe *probe = manifest.add_probes();
      probe->set_launch(manifest.launches_size() - 1);
      probe->set_operand(i);
      probe->set_type(elementType(type.getElementType()));
      setExtent(*probe->mutable_rows(), cast<exec::ExtentAttr>(kernel.getRows()[i]));
      probe->set_columns(type.getDimSize(1));
      probe->set_row_bytes(strides[0] * type.getElementTypeBitWidth() / 8);
      auto product = dyn_cast<kernel::GemmOp>(body);
      probe->set_restores(isa<kernel::EmbedOp, kernel::CombineOp>(body) || (product && product.getAccumulate()));
      probe->set_chooses(isa<kernel::RouteOp>(body));
    }
  }

  static void setExtent(proto::Extent &extent, exec::ExtentAttr attribute) {
    extent.set_constant(attribute.getConstant());
    for (int64_t coefficient : attribute.getCoefficients().asArrayRef()) {
      extent.add_coefficients(coefficient);
    }
  }

  uint32_t bufferOf(Value value) {
    auto [entry, isNew] = bufferIndex.try_emplace(value, manifest.buffers_size());
    if (!isNew) {
      return entry->second;
    }
    proto::Buffer buffer;
    Operation *op = value.getDefiningOp();
    if (auto view = dyn_cast<exec::ViewOp>(op)) {
      buffer = manifest.buffers(static_cast<int>(bufferOf(view.getSource())));
      uint64_t elementBytes = cast<MemRefType>(value.getType()).getElementTypeBitWidth() / 8;
      buffer.set_byte_offset(buffer.byte_offset() + view.getColumn() * elementBytes);
    } else if (auto weight = dyn_cast<exec::WeightRefOp>(op)) {
      buffer.set_weight(weightIndex.lookup(weight.getWeightAttr().getAttr()));
    } else if (auto input = dyn_cast<exec::InputOp>(op)) {
      buffer.set_input(static_cast<proto::Input>(input.getInput()));
    } else if (auto cache = dyn_cast<exec::CacheOp>(op)) {
      buffer.mutable_cache()->set_pool(cache.getPool());
      buffer.mutable_cache()->set_layer(cache.getLayer());
    } else {
      buffer.set_slot(*cast<exec::AllocOp>(op).getSlot());
    }
    uint32_t index = manifest.buffers_size();
    *manifest.add_buffers() = buffer;
    bufferIndex[value] = index;
    return index;
  }

  ModuleOp module;
  const CpuTarget &target;
  const llvm::StringMap<uint64_t> &scratchBytes;
  const CudaCode *cuda;
  proto::Manifest manifest;
  uint64_t nextWeight = 0;
  std::map<std::string, uint32_t> shardIndex;
  llvm::DenseMap<StringAttr, uint32_t> weightIndex, kernelIndex, operationIndex;
  llvm::DenseMap<Value, uint32_t> bufferIndex;
};

} // namespace

proto::Manifest buildManifest(ModuleOp module, const CpuTarget &target, const llvm::StringMap<uint64_t> &scratchBytes,
                              const CudaCode *cuda) {
  return ManifestBuilder(module, target, scratchBytes, cuda).build();
}

std::string cudaModules(const CudaCode &cuda) {
  std::string bytes;
  for (const cuda::CompiledKernel &kernel : cuda.compiled) {
    for (const std::string *module : {&kernel.cubin, &kernel.ptx}) {
      bytes += *module;
      bytes.resize(alignModule(bytes.size()));
    }
  }
  return bytes;
}

uint64_t weightsSectionSize(const proto::Manifest &manifest) {
  if (manifest.weights_size() == 0) {
    return 0;
  }
  const proto::Weight &last = manifest.weights(manifest.weights_size() - 1);
  return (last.offset() + last.size() + 63) / 64 * 64;
}

} // namespace elah
