// Sequences: lists of tensors that are not copied when a list is.
#include "codegen/Reference/Evaluate.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace elah {

FailureOr<HostTensor> joined(Operation *op, ArrayRef<std::shared_ptr<const HostTensor>> parts, int64_t axis,
                             bool isStacked) {
  auto partShape = [&](const HostTensor &part) {
    SmallVector<int64_t> shape(part.shape);
    if (isStacked) {
      shape.insert(shape.begin() + axis, 1);
    }
    return shape;
  };
  if (parts.empty()) {
    return op->emitOpError() << "joins the tensors of an empty sequence";
  }
  SmallVector<int64_t> shape = partShape(*parts.front());
  for (const auto &part : parts.drop_front()) {
    SmallVector<int64_t> own = partShape(*part), expected(shape);
    bool hasRank = own.size() == shape.size();
    if (hasRank) {
      expected[axis] = own[axis];
    }
    if (!hasRank || own != expected) {
      return op->emitOpError() << "tensors must agree in all dimensions but " << axis << ", found ["
                               << ArrayRef<int64_t>(shape) << "] and [" << ArrayRef<int64_t>(own) << "]";
    }
    shape[axis] += own[axis];
  }
  return std::visit(
      [&](const auto &first) {
        using Elements = std::decay_t<decltype(first)>;
        Elements elements;
        elements.reserve(elementCount(shape));
        Axis whole(shape, axis);
        for (int64_t outer = 0; outer < whole.outer; ++outer) {
          for (const auto &part : parts) {
            const auto &from = std::get<Elements>(part->elements);
            int64_t run = static_cast<int64_t>(from.size()) / std::max<int64_t>(whole.outer, 1);
            elements.insert(elements.end(), from.begin() + outer * run, from.begin() + (outer + 1) * run);
          }
        }
        return HostTensor(shape, std::move(elements));
      },
      parts.front()->elements);
}

namespace {

HostValue sequence(std::vector<std::shared_ptr<const HostTensor>> elements) {
  return std::make_shared<const HostSequence>(HostSequence{std::move(elements)});
}

/// A position in a sequence, counted from its start; `limit` is the first that is too great.
FailureOr<int64_t> positionIn(Operation *op, const HostValue &position, size_t size, size_t limit) {
  int64_t given = tensorOf(position).integers()[0], count = static_cast<int64_t>(size);
  int64_t found = given < 0 ? given + count : given;
  if (found < 0 || found >= static_cast<int64_t>(limit)) {
    return op->emitOpError() << "position must be in a sequence of " << size << ", found " << given;
  }
  return found;
}

FailureOr<HostValue> split(r1::SequenceSplitOp op, const HostTensor &input, const HostTensor &sizes) {
  Axis axis(input.shape, op.getAxis());
  SmallVector<int64_t> parts(sizes.integers().begin(), sizes.integers().end());
  if (sizes.shape.empty()) {
    int64_t size = parts[0];
    if (size <= 0) {
      return op.emitOpError() << "parts must not be empty, found the size " << size;
    }
    parts.assign(axis.size / size, size);
    if (axis.size % size != 0) {
      parts.push_back(axis.size % size);
    }
  }
  int64_t total = 0;
  bool isValid = true;
  for (int64_t part : parts) {
    isValid &= part >= 0 && part <= axis.size - total;
    total += isValid ? part : 0;
  }
  if (!isValid || total != axis.size ||
      (op.getDropped() && llvm::any_of(parts, [](int64_t part) { return part != 1; }))) {
    return op.emitOpError() << "sizes of parts must come to the " << axis.size << " of the axis, found ["
                            << ArrayRef<int64_t>(parts) << "]";
  }
  std::vector<std::shared_ptr<const HostTensor>> elements;
  int64_t start = 0;
  for (int64_t part : parts) {
    SmallVector<int64_t> shape(input.shape);
    shape[op.getAxis()] = part;
    HostTensor element = rearrange(input, shape, [&](int64_t place) {
      int64_t inner = place % axis.inner, index = place / axis.inner % part, outer = place / axis.inner / part;
      return (outer * axis.size + start + index) * axis.inner + inner;
    });
    if (op.getDropped()) {
      element.shape.erase(element.shape.begin() + op.getAxis());
    }
    elements.push_back(std::make_shared<const HostTensor>(std::move(element)));
    start += part;
  }
  return sequence(std::move(elements));
}

} // namespace

std::optional<FailureOr<HostValue>> evaluateSequence(Operation *op, ArrayRef<const HostValue *> operands) {
  using Evaluated = std::optional<FailureOr<HostValue>>;
  return llvm::TypeSwitch<Operation *, Evaluated>(op)
      .Case([&](r1::SequenceOp) -> Evaluated {
        std::vector<std::shared_ptr<const HostTensor>> elements;
        for (const HostValue *operand : operands) {
          elements.push_back(std::get<std::shared_ptr<const HostTensor>>(*operand));
        }
        return sequence(std::move(elements));
      })
      .Case([&](r1::SequenceInsertOp insert) -> Evaluated {
        auto elements = sequenceOf(*operands[0]).elements;
        int64_t at = static_cast<int64_t>(elements.size());
        if (insert.getPosition()) {
          FailureOr<int64_t> position = positionIn(op, *operands[2], elements.size(), elements.size() + 1);
          if (failed(position)) {
            return FailureOr<HostValue>(failure());
          }
          at = *position;
        }
        elements.insert(elements.begin() + at, std::get<std::shared_ptr<const HostTensor>>(*operands[1]));
        return sequence(std::move(elements));
      })
      .Case([&](r1::SequenceEraseOp erase) -> Evaluated {
        auto elements = sequenceOf(*operands[0]).elements;
        HostValue last = hostValue(HostTensor({}, Integers{-1}));
        FailureOr<int64_t> position =
            positionIn(op, erase.getPosition() ? *operands[1] : last, elements.size(), elements.size());
        if (failed(position)) {
          return FailureOr<HostValue>(failure());
        }
        elements.erase(elements.begin() + *position);
        return sequence(std::move(elements));
      })
      .Case([&](r1::SequenceAtOp) -> Evaluated {
        const auto &elements = sequenceOf(*operands[0]).elements;
        FailureOr<int64_t> position = positionIn(op, *operands[1], elements.size(), elements.size());
        return failed(position) ? FailureOr<HostValue>(failure()) : HostValue(elements[*position]);
      })
      .Case([&](r1::SequenceLengthOp) -> Evaluated {
        return hostValue(HostTensor({}, Integers{static_cast<int64_t>(sequenceOf(*operands[0]).elements.size())}));
      })
      .Case([&](r1::SequenceConcatOp concat) -> Evaluated {
        FailureOr<HostTensor> result =
            joined(op, sequenceOf(*operands[0]).elements, concat.getAxis(), concat.getStacked());
        return failed(result) ? FailureOr<HostValue>(failure()) : hostValue(std::move(*result));
      })
      .Case([&](r1::SequenceSplitOp splitOp) -> Evaluated {
        return split(splitOp, tensorOf(*operands[0]), tensorOf(*operands[1]));
      })
      .Default([](Operation *) -> Evaluated { return std::nullopt; });
}

} // namespace elah
