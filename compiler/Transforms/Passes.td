#ifndef COMPILER_TRANSFORMS_PASSES
#define COMPILER_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def DecomposeCompositesPass : Pass<"r1-decompose", "::mlir::ModuleOp"> {
  let summary = "Writes composites as what they mean: primitives of r1.";
  let description = [{
    What each composite means is defined by `DecomposableOpInterface` on the operation; composites that a decomposition is
    made of are decomposed, too. Afterwards no operation named in `ops` is left; without the option no composite is.

    Before:
    ```mlir
    %0 = r1.swiglu %gate, %up : tensor<?x64xf32>
    ```
    After:
    ```mlir
    %0 = r1.sigmoid %gate : tensor<?x64xf32>
    %1 = r1.mul %gate, %0 : tensor<?x64xf32>
    %2 = r1.mul %1, %up : tensor<?x64xf32>
    ```
  }];
  let options = [ListOption<"ops", "ops", "std::string", "The composites to decompose, such as r1.route; all if none">];
  let statistics = [Statistic<"decomposed", "decomposed", "Number of composites decomposed">];
}

def InferShapesPass : Pass<"r1-infer-shapes", "::mlir::ModuleOp"> {
  let summary = "Makes dimensions static that the operands of r1's operations settle.";
  let description = [{
    From the arguments down, results take what their operation infers, and a function's type follows its results. Sizes
    that are computed by constants count, so run `canonicalize` before where an importer left shape arithmetic. Functions
    that are called keep their types.

    Before:
    ```mlir
    func.func @forward(%x: tensor<8x64xf32>, %w: tensor<32x64xbf16>) -> tensor<?x32xf32> {
      %0 = r1.linear %x, %w : (tensor<8x64xf32>, tensor<32x64xbf16>) -> tensor<?x32xf32>
      return %0 : tensor<?x32xf32>
    }
    ```
    After:
    ```mlir
    func.func @forward(%x: tensor<8x64xf32>, %w: tensor<32x64xbf16>) -> tensor<8x32xf32> {
      %0 = r1.linear %x, %w : (tensor<8x64xf32>, tensor<32x64xbf16>) -> tensor<8x32xf32>
      return %0 : tensor<8x32xf32>
    }
    ```
  }];
}

def OutlineKernelsPass : Pass<"exec-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Moves kernel operations into symbols that launches share, so that each kernel is compiled once.";
  let description = [{
    DeepSeek-R1 is 1,142 launches of 24 kernels. Two kernel operations share a symbol exactly if
    their attributes, their operands' types and their operands' numbers of rows are equal, since a kernel computes its
    row counts from a step's dimensions. Symbols are named after the family, and products after their shape and format.

    The grid is what the family's interface says: outer blocks times the rows of its block buffer, one row a block.

    Before:
    ```mlir
    exec.program @forward {
      %x = exec.alloc rows <tokens> : memref<?x64xf32>
      %w = exec.weight_ref @model.norm : memref<64xf32>
      %y = exec.alloc rows <tokens> : memref<?x64xf32>
      kernel.rms_norm %x, %w to %y {epsilon = 1.0e-6} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
      ...
    ```
    After:
    ```mlir
    exec.kernel @rms_norm(%a: memref<?x64xf32>, %b: memref<64xf32>, %c: memref<?x64xf32>)
        rows [#exec.extent<tokens>, #exec.extent<64>, #exec.extent<tokens>] {
      kernel.rms_norm %a, %b to %c {epsilon = 1.0e-6} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
    }
    exec.program @forward {
      %x = exec.alloc rows <tokens> : memref<?x64xf32>
      %w = exec.weight_ref @model.norm : memref<64xf32>
      %y = exec.alloc rows <tokens> : memref<?x64xf32>
      exec.launch @rms_norm(%x, %w, %y) grid(1, <tokens>, 1) : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
      ...
    ```
  }];
  let statistics = [Statistic<"kernels", "kernels", "Number of kernel symbols">,
                    Statistic<"launches", "launches", "Number of launches">];
}

def PlanArenaPass : Pass<"exec-plan-arena", "::mlir::ModuleOp"> {
  let summary = "Gives every buffer a slot of the arena; buffers whose lives do not meet share one.";
  let description = [{
    A buffer lives from the first operation that uses it, itself or through a view, to the last one: an operation that
    adds to a buffer uses it, and `exec.return` uses the logits. Two lives that share an operation meet, since a kernel
    writes its outputs while it reads its inputs.

    Buffers are placed from the largest to the smallest at the limits of a step (`exec.limits`), each in the first slot
    where it meets nobody. A slot keeps the byte size of every buffer in it as an expression of the step's dimensions;
    the runtime takes the largest when it knows them, so that a decode step uses little memory whatever the limits.

    Needs a program of launches (after `exec-outline-kernels`) or of kernel operations; a plan that is there is replaced.

    Before:
    ```mlir
    exec.program @forward {
      %a = exec.alloc rows <tokens> : memref<?x64xf32>
      exec.launch @first(%a) ...
      %b = exec.alloc rows <tokens> : memref<?x16xf32>
      exec.launch @second(%a, %b) ...
      %c = exec.alloc rows <logit_rows> : memref<?x32xf32>
      exec.launch @third(%b, %c) ...
      exec.return %c : memref<?x32xf32>
    }
    ```
    After:
    ```mlir
    exec.program @forward attributes {
        arena = [[#exec.extent<256 * tokens>, #exec.extent<128 * logit_rows>], [#exec.extent<64 * tokens>]]} {
      %a = exec.alloc rows <tokens> {slot = 0 : i64} : memref<?x64xf32>
      exec.launch @first(%a) ...
      %b = exec.alloc rows <tokens> {slot = 1 : i64} : memref<?x16xf32>
      exec.launch @second(%a, %b) ...
      %c = exec.alloc rows <logit_rows> {slot = 0 : i64} : memref<?x32xf32>
      exec.launch @third(%b, %c) ...
      exec.return %c : memref<?x32xf32>
    }
    ```
  }];
  let statistics = [Statistic<"buffers", "buffers", "Number of buffers">,
                    Statistic<"slots", "slots", "Number of slots">];
}

#endif
