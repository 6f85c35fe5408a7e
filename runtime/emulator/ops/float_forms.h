#ifndef RUNTIME_EMULATOR_OPS_FLOAT_FORMS_H
#define RUNTIME_EMULATOR_OPS_FLOAT_FORMS_H

// The floating-point forms of opcodes that integers have too (PTX ISA 9.7.3 to 9.7.5). Each looks at the instruction's
// type; where that is an integer, nothing is read and the answer is false.

#include "machine/decoder.h"

namespace emulator::EMULATOR_ARCH {

enum class FloatBinary { Add, Sub, Mul };

bool decodeFloatBinary(Decoder &decoder, Op &op, FloatBinary which);
bool decodeFloatMad(Decoder &decoder, Op &op);
bool decodeFloatDiv(Decoder &decoder, Op &op);
bool decodeFloatMinMax(Decoder &decoder, Op &op, bool isMax);
bool decodeFloatSign(Decoder &decoder, Op &op, bool negates);

} // namespace emulator::EMULATOR_ARCH

#endif
