// From what a model means to what a CPU does in one step. The function is read once, from top to
// bottom; each operation becomes kernels on buffers, or waits for the operation that it is fused
// with. Two things are known beforehand: in what a product is computed (Precision) and what reads a
// value, so that it is written in the type and for the tokens wanted.
#include "compiler/Conversion/Passes.h"
#include "compiler/Conversion/R1ToExec/Leftovers.h"
#include "compiler/Conversion/R1ToExec/Lowerings.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_CONVERTR1TOEXEC
#include "compiler/Conversion/Passes.h.inc"

namespace {

/// The function @forward(tokens, positions, cache) -> (logits, cache) with one block.
FailureOr<func::FuncOp> findForward(ModuleOp module) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!forward) {
    return module.emitError() << "expected a function @forward";
  }
  FunctionType type = forward.getFunctionType();
  auto indices = RankedTensorType::get({ShapedType::kDynamic}, IntegerType::get(module.getContext(), 32));
  bool fits = type.getNumInputs() == 3 && type.getInput(0) == indices && type.getInput(1) == indices &&
              type.getNumResults() == 2 && isa<r1::CacheType>(type.getInput(2)) &&
              type.getInput(2) == type.getResult(1) && isa<RankedTensorType>(type.getResult(0)) &&
              llvm::hasSingleElement(forward.getBody());
  if (!fits) {
    return forward.emitError() << "expected @forward(tokens, positions, cache) -> (logits, cache) "
                                  "with one block, found "
                               << type;
  }
  return forward;
}

/// The operands that an operation reads as rows of activations; the others are weights, indices or caches.
SmallVector<Value> activationsOf(Operation &op) {
  return TypeSwitch<Operation *, SmallVector<Value>>(&op)
      .Case<r1::AddOp, r1::SwigluOp>([](auto sum) { return llvm::to_vector(sum->getOperands()); })
      .Case<r1::LinearOp, r1::RmsNormOp>([](auto unary) { return SmallVector<Value>{unary.getInput()}; })
      .Case([](r1::SliceOp slice) { return SmallVector<Value>{slice.getInput()}; })
      .Case([](r1::AttentionOp attention) {
        return SmallVector<Value>{attention.getQuery(), attention.getKey(), attention.getValue()};
      })
      .Case([](r1::LatentAttentionOp attention) {
        return SmallVector<Value>{attention.getQuery(), attention.getLatent()};
      })
      .Case([](r1::RouteOp route) { return SmallVector<Value>{route.getLogits()}; })
      .Case([](r1::ExpertsOp experts) { return SmallVector<Value>{experts.getInput()}; })
      .Default([](Operation *) { return SmallVector<Value>(); });
}

/// Checks what all lowerings take for granted: activations are computed here, and rows of a known width.
LogicalResult checkActivations(Operation &op) {
  for (Value activation : activationsOf(op)) {
    if (activation.getDefiningOp<r1::WeightOp>()) {
      return op.emitOpError() << "expected activations, found a weight that is read as such";
    }
    auto type = dyn_cast<RankedTensorType>(activation.getType());
    if (!type || type.getRank() != 2 || type.isDynamicDim(1)) {
      return op.emitOpError() << "expected rows of a known width, found " << activation.getType();
    }
  }
  return success();
}

LogicalResult lowerOperation(Operation &op, ProgramBuilder &program) {
  if (isLeftover(&op)) {
    return lowerLeftover(op, program);
  }
  if (failed(checkActivations(op))) {
    return failure();
  }
  return TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<r1::AddOp, r1::AttentionOp, r1::EmbeddingOp, r1::ExpertsOp, r1::LatentAttentionOp, r1::LinearOp,
            r1::RmsNormOp, r1::RouteOp, r1::SliceOp, r1::SwigluOp>([&](auto known) { return lower(known, program); })
      .Case([](r1::WeightOp) { return success(); })   // Its users name it in their recipes.
      .Case([](r1::ConstantOp) { return success(); }) // A part of the arithmetic that reads it.
      .Case([&](func::ReturnOp result) -> LogicalResult {
        Value logits = program.logitRowsOf(result.getOperand(0), kernel::Compute::F32);
        if (!logits) {
          return result.emitOpError() << "expected logits that are a linear map of a norm, used only here";
        }
        if (result.getOperand(1) != program.state.cache) {
          return result.emitOpError() << "expected the cache in its latest state";
        }
        exec::ReturnOp::create(program.builder, result.getLoc(), logits);
        return success();
      })
      .Default(
          [](Operation *unknown) {
            return unknown->emitOpError()
                   << "has no kernel: expected composites of r1, and between them elementwise arithmetic on rows";
          });
}

struct ConvertR1ToExec : impl::ConvertR1ToExecBase<ConvertR1ToExec> {
  using ConvertR1ToExecBase::ConvertR1ToExecBase;

