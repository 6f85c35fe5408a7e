// From an operation of the kernel dialect to the shape that a kernel family takes: what memrefs and attributes say
// becomes numbers, and the family chooses the schedule for the target and the bucket.
#include "codegen/Cuda/Specialize.h"
#include "codegen/Cuda/AttentionTime.h"
#include "codegen/Cuda/Bf16Gemm.h"
#include "codegen/Cuda/Combine.h"
#include "codegen/Cuda/Dispatch.h"
#include "codegen/Cuda/Embed.h"
#include "codegen/Cuda/ExpertPlan.h"
#include "codegen/Cuda/Fp8Gemm.h"
#include "codegen/Cuda/Generic.h"
#include "codegen/Cuda/GenericBody.h"
#include "codegen/Cuda/GroupedGemm.h"
#include "codegen/Cuda/LatentAppend.h"
#include "codegen/Cuda/Quantize.h"
#include "codegen/Cuda/RmsNorm.h"
#include "codegen/Cuda/RopeAppend.h"
#include "codegen/Cuda/RopeTable.h"
#include "codegen/Cuda/Route.h"
#include "codegen/Cuda/RowTime.h"
#include "dialects/Exec/Exec.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace elah {
namespace {

using Specs = llvm::Expected<std::vector<cuda::KernelSpec>>;

Type elementOf(Value buffer) { return cast<MemRefType>(buffer.getType()).getElementType(); }
int64_t widthOf(Value rows) { return cast<MemRefType>(rows.getType()).getDimSize(1); }

int64_t pitchOf(Value rows) { return kernel::pitchOf(cast<MemRefType>(rows.getType())); }

llvm::Error noKernel(Operation *op, const std::string &reason) {
  return llvm::createStringError(op->getName().getStringRef() + ": " + reason);
}

class Specializer {
public:
  Specializer(const CudaTarget &target, int64_t tokens) : target(target), tokens(tokens) {}

  Specs specialize(Operation *op) {
    Specs found = specsOf(op);
    if (found && found->front().seconds == 0) {
      found->front().seconds = cuda::predictRowSeconds(bytesOf(op), target);
    }
    return found;
  }

private:
  Specs specsOf(Operation *op) {
    return TypeSwitch<Operation *, Specs>(op)
        .Case<kernel::AttentionOp, kernel::CombineOp, kernel::DispatchOp, kernel::EmbedOp, kernel::ExpertPlanOp,
              kernel::GemmOp, kernel::GenericOp, kernel::GroupedGemmOp, kernel::HeadGemmOp, kernel::LatentAppendOp,
              kernel::LatentAttentionOp, kernel::QuantizeOp, kernel::RmsNormOp, kernel::RopeAppendOp,
              kernel::RopeTableOp, kernel::RouteOp>([&](auto known) { return specs(known); })
        .Default([](Operation *unknown) -> Specs {
          return noKernel(unknown, "there is no CUDA kernel that does what it says");
        });
  }

  //===--- Time ---===//
  /// What the program may be asked for: tokens that one can see, sequences, tokens of a step.
  static ArrayRef<int64_t> limitsOf(Operation *op) {
    return op->getParentOfType<ModuleOp>()->getAttrOfType<DenseI64ArrayAttr>("exec.limits").asArrayRef();
  }
  /// That a kernel of rows reads and writes: of tables and caches, a row a token.
  double bytesOf(Operation *op) const {
    const int64_t context = limitsOf(op)[0], sequences = std::min(tokens, limitsOf(op)[1]);
    const int64_t dims[] = {tokens, sequences, sequences, tokens, (context - 1) / 64 + 1};
    double bytes = 0;
    for (Value operand : op->getOperands()) {
      auto embed = dyn_cast<kernel::EmbedOp>(op);
      const int64_t rows = embed && operand == embed.getTable() ? tokens : exec::rowsOf(operand).evaluate(dims);
      const int64_t width = kernel::widthOf(cast<MemRefType>(operand.getType()));
      bytes += static_cast<double>(rows * width) * elementOf(operand).getIntOrFloatBitWidth() / 8;
    }
    return bytes;
  }
  /// A step that is taken for typical of its size: a token of each sequence, at the longest context, or a prompt.
  cuda::AttendedStep attendedStep(Operation *op) const {
    const int64_t context = limitsOf(op)[0], sequences = limitsOf(op)[1];
    return tokens <= sequences ? cuda::AttendedStep{tokens, 1, context}
                               : cuda::AttendedStep{1, tokens, std::min(tokens, context)};
  }
  static Specs taking(const cuda::AttentionSeconds &seconds, std::vector<cuda::KernelSpec> specs) {
    specs.front().seconds = seconds.attention;
    specs.back().seconds = seconds.combining;
    return specs;
  }
  static Specs taking(double seconds, std::vector<cuda::KernelSpec> specs) {
    specs.front().seconds = seconds;
    return specs;
  }

