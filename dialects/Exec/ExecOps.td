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
    A module holds `exec.weight` symbols and one `exec.graph` (a plain graph's) or one `exec.program`, at first of kernel operations, and of launches of
    `exec.kernel` symbols once `exec-outline-kernels` has run. Its attributes, besides those that the r1 module had:
    `exec.limits` (max context, max sequences and max tokens of a step, i64 array), `exec.cache` (layers, tokens of a
    page, then the row bytes of each pool, i64 array), `exec.active_weight_bytes` and `exec.flops_per_token` (i64; what
    one token of one sequence reads and computes). A buffer's address is known when a step's dimensions are.
    An operation's location is a NameLoc of the model's own module path.
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
    - `panels`: the layout of `packing`. Sources are matrices [rows, k]: batch by batch those that are stacked along n;
      with `swiglu` per batch the gate and then the up projection. Elements keep their format if it is the packing's, and
      are converted (widened to f32, multiplied by their block's scale, rounded to nearest even) otherwise. A source that
      is `transposed` is read as the matrix that its type says.
    - `scales`: the f32 scales of the sources, in the same order as `panels` takes its sources.
    - `column_scales`: the scales of the sources, converted to f32, and their zero points as a packing with one scale for
      each column lays them out. Columns beyond n have scales of 0.
    - `head_panels`: packing.batch heads; head h's matrix is made of rows h * head_stride + head_first and following of the
      only source: n rows of k values, or, with `transposed`, k rows of n values. Converted as for `panels`.

    (C1) every source is an `#r1.weight`, and there is at least one; `table` and `head_panels` have exactly one.
    (C2) `panels`, `column_scales` and `head_panels` have a packing, the others none.
    (C3) the sources of `panels` and `column_scales` are matrices as wide as the packing's k, as many rows in each batch
    as it has columns.
    (C4) the sources of `scales` and `column_scales` have scales.
    (C5) the source of `head_panels` is a matrix that holds all rows that the heads read, and its width is k (n, if
    transposed).
    (C6) the sources of the other kinds lie as their types say, not transposed.
  }];
  let extraClassDeclaration = [{
    /// The bytes that the recipe makes.
    int64_t getBytes() const;
    /// The sources.
    ::llvm::SmallVector<::elah::r1::WeightAttr> getWeights() const;
  }];
  let genVerifyDecl = 1;
  let parameters = (ins EnumParameter<Exec_RecipeKind>:$kind, "::mlir::ArrayAttr":$sources,
                    OptionalParameter<"::elah::kernel::PackingAttr">:$packing,
                    DefaultValuedParameter<"int64_t", "0">:$headStride,
                    DefaultValuedParameter<"int64_t", "0">:$headFirst,
                    DefaultValuedParameter<"bool", "false">:$transposed);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Exec_ExtentAttr : AttrDef<Exec_Dialect, "Extent"> {
  let mnemonic = "extent";
  let summary = "A number that is known with a step's dimensions: constant + sum of coefficients[i] * dims[i].";
  let description = [{
    The dimensions are those of enum elah_dim, in its order: `#exec.extent<1 + sequences>`, `#exec.extent<8 * tokens>`.
    Missing coefficients are zero; trailing zeros are not kept, so that equal extents are equal attributes.
  }];
  let parameters = (ins "int64_t":$constant, "::mlir::DenseI64ArrayAttr":$coefficients);
  let builders = [
    AttrBuilder<(ins "int64_t":$constant, CArg<"::llvm::ArrayRef<int64_t>", "{}">:$coefficients), [{
      while (!coefficients.empty() && coefficients.back() == 0) {
        coefficients = coefficients.drop_back();
      }
      return $_get($_ctxt, constant, ::mlir::DenseI64ArrayAttr::get($_ctxt, coefficients));
    }]>,
    AttrBuilder<(ins "Dim":$dim), [{
      ::llvm::SmallVector<int64_t> coefficients(static_cast<unsigned>(dim) + 1, 0);
      coefficients.back() = 1;
      return get($_ctxt, 0, coefficients);
    }]>
  ];
  let extraClassDeclaration = [{
    /// The extent `factor` times as large: the bytes of rows of `factor` bytes.
    ExtentAttr times(int64_t factor) const;
    /// How often dimension `dim` counts.
    int64_t getCoefficient(Dim dim) const;
    /// Its value for these dimensions, in the order of Dim.
    int64_t evaluate(::llvm::ArrayRef<int64_t> dims) const;
  }];
  let skipDefaultBuilders = 1;
  let hasCustomAssemblyFormat = 1;
}

def Exec_InputAttr : EnumAttr<Exec_Dialect, Exec_Input, "input">;

