// What every tool must know before it reads IR.
#ifndef COMPILER_DRIVER_REGISTER_H
#define COMPILER_DRIVER_REGISTER_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace elah {

/// Adds the dialects that the compiler reads and writes.
void registerDialects(mlir::DialectRegistry &registry);

/// Makes the compiler's passes and upstream's general ones known by their command line names.
void registerPasses();

} // namespace elah

#endif
