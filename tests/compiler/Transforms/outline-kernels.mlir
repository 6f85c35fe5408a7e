// RUN: elah-opt %s -exec-outline-kernels | FileCheck %s
// RUN: elah-opt %s -exec-outline-kernels -mlir-print-debuginfo | FileCheck %s --check-prefix=LOC

#w = #r1.weight<"w" in "model.safetensors" at 128 size 8192 : tensor<64x64xbf16>>
#packing = #kernel.packing<bf16, n = 64, k = 64, panel = 16, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>

exec.weight @w <kind = panels, sources = [#w], packing = #packing> bytes 8192

// Kernels that are alike share a symbol; a product is named after its shape.
// CHECK: exec.kernel @rms_norm([[A:%.*]]: memref<?x64xf32>, [[B:%.*]]: memref<64xf32>, [[C:%.*]]: memref<?x64xbf16>)
// CHECK-SAME: rows [#exec.extent<tokens>, #exec.extent<64>, #exec.extent<tokens>] {
// CHECK-NEXT: kernel.rms_norm [[A]], [[B]] to [[C]] {epsilon = 2.500000e-01 : f64}
// CHECK: exec.kernel @gemm_bf16_n64_k64(
// CHECK-NEXT: kernel.gemm
// CHECK-SAME: accumulate

// Another number of rows, another attribute, another operand: another kernel.
// CHECK: exec.kernel @rms_norm_0({{.*}}) rows [#exec.extent<logit_rows>, #exec.extent<64>, #exec.extent<logit_rows>] {
// CHECK: exec.kernel @rms_norm_1({{.*}}
// CHECK-NEXT: epsilon = 5.000000e-01
// CHECK: exec.kernel @rms_norm_2({{.*}}
// CHECK-NEXT: rows
// CHECK-NOT: exec.kernel

// CHECK-LABEL: exec.program @forward
exec.program @forward {
  %hidden = exec.alloc rows <tokens> : memref<?x64xf32>
  %norm = exec.alloc rows <64> : memref<64xf32>
  %normed = exec.alloc rows <tokens> : memref<?x64xbf16>
  %last = exec.alloc rows <logit_rows> : memref<?x64xf32>
  %chosen = exec.alloc rows <logit_rows> : memref<?x64xbf16>
  %w = exec.weight_ref @w : memref<8192xi8>
  // Blocks: the rows of the output for a norm, panels for a product.
  // CHECK: exec.launch @rms_norm(%{{.*}}) grid(1, <tokens>, 1)
  // LOC: exec.launch @rms_norm{{.*}} loc([[FIRST:#loc[0-9]*]])
  kernel.rms_norm %hidden, %norm to %normed {epsilon = 0.25}
      : memref<?x64xf32>, memref<64xf32>, memref<?x64xbf16> loc("model.layers.0.input_layernorm")
  // CHECK: exec.launch @gemm_bf16_n64_k64(%{{.*}}) grid(4, <1>, 1)
  kernel.gemm %normed, %w to %hidden {packing = #packing, compute = #kernel<compute bf16>, activation = #kernel<activation none>, accumulate}
      : memref<?x64xbf16>, memref<8192xi8>, memref<?x64xf32> loc("model.layers.0.mlp")
  // CHECK: exec.launch @rms_norm(
  // LOC: exec.launch @rms_norm{{.*}} loc([[SECOND:#loc[0-9]*]])
  kernel.rms_norm %hidden, %norm to %normed {epsilon = 0.25}
      : memref<?x64xf32>, memref<64xf32>, memref<?x64xbf16> loc("model.layers.1.input_layernorm")
  // CHECK: exec.launch @gemm_bf16_n64_k64(
  kernel.gemm %normed, %w to %hidden {packing = #packing, compute = #kernel<compute bf16>, activation = #kernel<activation none>, accumulate}
      : memref<?x64xbf16>, memref<8192xi8>, memref<?x64xf32> loc("model.layers.1.mlp")
  // CHECK: exec.launch @rms_norm_0(%{{.*}}) grid(1, <logit_rows>, 1)
  kernel.rms_norm %last, %norm to %chosen {epsilon = 0.25} : memref<?x64xf32>, memref<64xf32>, memref<?x64xbf16>
  // CHECK: exec.launch @rms_norm_1(
  kernel.rms_norm %hidden, %norm to %normed {epsilon = 0.5} : memref<?x64xf32>, memref<64xf32>, memref<?x64xbf16>
  %tokens = exec.input logit_tokens : memref<?xi32>
  // CHECK: exec.launch @rms_norm_2(
  kernel.rms_norm %hidden, %norm rows %tokens to %chosen {epsilon = 0.25}
      : memref<?x64xf32>, memref<64xf32>, memref<?xi32>, memref<?x64xbf16>
  // CHECK-NEXT: exec.return
  exec.return %last : memref<?x64xf32>
}
// LOC-DAG: [[FIRST]] = loc("model.layers.0.input_layernorm")
// LOC-DAG: [[SECOND]] = loc("model.layers.1.input_layernorm")
