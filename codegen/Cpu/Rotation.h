#ifndef CODEGEN_CPU_ROTATION_H
#define CODEGEN_CPU_ROTATION_H

#include "codegen/Cpu/KernelBuilder.h"
#include "dialects/R1/R1.h"

namespace elah {

/// Rotates the vector at source[from..] by the angles whose cosines and sines stand at table[angles..] (a row of
/// kernel.rope_table) and stores it at target[to..] as `element`.
void emitRotation(KernelBuilder &kernel, r1::RopeAttr rope, mlir::Value source, mlir::Value from, mlir::Value table,
                  mlir::Value angles, mlir::Value target, mlir::Value to, mlir::Type element);

} // namespace elah

#endif
