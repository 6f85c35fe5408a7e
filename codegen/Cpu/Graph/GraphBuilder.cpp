// The vocabulary of plain graphs, in terms of MLIR's scf, arith and llvm dialects.
#include "codegen/Cpu/Graph/GraphBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"
#include <cmath>
#include <elah/cpu_graph.h>
#include <limits>

using namespace mlir;

namespace elah {

GraphBuilder::GraphBuilder(OpBuilder &builder, ModuleOp module, Location location, StringRef symbol)
    : builder(builder), location(location), module(module) {
  Type pointer = pointerType();
  builder.setInsertionPointToEnd(module.getBody());
  function = func::FuncOp::create(builder, location, symbol,
                                  builder.getFunctionType({pointer, pointer, pointer, pointer}, {}));
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToEnd(entry);
  services = entry->getArgument(0);
  weights = entry->getArgument(1);
  inputs = entry->getArgument(2);
  outputs = entry->getArgument(3);
  state = field(services, offsetof(elah_graph_services, state));
  constexpr int64_t maxRank = 64;
  sizesScratch = LLVM::AllocaOp::create(builder, location, pointer, builder.getI64Type(), integer(maxRank));
}

void GraphBuilder::finish() { func::ReturnOp::create(builder, location); }

Type GraphBuilder::pointerType() { return LLVM::LLVMPointerType::get(builder.getContext()); }

//===--- The call ------------------------------------------------------------------------------------------------===//

/// The pointer `bytes` behind `base`.
Value GraphBuilder::field(Value base, int64_t bytes) {
  Value address = LLVM::GEPOp::create(builder, location, pointerType(), builder.getI8Type(), base,
                                      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)});
  return LLVM::LoadOp::create(builder, location, pointerType(), address);
}

Value GraphBuilder::weight(int64_t index) { return field(weights, index * 8); }

Value GraphBuilder::inputData(int64_t index) {
  return field(inputs, index * sizeof(elah_graph_tensor) + offsetof(elah_graph_tensor, data));
}

Value GraphBuilder::inputDim(int64_t index, int64_t axis) {
  Value dims = field(inputs, index * sizeof(elah_graph_tensor) + offsetof(elah_graph_tensor, dims));
  return load(dims, integer(axis), builder.getI64Type());
}

void GraphBuilder::setOutput(int64_t index, Value data, ArrayRef<Value> dims) {
  int64_t offset = index * sizeof(elah_graph_tensor);
  Value sizes = field(outputs, offset + offsetof(elah_graph_tensor, dims));
  for (auto [axis, size] : llvm::enumerate(dims)) {
    store(size, sizes, integer(axis), builder.getI64Type());
  }
  Value address =
      LLVM::GEPOp::create(builder, location, pointerType(), builder.getI8Type(), outputs,
                          ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offset + offsetof(elah_graph_tensor, data))});
  LLVM::StoreOp::create(builder, location, data, address);
}

Value GraphBuilder::callPointer(Value function, Type result, ArrayRef<Value> arguments) {
  SmallVector<Type> types = llvm::map_to_vector(arguments, [](Value value) { return value.getType(); });
  auto type = LLVM::LLVMFunctionType::get(result ? result : LLVM::LLVMVoidType::get(builder.getContext()), types);
  Values operands{function};
  llvm::append_range(operands, arguments);
  auto call = LLVM::CallOp::create(builder, location, type, operands);
  return result ? call.getResult() : Value();
}

Value GraphBuilder::allocate(Value bytes) {
  return callPointer(field(services, offsetof(elah_graph_services, allocate)), pointerType(), {state, bytes});
}

void GraphBuilder::release(Value memory) {
  callPointer(field(services, offsetof(elah_graph_services, release)), Type(), {state, memory});
}

Value GraphBuilder::bytes(StringRef bytes) {
  std::string &name = constants[bytes];
  if (name.empty()) {
    name = "constant_" + std::to_string(constants.size());
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), bytes.size());
    LLVM::GlobalOp::create(builder, location, type, /*isConstant=*/true, LLVM::Linkage::Internal, name,
                           builder.getStringAttr(bytes), /*alignment=*/64);
  }
  return LLVM::AddressOfOp::create(builder, location, pointerType(), name);
}

