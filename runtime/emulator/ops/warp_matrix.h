#ifndef RUNTIME_EMULATOR_OPS_WARP_MATRIX_H
#define RUNTIME_EMULATOR_OPS_WARP_MATRIX_H

#include "machine/decoder.h"

namespace emulator {

void addMatrixMoves(OpcodeTable &table);         ///< ldmatrix, stmatrix, movmatrix
void addWarpMatrixFragments(OpcodeTable &table); ///< wmma

} // namespace emulator

#endif
