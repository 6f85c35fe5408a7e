// RUN: elah-opt %s | elah-opt | FileCheck %s

#w = #r1.weight<"w" in "model.safetensors" at 128 size 8192 : tensor<64x64xbf16>>
#packing = #kernel.packing<bf16, n = 64, k = 64, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>

// CHECK-LABEL: module attributes {exec.cache = array<i64: 2, 32, 256>
module attributes {exec.cache = array<i64: 2, 32, 256>, exec.limits = array<i64: 64, 4, 16>} {
  // CHECK: exec.weight @w <{{.*}}kind = panels
  exec.weight @w <kind = panels, sources = [#w], packing = #packing> bytes 8192

  // CHECK: exec.kernel @gemm(%{{.*}}: memref<?x64xbf16>, %{{.*}}: memref<8192xi8>, %{{.*}}: memref<?x64xf32>)
  // CHECK-SAME: rows [#exec.extent<tokens>, #exec.extent<8192>, #exec.extent<tokens>] {
  exec.kernel @gemm(%a: memref<?x64xbf16>, %w: memref<8192xi8>, %c: memref<?x64xf32>)
      rows [#exec.extent<tokens>, #exec.extent<8192>, #exec.extent<0 + tokens>] {
    kernel.gemm %a, %w to %c {packing = #packing, compute = #kernel<compute bf16>, activation = #kernel<activation none>}
        : memref<?x64xbf16>, memref<8192xi8>, memref<?x64xf32>
  }

  // CHECK: exec.program @forward attributes {arena =
  exec.program @forward attributes {
      arena = [[#exec.extent<128 * tokens>, #exec.extent<1 + 3 * sequences + pages_per_sequence>],
               [#exec.extent<256 * tokens>], [#exec.extent<256 * logit_rows>]]} {
    %input = exec.input positions : memref<?xi32>
    // CHECK: exec.alloc rows <tokens> {slot = 0 : i64} : memref<?x64xbf16>
    %a = exec.alloc rows <tokens> {slot = 0} : memref<?x64xbf16>
    %c = exec.alloc rows <tokens> {slot = 1} : memref<?x64xf32>
    %d = exec.alloc rows <logit_rows> {slot = 2} : memref<?x64xf32>
    %w = exec.weight_ref @w : memref<8192xi8>
    %cache = exec.cache pool 0 layer 1 : memref<?x128xbf16>
    // CHECK: exec.view %{{.*}} column 32 : memref<?x64xf32> -> memref<?x32xf32, strided<[64, 1], offset: ?>>
    %view = exec.view %c column 32 : memref<?x64xf32> -> memref<?x32xf32, strided<[64, 1], offset: ?>>
    // CHECK: exec.launch @gemm(%{{.*}}) grid(1, <1>, 1)
    exec.launch @gemm(%a, %w, %c) grid(1, <1>, 1) : memref<?x64xbf16>, memref<8192xi8>, memref<?x64xf32>
    // CHECK: exec.return
    exec.return %d : memref<?x64xf32>
  }
}
