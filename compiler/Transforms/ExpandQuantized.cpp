// A language model's quantized weights are multiplied where they lie; a plain graph may do anything with them, and its
// code reads tensors of numbers alone. So there each becomes what it means: the bytes of the file, taken apart and
// scaled.
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/Decompose.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_EXPANDQUANTIZEDPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

class Expansion {
public:
  explicit Expansion(r1::DequantizeOp op) : op(op), builder(op), c(builder, op.getLoc()) {}

  /// The matrix in f32; null if it is not one tensor of integers, with a scale for each row's blocks.
  Value run() {
    auto stored = op.getInput().getDefiningOp<r1::WeightOp>();
    auto type = cast<RankedTensorType>(op.getInput().getType());
    auto blocks = cast<r1::BlocksAttr>(type.getEncoding());
    if (!stored || stored.getParts().size() != 1 || blocks.getRows() != 1 || !isa<IntegerType>(type.getElementType())) {
      return {};
    }
    auto weight = cast<r1::WeightAttr>(stored.getParts()[0]);
    int64_t columns = type.getShape().back();
    Value numbers = numbersOf(weight, columns);
    Value zeros = weight.getZeros()
                      ? spread(numbersOf(weight.getZeros(), weight.getZeros().getType().getShape().back()),
                               blocks.getColumns(), columns)
                      : c.scalar(1 << (type.getElementTypeBitWidth() - 1));
    r1::WeightAttr scales = weight.getScales();
    Value factors = r1::WeightOp::create(builder, op.getLoc(), scales.getType(), builder.getArrayAttr({scales}));
    Value value =
        c.make<r1::MulOp>(c.make<r1::SubOp>(numbers, zeros), spread(c.widened(factors), blocks.getColumns(), columns));
    return value;
  }

private:
  /// Integers as f32, from bytes that hold one or two.
  Value numbersOf(r1::WeightAttr weight, int64_t columns) {
    RankedTensorType type = weight.getType();
    auto pitch = static_cast<int64_t>(weight.getRowPitch());
    Type byte = IntegerType::get(builder.getContext(), 8, IntegerType::Unsigned);
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = pitch;
    auto whole = RankedTensorType::get(shape, byte);
    Attribute bytes = r1::WeightAttr::get(builder.getContext(), weight.getFile(), weight.getName(), weight.getOffset(),
                                          static_cast<uint64_t>(whole.getNumElements()), whole);
    Value value = r1::WeightOp::create(builder, op.getLoc(), whole, builder.getArrayAttr(bytes));
    int64_t last = type.getRank() - 1;
    if (type.getElementTypeBitWidth() == 4) {
      auto splat = [&](uint8_t number) -> Value {
        auto scalar = RankedTensorType::get({}, byte);
        return c.make<r1::ConstantOp>(cast<ElementsAttr>(DenseElementsAttr::get(scalar, APInt(8, number))));
      };
      SmallVector<int64_t> apart(shape), flat(shape);
      apart.push_back(1);
      flat.back() = 2 * pitch;
      Value low = c.reshape(c.make<r1::ModOp>(value, splat(16)), apart);
      Value high = c.reshape(c.make<r1::DivOp>(value, splat(16)), apart);
      value = c.reshape(c.concat({low, high}, last + 1), flat);
      shape = flat;
    }
    value = shape.back() == columns ? value : c.slice(value, last, 0, columns);
    return c.make<r1::CastOp>(value, builder.getF32Type());
  }

  /// One number for each block as one for each column.
  Value spread(Value perBlock, int64_t block, int64_t columns) {
    SmallVector<int64_t> apart(cast<RankedTensorType>(perBlock.getType()).getShape()), flat(apart);
    int64_t last = static_cast<int64_t>(apart.size()) - 1;
    apart.push_back(1);
    flat.back() *= block;
    Value value = c.reshape(perBlock, apart);
    apart.back() = block;
    value = c.reshape(c.make<r1::BroadcastToOp>(value, apart), flat);
    return flat.back() == columns ? value : c.slice(value, last, 0, columns);
  }

  r1::DequantizeOp op;
  OpBuilder builder;
  r1::Composer c;
};

struct ExpandQuantizedPass : impl::ExpandQuantizedPassBase<ExpandQuantizedPass> {
  void runOnOperation() override {
    SmallVector<r1::DequantizeOp> found;
    getOperation()->walk([&](r1::DequantizeOp op) { found.push_back(op); });
    for (r1::DequantizeOp op : found) {
      Operation *stored = op.getInput().getDefiningOp();
      if (Value value = Expansion(op).run()) {
        op.getResult().replaceAllUsesWith(value);
        op.erase();
        if (stored->use_empty()) {
          stored->erase();
        }
      }
    }
  }
};

} // namespace
} // namespace elah
