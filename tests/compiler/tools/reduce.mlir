// The reducer knows our dialects, and drops what the script does not ask for.
// RUN: elah-reduce %s -reduction-tree='traversal-mode=0 test=%S/Inputs/has-combine.sh' | FileCheck %s

// CHECK-NOT: exec.program @dropped
exec.program @dropped {
  %a = exec.alloc rows <logit_rows> : memref<?x64xf32>
  exec.return %a : memref<?x64xf32>
}

// CHECK: exec.kernel @kept
// CHECK: kernel.combine
exec.kernel @kept(%rows: memref<?x64xf32>, %weights: memref<?x2xf32>, %slots: memref<?x2xi32>, %out: memref<?x64xf32>)
    rows [#exec.extent<2 * tokens>, #exec.extent<tokens>, #exec.extent<tokens>, #exec.extent<tokens>] {
  kernel.combine %rows, %weights, %slots to %out
      : memref<?x64xf32>, memref<?x2xf32>, memref<?x2xi32>, memref<?x64xf32>
}