void GraphBuilder::check(Value holds, const Twine &what, Value first, Value second) {
  if (std::optional<int64_t> known = constant(holds); known && *known != 0) {
    return;
  }
  Value fails = arith::XOrIOp::create(builder, location, holds, arith::ConstantIntOp::create(builder, location, 1, 1));
  ifThen(fails, [&] {
    callPointer(field(services, offsetof(elah_graph_services, fail)), Type(),
                {state, bytes(what.str() + std::string(1, '\0')), first, second});
  });
}

//===--- Integers ------------------------------------------------------------------------------------------------===//

Value GraphBuilder::integer(int64_t value) { return arith::ConstantIntOp::create(builder, location, value, 64); }

std::optional<int64_t> GraphBuilder::constant(Value value) {
  APInt found;
  if (matchPattern(value, m_ConstantInt(&found))) {
    return found.getBitWidth() == 1 ? static_cast<int64_t>(found.getZExtValue()) : found.getSExtValue();
  }
  return std::nullopt;
}

Value GraphBuilder::add(Value a, Value b) { return builder.createOrFold<arith::AddIOp>(location, a, b); }
Value GraphBuilder::sub(Value a, Value b) { return builder.createOrFold<arith::SubIOp>(location, a, b); }
Value GraphBuilder::mul(Value a, Value b) { return builder.createOrFold<arith::MulIOp>(location, a, b); }
Value GraphBuilder::div(Value a, Value b) { return builder.createOrFold<arith::DivSIOp>(location, a, b); }
Value GraphBuilder::rem(Value a, Value b) { return builder.createOrFold<arith::RemSIOp>(location, a, b); }
Value GraphBuilder::min(Value a, Value b) { return builder.createOrFold<arith::MinSIOp>(location, a, b); }
Value GraphBuilder::max(Value a, Value b) { return builder.createOrFold<arith::MaxSIOp>(location, a, b); }
Value GraphBuilder::less(Value a, Value b) {
  return builder.createOrFold<arith::CmpIOp>(location, arith::CmpIPredicate::slt, a, b);
}
Value GraphBuilder::equal(Value a, Value b) {
  return builder.createOrFold<arith::CmpIOp>(location, arith::CmpIPredicate::eq, a, b);
}
Value GraphBuilder::both(Value a, Value b) { return builder.createOrFold<arith::AndIOp>(location, a, b); }
Value GraphBuilder::select(Value condition, Value a, Value b) {
  return builder.createOrFold<arith::SelectOp>(location, condition, a, b);
}

Value GraphBuilder::product(ArrayRef<Value> values) {
  Value result = integer(1);
  for (Value value : values) {
    result = mul(result, value);
  }
  return result;
}

//===--- Elements ------------------------------------------------------------------------------------------------===//

namespace {

/// A float of eight bits: OCP 8-bit floating point (section 5), and the FNUZ formats of arXiv 2206.02915.
struct Float8Format {
  int mantissa, bias;
  double largest;
  int nan;
  bool hasInfinity, hasNegativeZero;
  int infinity;
};

Float8Format formatOf(FloatType type) {
  if (isa<Float8E4M3FNType>(type)) {
    return {3, 7, 448, 0x7f, false, true, 0};
  }
  if (isa<Float8E5M2Type>(type)) {
    return {2, 15, 57344, 0x7e, true, true, 0x7c};
  }
  if (isa<Float8E4M3FNUZType>(type)) {
    return {3, 8, 240, 0x80, false, false, 0};
  }
  assert(isa<Float8E5M2FNUZType>(type) && "r1 has no further floats of eight bits");
  return {2, 16, 57344, 0x80, false, false, 0};
}

bool isNibble(Type element) { return element.getIntOrFloatBitWidth() == 4; }

} // namespace

Type GraphBuilder::scalarType(Type element) {
  if (isa<FloatType>(element)) {
    return element.isF64() ? element : builder.getF32Type();
  }
  return isNibble(element) ? builder.getI8Type() : builder.getIntegerType(element.getIntOrFloatBitWidth());
}

Value GraphBuilder::bytesOf(Value count, Type element) {
  if (isNibble(element)) {
    return div(add(count, integer(1)), integer(2));
  }
  return mul(count, integer(std::max<int64_t>(1, static_cast<int64_t>(element.getIntOrFloatBitWidth()) / 8)));
}

