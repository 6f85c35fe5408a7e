// The vocabulary of CPU kernels, in terms of MLIR's vector, scf, arith and llvm dialects. Addresses are bare pointers:
// a kernel's operands are rows of known width, and memref descriptors would only have to be taken apart again.
#include "codegen/Cpu/KernelBuilder.h"
#include "dialects/Exec/Exec.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/bit.h"
#include <cmath>

using namespace mlir;

namespace elah {
namespace {

bool isFloat(Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); }

int64_t widthOf(Value value) {
  auto type = dyn_cast<VectorType>(value.getType());
  return type ? type.getNumElements() : 0;
}

} // namespace

KernelBuilder::KernelBuilder(OpBuilder &builder, Operation *kernelOp, StringRef symbol, const CpuTarget &target)
    : target(target), builder(builder), location(kernelOp->getLoc()) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Type integerType = builder.getI64Type();
  function = func::FuncOp::create(builder, location, symbol,
                                  builder.getFunctionType({pointer, pointer, integerType, integerType, pointer}, {}));
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToEnd(entry);
  buffers = entry->getArgument(0);
  dims = entry->getArgument(1);
  blockBegin = entry->getArgument(2);
  blockEnd = entry->getArgument(3);
  scratch = entry->getArgument(4);
}

void KernelBuilder::finish() {
  func::ReturnOp::create(builder, location);
  builder.setInsertionPointAfter(function);
}

//===--- The launch
//-------------------------------------------------------------------------------------------------===//

Value KernelBuilder::buffer(unsigned index) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  return loadRaw(pointer, buffers, integer(index), pointer);
}

Value KernelBuilder::dim(unsigned index) {
  return loadRaw(builder.getI64Type(), dims, integer(index), builder.getI64Type());
}

Value KernelBuilder::rows(Value operand) {
  exec::ExtentAttr extent = exec::rowsOf(operand);
  Value count = integer(extent.getConstant());
  for (auto [index, coefficient] : llvm::enumerate(extent.getCoefficients().asArrayRef())) {
    if (coefficient != 0) {
      count = add(count, mul(dim(index), integer(coefficient)));
    }
  }
  return count;
}

//===--- Constants
//--------------------------------------------------------------------------------------------------===//

Value KernelBuilder::integer(int64_t value) {
  return arith::ConstantOp::create(builder, location, builder.getI64IntegerAttr(value));
}

Value KernelBuilder::number(double value) {
  return arith::ConstantOp::create(builder, location, builder.getF32FloatAttr(static_cast<float>(value)));
}

Value KernelBuilder::splat(double value, int64_t width) {
  if (width == 0) {
    return number(value);
  }
  auto type = VectorType::get({width}, builder.getF32Type());
  return arith::ConstantOp::create(builder, location, DenseElementsAttr::get(type, static_cast<float>(value)));
}

//===--- Arithmetic
//-------------------------------------------------------------------------------------------------===//

void KernelBuilder::unify(Value &a, Value &b) {
  int64_t widthA = widthOf(a), widthB = widthOf(b);
  if (widthA != 0 && widthB == 0) {
    b = broadcast(b, widthA);
  } else if (widthB != 0 && widthA == 0) {
    a = broadcast(a, widthB);
  }
  assert(a.getType() == b.getType() && "operands of one type");
}

Value KernelBuilder::add(Value a, Value b) {
  unify(a, b);
  return isFloat(a) ? Value(arith::AddFOp::create(builder, location, a, b))
                    : Value(arith::AddIOp::create(builder, location, a, b));
}

Value KernelBuilder::sub(Value a, Value b) {
  unify(a, b);
  return isFloat(a) ? Value(arith::SubFOp::create(builder, location, a, b))
                    : Value(arith::SubIOp::create(builder, location, a, b));
}

Value KernelBuilder::mul(Value a, Value b) {
  unify(a, b);
  return isFloat(a) ? Value(arith::MulFOp::create(builder, location, a, b))
                    : Value(arith::MulIOp::create(builder, location, a, b));
}

Value KernelBuilder::div(Value a, Value b) {
  unify(a, b);
  return isFloat(a) ? Value(arith::DivFOp::create(builder, location, a, b))
                    : Value(arith::DivUIOp::create(builder, location, a, b));
}

Value KernelBuilder::rem(Value a, Value b) { return arith::RemUIOp::create(builder, location, a, b); }

Value KernelBuilder::max(Value a, Value b) {
  unify(a, b);
  return isFloat(a) ? Value(arith::MaxNumFOp::create(builder, location, a, b))
                    : Value(arith::MaxSIOp::create(builder, location, a, b));
}

