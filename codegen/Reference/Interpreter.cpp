// What a model means, run: one operation after the other, in double precision, on whatever shapes the inputs have.
// Every target is held against it, so it is kept free of everything that makes programs fast.
#include "codegen/Reference/Interpreter.h"
#include "codegen/Reference/Evaluate.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace elah {

HostValue hostValue(HostTensor tensor) { return std::make_shared<const HostTensor>(std::move(tensor)); }

const HostTensor &tensorOf(const HostValue &value) { return *std::get<std::shared_ptr<const HostTensor>>(value); }

const HostSequence &sequenceOf(const HostValue &value) { return *std::get<std::shared_ptr<const HostSequence>>(value); }

HostValue emptyCache(r1::CacheType type) {
  auto rows = [](int64_t width) { return std::make_shared<const HostTensor>(ArrayRef<int64_t>{0, width}, Floats()); };
  HostCache cache;
  cache.keys.assign(type.getLayers(), rows(type.getKeyWidth()));
  if (type.getKind() == r1::CacheKind::KeyValue) {
    cache.values.assign(type.getLayers(), rows(type.getValueWidth()));
  }
  return std::make_shared<const HostCache>(std::move(cache));
}

namespace {

using TensorPointer = std::shared_ptr<const HostTensor>;
using CachePointer = std::shared_ptr<const HostCache>;
using SequencePointer = std::shared_ptr<const HostSequence>;

bool hasShape(const HostTensor &tensor, RankedTensorType type) {
  return llvm::equal(type.getShape(), tensor.shape, [](int64_t expected, int64_t found) {
    return ShapedType::isDynamic(expected) || expected == found;
  });
}

/// Whether a value can be one of `type`.
bool fits(const HostValue &value, Type type) {
  if (auto cacheType = dyn_cast<r1::CacheType>(type)) {
    const auto *cache = std::get_if<CachePointer>(&value);
    bool hasValues = cacheType.getKind() == r1::CacheKind::KeyValue;
    auto haveWidth = [](ArrayRef<TensorPointer> parts, int64_t width) {
      return llvm::all_of(parts, [&](const TensorPointer &rows) { return rows->shape[1] == width; });
    };
    size_t layers = cacheType.getLayers();
    return cache && (*cache)->keys.size() == layers && (*cache)->values.size() == (hasValues ? layers : 0) &&
           haveWidth((*cache)->keys, cacheType.getKeyWidth()) && haveWidth((*cache)->values, cacheType.getValueWidth());
  }
  if (auto sequenceType = dyn_cast<r1::SequenceType>(type)) {
    const auto *sequence = std::get_if<SequencePointer>(&value);
    return sequence && llvm::all_of((*sequence)->elements, [&](const TensorPointer &element) {
             return !sequenceType.getElement().hasRank() || fits(HostValue(element), sequenceType.getElement());
           });
  }
  auto tensorType = dyn_cast<RankedTensorType>(type);
  const auto *tensor = std::get_if<TensorPointer>(&value);
  return tensorType && tensor && (*tensor)->isFloat() == isa<FloatType>(tensorType.getElementType()) &&
         hasShape(**tensor, tensorType);
}

class Interpreter {
public:
  explicit Interpreter(const InterpretOptions &options) : options(options) {}