Value GraphBuilder::number(double value, Type element) {
  Type type = scalarType(element);
  if (isa<FloatType>(type)) {
    return arith::ConstantOp::create(builder, location, builder.getFloatAttr(type, value));
  }
  return arith::ConstantOp::create(builder, location, builder.getIntegerAttr(type, static_cast<int64_t>(value)));
}

Value GraphBuilder::round(Value value, Type element) {
  if (!isa<FloatType>(element) || element.isF32() || element.isF64()) {
    return value;
  }
  Type f32 = builder.getF32Type(), i32 = builder.getI32Type();
  if (element.isF16()) {
    return arith::ExtFOp::create(builder, location, f32,
                                 Value(arith::TruncFOp::create(builder, location, element, value)));
  }
  auto word = [&](int64_t number) -> Value { return arith::ConstantIntOp::create(builder, location, number, 32); };
  Value bits = arith::BitcastOp::create(builder, location, i32, value);
  Value isNan = arith::CmpFOp::create(builder, location, arith::CmpFPredicate::UNO, value, value);
  if (element.isBF16()) {
    // Half a unit of the last place that stays, less a bit where that place is even (ties go there).
    Value odd =
        arith::AndIOp::create(builder, location, arith::ShRUIOp::create(builder, location, bits, word(16)), word(1));
    Value up =
        arith::AddIOp::create(builder, location, bits, arith::AddIOp::create(builder, location, odd, word(0x7fff)));
    Value kept = arith::AndIOp::create(builder, location, up, word(int64_t(0xffff0000)));
    Value rounded = arith::BitcastOp::create(builder, location, f32, kept);
    return arith::SelectOp::create(builder, location, isNan, value, rounded);
  }
  Float8Format format = formatOf(cast<FloatType>(element));
  Value exponent = arith::SubIOp::create(
      builder, location,
      arith::AndIOp::create(builder, location, arith::ShRUIOp::create(builder, location, bits, word(23)), word(255)),
      word(127));
  exponent = arith::MaxSIOp::create(builder, location, exponent, word(1 - format.bias));
  Value step = arith::BitcastOp::create(
      builder, location, f32,
      arith::ShLIOp::create(builder, location,
                            arith::AddIOp::create(builder, location, exponent, word(127 - format.mantissa)), word(23)));
  Value rounded = arith::MulFOp::create(
      builder, location,
      math::RoundEvenOp::create(builder, location, arith::DivFOp::create(builder, location, value, step)), step);
  Value magnitude = math::AbsFOp::create(builder, location, rounded);
  Value tooLarge =
      arith::CmpFOp::create(builder, location, arith::CmpFPredicate::UGT, magnitude, number(format.largest, f32));
  Value beyond = number(std::numeric_limits<double>::quiet_NaN(), f32);
  if (format.hasInfinity) {
    Value infinity = number(std::numeric_limits<double>::infinity(), f32);
    Value withSign = math::CopySignOp::create(builder, location, infinity, value);
    beyond = arith::SelectOp::create(builder, location, isNan, value, withSign);
  }
  return arith::SelectOp::create(builder, location, tooLarge, beyond, rounded);
}

Value GraphBuilder::decodeFloat8(Value byte, FloatType type) {
  std::string table;
  for (unsigned bits = 0; bits < 256; ++bits) {
    float value = static_cast<float>(llvm::APFloat(type.getFloatSemantics(), llvm::APInt(8, bits)).convertToDouble());
    table.append(reinterpret_cast<const char *>(&value), sizeof(value));
  }
  Value index = arith::ExtUIOp::create(builder, location, builder.getI64Type(), byte);
  return load(bytes(table), index, builder.getF32Type());
}

