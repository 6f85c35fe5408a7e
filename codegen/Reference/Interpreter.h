#ifndef CODEGEN_REFERENCE_INTERPRETER_H
#define CODEGEN_REFERENCE_INTERPRETER_H

#include "codegen/Reference/HostTensor.h"
#include "mlir/IR/BuiltinOps.h"

namespace elah {

namespace r1 {
class CacheType;
} // namespace r1

/// A KV cache in host memory: for each layer the rows [P, width] that were appended.
struct HostCache {
  std::vector<std::shared_ptr<const HostTensor>> keys, values; ///< A latent cache has no values.
};

/// A sequence in host memory.
struct HostSequence {
  std::vector<std::shared_ptr<const HostTensor>> elements;
};

/// What a value of a function is at run time.
using HostValue = std::variant<std::shared_ptr<const HostTensor>, std::shared_ptr<const HostCache>,
                               std::shared_ptr<const HostSequence>>;

HostValue hostValue(HostTensor tensor);
const HostTensor &tensorOf(const HostValue &value);
const HostSequence &sequenceOf(const HostValue &value);
/// A cache without rows.
HostValue emptyCache(r1::CacheType type);

enum class Precision {
  F64, ///< Elements of f32 are not rounded: how the numbers would be.
  F32, ///< Results of type f32 are rounded to it; sums within one operation are not.
};

struct InterpretOptions {
  Precision precision = Precision::F64;
  std::string weightFolder; ///< Where the files of `#r1.weight` lie.
};

/// Calls `function` of a module of r1's primitives (after `r1-decompose`) and returns its results. Dynamic dimensions
/// are those of the inputs. Results of bf16, f16 and e4m3 are rounded in every precision; integers wrap at their width.
///
/// This is the oracle of all targets: it runs one operation after the other as the operation's description says, on one
/// thread, and shares no code with them. What goes wrong, such as an index out of range, is an error at the operation's
/// location that has been emitted.
mlir::FailureOr<llvm::SmallVector<HostValue>> interpret(mlir::ModuleOp module, llvm::StringRef function,
                                                        llvm::ArrayRef<HostValue> inputs,
                                                        const InterpretOptions &options = {});

} // namespace elah

#endif
