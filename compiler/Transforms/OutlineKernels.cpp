// One kernel, many launches: a decoder's layers repeat, and compiling a kernel takes a thousand
// times as long as launching it. Kernel operations that would compile to the same code become one
// symbol.
#include "compiler/Transforms/Passes.h"
#include "dialects/Exec/Exec.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_OUTLINEKERNELSPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

/// Everything that the code of a kernel depends on. Attributes are unique in their context, so
/// equal keys are the same key.
Attribute identityOf(Operation *op) {
  Builder builder(op->getContext());
  SmallVector<Attribute> operands;
  for (Value operand : op->getOperands()) {
    operands.push_back(TypeAttr::get(operand.getType()));
    operands.push_back(exec::rowsOf(operand));
  }
  std::string body; // Of kernel.generic; regions are no attributes.
  llvm::raw_string_ostream text(body);
  for (Region &region : op->getRegions()) {
    for (Operation &inner : region.getOps()) {
      inner.print(text, OpPrintingFlags().useLocalScope());
    }
  }
  return builder.getArrayAttr({builder.getStringAttr(op->getName().getStringRef()), op->getAttrDictionary(),
                               builder.getArrayAttr(operands), builder.getStringAttr(body)});
}

/// The name of a kernel, as a profile shows it: "gemm_f8_n24576_k1536", "rms_norm".
std::string describe(Operation *op) {
  std::string name = op->getName().stripDialect().str();
  if (auto packing = op->getAttrOfType<kernel::PackingAttr>("packing")) {
    name += (Twine("_") + kernel::stringifyFormat(packing.getFormat()) + "_n" + Twine(packing.getN()) + "_k" +
             Twine(packing.getK()))
                .str();
  }
  return name;
}

class OutlineKernels : public impl::OutlineKernelsPassBase<OutlineKernels> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (exec::ProgramOp program : llvm::make_early_inc_range(getOperation().getOps<exec::ProgramOp>())) {
      for (auto op : llvm::make_early_inc_range(program.getBody().getOps<kernel::KernelOpInterface>())) {
        launch(op, kernelFor(op, program, symbols));
      }
    }
  }

  /// The symbol that holds `op`'s like, made if there is none; symbols stand before the program
  /// that uses them.
  exec::KernelOp kernelFor(kernel::KernelOpInterface op, exec::ProgramOp program, SymbolTable &symbols) {
    exec::KernelOp &symbol = byIdentity[identityOf(op)];
    if (symbol) {
      return symbol;
    }
    ++kernels;
    OpBuilder builder(program);
    SmallVector<Attribute> rows;
    for (Value operand : op->getOperands()) {
      rows.push_back(exec::rowsOf(operand));
    }
    // A kernel belongs to no layer: its location is its program's, and a launch's is its layer's.
    symbol = exec::KernelOp::create(builder, program.getLoc(), builder.getStringAttr(describe(op)),
                                    builder.getArrayAttr(rows));
    Block &body = symbol.getBody().emplaceBlock();
    SmallVector<Location> locations(op->getNumOperands(), program.getLoc());
    body.addArguments(op->getOperandTypes(), locations);
    builder.setInsertionPointToStart(&body);
    Operation *inside = builder.clone(*op);
    inside->setOperands(body.getArguments());
    inside->setLoc(program.getLoc());
    symbols.insert(symbol); // Renames it if another kernel has that name.
    return symbol;
  }

  void launch(kernel::KernelOpInterface op, exec::KernelOp symbol) {
    ++launches;
    OpBuilder builder(op);
    Value blockRows = op.getBlockRows();
    exec::ExtentAttr rows = blockRows ? exec::rowsOf(blockRows) : exec::ExtentAttr::get(&getContext(), 1);
    exec::LaunchOp::create(builder, op.getLoc(), symbol.getSymName(), op->getOperands(),
                           static_cast<uint64_t>(op.getOuterBlocks()), rows, uint64_t(1));
    op->erase();
  }

  llvm::DenseMap<Attribute, exec::KernelOp> byIdentity;
};

} // namespace
} // namespace elah