Value GraphBuilder::encodeFloat8(Value value, FloatType type) {
  Float8Format format = formatOf(type);
  Type i32 = builder.getI32Type(), f32 = value.getType();
  auto word = [&](int64_t number) -> Value { return arith::ConstantIntOp::create(builder, location, number, 32); };
  auto shiftRight = [&](Value bits, int64_t by) -> Value {
    return arith::ShRUIOp::create(builder, location, bits, word(by));
  };
  Value bits = arith::BitcastOp::create(builder, location, i32, value);
  Value sign = arith::AndIOp::create(builder, location, shiftRight(bits, 24), word(0x80));
  Value magnitude = math::AbsFOp::create(builder, location, value);
  Value isSmall = arith::CmpFOp::create(builder, location, arith::CmpFPredicate::OLT, magnitude,
                                        number(std::ldexp(1.0, 1 - format.bias), f32));
  Value units = arith::MulFOp::create(builder, location, magnitude,
                                      number(std::ldexp(1.0, format.mantissa + format.bias - 1), f32));
  Value plain = arith::SelectOp::create(builder, location, isSmall, units, number(0, f32));
  Value small = arith::FPToSIOp::create(builder, location, i32, plain);
  // Exponents are biased by 127 here; of the 23 bits of mantissa the upper ones stay.
  Value normal = arith::SubIOp::create(
      builder, location,
      shiftRight(arith::AndIOp::create(builder, location, bits, word(0x7fffffff)), 23 - format.mantissa),
      word((127 - format.bias) << format.mantissa));
  Value code = arith::SelectOp::create(builder, location, isSmall, small, normal);
  if (format.hasInfinity) {
    Value isInfinite = arith::CmpFOp::create(builder, location, arith::CmpFPredicate::OEQ, magnitude,
                                             number(std::numeric_limits<double>::infinity(), f32));
    code = arith::SelectOp::create(builder, location, isInfinite, word(format.infinity), code);
  }
  if (!format.hasNegativeZero) {
    Value isZero = arith::CmpFOp::create(builder, location, arith::CmpFPredicate::OEQ, magnitude, number(0, f32));
    sign = arith::SelectOp::create(builder, location, isZero, word(0), sign);
  }
  code = arith::OrIOp::create(builder, location, code, sign);
  Value isNan = arith::CmpFOp::create(builder, location, arith::CmpFPredicate::UNO, value, value);
  code = arith::SelectOp::create(builder, location, isNan, word(format.nan), code);
  return arith::TruncIOp::create(builder, location, builder.getI8Type(), code);
}

namespace {

/// Truth takes a byte, and LLVM has no type for floats of eight bits.
Type storageOf(OpBuilder &builder, Type element) {
  unsigned width = element.getIntOrFloatBitWidth();
  return width <= 8 ? builder.getI8Type() : isa<FloatType>(element) ? element : builder.getIntegerType(width);
}

} // namespace

Value GraphBuilder::address(Value data, Value index, Type element) {
  return LLVM::GEPOp::create(builder, location, pointerType(), storageOf(builder, element), data,
                             ArrayRef<LLVM::GEPArg>{index});
}

Value GraphBuilder::load(Value data, Value index, Type element) {
  Type storage = storageOf(builder, element);
  if (isNibble(element)) {
    Type i8 = builder.getI8Type();
    Value byte = LLVM::LoadOp::create(builder, location, i8, address(data, div(index, integer(2)), element));
    Value four = arith::ConstantIntOp::create(builder, location, 4, 8);
    // The lower half of an even element's byte goes up first; coming down, the sign is repeated.
    Value isEven = equal(rem(index, integer(2)), integer(0));
    Value upper = arith::SelectOp::create(builder, location, isEven,
                                          Value(arith::ShLIOp::create(builder, location, byte, four)), byte);
    return element.isUnsignedInteger() ? Value(arith::ShRUIOp::create(builder, location, upper, four))
                                       : Value(arith::ShRSIOp::create(builder, location, upper, four));
  }
  Value loaded = LLVM::LoadOp::create(builder, location, storage, address(data, index, element));
  if (element.isInteger(1)) {
    return arith::TruncIOp::create(builder, location, element, loaded);
  }
  if (isa<FloatType>(element) && storage != element) {
    return decodeFloat8(loaded, cast<FloatType>(element));
  }
  return element.isF16() || element.isBF16()
             ? Value(arith::ExtFOp::create(builder, location, builder.getF32Type(), loaded))
             : loaded;
}

