#include "compiler/Driver/Register.h"
#include "compiler/Conversion/Passes.h"
#include "compiler/Driver/Pipeline.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/Exec/Exec.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Transforms/Passes.h"

namespace elah {

void registerDialects(mlir::DialectRegistry &registry) {
  registry.insert<mlir::func::FuncDialect, r1::R1Dialect, kernel::KernelDialect, exec::ExecDialect>();
}

void registerPasses() {
  registerElahConversionPasses();
  registerElahTransformsPasses();
  registerFusionPipeline();
  registerPipeline();
  mlir::registerTransformsPasses();
}

} // namespace elah
