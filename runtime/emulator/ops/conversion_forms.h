#ifndef RUNTIME_EMULATOR_OPS_CONVERSION_FORMS_H
#define RUNTIME_EMULATOR_OPS_CONVERSION_FORMS_H

// The forms of cvt that make or take packed values, or know more than rounding.

#include "machine/decoder.h"

namespace emulator::EMULATOR_ARCH {

/// `.f16x2 .bf16x2 .tf32 .e4m3x2 .e5m2x2`, and `.relu` or `.satfinite` with `.f16 .bf16`; reads nothing and gives false
/// where the instruction is none of these.
bool decodePackedConversion(Decoder &decoder, Op &op);
/// cvt.pack: integers, saturated, into one register.
void decodePack(Decoder &decoder, Op &op);

} // namespace emulator::EMULATOR_ARCH

#endif