void GraphBuilder::store(Value value, Value data, Value index, Type element) {
  assert(value.getType() == scalarType(element) && "elements are stored as what they are");
  Type storage = storageOf(builder, element);
  if (isNibble(element)) {
    Type i8 = builder.getI8Type();
    auto byteOf = [&](int64_t number) -> Value { return arith::ConstantIntOp::create(builder, location, number, 8); };
    Value place = address(data, div(index, integer(2)), element);
    Value old = LLVM::LoadOp::create(builder, location, i8, place);
    Value isEven = equal(rem(index, integer(2)), integer(0));
    Value low = arith::AndIOp::create(builder, location, value, byteOf(15));
    Value high = arith::ShLIOp::create(builder, location, low, byteOf(4));
    Value bits = arith::SelectOp::create(builder, location, isEven, low, high);
    Value mask = arith::SelectOp::create(builder, location, isEven, byteOf(-16), byteOf(15));
    Value kept = arith::AndIOp::create(builder, location, old, mask);
    LLVM::StoreOp::create(builder, location, Value(arith::OrIOp::create(builder, location, kept, bits)), place);
    return;
  }
  if (element.isInteger(1)) {
    value = arith::ExtUIOp::create(builder, location, storage, value);
  } else if (isa<FloatType>(element) && storage != element) {
    value = encodeFloat8(value, cast<FloatType>(element));
  } else if (element.isF16()) {
    value = arith::TruncFOp::create(builder, location, element, value);
  } else if (element.isBF16()) {
    // The value is one of bf16's: its upper half is all of it.
    Value bits = arith::BitcastOp::create(builder, location, builder.getI32Type(), value);
    Value upper =
        arith::ShRUIOp::create(builder, location, bits, arith::ConstantIntOp::create(builder, location, 16, 32));
    value = arith::TruncIOp::create(builder, location, builder.getI16Type(), upper);
  }
  LLVM::StoreOp::create(builder, location, value, address(data, index, element));
}

void GraphBuilder::copyBytes(Value to, Value from, Value count) {
  Type i8 = builder.getI8Type();
  loop(integer(0), count, [&](Value index) { store(load(from, index, i8), to, index, i8); });
}

//===--- Control -------------------------------------------------------------------------------------------------===//

void GraphBuilder::loop(Value begin, Value end, llvm::function_ref<void(Value)> body) {
  loop(begin, end, {}, [&](Value index, ArrayRef<Value>) {
    body(index);
    return Values();
  });
}

GraphBuilder::Values GraphBuilder::loop(Value begin, Value end, ArrayRef<Value> initial,
                                        llvm::function_ref<Values(Value, ArrayRef<Value>)> body) {
  auto made = scf::ForOp::create(builder, location, begin, end, integer(1), initial);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = made.getBody();
  if (initial.empty()) {
    builder.setInsertionPoint(block->getTerminator());
    body(made.getInductionVar(), {});
    return {};
  }
  builder.setInsertionPointToEnd(block);
  Values arguments(made.getRegionIterArgs().begin(), made.getRegionIterArgs().end());
  Values yielded = body(made.getInductionVar(), arguments);
  scf::YieldOp::create(builder, location, yielded);
  return Values(made.getResults().begin(), made.getResults().end());
}

void GraphBuilder::loops(ArrayRef<Value> dims, llvm::function_ref<void(ArrayRef<Value>)> body) {
  Values indices;
  std::function<void(size_t)> nest = [&](size_t axis) {
    if (axis == dims.size()) {
      body(indices);
      return;
    }
    if (constant(dims[axis]) == 1) {
      indices.push_back(integer(0));
      nest(axis + 1);
      indices.pop_back();
      return;
    }
    loop(integer(0), dims[axis], [&](Value index) {
      indices.push_back(index);
      nest(axis + 1);
      indices.pop_back();
    });
  };
  nest(0);
}

GraphBuilder::Values GraphBuilder::whileLoop(ArrayRef<Value> initial, llvm::function_ref<Value(ArrayRef<Value>)> holds,
                                             llvm::function_ref<Values(ArrayRef<Value>)> body) {
  SmallVector<Type> types = llvm::map_to_vector(initial, [](Value value) { return value.getType(); });
  SmallVector<Location> locations(types.size(), location);
  auto made = scf::WhileOp::create(builder, location, types, initial);
  OpBuilder::InsertionGuard guard(builder);
  Block *before = builder.createBlock(&made.getBefore(), {}, types, locations);
  Values carried(before->args_begin(), before->args_end());
  builder.setInsertionPointToEnd(before);
  scf::ConditionOp::create(builder, location, holds(carried), carried);
  Block *after = builder.createBlock(&made.getAfter(), {}, types, locations);
  carried.assign(after->args_begin(), after->args_end());
  builder.setInsertionPointToEnd(after);
  Values next = body(carried);
  scf::YieldOp::create(builder, location, next);
  return Values(made.getResults().begin(), made.getResults().end());
}

