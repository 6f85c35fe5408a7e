// ldmatrix, stmatrix, movmatrix (PTX ISA 9.7.14.5.15-17): 8 x 8 matrices of 16-bit elements between shared memory,
// where each row is 16 bytes at an address that one lane gives, and registers, where lane 4i + q holds elements 2q and
// 2q + 1 of row i.

#include "ops/addresses.h"
#include "ops/warp_matrix.h"
#include <cstring>

namespace emulator {

namespace {

struct MoveForm {
  unsigned matrices = 1;
  bool transposed = false;
  NamedSpace space = NamedSpace::SharedCta;
  Decoder::Address address;
};
// Operands: 0 to 3, a register a matrix.

using Matrix = uint16_t[8][8];

void toRegister(const Matrix &matrix, bool transposed, uint32_t *words) {
  for (unsigned lane = 0; lane < warpLanes; ++lane) {
    unsigned row = lane / 4, column = 2 * (lane % 4);
    uint32_t low = transposed ? matrix[column][row] : matrix[row][column];
    uint32_t high = transposed ? matrix[column + 1][row] : matrix[row][column + 1];
    words[lane] = low | high << 16;
  }
}

void fromRegister(const uint32_t *words, bool transposed, Matrix &matrix) {
  for (unsigned lane = 0; lane < warpLanes; ++lane) {
    unsigned row = lane / 4, column = 2 * (lane % 4);
    (transposed ? matrix[column][row] : matrix[row][column]) = static_cast<uint16_t>(words[lane]);
    (transposed ? matrix[column + 1][row] : matrix[row][column + 1]) = static_cast<uint16_t>(words[lane] >> 16);
  }
}

/// The rows' places by lane; false after a fault.
bool locateRows(Warp &warp, const Op &op, const MoveForm &form, bool writes, std::byte *(&rows)[warpLanes]) {
  Target targets[warpLanes];
  const unsigned count = form.matrices * 8;
  for (unsigned lane = 0; lane < count; ++lane) {
    targets[lane] = resolve(warp, op, lane, addressOf(warp, form.address, lane), form.space, 16, 16, true);
    if (!targets[lane].bytes) {
      return false;
    }
    rows[lane] = targets[lane].bytes;
  }
  if (Observer *observer = warp.grid().observer) {
    uint64_t addresses[warpLanes] = {};
    for (unsigned lane = 0; lane < count; ++lane) {
      addresses[lane] = targets[lane].offset;
    }
    MemoryAccess access;
    access.actor = {&warp, &op};
    access.kind = writes ? MemoryAccess::Kind::Write : MemoryAccess::Kind::Read;
    access.shared = true;
    access.cta = &warp.cta;
    access.lanes = count == warpLanes ? allLanes : (Lanes(1) << count) - 1;
    access.addresses = addresses;
    access.bytes = 16;
    observer->access(access);
  }
  return true;
}

Flow loadMatrices(Warp &warp, const Op &op, Lanes) {
  const MoveForm &form = *static_cast<const MoveForm *>(op.form);
  std::byte *rows[warpLanes];
  if (!locateRows(warp, op, form, false, rows)) {
    return Flow::Ended;
  }
  for (unsigned i = 0; i < form.matrices; ++i) {
    Matrix matrix;
    for (unsigned row = 0; row < 8; ++row) {
      std::memcpy(matrix[row], rows[i * 8 + row], 16);
    }
    toRegister(matrix, form.transposed, warp.write<uint32_t>(op.operands[i]));
  }
  return Flow::Next;
}

Flow storeMatrices(Warp &warp, const Op &op, Lanes) {
  const MoveForm &form = *static_cast<const MoveForm *>(op.form);
  std::byte *rows[warpLanes];
  if (!locateRows(warp, op, form, true, rows)) {
    return Flow::Ended;
  }
  for (unsigned i = 0; i < form.matrices; ++i) {
    Matrix matrix;
    fromRegister(warp.read<uint32_t>(op.operands[i]), form.transposed, matrix);
    for (unsigned row = 0; row < 8; ++row) {
      std::memcpy(rows[i * 8 + row], matrix[row], 16);
    }
  }
  return Flow::Next;
}

Flow transposeMatrix(Warp &warp, const Op &op, Lanes) {
  Matrix matrix;
  fromRegister(warp.read<uint32_t>(op.operands[1]), false, matrix);
  toRegister(matrix, true, warp.write<uint32_t>(op.operands[0]));
  return Flow::Next;
}

void decodeMove(Decoder &d, Op &op, bool loads) {
  MoveForm form;
  d.expect("sync");
  d.expect("aligned");
  // The ISA has shape, then count; CUTLASS and others write them the other way round, which ptxas accepts.
  bool shape = d.accept("m8n8");
  const int count = d.optionalOf({"x1", "x2", "x4"});
  if (count < 0) {
    d.error("expected .x1, .x2 or .x4 (shapes other than .m8n8 need sm_100)");
  }
  form.matrices = count == 2 ? 4 : count == 1 ? 2 : 1;
  if (!shape) {
    d.expect("m8n8");
  }
  form.transposed = d.accept("trans");
  form.space = spaceNamed(d, false);
  d.expect("b16");
  const ptx::Operand &registers = d.operand(loads ? 0 : 1);
  const bool isVector = registers.kind == ptx::Operand::Kind::Vector;
  if ((isVector ? registers.elements.size() : 1) != form.matrices) {
    d.error("expected " + std::to_string(form.matrices) + " registers");
  } else {
    for (unsigned i = 0; i < form.matrices; ++i) {
      const ptx::Operand &element = isVector ? registers.elements[i] : registers;
      op.operands[i] = loads ? d.destination(element, ptx::Type::B32) : d.source(element, ptx::Type::B32);
    }
  }
  form.address = d.address(loads ? 1 : 0, spaceOf(form.space));
  op.convergence = Convergence::Warp;
  op.form = d.keep(form);
  op.run = loads ? loadMatrices : storeMatrices;
}

} // namespace

void addMatrixMoves(OpcodeTable &table) {
  table.add("ldmatrix", [](Decoder &d, Op &op) { decodeMove(d, op, true); });
  table.add("stmatrix", [](Decoder &d, Op &op) { decodeMove(d, op, false); });
  table.add("movmatrix", [](Decoder &d, Op &op) {
    for (const char *word : {"sync", "aligned", "m8n8", "trans", "b16"}) {
      d.expect(word);
    }
    op.operands[0] = d.destination(0, ptx::Type::B32);
    op.operands[1] = d.source(1, ptx::Type::B32);
    op.convergence = Convergence::Warp;
    op.run = transposeMatrix;
  });
}

} // namespace emulator
