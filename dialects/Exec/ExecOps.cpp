// The exec dialect's operations: what must hold between a program, its weights, its kernels and its
// arena.
#include "dialects/Exec/Exec.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace elah::exec;

namespace {

/// Bytes of one row: of all dimensions but the first.
int64_t rowBytes(MemRefType type) {
  int64_t bytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  for (int64_t size : type.getShape().drop_front()) {
    bytes *= size;
  }
  return bytes;
}

} // namespace

LogicalResult WeightOp::verify() {
  int64_t bytes = getRecipe().getBytes();
  if (static_cast<int64_t>(getBytes()) != bytes) { // weight_c1
    return emitOpError() << "must have the " << bytes << " bytes of its recipe, found " << getBytes();
  }
  return success();
}

LogicalResult WeightRefOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight) { // weight_ref_c1
    return emitOpError() << "expected an exec.weight named " << getWeightAttr();
  }
  auto type = cast<MemRefType>(getType());
  if (!type.hasStaticShape() ||
      rowBytes(type) * type.getDimSize(0) != static_cast<int64_t>(weight.getBytes())) { // weight_ref_c2
    return emitOpError() << "must have the " << weight.getBytes() << " bytes of " << getWeightAttr() << ", found "
                         << type;
  }
  return success();
}

LogicalResult GraphOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *function = symbols.lookupNearestSymbolFrom(*this, getFunctionAttr());
  auto callable = dyn_cast_or_null<FunctionOpInterface>(function);
  if (!callable || callable.isExternal()) { // graph_c1
    return emitOpError() << "expected a function named " << getFunctionAttr();
  }
  auto check = [&](StringRef what, ArrayRef<Type> types, llvm::function_ref<Attribute(unsigned)> nameOf) {
    llvm::StringSet<> names;
    for (auto [index, type] : llvm::enumerate(types)) {
      auto name = dyn_cast_or_null<StringAttr>(nameOf(index));
      if (!isa<RankedTensorType>(type) || !name || !names.insert(name.getValue()).second) { // graph_c1
        return emitOpError() << "expected " << what << " " << index << " of " << getFunctionAttr()
                             << " to be a tensor with an r1.name of its own, found " << type << " with " << name;
      }
    }
    return InFlightDiagnostic();
  };
  if (failed(check("argument", callable.getArgumentTypes(),
                   [&](unsigned index) { return callable.getArgAttr(index, "r1.name"); })) ||
      failed(check("result", callable.getResultTypes(),
                   [&](unsigned index) { return callable.getResultAttr(index, "r1.name"); }))) {
    return failure();
  }
  size_t weights = 0;
  function->walk([&](r1::WeightOp) { ++weights; });
  if (weights != getWeights().size()) { // graph_c2
    return emitOpError() << "expected " << weights << " weights, one for each r1.weight of " << getFunctionAttr()
                         << ", found " << getWeights().size();
  }
  for (Attribute symbol : getWeights()) {
    auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, cast<FlatSymbolRefAttr>(symbol));
    if (!weight || weight.getRecipe().getKind() != RecipeKind::Table) { // graph_c2
      return emitOpError() << "expected an exec.weight with a table named " << symbol;
    }
  }
  return success();
}

LogicalResult InputOp::verify() {
  auto type = cast<MemRefType>(getType());
  if (type.getRank() != 1 || !type.isDynamicDim(0) || !type.getElementType().isInteger(32)) { // input_c1
    return emitOpError() << "must be memref<?xi32>, found " << type;
  }
  return success();
}

LogicalResult CacheOp::verify() {
  auto layout = (*this)->getParentOfType<ModuleOp>()->getAttrOfType<DenseI64ArrayAttr>("exec.cache");
  if (!layout || layout.size() < 3) {
    return emitOpError() << "needs the module's attribute exec.cache";
  }
  int64_t pools = layout.size() - 2;
  int64_t layer = getLayer();
  int64_t pool = getPool();
  if (layer < 0 || layer >= layout[0] || pool < 0 || pool >= pools) { // cache_c1
    return emitOpError() << "must be within the cache of " << layout[0] << " layers and " << pools
                         << " pools, found layer " << layer << " and pool " << pool;
  }
  int64_t bytes = rowBytes(cast<MemRefType>(getType()));
  if (bytes != layout[2 + pool]) { // cache_c1
    return emitOpError() << "must have rows of " << layout[2 + pool] << " bytes, found " << bytes;
  }
  return success();
}

LogicalResult AllocOp::verify() {
  auto type = cast<MemRefType>(getType());
  bool isSized = type.getRank() > 0 && !llvm::any_of(type.getShape().drop_front(), ShapedType::isDynamic);
  if (!isSized || (!type.isDynamicDim(0) && getRows() != ExtentAttr::get(getContext(), type.getDimSize(0)))) {
    return emitOpError() << "must be dynamic in its first dimension only, which has the size of rows, found " << type
                         << " with " << getRows() << " rows"; // alloc_c1
  }
  return success();
}

ExtentAttr AllocOp::getByteSize() { return getRows().times(rowBytes(cast<MemRefType>(getType()))); }

