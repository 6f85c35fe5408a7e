// RUN: elah-opt %s -convert-r1-to-exec=cpu=znver4 | FileCheck %s --check-prefixes=CHECK,AUTO
// RUN: elah-opt %s -convert-r1-to-exec="cpu=znver4 precision=bf16" | FileCheck %s --check-prefixes=CHECK,BF16
// RUN: elah-opt %s -convert-r1-to-exec=cpu=x86-64-v3 | FileCheck %s --check-prefixes=CHECK,V3
// RUN: elah-opt %s -convert-r1-to-exec="cpu=znver4 precision=f32" | FileCheck %s --check-prefixes=CHECK,F32

// In what products are formed, weights are packed and activations are stored.

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#norm = #r1.weight<"norm.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#gate = #r1.weight<"gate_proj.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#up = #r1.weight<"up_proj.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xf16>>
#down = #r1.weight<"down_proj.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#scale = #r1.weight<"odd.weight_scale_inv" in "m.safetensors" at 0 size 16 : tensor<2x2xf32>>
#odd = #r1.weight<"odd.weight" in "m.safetensors" at 0 size 4096 : tensor<64x64xf8E4M3FN, #r1.blocks<48, 48>> scaled_by #scale>
#plain = #r1.weight<"direct.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
!cache = !r1.cache<kv, layers = 3, key_width = 64, value_width = 32>
!odd = tensor<64x64xf8E4M3FN, #r1.blocks<48, 48>>

// An f16 weight is more precise than bf16, and so is the cache beside it.
// CHECK: exec.cache = array<i64: 3, 64, 256, 128>
module attributes {r1.max_context = 128 : i64, r1.vocabulary = 100 : i64} {
  // Two formats in one product: what both become.
  // CHECK: exec.weight @gate_proj.weight <{{.*}}packing = <f32, n = 128, k = 64, panel = {{[0-9]+}}, step = 1
  // BF16: exec.weight @down_proj.weight <{{.*}}packing = <bf16, n = 64, k = 64, panel = 64, step = 2
  // AUTO: exec.weight @down_proj.weight <{{.*}}packing = <bf16, n = 64, k = 64, panel = 64, step = 2
  // V3: exec.weight @down_proj.weight <{{.*}}packing = <bf16, n = 64, k = 64, panel = 32, step = 1
  // F32: exec.weight @down_proj.weight <{{.*}}packing = <bf16, n = 64, k = 64, panel = 64, step = 1
  // Blocks that do not fit the panels are multiplied out.
  // BF16: exec.weight @odd.weight <{{.*}}packing = <bf16, n = 64, {{.*}}step = 2, {{.*}}blocks = 0 x 0>>
  // AUTO: exec.weight @odd.weight <{{.*}}packing = <bf16, n = 64, {{.*}}step = 2, {{.*}}blocks = 0 x 0>>
  // V3: exec.weight @odd.weight <{{.*}}packing = <f32, n = 64, {{.*}}step = 1, {{.*}}blocks = 0 x 0>>
  // F32: exec.weight @odd.weight <{{.*}}packing = <f32, n = 64, {{.*}}step = 1, {{.*}}blocks = 0 x 0>>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#norm] : tensor<64xbf16>
    %h = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<100x64xbf16>) -> tensor<?x64xf32>
    // BF16: kernel.rms_norm %{{.*}} to %[[EXACT:[0-9]+]] and %[[NORMED:[0-9]+]] {{.*}} memref<?x64xf32>, memref<?x64xbf16>{{$}}
    // AUTO: kernel.rms_norm %{{.*}} to %[[EXACT:[0-9]+]] and %[[NORMED:[0-9]+]] {{.*}} memref<?x64xf32>, memref<?x128xbf16>{{$}}
    // V3: kernel.rms_norm %{{.*}} to %[[EXACT:[0-9]+]] {{.*}} memref<?x64xf32>{{$}}
    // F32: kernel.rms_norm %{{.*}} to %[[EXACT:[0-9]+]] {{.*}} memref<?x64xf32>{{$}}
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32>
    %gw = r1.weight [#gate] : tensor<64x64xbf16>
    %uw = r1.weight [#up] : tensor<64x64xf16>
    %dw = r1.weight [#down] : tensor<64x64xbf16>
    // CHECK: kernel.gemm %[[EXACT]], %{{.*}} to %[[INNER:[0-9]+]] {activation = #kernel<activation swiglu>, compute = #kernel<compute f32>
    %g = r1.linear %x, %gw : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
    %u = r1.linear %x, %uw : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
    %s = r1.swiglu %g, %u : tensor<?x64xf32>
    // BF16: kernel.gemm %[[INNER]], %{{.*}} {accumulate, {{.*}}compute = #kernel<compute bf16>{{.*}} : memref<?x64xbf16>
    // AUTO: kernel.gemm %[[INNER]], %{{.*}} {accumulate, {{.*}}compute = #kernel<compute bf16x2>{{.*}} : memref<?x128xbf16>
    // V3: kernel.gemm %[[INNER]], %{{.*}} {accumulate, {{.*}}compute = #kernel<compute f32>{{.*}} : memref<?x64xf32>
    // F32: kernel.gemm %[[INNER]], %{{.*}} {accumulate, {{.*}}compute = #kernel<compute f32>{{.*}} : memref<?x64xf32>
    %d = r1.linear %s, %dw : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
    %h1 = r1.add %h, %d : tensor<?x64xf32>
    %ow = r1.weight [#odd] : !odd
    // BF16: kernel.gemm %[[NORMED]], %{{.*}} {accumulate
    // AUTO: kernel.gemm %[[NORMED]], %{{.*}} {accumulate
    %o = r1.linear %x, %ow : (tensor<?x64xf32>, !odd) -> tensor<?x64xf32>
    %h2 = r1.add %h1, %o : tensor<?x64xf32>
    %f = r1.rms_norm %h2, %scale {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32>
    %l = r1.linear %f, %table : (tensor<?x64xf32>, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}