  void runOnOperation() override {
    if (failed(convert(getOperation()))) {
      signalPassFailure();
    }
  }

private:
  LogicalResult checkOptions(ModuleOp module) {
    for (auto [name, value] : {std::pair<StringRef, int64_t>{"max-sequences", maxSequences},
                               {"max-tokens", maxTokens},
                               {"page-tokens", pageTokens}}) {
      if (value < 1) {
        return module.emitError() << name << " must be positive, found " << value;
      }
    }
    if (!precisionModeOf(precision)) {
      return module.emitError() << "precision must be auto, bf16 or f32, found '" << precision.getValue() << "'";
    }
    if (kvCache != "auto" && kvCache != "fp8") {
      return module.emitError() << "kv-cache must be auto or fp8, found '" << kvCache.getValue() << "'";
    }
    if (kvCache == "fp8" && !isCuda) {
      return module.emitError() << "kv-cache=fp8 is for GPUs: no kernel of a processor reads such a cache";
    }
    auto modelContext = module->getAttrOfType<IntegerAttr>("r1.max_context");
    if (!modelContext) {
      return module.emitError() << "expected the attribute r1.max_context";
    }
    if (maxContext < 0 || maxContext > modelContext.getInt()) {
      return module.emitError() << "max-context must be 1 to the model's " << modelContext.getInt()
                                << ", or 0 for all of it, found " << maxContext.getValue();
    }
    return success();
  }

  LogicalResult convert(ModuleOp module) {
    LoweringTarget target = LoweringTarget::cuda();
    if (!isCuda) {
      llvm::Expected<CpuTarget> processor = lookupCpuTarget(cpu);
      if (!processor) {
        return module.emitError() << llvm::toString(processor.takeError());
      }
      target = LoweringTarget::of(*processor);
    }
    if (failed(checkOptions(module))) {
      return failure();
    }
    FailureOr<func::FuncOp> found = findForward(module);
    if (failed(found)) {
      return failure();
    }
    func::FuncOp forward = *found;
    if (auto nextToken = module.lookupSymbol<func::FuncOp>("next_token")) {
      nextToken.emitRemark() << "multi-token prediction is left out: no program runs @next_token yet";
      nextToken.erase();
    }

    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto program = exec::ProgramOp::create(builder, forward.getLoc(), "forward", ArrayAttr());
    program.getBody().emplaceBlock();
    Precision rules(target, *precisionModeOf(precision));
    Block &body = forward.getBody().front();
    if (kvCache == "fp8" && !llvm::hasSingleElement(latentRowsOf(forward))) {
      return forward.emitError() << "an FP8 KV cache is for latent attention of one rank, found "
                                 << body.getArgument(2).getType() << "; compile with the cache in bf16";
    }
    Type cacheElement = kvCache == "fp8" ? builder.getI8Type() : cacheElementOf(forward, rules, builder);
    ProgramBuilder lowering(program, {body.getArgument(0), body.getArgument(1), body.getArgument(2)}, target, rules,
                            cacheElement, pageTokens);
    for (Operation &op : body) {
      bool isUnused = op.getNumResults() > 0 && op.use_empty();
      if (!isUnused && failed(lowerOperation(op, lowering))) {
        return failure();
      }
    }
    eraseUnread(program);
    describe(module, cast<r1::CacheType>(body.getArgument(2).getType()), forward, lowering, builder);
    forward.erase();
    return success();
  }

  static Type cacheElementOf(func::FuncOp forward, const Precision &rules, OpBuilder &builder) {
    bool isF32 = llvm::any_of(forward.getOps<r1::LinearOp>(), [&](r1::LinearOp linear) {
      return roleOf(linear) != LinearRole::RouterLogits && rules.wantsF32Cache(linear.getWeight());
    });
    return isF32 ? Type(builder.getF32Type()) : Type(builder.getBF16Type());
  }

  /// Bytes of the rows that the function's latent attention would have in an FP8 cache.
  static llvm::SmallSetVector<int64_t, 2> latentRowsOf(func::FuncOp forward) {
    llvm::SmallSetVector<int64_t, 2> rows;
    for (auto attention : forward.getOps<r1::LatentAttentionOp>()) {
      rows.insert(
          kernel::Fp8LatentRow{static_cast<int64_t>(attention.getRank()), static_cast<int64_t>(attention.getRopeDim())}
              .bytes());
    }
    return rows;
  }

  /// Views that nothing reads: query, key and value are read as one.
  static void eraseUnread(exec::ProgramOp program) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(program.getBody().front()))) {
      if (isOpTriviallyDead(&op)) {
        op.erase();
      }
    }
  }

  void describe(ModuleOp module, r1::CacheType cache, func::FuncOp forward, const ProgramBuilder &lowering,
                OpBuilder &builder) {
    int64_t context = maxContext ? maxContext : module->getAttrOfType<IntegerAttr>("r1.max_context").getInt();
    module->setAttr("exec.limits", builder.getDenseI64ArrayAttr({context, maxSequences, maxTokens}));
    int64_t elementBytes = lowering.cacheElement.getIntOrFloatBitWidth() / 8;
    int64_t keyBytes = lowering.hasFp8Cache() ? latentRowsOf(forward).front() : cache.getKeyWidth() * elementBytes;
    SmallVector<int64_t> layout = {cache.getLayers(), pageTokens, keyBytes};
    if (cache.getKind() == r1::CacheKind::KeyValue) {
      layout.push_back(cache.getValueWidth() * elementBytes);
    }
    module->setAttr("exec.cache", builder.getDenseI64ArrayAttr(layout));
    module->setAttr("exec.active_weight_bytes", builder.getI64IntegerAttr(lowering.activeBytes));
    module->setAttr("exec.flops_per_token", builder.getI64IntegerAttr(lowering.flops));
  }
};

} // namespace
} // namespace elah