  //===--- Rows ---===//
  static cuda::RowElement rowElementOf(Value rows) {
    Type element = elementOf(rows);
    return element.isF32() ? cuda::RowElement::F32 : element.isBF16() ? cuda::RowElement::BF16 : cuda::RowElement::F16;
  }
  static bool isHalf(r1::RopeAttr rope) { return rope.getLayout() == r1::RopeLayout::Half; }
  /// Rows that lie one behind the other, which is how families write theirs.
  static bool isDense(Value rows) { return pitchOf(rows) == widthOf(rows); }

  Specs specs(kernel::EmbedOp op) {
    cuda::EmbedShape shape{rowElementOf(op.getTable()), widthOf(op.getTable())};
    return std::vector{cuda::specializeEmbed(shape, cuda::chooseRowSchedule(shape.units()))};
  }

  Specs specs(kernel::RmsNormOp op) {
    if (!isDense(op.getOutput()) || (op.getCopy() && !isDense(op.getCopy()))) {
      return noKernel(op, "expected an output of dense rows");
    }
    cuda::RmsNormShape shape;
    shape.input = rowElementOf(op.getInput());
    shape.width = widthOf(op.getInput());
    shape.inputPitch = pitchOf(op.getInput());
    shape.hasRows = op.getRows() != nullptr;
    shape.isQuantized = op.getOutputScales() != nullptr;
    if (!shape.isQuantized) {
      shape.output = rowElementOf(op.getOutput());
    }
    if (op.getCopy()) {
      shape.copy = rowElementOf(op.getCopy());
    }
    shape.epsilon = op.getEpsilon().convertToDouble();
    return std::vector{cuda::specializeRmsNorm(shape, cuda::chooseRowSchedule(shape.units()))};
  }

  Specs specs(kernel::QuantizeOp op) {
    cuda::QuantizeShape shape{rowElementOf(op.getInput()), widthOf(op.getInput()), pitchOf(op.getInput())};
    return std::vector{cuda::specializeQuantize(shape, cuda::chooseRowSchedule(shape.units()))};
  }

  Specs specs(kernel::GenericOp op) {
    cuda::GenericShape shape;
    for (Value input : op.getInputs()) {
      bool isVector = cast<MemRefType>(input.getType()).getRank() == 1;
      shape.inputs.push_back({rowElementOf(input), isVector ? 0 : pitchOf(input)});
    }
    shape.output = rowElementOf(op.getOutput());
    shape.width = widthOf(op.getOutput());
    shape.outputPitch = pitchOf(op.getOutput());
    shape.isOfLogitRows = exec::hasLogitRows(op.getOutput());
    shape.body = cudaStatementsOf(op.getBody().front());
    if (std::string reason = cuda::whyNoGeneric(shape); !reason.empty()) {
      return noKernel(op, reason);
    }
    return std::vector{cuda::specializeGeneric(shape, cuda::chooseRowSchedule(shape.units()))};
  }

  //===--- Experts ---===//
  Specs specs(kernel::RouteOp op) {
    r1::RoutingAttr routing = op.getRouting();
    cuda::RouteShape shape;
    shape.isSigmoid = routing.getScoring() == r1::Scoring::Sigmoid;
    shape.experts = widthOf(op.getLogits());
    shape.groups = routing.getGroups();
    shape.topGroups = routing.getTopGroups();
    shape.topK = routing.getTopK();
    shape.isTop2 = routing.getGroupScore() == r1::GroupScore::Top2;
    shape.isNormalized = routing.getNormalize();
    shape.shared = static_cast<int64_t>(op.getShared());
    shape.hasBias = op.getBias() != nullptr;
    shape.scale = routing.getScale().getValueAsDouble();
    if (std::string reason = cuda::whyNoRoute(shape); !reason.empty()) {
      return noKernel(op, reason);
    }
    return std::vector{cuda::specializeRoute(shape)};
  }

  Specs specs(kernel::ExpertPlanOp op) {
    cuda::ExpertPlanShape shape{cast<MemRefType>(op.getOffsets().getType()).getDimSize(0) - 1,
                                widthOf(op.getExperts())};
    if (std::string reason = cuda::whyNoExpertPlan(shape); !reason.empty()) {
      return noKernel(op, reason);
    }
    return std::vector{cuda::specializeExpertPlan(shape, cuda::expertPlanWarps(shape))};
  }