  FailureOr<SmallVector<HostValue>> call(Block &body, ArrayRef<HostValue> inputs) {
    for (auto [argument, input] : llvm::zip_equal(body.getArguments(), inputs)) {
      define(argument, input);
    }
    for (Operation &op : body.without_terminator()) {
      if (failed(run(&op))) {
        return failure();
      }
      // Values from around a region are the matter of the operation that has it.
      op.walk([&](Operation *inner) {
        for (Value operand : inner->getOperands()) {
          if (operand.getParentBlock() == &body) {
            release(operand);
          }
        }
      });
    }
    ValueRange yielded = body.getTerminator()->getOperands();
    SmallVector<HostValue> results = llvm::map_to_vector(yielded, [&](Value value) { return values.at(value); });
    for (Value value : yielded) {
      if (value.getParentBlock() == &body) {
        release(value);
      }
    }
    return results;
  }

private:
  LogicalResult run(Operation *op) {
    if (auto append = dyn_cast<r1::CacheAppendOp>(op)) {
      define(append.getNewCache(), appended(append));
      return success();
    }
    if (auto ifOp = dyn_cast<r1::IfOp>(op)) {
      bool holds = tensorOf(values.at(ifOp.getCondition())).integers()[0] != 0;
      FailureOr<SmallVector<HostValue>> results =
          call((holds ? ifOp.getThenRegion() : ifOp.getElseRegion()).front(), {});
      return failed(results) ? failure() : defineAll(op, *results);
    }
    if (auto loop = dyn_cast<r1::LoopOp>(op)) {
      return run(loop);
    }
    if (std::optional<FailureOr<HostValue>> result = evaluateSequence(op)) {
      return failed(*result) ? failure() : defineAll(op, **result);
    }
    Results results;
    if (auto read = dyn_cast<r1::CacheReadOp>(op)) {
      results.push_back(*rowsOf(*std::get<CachePointer>(values.at(read.getCache())), read.getPart())[read.getLayer()]);
    } else if (failed(evaluate(op, results))) {
      return failure();
    }
    for (auto [value, result] : llvm::zip_equal(op->getResults(), results)) {
      auto type = cast<RankedTensorType>(value.getType());
      if (!hasShape(result, type)) {
        return op->emitOpError() << "must return " << type << ", came to [" << ArrayRef<int64_t>(result.shape) << "]";
      }
      round(result, type.getElementType());
      define(value, hostValue(std::move(result)));
    }
    return success();
  }

  LogicalResult run(r1::LoopOp op) {
    Block &body = op.getBody().front();
    int64_t limit = tensorOf(values.at(op.getLimit())).integers()[0];
    bool goesOn = tensorOf(values.at(op.getCondition())).integers()[0] != 0;
    SmallVector<HostValue> carried =
        llvm::map_to_vector(op.getInitial(), [&](Value value) { return values.at(value); });
    size_t count = carried.size();
    std::vector<std::vector<TensorPointer>> stacked(op.getNumResults() - count);
    for (int64_t iteration = 0; goesOn && iteration < limit; ++iteration) {
      SmallVector<HostValue> inputs{hostValue(HostTensor({}, Integers{iteration}))};
      llvm::append_range(inputs, carried);
      FailureOr<SmallVector<HostValue>> yielded = call(body, inputs);
      if (failed(yielded)) {
        return failure();
      }
      goesOn = tensorOf((*yielded)[0]).integers()[0] != 0;
      carried.assign(yielded->begin() + 1, yielded->begin() + 1 + count);
      for (auto [parts, part] : llvm::zip_equal(stacked, ArrayRef(*yielded).drop_front(1 + count))) {
        parts.push_back(std::get<TensorPointer>(part));
      }
    }
    for (auto [parts, result] : llvm::zip_equal(stacked, op.getResults().drop_front(count))) {
      FailureOr<HostTensor> stack = stackOf(op, parts, cast<RankedTensorType>(result.getType()));
      if (failed(stack)) {
        return failure();
      }
      carried.push_back(hostValue(std::move(*stack)));
    }
    return defineAll(op, carried);
  }

  static FailureOr<HostTensor> stackOf(Operation *op, ArrayRef<TensorPointer> parts, RankedTensorType type) {
    if (!parts.empty()) {
      return joined(op, parts, 0, /*isStacked=*/true);
    }
    SmallVector<int64_t> shape = llvm::map_to_vector(
        type.getShape(), [](int64_t size) { return ShapedType::isDynamic(size) ? int64_t(0) : size; });
    shape[0] = 0;
    return isa<FloatType>(type.getElementType()) ? HostTensor(shape, Floats()) : HostTensor(shape, Integers());
  }

  LogicalResult defineAll(Operation *op, ArrayRef<HostValue> results) {
    for (auto [value, result] : llvm::zip_equal(op->getResults(), results)) {
      if (!fits(result, value.getType())) {
        return op->emitOpError() << "must return " << value.getType() << ", came to another";
      }
      define(value, result);
    }
    return success();
  }

