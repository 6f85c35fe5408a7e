#ifndef DIALECTS_R1_R1INTERFACES
#define DIALECTS_R1_R1INTERFACES

include "mlir/IR/OpBase.td"

def R1_DecomposableOpInterface : OpInterface<"DecomposableOpInterface"> {
  let description = "A composite: an operation that means what its decomposition into primitives means.";
  let cppNamespace = "::elah::r1";
  let methods = [
    InterfaceMethod<[{
      Builds the operation's meaning at the builder's insertion point, out of operations that stand below it: primitives,
      the cache's operations, and weights. Returns a value for each result, of the result's type.
    }], "::llvm::SmallVector<::mlir::Value>", "decompose", (ins "::mlir::OpBuilder &":$builder)>
  ];
}

#endif