  Specs specs(kernel::DispatchOp op) {
    int64_t bytes = std::max<int64_t>(1, elementOf(op.getInput()).getIntOrFloatBitWidth() / 8);
    cuda::DispatchShape shape;
    shape.rowBytes = widthOf(op.getInput()) * bytes;
    shape.inputPitch = pitchOf(op.getInput()) * bytes;
    shape.scales = op.getInputScales() ? widthOf(op.getInputScales()) : 0;
    shape.rowsOfToken = exec::rowsOf(op.getGather()).getCoefficient(exec::Dim::Tokens);
    if (std::string reason = cuda::whyNoDispatch(shape); !reason.empty()) {
      return noKernel(op, reason);
    }
    return std::vector{cuda::specializeDispatch(shape, cuda::chooseRowSchedule(shape.units()))};
  }

  Specs specs(kernel::CombineOp op) {
    if (!elementOf(op.getRows()).isBF16()) {
      return noKernel(op, "expected rows of bf16");
    }
    cuda::CombineShape shape{widthOf(op.getRows()), widthOf(op.getSlots())};
    return std::vector{cuda::specializeCombine(shape, cuda::chooseRowSchedule(shape.units()))};
  }

  //===--- What attention reads ---===//
  Specs specs(kernel::RopeTableOp op) {
    cuda::RopeTableShape shape;
    llvm::append_range(shape.frequencies, op.getRope().getFrequencies().asArrayRef());
    shape.scale = op.getRope().getScale().getValueAsDouble();
    return std::vector{cuda::specializeRopeTable(shape)};
  }

  Specs specs(kernel::RopeAppendOp op) {
    if (!elementOf(op.getQkv()).isBF16() || !elementOf(op.getKeyCache()).isBF16()) {
      return noKernel(op, "expected values of bf16");
    }
    cuda::RopeAppendShape shape;
    shape.heads = op.getHeads();
    shape.kvHeads = op.getKvHeads();
    shape.headDim = op.getHeadDim();
    shape.valueDim = op.getValueDim();
    shape.pitch = pitchOf(op.getQkv());
    if (r1::RopeAttr rope = op.getRopeAttr()) {
      shape.rotated = rope.getDim();
      shape.isHalf = isHalf(rope);
    }
    return std::vector{cuda::specializeRopeAppend(shape, cuda::chooseRowSchedule(shape.units()))};
  }

  Specs specs(kernel::LatentAppendOp op) {
    if (!elementOf(op.getQuery()).isBF16() || !(op.getFp8Row() || elementOf(op.getCache()).isBF16()) ||
        !isDense(op.getQuery())) {
      return noKernel(op, "expected dense rows of bf16, or of FP8 in the cache");
    }
    cuda::LatentAppendShape shape;
    shape.isFp8 = op.getFp8Row().has_value();
    shape.heads = op.getHeads();
    shape.nope = op.getNopeDim();
    shape.rope = op.getRopeDim();
    shape.rank = op.getRank();
    shape.latentPitch = pitchOf(op.getLatent());
    shape.isHalf = isHalf(op.getRope());
    shape.epsilon = op.getEpsilon().convertToDouble();
    return std::vector{cuda::specializeLatentAppend(shape, cuda::chooseLatentAppendSchedule(shape))};
  }

  //===--- Attention ---===//
  /// The most tokens that one can see.
  static int64_t contextOf(Operation *op) { return limitsOf(op)[0]; }

  Specs specs(kernel::AttentionOp op) {
    if (!elementOf(op.getQuery()).isBF16() || !elementOf(op.getKeyCache()).isBF16() || !isDense(op.getQuery()) ||
        !isDense(op.getOutput())) {
      return noKernel(op, "expected dense rows of bf16");
    }
    if (op.getPageTokens() != 64) {
      return noKernel(op, "pages of " + std::to_string(op.getPageTokens()) + " tokens, expected 64");
    }
    cuda::AttentionShape shape;
    shape.heads = op.getHeads();
    shape.kvHeads = op.getKvHeads();
    shape.headDim = op.getHeadDim();
    shape.valueDim = op.getValueDim();
    shape.scale = op.getScale().convertToDouble();
    if (std::string reason = cuda::whyNoAttention(shape); !reason.empty()) {
      return noKernel(op, reason);
    }
    if (cuda::legalAttentionSchedules(shape, tokens, target).empty()) {
      return noKernel(op, "the device has too little shared memory for a tile");
    }
    cuda::AttentionSchedule schedule = cuda::chooseAttentionSchedule(shape, tokens, contextOf(op), target);
    return taking(cuda::predictAttentionSeconds(shape, schedule, attendedStep(op), target),
                  cuda::specializeAttention(shape, schedule));
  }