void ViewOp::build(OpBuilder &builder, OperationState &state, Value source, int64_t column, int64_t columns) {
  auto type = cast<MemRefType>(source.getType());
  auto layout = StridedLayoutAttr::get(builder.getContext(), ShapedType::kDynamic, {elah::kernel::pitchOf(type), 1});
  auto result = MemRefType::get({type.getDimSize(0), columns}, type.getElementType(), layout);
  build(builder, state, result, source, builder.getI64IntegerAttr(column));
}

LogicalResult ViewOp::verify() {
  auto source = cast<MemRefType>(getSource().getType());
  auto result = cast<MemRefType>(getType());
  int64_t column = getColumn();
  if (source.getRank() != 2 || result.getRank() != 2 || source.getElementType() != result.getElementType() ||
      column < 0 || column + result.getDimSize(1) > source.getDimSize(1)) { // view_c1
    return emitOpError() << "must look at columns of " << source << ", found " << result << " from column " << column;
  }
  if (!source.isStrided() || !result.isStrided() ||
      elah::kernel::pitchOf(source) != elah::kernel::pitchOf(result)) { // view_c2
    return emitOpError() << "must have the row stride of " << source << ", found " << result;
  }
  return success();
}

LogicalResult ReturnOp::verify() {
  auto type = cast<MemRefType>(getLogits().getType());
  if (type.getRank() != 2 || !type.getElementType().isF32() ||
      rowsOf(getLogits()) != ExtentAttr::get(getContext(), Dim::LogitRows)) { // return_c1
    return emitOpError() << "must name f32 logits with logit_rows rows, found " << type << " with "
                         << rowsOf(getLogits());
  }
  return success();
}

//===--- exec.program
//-------------------------------------------------------------------------------------------===//

LogicalResult ProgramOp::verifyRegions() {
  Block &body = getBody().front();
  for (Operation &op : body) {
    if (isa<ReturnOp>(op) != (&op == &body.back())) { // program_c1
      return op.emitOpError() << "must not " << (isa<ReturnOp>(op) ? "stand before" : "be") << " the program's end";
    }
  }
  if (body.empty()) { // program_c1
    return emitOpError() << "must end with exec.return";
  }
  if (!getArena()) {
    return success();
  }
  for (AllocOp alloc : body.getOps<AllocOp>()) { // program_c2
    ArrayAttr sizes;
    if (alloc.getSlot() && *alloc.getSlot() < getArena()->size()) {
      sizes = dyn_cast<ArrayAttr>((*getArena())[*alloc.getSlot()]);
    }
    if (!sizes || !llvm::is_contained(sizes, alloc.getByteSize())) {
      return alloc.emitOpError() << "must have a slot of the arena whose sizes contain " << alloc.getByteSize();
    }
  }
  return success();
}

//===--- exec.kernel
//--------------------------------------------------------------------------------------------===//

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  ArrayAttr rows;
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name), result.attributes) ||
      parser.parseArgumentList(arguments, AsmParser::Delimiter::Paren, /*allowType=*/true) ||
      parser.parseKeyword("rows") || parser.parseAttribute(rows, getRowsAttrName(result.name), result.attributes) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes)) {
    return failure();
  }
  return parser.parseRegion(*result.addRegion(), arguments);
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << " ";
  printer.printSymbolName(getSymName());
  printer << "(";
  llvm::interleaveComma(getBody().getArguments(), printer,
                        [&](BlockArgument argument) { printer.printRegionArgument(argument); });
  printer << ") rows " << getRows();
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(), {getSymNameAttrName(), getRowsAttrName()});
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/true);
}

LogicalResult KernelOp::verifyRegions() {
  Block &body = getBody().front();
  if (!llvm::hasSingleElement(body) || !isa<kernel::KernelOpInterface>(body.front())) { // kernel_c1
    return emitOpError() << "must hold one operation of the kernel dialect";
  }
  if (!llvm::equal(body.front().getOperands(), body.getArguments())) { // kernel_c2
    return emitOpError() << "must hand its arguments to its operation, each once and in order";
  }
  if (getRows().size() != body.getNumArguments()) { // kernel_c3
    return emitOpError() << "must say the rows of each argument, found " << getRows().size() << " for "
                         << body.getNumArguments();
  }
  return success();
}

//===--- exec.launch
//--------------------------------------------------------------------------------------------===//

LogicalResult LaunchOp::verify() {
  if (static_cast<int64_t>(getOuter()) <= 0 || static_cast<int64_t>(getRowTile()) <= 0) { // launch_c3
    return emitOpError() << "must have a positive grid, found outer " << getOuter() << " and row tile " << getRowTile();
  }
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  if (!kernel) { // launch_c1
    return emitOpError() << "expected an exec.kernel named " << getKernelAttr();
  }
  Region &body = kernel.getBody();
  if (getBuffers().getTypes() != body.getArgumentTypes()) { // launch_c2
    return emitOpError() << "must have the operand types of " << getKernelAttr();
  }
  for (auto [buffer, rows] : llvm::zip_equal(getBuffers(), kernel.getRows())) {
    if (rowsOf(buffer) != rows) { // launch_c2
      return emitOpError() << "must hand " << rows << " rows to " << getKernelAttr() << ", found " << rowsOf(buffer);
    }
  }
  return success();
}
