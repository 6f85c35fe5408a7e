#ifndef DIALECTS_EXEC_EXECOPS
#define DIALECTS_EXEC_EXECOPS

include "dialects/Exec/ExecEnums.td"
include "dialects/Kernel/KernelDialect.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Exec_Dialect : Dialect {
  let name = "exec";
  let summary = "The host program: weights, arena, cache and launches, one to one what an artifact stores.";
  let description = [{
    A module holds `exec.weight` symbols and one `exec.program`. Its attributes: `exec.limits` (max context, max
    sequences and max tokens of a step, i64 array) and `exec.cache` (layers, tokens of a page, then the row bytes of each
    pool, i64 array), besides those that the r1 module had. A buffer's address is known when a step's dimensions are.
  }];
  let cppNamespace = "::elah::exec";
  let useDefaultAttributePrinterParser = 1;
}

class Exec_Op<string mnemonic, list<Trait> traits = []> : Op<Exec_Dialect, mnemonic, traits>;

def Exec_RecipeAttr : AttrDef<Exec_Dialect, "Recipe"> {
  let mnemonic = "recipe";
  let summary = "How the bytes of an `exec.weight` are made from `sources`.";
  let description = [{
    - `vector`: the sources' elements, converted to f32, one source after the other.
    - `table`: the only source's bytes as they lie.
    - `panels`: the layout of `packing`. Sources: batch by batch the matrices that are stacked along n; with `swiglu`
      per batch the gate and then the up projection. Elements keep their format if it is the packing's, and are
      converted (dequantized with their scales) otherwise.
    - `scales`: the f32 scales of the sources, in the same order as `panels` takes its sources.
    - `head_panels`: packing.batch heads; head h's matrix is made of rows h * head_stride + head_first and following of the
      only source: n rows of k values, or, with `transposed`, k rows of n values.
  }];
  let parameters = (ins EnumParameter<Exec_RecipeKind>:$kind, "::mlir::ArrayAttr":$sources,
                    OptionalParameter<"::elah::kernel::PackingAttr">:$packing,
                    DefaultValuedParameter<"int64_t", "0">:$headStride,
                    DefaultValuedParameter<"int64_t", "0">:$headFirst,
                    DefaultValuedParameter<"bool", "false">:$transposed);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Exec_ExtentAttr : AttrDef<Exec_Dialect, "Extent"> {
  let mnemonic = "extent";
  let summary = "A number of rows: constant + the sum of coefficients[i] * dims[i], dims as in enum elah_dim.";
  let parameters = (ins "int64_t":$constant, "::mlir::DenseI64ArrayAttr":$coefficients);
  let assemblyFormat = "`<` $constant `,` $coefficients `>`";
}

def Exec_InputAttr : EnumAttr<Exec_Dialect, Exec_Input, "input">;

def Exec_WeightOp : Exec_Op<"weight", [Symbol]> {
  let summary = "Bytes in the artifact's weights section.";
  let arguments = (ins SymbolNameAttr:$sym_name, Exec_RecipeAttr:$recipe, I64Attr:$bytes);
  let assemblyFormat = "$sym_name $recipe `bytes` $bytes attr-dict";
}

def Exec_ProgramOp : Exec_Op<"program", [Symbol, NoTerminator, SingleBlock]> {
  let summary = "One step of the model, for any batch within the limits.";
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
}

def Exec_WeightRefOp : Exec_Op<"weight_ref", [Pure]> {
  let summary = "The address of a weight.";
  let arguments = (ins FlatSymbolRefAttr:$weight);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$weight attr-dict `:` type($result)";
}

def Exec_InputOp : Exec_Op<"input", [Pure]> {
  let summary = "An array that the session fills before the step.";
  let arguments = (ins Exec_InputAttr:$input);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
}

def Exec_CacheOp : Exec_Op<"cache", [Pure]> {
  let summary = "The rows of one layer in one pool of the KV cache.";
  let arguments = (ins I64Attr:$pool, I64Attr:$layer);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "`pool` $pool `layer` $layer attr-dict `:` type($result)";
}

def Exec_AllocOp : Exec_Op<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "A buffer of the arena with `rows` rows; `slot` is its place once the arena is planned.";
  let arguments = (ins Exec_ExtentAttr:$rows, OptionalAttr<I64Attr>:$slot);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "`rows` $rows attr-dict `:` type($result)";
}

def Exec_ViewOp : Exec_Op<"view", [Pure]> {
  let summary = "Columns of another buffer's rows, from `column` on.";
  let arguments = (ins AnyMemRef:$source, I64Attr:$column);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$source `column` $column attr-dict `:` type($source) `->` type($result)";
}

def Exec_ReturnOp : Exec_Op<"return"> {
  let summary = "Names the logits, f32 [logit rows, vocabulary].";
  let arguments = (ins AnyMemRef:$logits);
  let assemblyFormat = "$logits attr-dict `:` type($logits)";
}

#endif
