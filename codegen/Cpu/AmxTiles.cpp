// Registers are chosen here and not by LLVM: a kernel's inner loop uses all eight, the same ones in every turn.
#include "codegen/Cpu/AmxTiles.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace elah {

void AmxTiles::call(StringRef intrinsic, ValueRange arguments) {
  LLVM::CallIntrinsicOp::create(k.builder, k.location, k.builder.getStringAttr("llvm.x86." + intrinsic), arguments);
}

Value AmxTiles::number(int tile) {
  return arith::ConstantOp::create(k.builder, k.location, k.builder.getI8IntegerAttr(static_cast<int8_t>(tile)));
}

void AmxTiles::configure(Value memory, Value leftRows) {
  // Palette 1; from byte 16 on the bytes of a row of each register, from byte 48 on its rows.
  constexpr int64_t rowsOffset = 48;
  SmallVector<int8_t> description(configBytes, 0);
  description[0] = 1;
  for (int tile = 0; tile < 8; ++tile) {
    description[16 + 2 * tile] = rowBytes;
    description[rowsOffset + tile] = rows;
  }
  auto type = VectorType::get({configBytes}, k.builder.getI8Type());
  Value bytes =
      arith::ConstantOp::create(k.builder, k.location, DenseElementsAttr::get(type, ArrayRef<int8_t>(description)));
  k.storeRaw(bytes, memory, k.integer(0), k.builder.getI8Type());
  if (leftRows) { // Eight bytes, one a register.
    Value rowsOfAll = k.add(k.mul(leftRows, k.integer(0x0101'0101'0101)), k.integer(rows << 48 | rows << 56));
    k.storeRaw(rowsOfAll, memory, k.integer(rowsOffset / 8), k.builder.getI64Type());
  }
  call("ldtilecfg", memory);
}

void AmxTiles::release() { call("tilerelease", {}); }
void AmxTiles::zero(int tile) { call("tilezero", number(tile)); }
void AmxTiles::load(int tile, Value address, Value stride) { call("tileloadd64", {number(tile), address, stride}); }
void AmxTiles::stream(int tile, Value address, Value stride) { call("tileloaddt164", {number(tile), address, stride}); }
void AmxTiles::store(int tile, Value address, Value stride) { call("tilestored64", {number(tile), address, stride}); }
void AmxTiles::multiply(int sum, int left, int right) { call("tdpbf16ps", {number(sum), number(left), number(right)}); }

} // namespace elah
