// What a model means, run: one operation after the other, in double precision, on whatever shapes the inputs have.
// Every target is held against it, so it is kept free of everything that makes programs fast.
#include "codegen/Reference/Interpreter.h"
#include "codegen/Reference/Evaluate.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace elah {

HostValue hostValue(HostTensor tensor) { return std::make_shared<const HostTensor>(std::move(tensor)); }

const HostTensor &tensorOf(const HostValue &value) { return *std::get<std::shared_ptr<const HostTensor>>(value); }

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
  auto tensorType = dyn_cast<RankedTensorType>(type);
  const auto *tensor = std::get_if<TensorPointer>(&value);
  return tensorType && tensor && (*tensor)->isFloat() == isa<FloatType>(tensorType.getElementType()) &&
         hasShape(**tensor, tensorType);
}

class Interpreter {
public:
  explicit Interpreter(const InterpretOptions &options) : options(options) {}

  FailureOr<SmallVector<HostValue>> call(func::FuncOp function, ArrayRef<HostValue> inputs) {
    Block &body = function.front();
    for (auto [argument, input] : llvm::zip_equal(body.getArguments(), inputs)) {
      define(argument, input);
    }
    for (Operation &op : body.without_terminator()) {
      if (failed(run(&op))) {
        return failure();
      }
      for (Value operand : op.getOperands()) {
        release(operand);
      }
    }
    return llvm::map_to_vector(body.getTerminator()->getOperands(), [&](Value value) { return values.at(value); });
  }

private:
  LogicalResult run(Operation *op) {
    if (auto append = dyn_cast<r1::CacheAppendOp>(op)) {
      define(append.getNewCache(), appended(append));
      return success();
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
  return Interpreter(options).call(callee, inputs);
}

} // namespace elah
