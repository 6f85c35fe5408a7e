// RUN: elah-opt %s -convert-r1-to-exec="cpu=znver4 precision=bf16" | FileCheck %s
// RUN: elah-opt %s -convert-r1-to-exec=cpu=znver4 | FileCheck %s --check-prefix=AUTO
// RUN: elah-opt %s -convert-r1-to-exec="cpu=znver4 precision=f32" | FileCheck %s --check-prefix=F32

// Latent attention in f8: the query and the latent come from one product; kv_b is split into one matrix per head for the
// query and one for the value, as heads do not respect its blocks.

#norm = #r1.weight<"norm.weight" in "m.safetensors" at 0 size 512 : tensor<256xbf16>>
#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 128 size 51200 : tensor<100x256xbf16>>
#head = #r1.weight<"lm_head.weight" in "m.safetensors" at 128 size 51200 : tensor<100x256xbf16>>
#qa_s = #r1.weight<"q_a_proj.weight_scale_inv" in "m.safetensors" at 0 size 8 : tensor<1x2xf32>>
#qa = #r1.weight<"q_a_proj.weight" in "m.safetensors" at 0 size 32768 : tensor<128x256xf8E4M3FN, #r1.blocks<128, 128>> scaled_by #qa_s>
#qan = #r1.weight<"q_a_layernorm.weight" in "m.safetensors" at 0 size 256 : tensor<128xbf16>>
#qb_s = #r1.weight<"q_b_proj.weight_scale_inv" in "m.safetensors" at 0 size 4 : tensor<1x1xf32>>
#qb = #r1.weight<"q_b_proj.weight" in "m.safetensors" at 0 size 12288 : tensor<96x128xf8E4M3FN, #r1.blocks<128, 128>> scaled_by #qb_s>
#kva_s = #r1.weight<"kv_a_proj_with_mqa.weight_scale_inv" in "m.safetensors" at 0 size 8 : tensor<1x2xf32>>
#kva = #r1.weight<"kv_a_proj_with_mqa.weight" in "m.safetensors" at 0 size 10240 : tensor<40x256xf8E4M3FN, #r1.blocks<128, 128>> scaled_by #kva_s>
#kvan = #r1.weight<"kv_a_layernorm.weight" in "m.safetensors" at 0 size 64 : tensor<32xbf16>>
#kvb_s = #r1.weight<"kv_b_proj.weight_scale_inv" in "m.safetensors" at 0 size 4 : tensor<1x1xf32>>
#kvb = #r1.weight<"kv_b_proj.weight" in "m.safetensors" at 0 size 4096 : tensor<128x32xf8E4M3FN, #r1.blocks<128, 128>> scaled_by #kvb_s>
#o_s = #r1.weight<"o_proj.weight_scale_inv" in "m.safetensors" at 0 size 8 : tensor<2x1xf32>>
#o = #r1.weight<"o_proj.weight" in "m.safetensors" at 0 size 16384 : tensor<256x64xf8E4M3FN, #r1.blocks<128, 128>> scaled_by #o_s>
#rope = #r1.rope<interleaved, [1.0, 0.1, 0.01, 0.001], scale = 1.0 : f64>
!cache = !r1.cache<latent, layers = 2, key_width = 40, value_width = 0>
!q_a = tensor<128x256xf8E4M3FN, #r1.blocks<128, 128>>
!q_b = tensor<96x128xf8E4M3FN, #r1.blocks<128, 128>>
!kv_a = tensor<40x256xf8E4M3FN, #r1.blocks<128, 128>>
!kv_b = tensor<128x32xf8E4M3FN, #r1.blocks<128, 128>>
!o = tensor<256x64xf8E4M3FN, #r1.blocks<128, 128>>

// One pool of latents.
// CHECK: exec.cache = array<i64: 2, 64, 80>
// F32: exec.cache = array<i64: 2, 64, 160>
module attributes {r1.max_context = 128 : i64, r1.vocabulary = 100 : i64} {
  // CHECK: exec.weight @q_a_proj.weight <kind = panels, sources = [#r1.weight<"q_a_proj.weight"{{.*}}#r1.weight<"kv_a_proj_with_mqa.weight"
  // CHECK-SAME: <f8, n = 168, k = 256, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 128 x 128>
  // CHECK: exec.weight @q_a_proj.weight.scales <kind = scales, sources = [{{.*}}> bytes 16
  // CHECK: exec.weight @kv_b_proj.weight.query <kind = head_panels, sources = [#r1.weight<"kv_b_proj.weight"
  // CHECK-SAME: packing = <bf16, n = 32, k = 16, panel = 64, step = 2, batch = 4, swiglu = false, blocks = 0 x 0>, headStride = 32, transposed = true>
  // CHECK: exec.weight @kv_b_proj.weight.value <kind = head_panels
  // CHECK-SAME: packing = <bf16, n = 16, k = 32, panel = 64, step = 2, batch = 4, swiglu = false, blocks = 0 x 0>, headStride = 32, headFirst = 16>

  // F32: exec.weight @q_a_proj.weight <kind = panels{{.*}}packing = <f8, n = 168, k = 256, panel = 64, step = 1
  // F32: exec.weight @kv_b_proj.weight.query <kind = head_panels{{.*}}packing = <f32, n = 32, k = 16
  // F32: exec.weight @kv_b_proj.weight.value <kind = head_panels{{.*}}packing = <f32, n = 16, k = 32

  // F32-NOT: compute bf16
  // F32: exec.cache pool 0 layer 0 : memref<?x40xf32>
  // F32-NOT: compute bf16