Value KernelBuilder::min(Value a, Value b) {
  unify(a, b);
  return isFloat(a) ? Value(arith::MinNumFOp::create(builder, location, a, b))
                    : Value(arith::MinSIOp::create(builder, location, a, b));
}

Value KernelBuilder::fma(Value a, Value b, Value c) {
  int64_t width = std::max({widthOf(a), widthOf(b), widthOf(c)});
  if (width == 0) {
    return math::FmaOp::create(builder, location, a, b, c);
  }
  auto wide = [&](Value value) { return widthOf(value) == 0 ? broadcast(value, width) : value; };
  return vector::FMAOp::create(builder, location, wide(a), wide(b), wide(c));
}

Value KernelBuilder::less(Value a, Value b) {
  unify(a, b);
  return isFloat(a) ? Value(arith::CmpFOp::create(builder, location, arith::CmpFPredicate::OLT, a, b))
                    : Value(arith::CmpIOp::create(builder, location, arith::CmpIPredicate::slt, a, b));
}

Value KernelBuilder::greater(Value a, Value b) { return less(b, a); }

Value KernelBuilder::equal(Value a, Value b) {
  unify(a, b);
  return isFloat(a) ? Value(arith::CmpFOp::create(builder, location, arith::CmpFPredicate::OEQ, a, b))
                    : Value(arith::CmpIOp::create(builder, location, arith::CmpIPredicate::eq, a, b));
}

Value KernelBuilder::select(Value condition, Value a, Value b) {
  unify(a, b);
  return arith::SelectOp::create(builder, location, condition, a, b);
}

Value KernelBuilder::sqrt(Value a) { return math::SqrtOp::create(builder, location, a); }

Value KernelBuilder::exp(Value a) {
  // exp(a) = 2^n * exp(r), n = round(a / ln 2), |r| <= ln 2 / 2; exp(r) by its Taylor series to r^7, whose rest is
  // below 1e-8. ln 2 is split so that n * ln2High is exact. Only n is clamped: what is too large becomes infinite, NaN
  // stays.
  int64_t width = widthOf(a);
  Value clamped = min(max(a, splat(-88.0, width)), splat(88.0, width));
  Value n = math::RoundEvenOp::create(builder, location, mul(clamped, splat(1.4426950408889634, width)));
  Value r = fma(n, splat(-0.693359375, width), a);
  r = fma(n, splat(2.12194440054690583e-4, width), r);
  Value p = splat(1.0 / 5040, width);
  for (double coefficient : {1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0}) {
    p = fma(p, r, splat(coefficient, width));
  }
  Type i32 = vectorType(width, builder.getI32Type());
  auto i32Constant = [&](int32_t value) -> Value {
    TypedAttr attr = builder.getI32IntegerAttr(value);
    if (width != 0) {
      attr = DenseElementsAttr::get(cast<VectorType>(i32), value);
    }
    return arith::ConstantOp::create(builder, location, attr);
  };
  Value exponent = arith::FPToSIOp::create(builder, location, i32, n);
  Value bits = arith::ShLIOp::create(
      builder, location, arith::AddIOp::create(builder, location, exponent, i32Constant(127)), i32Constant(23));
  Value power = arith::BitcastOp::create(builder, location, vectorType(width, builder.getF32Type()), bits);
  Value result = mul(p, power);
  return select(less(a, splat(-87.3, width)), splat(0, width), result);
}

