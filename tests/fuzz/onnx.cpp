// A model of any bytes is imported or refused, and what is imported verifies. There is no folder: no byte of the input
// names a file.
#include "frontends/Onnx/Import.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include <cstdint>
#include <cstdlib>

// libMLIR is built without AddressSanitizer. It allocates from arenas that our code, built with it, has poisoned, and
// does not say so: only what the sanitizer finds by itself holds across the two.
extern "C" const char *__asan_default_options() { return "allow_user_poisoning=0:detect_container_overflow=0"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  bool hasFailed = false;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &) {
    hasFailed = true;
    return mlir::success();
  });
  llvm::MemoryBufferRef buffer(llvm::StringRef(reinterpret_cast<const char *>(data), size), "fuzz.onnx");
  mlir::OwningOpRef<mlir::ModuleOp> module = elah::importOnnx(&context, buffer, "");
  // A failure has a reason, and what is imported is sound.
  if (module ? mlir::failed(mlir::verify(*module)) : !hasFailed) {
    std::abort();
  }
  return 0;
}