  // CHECK: exec.program @forward {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    // CHECK: kernel.embed %{{.*}} to %[[HIDDEN:.*]] :
    %table = r1.weight [#embed] : tensor<100x256xbf16>
    %h = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<100x256xbf16>) -> tensor<?x256xf32>
    %n = r1.weight [#norm] : tensor<256xbf16>
    %x = r1.rms_norm %h, %n {epsilon = 1.0e-6} : (tensor<?x256xf32>, tensor<256xbf16>) -> tensor<?x256xf32>
    // CHECK: %[[BOTH:.*]] = exec.alloc rows <tokens> : memref<?x168xf32>
    // CHECK: kernel.gemm %{{.*}}, %{{.*}} scales %{{.*}} to %[[BOTH]]
    // CHECK-DAG: %[[LOW:.*]] = exec.view %[[BOTH]] column 0 : memref<?x168xf32> -> memref<?x128xf32, strided<[168, 1], offset: ?>>
    // CHECK-DAG: %[[LATENT:.*]] = exec.view %[[BOTH]] column 128 : memref<?x168xf32> -> memref<?x40xf32, strided<[168, 1], offset: ?>>
    %qaw = r1.weight [#qa] : !q_a
    %qa = r1.linear %x, %qaw : (tensor<?x256xf32>, !q_a) -> tensor<?x128xf32>
    // CHECK: kernel.rms_norm %[[LOW]], %{{.*}} to %[[LOWNORMED:.*]] {epsilon
    %qan = r1.weight [#qan] : tensor<128xbf16>
    %qn = r1.rms_norm %qa, %qan {epsilon = 1.0e-6} : (tensor<?x128xf32>, tensor<128xbf16>) -> tensor<?x128xf32>
    // CHECK: kernel.gemm %[[LOWNORMED]], %{{.*}} scales %{{.*}} to %[[QUERY:.*]] {activation
    %qbw = r1.weight [#qb] : !q_b
    %q = r1.linear %qn, %qbw : (tensor<?x128xf32>, !q_b) -> tensor<?x96xf32>
    %kvaw = r1.weight [#kva] : !kv_a
    %latent = r1.linear %x, %kvaw : (tensor<?x256xf32>, !kv_a) -> tensor<?x40xf32>
    // The product and the rotation fill the absorbed query together. The query is split and never rounded.
    // CHECK: %[[ABSORBED:.*]] = exec.alloc rows <tokens> : memref<?x160xf32>
    // CHECK: %[[PARTS:.*]] = exec.alloc rows <tokens> : memref<?x192xbf16>
    // CHECK: kernel.split %[[QUERY]] to %[[PARTS]]
    // CHECK: kernel.head_gemm %[[PARTS]], %{{.*}} to %[[ABSORBED]] {compute = #kernel<compute bf16x2>
    // CHECK-SAME: input_offset = 0 : i64, input_stride = 24 : i64, output_offset = 0 : i64, output_stride = 40 : i64
    // CHECK: %[[CACHE:.*]] = exec.cache pool 0 layer 0 : memref<?x40xbf16>
    // CHECK: kernel.latent_append %[[QUERY]], %[[LATENT]] norm %{{.*}} table %{{.*}} rows %{{.*}} to %[[ABSORBED]], %[[CACHE]]
    // CHECK: kernel.latent_attention %[[ABSORBED]], %[[CACHE]] at %{{.*}} to %[[ATTENDED:.*]] {compute = #kernel<compute bf16x2>, head_groups = 4
    // CHECK: kernel.head_gemm %[[ATTENDED]], %{{.*}} to %[[VALUES:.*]] {compute = #kernel<compute bf16>
    // CHECK-SAME: input_offset = 0 : i64, input_stride = 32 : i64, output_offset = 0 : i64, output_stride = 16 : i64
    // AUTO: exec.cache pool 0 layer 0 : memref<?x40xf32>
    // AUTO: kernel.latent_attention {{.*}} to %[[EXACT:[0-9]+]] {compute = #kernel<compute bf16x2>, head_groups = 4
    // AUTO: kernel.split %[[EXACT]] to %[[SPLIT:[0-9]+]] : memref<?x128xf32>, memref<?x256xbf16>
    // AUTO: kernel.head_gemm %[[SPLIT]], %{{.*}} to %[[VALUES:[0-9]+]] {compute = #kernel<compute bf16x2>
    // AUTO-SAME: memref<?x128xbf16>{{$}}
    // AUTO: kernel.gemm %[[VALUES]], %{{.*}} scales %{{.*}} {accumulate
    %kvan = r1.weight [#kvan] : tensor<32xbf16>
    %kvb = r1.weight [#kvb] : !kv_b
    %a, %c = r1.latent_attention %q, %latent norm %kvan expand %kvb at %positions cache %cache {heads = 4, nope_dim = 16, rope_dim = 8, value_dim = 16, rank = 32, scale = 0.25, epsilon = 1.0e-6, layer = 0, rope = #rope} : (tensor<?x96xf32>, tensor<?x40xf32>, tensor<32xbf16>, !kv_b, tensor<?xi32>, !cache) -> (tensor<?x64xf32>, !cache)
    // CHECK: kernel.gemm %[[VALUES]], %{{.*}} scales %{{.*}} to %[[HIDDEN]] {accumulate
    %ow = r1.weight [#o] : !o
    %o = r1.linear %a, %ow : (tensor<?x64xf32>, !o) -> tensor<?x256xf32>
    %h1 = r1.add %h, %o : tensor<?x256xf32>
    %f = r1.rms_norm %h1, %n {epsilon = 1.0e-6} : (tensor<?x256xf32>, tensor<256xbf16>) -> tensor<?x256xf32>
    %hw = r1.weight [#head] : tensor<100x256xbf16>
    %l = r1.linear %f, %hw : (tensor<?x256xf32>, tensor<100x256xbf16>) -> tensor<?x100xf32>
    return %l, %c : tensor<?x100xf32>, !cache
  }
}