Value KernelBuilder::exp2(Value a) {
  // 2^a = 2^n * 2^r, n = floor(a); 2^r for 0 <= r < 1 by the polynomial of degree 5 with the least largest relative
  // error (8e-8; Remez) among those that are 1 at 0.
  int64_t width = widthOf(a);
  auto power = [&](Value r) {
    Value p = splat(0.00186713007, width);
    for (double coefficient : {0.00901703031, 0.0557999131, 0.24016445, 0.693151312, 1.0}) {
      p = fma(p, r, splat(coefficient, width));
    }
    return p;
  };
  if (width == 16 && target.vectorBits == 512) {
    // AVX-512 takes numbers apart and scales them, infinities included: what is left of -inf is 0.
    Type mask = builder.getI16Type(), i32 = builder.getI32Type();
    auto constant = [&](Type type, int64_t value) -> Value {
      return arith::ConstantOp::create(builder, location, builder.getIntegerAttr(type, value));
    };
    Value all = constant(mask, -1), down = constant(i32, 1), asIs = constant(i32, 4), zero = splat(0, width);
    auto call = [&](StringRef name, ValueRange arguments) {
      return LLVM::CallIntrinsicOp::create(builder, location, a.getType(), builder.getStringAttr(name), arguments)
          .getResult(0);
    };
    Value r = call("llvm.x86.avx512.mask.reduce.ps.512", {a, down, zero, all, asIs});
    return call("llvm.x86.avx512.mask.scalef.ps.512", {power(r), a, zero, all, asIs});
  }
  Value clamped = max(a, splat(-127.0, width));
  Value n = math::FloorOp::create(builder, location, clamped);
  Value p = power(sub(clamped, n));
  Type i32 = vectorType(width, builder.getI32Type());
  auto i32Constant = [&](int32_t value) -> Value {
    TypedAttr attr = builder.getI32IntegerAttr(value);
    if (width != 0) {
      attr = DenseElementsAttr::get(cast<VectorType>(i32), value);
    }
    return arith::ConstantOp::create(builder, location, attr);
  };
  Value exponent =
      arith::AddIOp::create(builder, location, arith::FPToSIOp::create(builder, location, i32, n), i32Constant(127));
  Value bits = arith::ShLIOp::create(builder, location, exponent, i32Constant(23));
  Value scale = arith::BitcastOp::create(builder, location, vectorType(width, builder.getF32Type()), bits);
  return select(less(a, splat(-126.0, width)), splat(0, width), mul(p, scale));
}

Value KernelBuilder::sigmoid(Value a) {
  int64_t width = widthOf(a);
  Value negated = sub(splat(0, width), a);
  return div(splat(1, width), add(splat(1, width), exp(negated)));
}

Value KernelBuilder::silu(Value a) {
  int64_t width = widthOf(a);
  return div(a, add(splat(1, width), exp(sub(splat(0, width), a))));
}

Value KernelBuilder::sum(Value vector) {
  // Any order: lanes are independent partial sums already.
  return vector::ReductionOp::create(builder, location, vector::CombiningKind::ADD, vector,
                                     arith::FastMathFlags::reassoc);
}

Value KernelBuilder::largest(Value vector) {
  return vector::ReductionOp::create(builder, location, vector::CombiningKind::MAXNUMF, vector);
}

Value KernelBuilder::broadcast(Value scalar, int64_t width) {
  return vector::BroadcastOp::create(builder, location, VectorType::get({width}, scalar.getType()), scalar);
}

Value KernelBuilder::toInteger(Value i32) {
  return arith::ExtSIOp::create(builder, location, builder.getI64Type(), i32);
}

std::pair<Value, Value> KernelBuilder::interleave(Value even, Value odd) {
  int64_t width = widthOf(even);
  auto half = [&](int64_t first) -> Value {
    SmallVector<int64_t> order;
    for (int64_t i = first; i < first + width / 2; ++i) {
      order.append({i, width + i});
    }
    return vector::ShuffleOp::create(builder, location, even, odd, order);
  };
  return {half(0), half(width / 2)};
}

KernelBuilder::Values KernelBuilder::transpose(ArrayRef<Value> rows) {
  // Interleaving the upper half of the rows with the lower one moves the highest bit of a row's number to the lowest of
  // the column's: after as many turns as there are bits, both have changed places.
  Values now(rows);
  for (size_t turn = 1; turn < rows.size(); turn *= 2) {
    Values next;
    for (size_t i = 0; i < rows.size() / 2; ++i) {
      auto [first, second] = interleave(now[i], now[i + rows.size() / 2]);
      next.append({first, second});
    }
    now = next;
  }
  return now;
}

//===--- Memory
//-----------------------------------------------------------------------------------------------------===//

Value KernelBuilder::address(Value base, Value index, Type element) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  // Only the size counts here, and integers of it are types that LLVM's address computation knows.
  if (auto type = dyn_cast<FloatType>(element)) {
    element = builder.getIntegerType(type.getWidth());
  }
  return LLVM::GEPOp::create(builder, location, pointer, element, base, ArrayRef<LLVM::GEPArg>{index});
}

Value KernelBuilder::loadRaw(Type type, Value base, Value index, Type element) {
  unsigned alignment = isa<LLVM::LLVMPointerType>(element) ? 8 : element.getIntOrFloatBitWidth() / 8;
  return LLVM::LoadOp::create(builder, location, type, address(base, index, element), alignment);
}

void KernelBuilder::storeRaw(Value value, Value base, Value index, Type element) {
  LLVM::StoreOp::create(builder, location, value, address(base, index, element), element.getIntOrFloatBitWidth() / 8);
}

Value KernelBuilder::loadInteger(Value base, Value index) {
  return toInteger(loadRaw(builder.getI32Type(), base, index, builder.getI32Type()));
}