  std::optional<FailureOr<HostValue>> evaluateSequence(Operation *op) {
    SmallVector<const HostValue *> operands;
    if (llvm::none_of(op->getOperandTypes(), llvm::IsaPred<r1::SequenceType>) &&
        llvm::none_of(op->getResultTypes(), llvm::IsaPred<r1::SequenceType>)) {
      return {};
    }
    for (Value operand : op->getOperands()) {
      operands.push_back(&values.at(operand));
    }
    return elah::evaluateSequence(op, operands);
  }

  LogicalResult evaluate(Operation *op, Results &results) {
    SmallVector<const HostTensor *> operands;
    if (isa_and_nonnull<r1::R1Dialect>(op->getDialect()) && !isa<r1::DecomposableOpInterface>(op)) {
      for (Value operand : op->getOperands()) {
        operands.push_back(&tensorOf(values.at(operand)));
      }
      for (Evaluation evaluation :
           {evaluateElementwise(op, operands, results), evaluateContraction(op, operands, results),
            evaluateShape(op, operands, results), evaluateIndex(op, operands, results),
            evaluateWeight(op, operands, options.weightFolder, results)}) {
        if (evaluation) {
          return *evaluation;
        }
      }
    }
    return op->emitOpError() << "is no primitive of r1; composites are decomposed by r1-decompose";
  }

  CachePointer appended(r1::CacheAppendOp op) {
    HostCache cache = *std::get<CachePointer>(values.at(op.getCache()));
    const HostTensor &rows = tensorOf(values.at(op.getRows()));
    TensorPointer &all = (op.getPart() == r1::CachePart::Key ? cache.keys : cache.values)[op.getLayer()];
    HostTensor longer = *all;
    longer.shape[0] += rows.shape[0];
    Floats &elements = std::get<Floats>(longer.elements);
    elements.insert(elements.end(), rows.floats().begin(), rows.floats().end());
    all = std::make_shared<const HostTensor>(std::move(longer));
    return std::make_shared<const HostCache>(std::move(cache));
  }

  static const std::vector<TensorPointer> &rowsOf(const HostCache &cache, r1::CachePart part) {
    return part == r1::CachePart::Key ? cache.keys : cache.values;
  }

  void round(HostTensor &tensor, Type element) const {
    if (auto *integers = std::get_if<Integers>(&tensor.elements)) {
      for (int64_t &value : *integers) {
        value = wrapTo(element, value);
      }
    } else if (!element.isF64() && (!element.isF32() || options.precision == Precision::F32)) {
      for (double &value : std::get<Floats>(tensor.elements)) {
        value = roundTo(element, value);
      }
    }
  }

  void define(Value value, HostValue content) {
    int64_t uses = std::distance(value.use_begin(), value.use_end());
    if (uses > 0) {
      values[value] = std::move(content);
      usesLeft[value] = uses;
    }
  }

  /// A value goes with its last use: weights, above all, are not kept.
  void release(Value value) {
    if (--usesLeft[value] == 0) {
      values.erase(value);
    }
  }

  const InterpretOptions &options;
  llvm::DenseMap<Value, HostValue> values;
  llvm::DenseMap<Value, int64_t> usesLeft;
};

} // namespace

FailureOr<SmallVector<HostValue>> interpret(ModuleOp module, StringRef function, ArrayRef<HostValue> inputs,
                                            const InterpretOptions &options) {
  auto callee = module.lookupSymbol<func::FuncOp>(function);
  if (!callee || !callee.getBody().hasOneBlock()) {
    return module.emitError() << "expected a function @" << function << " of one block";
  }
  if (inputs.size() != callee.getNumArguments()) {
    return callee.emitError() << "takes " << callee.getNumArguments() << " inputs, found " << inputs.size();
  }
  for (auto [index, type] : llvm::enumerate(callee.getArgumentTypes())) {
    if (!fits(inputs[index], type)) {
      InFlightDiagnostic diagnostic = callee.emitError() << "input " << index << " must be " << type << ", found ";
      if (const auto *tensor = std::get_if<TensorPointer>(&inputs[index])) {
        return diagnostic << ((*tensor)->isFloat() ? "floats of [" : "integers of [")
                          << ArrayRef<int64_t>((*tensor)->shape) << "]";
      }
      return diagnostic << "another cache";
    }
  }
  return Interpreter(options).call(callee.front(), inputs);
}

} // namespace elah