void GraphBuilder::ifThen(Value condition, llvm::function_ref<void()> body) {
  auto made = scf::IfOp::create(builder, location, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(made.thenBlock()->getTerminator());
  body();
}

GraphBuilder::Values GraphBuilder::ifElse(Value condition, ArrayRef<Type> types, llvm::function_ref<Values()> then,
                                          llvm::function_ref<Values()> otherwise) {
  auto made = scf::IfOp::create(builder, location, types, condition, /*addThenBlock=*/true, /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(made.thenBlock());
  scf::YieldOp::create(builder, location, then());
  builder.setInsertionPointToEnd(made.elseBlock());
  scf::YieldOp::create(builder, location, otherwise());
  return Values(made.getResults().begin(), made.getResults().end());
}

//===--- Functions of the runtime --------------------------------------------------------------------------------===//

Value GraphBuilder::call(int64_t function, Value value) {
  bool isDouble = value.getType().isF64();
  int64_t offset = isDouble ? offsetof(elah_graph_services, functions) : offsetof(elah_graph_services, float_functions);
  return callPointer(field(services, offset + 8 * function), value.getType(), {value});
}

Value GraphBuilder::floatRemainder(Value lhs, Value rhs) {
  Type f64 = builder.getF64Type(), type = lhs.getType();
  auto wide = [&](Value value) -> Value {
    return type == f64 ? value : Value(arith::ExtFOp::create(builder, location, f64, value));
  };
  Value left = callPointer(field(services, offsetof(elah_graph_services, remainder)), f64, {wide(lhs), wide(rhs)});
  return type == f64 ? left : Value(arith::TruncFOp::create(builder, location, type, left));
}

Value GraphBuilder::nullPointer() { return LLVM::ZeroOp::create(builder, location, pointerType()); }

Value GraphBuilder::createSequence() {
  return callPointer(field(services, offsetof(elah_graph_services, sequence_create)), pointerType(), {state});
}

void GraphBuilder::append(Value sequence, Value data, Value bytes, ArrayRef<Value> dims) {
  for (auto [axis, size] : llvm::enumerate(dims)) {
    store(size, sizesScratch, integer(static_cast<int64_t>(axis)), builder.getI64Type());
  }
  callPointer(field(services, offsetof(elah_graph_services, sequence_append)), Type(),
              {state, sequence, data, bytes, integer(static_cast<int64_t>(dims.size())), sizesScratch});
}

Value GraphBuilder::lengthOf(Value sequence) {
  return callPointer(field(services, offsetof(elah_graph_services, sequence_length)), builder.getI64Type(), {sequence});
}

GraphBuilder::Element GraphBuilder::at(Value sequence, Value position, size_t rank) {
  Value element =
      callPointer(field(services, offsetof(elah_graph_services, sequence_at)), pointerType(), {sequence, position});
  Element result{field(element, offsetof(elah_graph_element, data)), {}, {}};
  Value address = LLVM::GEPOp::create(builder, location, pointerType(), builder.getI8Type(), element,
                                      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offsetof(elah_graph_element, rank))});
  result.rank = load(address, integer(0), builder.getI64Type());
  check(equal(result.rank, integer(static_cast<int64_t>(rank))),
        "a tensor of a sequence must have rank %lld, found %lld", integer(static_cast<int64_t>(rank)), result.rank);
  Value dims = field(element, offsetof(elah_graph_element, dims));
  for (size_t axis = 0; axis < rank; ++axis) {
    result.dims.push_back(load(dims, integer(static_cast<int64_t>(axis)), builder.getI64Type()));
  }
  return result;
}

void GraphBuilder::take(Value sequence, Value from, Value position) {
  callPointer(field(services, offsetof(elah_graph_services, sequence_take)), Type(), {sequence, from, position});
}

Value GraphBuilder::copySequence(Value sequence) {
  return callPointer(field(services, offsetof(elah_graph_services, sequence_copy)), pointerType(), {state, sequence});
}

void GraphBuilder::releaseSequence(Value sequence) {
  callPointer(field(services, offsetof(elah_graph_services, sequence_release)), Type(), {state, sequence});
}

Value GraphBuilder::power(Value base, Value exponent) {
  return callPointer(field(services, offsetof(elah_graph_services, power)), base.getType(), {base, exponent});
}

} // namespace elah
