// elah-opt: runs passes on IR in text form; what the lit tests call.
#include "compiler/Driver/Register.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  elah::registerDialects(registry);
  elah::registerPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "elah optimizer driver\n", registry));
}
