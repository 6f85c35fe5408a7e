// RUN: elah-opt %s -convert-r1-to-exec=cpu=znver4 -split-input-file | FileCheck %s
// RUN: elah-opt %s -convert-r1-to-exec=cuda -split-input-file | FileCheck %s --check-prefix=HOPPER

// A model with multipliers of its own (embedding, attention's branch, logits) and a cap: each chain is one kernel.

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#factors = #r1.weight<"factors" in "m.safetensors" at 0 size 256 : tensor<64xf32>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>

module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : tensor<64xbf16>
    %factors = r1.weight [#factors] : tensor<64xf32>
    %w = r1.weight [#square] : tensor<64x64xbf16>
    %twelve = r1.constant dense<12.0> : tensor<f32>
    %quarter = r1.constant dense<0.25> : tensor<1xf32>
    %cap = r1.constant dense<30.0> : tensor<f32>
    // CHECK: kernel.embed %{{.*}}, %{{.*}} to %[[EMBEDDED:.*]] :
    // CHECK: kernel.generic %[[EMBEDDED]] to %[[HIDDEN:.*]] : memref<?x64xf32>, memref<?x64xf32> {
    // CHECK-NEXT: ^bb0(%[[X:.*]]: f32):
    // CHECK-NEXT: %[[TWELVE:.*]] = arith.constant 1.200000e+01 : f32
    // CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[X]], %[[TWELVE]] : f32
    // CHECK-NEXT: kernel.yield %[[Y]] : f32
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %h12 = r1.mul %h, %twelve : (!rows, tensor<f32>) -> !rows
    %x = r1.rms_norm %h12, %scale {epsilon = 1.0e-6} : (!rows, tensor<64xbf16>) -> !rows
    %a = r1.linear %x, %w : (!rows, tensor<64x64xbf16>) -> !rows
    // The product's rows, the multiplier and the sum with the stream: one kernel. On Hopper rows of products are bf16.
    // CHECK: kernel.gemm %{{.*}} to %[[BRANCH:.*]] {
    // CHECK: kernel.generic %[[HIDDEN]], %[[BRANCH]] to %[[SUM:.*]] : memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32> {
    // CHECK: arith.mulf
    // CHECK: arith.addf
    // HOPPER: kernel.generic %{{.*}}, %{{.*}} to %{{.*}} : memref<?x64xf32>, memref<?x64xbf16>, memref<?x64xf32> {
    %a4 = r1.mul %a, %quarter : (!rows, tensor<1xf32>) -> !rows
    %s = r1.add %h12, %a4 : !rows
    // Each column has a factor of its own; products read what results, in bf16 on Hopper.
    // CHECK: kernel.generic %[[SUM]], %{{.*}} to %{{.*}} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32> {
    // HOPPER: kernel.generic %{{.*}}, %{{.*}} to %{{.*}} : memref<?x64xf32>, memref<64xf32>, memref<?x64xbf16> {
    %scaled = r1.mul %s, %factors : (!rows, tensor<64xf32>) -> !rows
    %b = r1.linear %scaled, %w : (!rows, tensor<64x64xbf16>) -> !rows
    // CHECK: kernel.gemm %{{.*}} to %[[SUM]] {accumulate,
    %s2 = r1.add %s, %b : !rows
    %f = r1.rms_norm %s2, %scale {epsilon = 1.0e-6} : (!rows, tensor<64xbf16>) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    // Logits of the tokens that want them.
    // CHECK: kernel.gemm %{{.*}} to %[[LOGITS:.*]] {
    // CHECK: %[[CAPPED:.*]] = exec.alloc rows <logit_rows> : memref<?x100xf32>
    // CHECK-NEXT: kernel.generic %[[LOGITS]] to %[[CAPPED]] : memref<?x100xf32>, memref<?x100xf32> {
    // CHECK: arith.divf
    // CHECK: math.tanh
    // CHECK: arith.mulf
    // CHECK: exec.return %[[CAPPED]]
    %d = r1.div %l, %cap : (tensor<?x100xf32>, tensor<f32>) -> tensor<?x100xf32>
    %t = r1.tanh %d : tensor<?x100xf32>
    %m = r1.mul %t, %cap : (tensor<?x100xf32>, tensor<f32>) -> tensor<?x100xf32>
    return %m, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>

// CHECK-LABEL: {{^}}// {{-----}}
// Two streams meet: no sum in place, for both are read elsewhere.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : tensor<64xbf16>
    %w = r1.weight [#square] : tensor<64x64xbf16>
    // CHECK: kernel.embed %{{.*}} to %[[HIDDEN:.*]] :
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, tensor<64xbf16>) -> !rows
    %a = r1.linear %x, %w : (!rows, tensor<64x64xbf16>) -> !rows
    %b = r1.linear %x, %w : (!rows, tensor<64x64xbf16>) -> !rows
    // CHECK: kernel.gemm %{{.*}} to %[[OTHER:.*]] {accumulate,
    %s1 = r1.add %a, %b : !rows
    %n = r1.rms_norm %s1, %scale {epsilon = 1.0e-6} : (!rows, tensor<64xbf16>) -> !rows
    // CHECK: kernel.generic %[[OTHER]], %[[HIDDEN]] to %[[MET:.*]] :
    %s = r1.add %s1, %h : !rows
    %c = r1.linear %n, %w : (!rows, tensor<64x64xbf16>) -> !rows
    // CHECK: kernel.gemm %{{.*}} to %[[MET]] {accumulate,
    %s3 = r1.add %s, %c : !rows
    %f = r1.rms_norm %s3, %scale {epsilon = 1.0e-6} : (!rows, tensor<64xbf16>) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}