  Specs specs(kernel::LatentAttentionOp op) {
    if (!(op.getFp8Row() || elementOf(op.getCache()).isBF16()) || op.getPageTokens() != 64) {
      return noKernel(op, "expected a cache of bf16 or FP8 in pages of 64 tokens");
    }
    cuda::LatentAttentionShape shape;
    shape.isFp8 = op.getFp8Row().has_value();
    shape.heads = op.getHeads();
    shape.rank = op.getRank();
    shape.ropeDim = op.getRopeDim();
    shape.scale = op.getScale().convertToDouble();
    if (std::string reason = cuda::whyNoLatentAttention(shape); !reason.empty()) {
      return noKernel(op, reason);
    }
    if (cuda::legalLatentAttentionSchedules(shape, target).empty()) {
      return noKernel(op, "the device has too little shared memory for a tile");
    }
    cuda::LatentAttentionSchedule schedule = cuda::chooseLatentAttentionSchedule(shape, tokens, contextOf(op), target);
    return taking(cuda::predictLatentAttentionSeconds(shape, schedule, attendedStep(op), target),
                  cuda::specializeLatentAttention(shape, schedule));
  }

  //===--- Products ---===//
  static cuda::GemmOutput outputOf(Value output, kernel::Activation activation, bool accumulates) {
    if (activation == kernel::Activation::Swiglu) {
      return isa<Float8E4M3FNType>(elementOf(output)) ? cuda::GemmOutput::SwigluF8 : cuda::GemmOutput::SwigluBF16;
    }
    return accumulates                 ? cuda::GemmOutput::F32Add
           : elementOf(output).isF32() ? cuda::GemmOutput::F32
                                       : cuda::GemmOutput::BF16;
  }

  Specs product(Operation *op, const cuda::GemmProblem &problem, int64_t rows,
                llvm::function_ref<cuda::KernelSpec(const cuda::GemmSchedule &)> specialize) {
    if (std::string reason = cuda::whyNoGemm(problem); !reason.empty()) {
      return noKernel(op, reason);
    }
    cuda::GemmSchedule schedule = cuda::chooseGemmSchedule(problem, rows, target);
    return taking(cuda::predictGemmSeconds(problem, schedule, rows, target), {specialize(schedule)});
  }

  Specs specs(kernel::GemmOp op) {
    kernel::PackingAttr packing = op.getPacking();
    bool ofLogits = exec::hasLogitRows(op.getInput());
    cuda::GemmRows rows = ofLogits ? cuda::GemmRows::LogitRows : cuda::GemmRows::Tokens;
    cuda::GemmOutput output = outputOf(op.getOutput(), op.getActivation(), op.getAccumulate());
    if (op.getCompute() == kernel::Compute::F8) {
      cuda::Fp8GemmShape shape{packing.getColumns(),    packing.getK(),          output,
                               op.getBias() != nullptr, pitchOf(op.getOutput()), rows};
      return product(op, shape.problem(), tokens,
                     [&](const cuda::GemmSchedule &schedule) { return cuda::specializeFp8Gemm(shape, schedule); });
    }
    cuda::Bf16GemmShape shape{packing.getColumns(),   packing.getK(),          output, op.getBias() != nullptr,
                              pitchOf(op.getInput()), pitchOf(op.getOutput()), rows};
    return product(op, shape.problem(), tokens,
                   [&](const cuda::GemmSchedule &schedule) { return cuda::specializeBf16Gemm(shape, schedule); });
  }

  Specs specs(kernel::GroupedGemmOp op) {
    kernel::PackingAttr packing = op.getPacking();
    int64_t rowsOfToken = exec::rowsOf(op.getInput()).getCoefficient(exec::Dim::Tokens);
    cuda::GroupedGemmShape shape{op.getCompute() == kernel::Compute::F8 ? cuda::GemmElement::F8
                                                                        : cuda::GemmElement::BF16,
                                 packing.getBatch(),
                                 packing.getColumns(),
                                 packing.getK(),
                                 outputOf(op.getOutput(), op.getActivation(), false),
                                 rowsOfToken};
    return product(op, shape.problem(), tokens * rowsOfToken,
                   [&](const cuda::GemmSchedule &schedule) { return cuda::specializeGroupedGemm(shape, schedule); });
  }

  Specs specs(kernel::HeadGemmOp op) {
    kernel::PackingAttr packing = op.getPacking();
    cuda::HeadGemmShape shape;
    shape.heads = packing.getBatch();
    shape.columns = packing.getN();
    shape.depth = packing.getK();
    shape.inputStride = op.getInputStride();
    shape.inputOffset = op.getInputOffset();
    shape.outputStride = op.getOutputStride();
    shape.outputOffset = op.getOutputOffset();
    shape.inputPitch = pitchOf(op.getInput());
    shape.outputPitch = pitchOf(op.getOutput());
    return product(op, shape.problem(), tokens,
                   [&](const cuda::GemmSchedule &schedule) { return cuda::specializeHeadGemm(shape, schedule); });
  }

  const CudaTarget &target;
  int64_t tokens;
};

} // namespace

llvm::Expected<std::vector<cuda::KernelSpec>> specializeForCuda(Operation *op, const CudaTarget &target,
                                                                int64_t tokens) {
  return Specializer(target, tokens).specialize(op);
}

} // namespace elah