void KernelBuilder::storeInteger(Value value, Value base, Value index) {
  storeRaw(arith::TruncIOp::create(builder, location, builder.getI32Type(), value), base, index, builder.getI32Type());
}

Value KernelBuilder::load(Value base, Value index, Type element, int64_t width) {
  if (element.isBF16()) {
    Type bits = builder.getI16Type();
    return widen(arith::BitcastOp::create(builder, location, vectorType(width, element),
                                          loadRaw(vectorType(width, bits), base, index, bits)));
  }
  return widen(loadRaw(vectorType(width, element), base, index, element));
}

Value KernelBuilder::widen(Value values) {
  int64_t width = widthOf(values);
  Type element = getElementTypeOrSelf(values.getType());
  Type f32 = vectorType(width, builder.getF32Type()), i32 = vectorType(width, builder.getI32Type());
  auto i32Constant = [&](int32_t value) -> Value {
    TypedAttr attr = builder.getI32IntegerAttr(value);
    if (width != 0) {
      attr = DenseElementsAttr::get(cast<VectorType>(i32), value);
    }
    return arith::ConstantOp::create(builder, location, attr);
  };
  if (element.isF32()) {
    return values;
  }
  if (element.isBF16()) { // The upper half of an f32.
    Value bits = arith::BitcastOp::create(builder, location, vectorType(width, builder.getI16Type()), values);
    Value wide = arith::ExtUIOp::create(builder, location, i32, bits);
    return arith::BitcastOp::create(builder, location, f32,
                                    arith::ShLIOp::create(builder, location, wide, i32Constant(16)));
  }
  if (element.isF16()) {
    return arith::ExtFOp::create(builder, location, f32, values);
  }
  // e4m3 as bytes: exponent and mantissa move to their places in an f32, the bias from 7 to 127. A subnormal is read as
  // if it had exponent 1, and the leading one that this adds (2^-6) is taken off again.
  assert(element.isInteger(8) && "fp8 travels as bytes");
  Value wide = arith::ExtUIOp::create(builder, location, i32, values);
  Value magnitude = arith::AndIOp::create(builder, location, wide, i32Constant(0x7f));
  Value shifted = arith::ShLIOp::create(builder, location, magnitude, i32Constant(20));
  Value normal = arith::AddIOp::create(builder, location, shifted, i32Constant(120 << 23));
  Value asOne = arith::AddIOp::create(builder, location, shifted, i32Constant(121 << 23));
  Value subnormal = sub(arith::BitcastOp::create(builder, location, f32, asOne), splat(0.015625, width));
  Value isSubnormal = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::ult, magnitude, i32Constant(8));
  Value absolute = select(isSubnormal, subnormal, arith::BitcastOp::create(builder, location, f32, normal));
  Value sign = arith::ShLIOp::create(
      builder, location, arith::AndIOp::create(builder, location, wide, i32Constant(0x80)), i32Constant(24));
  Value bits =
      arith::OrIOp::create(builder, location, sign, arith::BitcastOp::create(builder, location, i32, absolute));
  return arith::BitcastOp::create(builder, location, f32, bits);
}

void KernelBuilder::store(Value value, Value base, Value index, Type element) {
  int64_t width = widthOf(value);
  if (element.isBF16()) {
    if (target.hasBF16Dot) {
      Value narrow = arith::TruncFOp::create(builder, location, vectorType(width, element), value);
      Type bits = vectorType(width, builder.getI16Type());
      storeRaw(arith::BitcastOp::create(builder, location, bits, narrow), base, index, builder.getI16Type());
      return;
    }
    // Without an instruction for it: add half of the last place kept, ties to even, and cut.
    Type i32 = vectorType(width, builder.getI32Type());
    auto constant = [&](int32_t number) -> Value {
      TypedAttr attr = builder.getI32IntegerAttr(number);
      if (width != 0) {
        attr = DenseElementsAttr::get(cast<VectorType>(i32), number);
      }
      return arith::ConstantOp::create(builder, location, attr);
    };
    Value bits = arith::BitcastOp::create(builder, location, i32, value);
    Value odd = arith::AndIOp::create(builder, location, arith::ShRUIOp::create(builder, location, bits, constant(16)),
                                      constant(1));
    Value rounded =
        arith::AddIOp::create(builder, location, bits, arith::AddIOp::create(builder, location, odd, constant(0x7fff)));
    Value high = arith::ShRUIOp::create(builder, location, rounded, constant(16));
    storeRaw(arith::TruncIOp::create(builder, location, vectorType(width, builder.getI16Type()), high), base, index,
             builder.getI16Type());
    return;
  }
  if (element.isF16()) {
    value = arith::TruncFOp::create(builder, location, vectorType(width, element), value);
  }
  storeRaw(value, base, index, element);
}