def Exec_WeightOp : Exec_Op<"weight", [Symbol]> {
  let summary = "Bytes in the artifact's weights section.";
  let description = [{
    (C1) bytes is what the recipe makes.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Exec_RecipeAttr:$recipe, I64Attr:$bytes);
  let assemblyFormat = "$sym_name $recipe `bytes` $bytes attr-dict";
  let hasVerifier = 1;
}

def Exec_KernelOp : Exec_Op<"kernel", [Symbol, IsolatedFromAbove, NoTerminator, SingleBlock]> {
  let summary = "A kernel that launches share: one operation of the kernel dialect on its arguments.";
  let description = [{
    ```mlir
    exec.kernel @gemm_k1536_n24576_f8(%a: memref<?x1536xbf16>, ...) rows [#exec.extent<tokens>, ...] {
      kernel.gemm %a, ...
    }
    ```
    `rows` says for each argument how many rows it has in a step (its static size, for weights).

    (C1) the body is one operation of the kernel dialect.
    (C2) its operands are the arguments, each once, in order.
    (C3) there is one number of rows for each argument.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypedArrayAttrBase<Exec_ExtentAttr, "extents">:$rows);
  let regions = (region SizedRegion<1>:$body);
  let extraClassDeclaration = [{
    /// The kernel dialect's operation in the body.
    ::mlir::Operation *getKernel() { return &getBody().front().front(); }
  }];
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
}

def Exec_ProgramOp : Exec_Op<"program", [Symbol, NoTerminator, SingleBlock]> {
  let summary = "One step of the model, for any batch within the limits.";
  let description = [{
    `arena`, once it is planned, holds for each slot the byte sizes of the buffers that share it; a slot is as large as
    the largest of them.

    (C1) the last operation is `exec.return`, and there is no other.
    (C2) with an arena, every `exec.alloc` has a slot in it, and its byte size is among that slot's sizes.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<ArrayAttr>:$arena);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}

def Exec_GraphOp : Exec_Op<"graph", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A plain graph: one native function, from named tensors to named tensors.";
  let description = [{
    ```mlir
    exec.weight @w <kind = table, sources = [#w]> bytes 32768
    exec.graph @graph runs @main weights [@w]
    func.func @main(%x: tensor<?x64xf32> {r1.name = "x"}) -> (tensor<?x128xf32> {r1.name = "y"}) {
      %w = r1.weight [#w] : tensor<64x128xf32>
      ...
    ```
    The function, of r1 primitives, stays as it is: code for it allocates its tensors as it goes, since their sizes may
    depend on data.

    (C1) the symbol it runs is a function whose arguments and results are tensors, each with an `r1.name`, no two the same
    among the arguments or among the results.
    (C2) `weights` are `exec.weight` symbols with tables, one for each `r1.weight` of the function, in order.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$function,
                   TypedArrayAttrBase<FlatSymbolRefAttr, "symbols of weights">:$weights);
  let assemblyFormat = "$sym_name `runs` $function `weights` $weights attr-dict";
}

def Exec_WeightRefOp : Exec_Op<"weight_ref", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The address of a weight.";
  let description = [{
    (C1) the symbol is an `exec.weight`.
    (C2) the result is static and has the weight's bytes.
  }];
  let arguments = (ins FlatSymbolRefAttr:$weight);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$weight attr-dict `:` type($result)";
}

def Exec_InputOp : Exec_Op<"input", [Pure]> {
  let summary = "An array that the session fills before the step.";
  let description = [{
    (C1) the result is memref<?xi32>.
  }];
  let arguments = (ins Exec_InputAttr:$input);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Exec_CacheOp : Exec_Op<"cache", [Pure]> {
  let summary = "The rows of one layer in one pool of the KV cache.";
  let description = [{
    (C1) the module's `exec.cache` has that pool and layer, and its row bytes are those of the result's rows.
  }];
  let arguments = (ins I64Attr:$pool, I64Attr:$layer);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "`pool` $pool `layer` $layer attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Exec_AllocOp : Exec_Op<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "A buffer of the arena with `rows` rows; `slot` is its place once the arena is planned.";
  let description = [{
    (C1) only the first dimension of the result may be dynamic; if it is not, `rows` is its size.
  }];
  let arguments = (ins Exec_ExtentAttr:$rows, OptionalAttr<I64Attr>:$slot);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "`rows` $rows attr-dict `:` type($result)";
  let extraClassDeclaration = [{
    /// The buffer's size in bytes.
    ExtentAttr getByteSize();
  }];
  let hasVerifier = 1;
}

def Exec_ViewOp : Exec_Op<"view", [Pure]> {
  let summary = "Columns of another buffer's rows, from `column` on.";
  let description = [{
    (C1) source and result are matrices of one element type, and the result's columns lie within the source.
    (C2) the result's row stride is that of the source.
  }];
  let arguments = (ins AnyMemRef:$source, I64Attr:$column);
  let results = (outs AnyMemRef:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$source, "int64_t":$column, "int64_t":$columns)>];
  let assemblyFormat = "$source `column` $column attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def Exec_LaunchOp : Exec_Op<"launch", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Runs a kernel on `outer` * ceil(rows / row_tile) blocks.";
  let description = [{
    The launch's name in a profile is its location's.

    (C1) the symbol is an `exec.kernel`.
    (C2) the operands have the types and rows of its arguments.
    (C3) outer and row_tile are positive.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyMemRef>:$buffers, I64Attr:$outer, Exec_ExtentAttr:$rows,
                   I64Attr:$row_tile);
  let assemblyFormat = [{
    $kernel `(` $buffers `)` `grid` `(` $outer `,` $rows `,` $row_tile `)` attr-dict `:` type($buffers)
  }];
  let hasVerifier = 1;
}

def Exec_ReturnOp : Exec_Op<"return", [HasParent<"ProgramOp">]> {
  let summary = "Names the logits, f32 [logit rows, vocabulary].";
  let description = [{
    (C1) the logits are f32 with one row for each logit row.
  }];
  let arguments = (ins AnyMemRef:$logits);
  let assemblyFormat = "$logits attr-dict `:` type($logits)";
  let hasVerifier = 1;
}

#endif