void KernelBuilder::store(Value value, Value base, Value index, Type element, int64_t lowOffset) {
  store(value, base, index, element);
  if (lowOffset != 0) {
    Value low = sub(value, load(base, index, element, widthOf(value)));
    store(low, base, add(index, integer(lowOffset)), element);
  }
}

//===--- Control
//----------------------------------------------------------------------------------------------------===//

void KernelBuilder::loop(Value begin, Value end, Value step, function_ref<void(Value)> body) {
  auto op = scf::ForOp::create(builder, location, begin, end, step);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.getBody());
  body(op.getInductionVar());
}

KernelBuilder::Values KernelBuilder::loop(Value begin, Value end, Value step, ArrayRef<Value> initial,
                                          function_ref<Values(Value, ArrayRef<Value>)> body) {
  auto op = scf::ForOp::create(builder, location, begin, end, step, initial);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.getBody());
  Values arguments(op.getRegionIterArgs().begin(), op.getRegionIterArgs().end());
  Values results = body(op.getInductionVar(), arguments);
  scf::YieldOp::create(builder, location, results);
  return Values(op.getResults().begin(), op.getResults().end());
}

void KernelBuilder::advance(Value begin, Value end, function_ref<Value(Value)> body) {
  Type type = begin.getType();
  auto op = scf::WhileOp::create(builder, location, TypeRange(type), ValueRange(begin));
  OpBuilder::InsertionGuard guard(builder);
  Block *before = builder.createBlock(&op.getBefore(), {}, type, location);
  scf::ConditionOp::create(builder, location, less(before->getArgument(0), end), before->getArguments());
  Block *after = builder.createBlock(&op.getAfter(), {}, type, location);
  scf::YieldOp::create(builder, location, body(after->getArgument(0)));
}

void KernelBuilder::ifThen(Value condition, function_ref<void()> body) {
  auto op = scf::IfOp::create(builder, location, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  body();
}

KernelBuilder::Values KernelBuilder::ifElse(Value condition, ArrayRef<Type> types, function_ref<Values()> then,
                                            function_ref<Values()> otherwise) {
  auto op = scf::IfOp::create(builder, location, TypeRange(types), condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  auto fill = [&](Block *block, function_ref<Values()> body) {
    if (!block->empty() && isa<scf::YieldOp>(block->back())) {
      block->back().erase();
    }
    builder.setInsertionPointToEnd(block);
    Values results = body();
    scf::YieldOp::create(builder, location, results);
  };
  fill(op.thenBlock(), then);
  fill(op.elseBlock(), otherwise);
  return Values(op.getResults().begin(), op.getResults().end());
}

void KernelBuilder::forEachPiece(int64_t count, function_ref<void(Value, int64_t)> body) {
  int64_t whole = count / lanes() * lanes();
  if (whole == lanes()) {
    body(integer(0), lanes());
  } else if (whole > 0) {
    loop(integer(0), integer(whole), integer(lanes()), [&](Value index) { body(index, lanes()); });
  }
  if (count > whole) {
    body(integer(whole), count - whole);
  }
}

Value KernelBuilder::reducePieces(int64_t count, double neutral, function_ref<Value(Value, int64_t)> body,
                                  function_ref<Value(Value, Value)> combine, function_ref<Value(Value)> reduce) {
  int64_t whole = count / lanes() * lanes();
  Value result;
  if (whole > 0) {
    Values partial =
        loop(integer(0), integer(whole), integer(lanes()), {splat(neutral, lanes())},
             [&](Value index, ArrayRef<Value> so) -> Values { return {combine(so[0], body(index, lanes()))}; });
    result = reduce(partial[0]);
  }
  if (count > whole) {
    Value rest = reduce(body(integer(whole), count - whole));
    result = result ? combine(result, rest) : rest;
  }
  return result;
}

Value KernelBuilder::sumOfPieces(int64_t count, function_ref<Value(Value, int64_t)> body) {
  return reducePieces(count, 0, body, [&](Value a, Value b) { return add(a, b); }, [&](Value a) { return sum(a); });
}

Value KernelBuilder::largestOfPieces(int64_t count, function_ref<Value(Value, int64_t)> body) {
  return reducePieces(
      count, -INFINITY, body, [&](Value a, Value b) { return max(a, b); }, [&](Value a) { return largest(a); });
}

} // namespace elah
