// RUN: elah-opt %s -convert-r1-to-exec="cpu=znver4 precision=bf16" | FileCheck %s
// RUN: elah-opt %s -convert-r1-to-exec=cpu=znver4 | FileCheck %s --check-prefix=AUTO
// RUN: not elah-opt %s -convert-r1-to-exec="cuda=true kv-cache=fp8" 2>&1 | FileCheck %s --check-prefix=FP8

// FP8: error: an FP8 KV cache is for latent attention of one rank, found {{.*}}cache<kv

// A layer of Qwen2: query, key and value are one product, whose rows the rotation reads whole.

#norm = #r1.weight<"norm.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 128 size 12800 : tensor<100x64xbf16>>
#q = #r1.weight<"q_proj.weight" in "m.safetensors" at 128 size 8192 : tensor<64x64xbf16>>
#k = #r1.weight<"k_proj.weight" in "m.safetensors" at 128 size 4096 : tensor<32x64xbf16>>
#v = #r1.weight<"v_proj.weight" in "m.safetensors" at 128 size 4096 : tensor<32x64xbf16>>
#qb = #r1.weight<"q_proj.bias" in "m.safetensors" at 128 size 128 : tensor<64xbf16>>
#kb = #r1.weight<"k_proj.bias" in "m.safetensors" at 128 size 64 : tensor<32xbf16>>
#vb = #r1.weight<"v_proj.bias" in "m.safetensors" at 128 size 64 : tensor<32xbf16>>
#o = #r1.weight<"o_proj.weight" in "m.safetensors" at 128 size 8192 : tensor<64x64xbf16>>
#rope = #r1.rope<half, [1.0, 0.1, 0.01, 0.001, 1.0, 0.1, 0.01, 0.001], scale = 1.0 : f64>
!cache = !r1.cache<kv, layers = 1, key_width = 32, value_width = 32>

// CHECK: module attributes {
// CHECK-SAME: exec.cache = array<i64: 1, 64, 64, 64>
// CHECK-SAME: exec.limits = array<i64: 128, 8, 512>
// CHECK-SAME: r1.vocabulary = 100
module attributes {r1.max_context = 128 : i64, r1.vocabulary = 100 : i64} {
  // CHECK: exec.weight @embed_tokens.weight <kind = table
  // CHECK: exec.weight @q_proj.weight <kind = panels, sources = [#r1.weight<"q_proj.weight"
  // CHECK-SAME: #r1.weight<"k_proj.weight"{{.*}}#r1.weight<"v_proj.weight"
  // CHECK-SAME: packing = <bf16, n = 128, k = 64, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>> bytes 16384
  // CHECK: exec.weight @q_proj.bias <kind = vector, sources = [#r1.weight<"q_proj.bias"{{.*}}"k_proj.bias"{{.*}}"v_proj.bias"
  // The head is the embedding's tensor, packed.
  // CHECK: exec.weight @embed_tokens.weight.1 <kind = panels, sources = [#r1.weight<"embed_tokens.weight"

  // CHECK-NOT: func.func
  // CHECK: exec.program @forward {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    // CHECK: %[[HIDDEN:.*]] = exec.alloc rows <tokens> : memref<?x64xf32>
    // CHECK: %[[TABLE:.*]] = exec.weight_ref @embed_tokens.weight : memref<100x64xbf16>
    // CHECK: kernel.embed %{{.*}}, %[[TABLE]] to %[[HIDDEN]]
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %h = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<100x64xbf16>) -> tensor<?x64xf32>
    // CHECK: %[[NORMED:.*]] = exec.alloc rows <tokens> : memref<?x64xbf16>
    // CHECK: kernel.rms_norm %[[HIDDEN]], %{{.*}} to %[[NORMED]]
    %n = r1.weight [#norm] : tensor<64xbf16>
    %x = r1.rms_norm %h, %n {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32>
    // CHECK: %[[QKV:.*]] = exec.alloc rows <tokens> : memref<?x128xf32>
    // CHECK: kernel.gemm %[[NORMED]], %{{.*}} bias %{{.*}} to %[[QKV]]
    // CHECK-SAME: compute = #kernel<compute bf16>
    // CHECK-NOT: exec.view
    %qw = r1.weight [#q] : tensor<64x64xbf16>
    %qbw = r1.weight [#qb] : tensor<64xbf16>
    %q = r1.linear %x, %qw bias %qbw : (tensor<?x64xf32>, tensor<64x64xbf16>, tensor<64xbf16>) -> tensor<?x64xf32>
    %kw = r1.weight [#k] : tensor<32x64xbf16>
    %kbw = r1.weight [#kb] : tensor<32xbf16>
    %k = r1.linear %x, %kw bias %kbw : (tensor<?x64xf32>, tensor<32x64xbf16>, tensor<32xbf16>) -> tensor<?x32xf32>
    %vw = r1.weight [#v] : tensor<32x64xbf16>
    %vbw = r1.weight [#vb] : tensor<32xbf16>
    %v = r1.linear %x, %vw bias %vbw : (tensor<?x64xf32>, tensor<32x64xbf16>, tensor<32xbf16>) -> tensor<?x32xf32>
    // CHECK-DAG: %[[KEYS:.*]] = exec.cache pool 0 layer 0 : memref<?x32xbf16>
    // CHECK-DAG: %[[VALUES:.*]] = exec.cache pool 1 layer 0 : memref<?x32xbf16>
    // CHECK-DAG: %[[POSITIONS:.*]] = exec.input positions
    // CHECK-DAG: %[[ROPE:.*]] = exec.alloc rows <tokens> : memref<?x16xf32>
    // CHECK: kernel.rope_table %[[POSITIONS]] to %[[ROPE]]
    // CHECK: %[[ROWS:.*]] = exec.input cache_rows
    // CHECK: kernel.rope_append %[[QKV]] table %[[ROPE]] rows %[[ROWS]] to %[[QUERY:.*]], %[[KEYS]], %[[VALUES]]
    // CHECK: %[[ATTENDED:.*]] = exec.alloc rows <tokens> : memref<?x64xbf16>
    // CHECK: kernel.attention %[[QUERY]], %[[KEYS]], %[[VALUES]] at %[[POSITIONS]], %{{.*}}, %{{.*}} to %[[ATTENDED]]
    // CHECK-SAME: page_tokens = 64
    %a, %c = r1.attention %q, %k, %v at %positions cache %cache {heads = 4, kv_heads = 2, head_dim = 16, value_dim = 16, scale = 0.25, layer = 0, rope = #rope} : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?xi32>, !cache) -> (tensor<?x64xf32>, !cache)
    // CHECK: kernel.gemm %[[ATTENDED]], %{{.*}} to %[[HIDDEN]] {accumulate
    // By default attention writes f32, and a product's rows are split behind it.
    // AUTO: kernel.attention {{.*}} to %[[EXACT:[0-9]+]] {compute = #kernel<compute bf16x2>
    // AUTO-SAME: memref<?x32xf32>, memref<?x32xf32>, {{.*}}xf32>{{$}}
    // AUTO: kernel.split %[[EXACT]] to %[[SPLIT:[0-9]+]] :
    // AUTO: kernel.gemm %[[SPLIT]], %{{.*}}compute = #kernel<compute bf16x2>
    %ow = r1.weight [#o] : tensor<64x64xbf16>
    %o = r1.linear %a, %ow : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
    %h1 = r1.add %h, %o : tensor<?x64xf32>
    // CHECK-DAG: %[[WANTED:.*]] = exec.input logit_tokens
    // CHECK-DAG: %[[LAST:.*]] = exec.alloc rows <logit_rows> : memref<?x64xbf16>
    // CHECK: kernel.rms_norm %[[HIDDEN]], %{{.*}} rows %[[WANTED]] to %[[LAST]]
    %f = r1.rms_norm %h1, %n {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32>
    // CHECK: %[[LOGITS:.*]] = exec.alloc rows <logit_rows> : memref<?x100xf32>
    // CHECK: kernel.gemm %[[LAST]], %{{.*}} to %[[LOGITS]]
    %l = r1.linear %f, %table : (tensor<?x64xf32>, tensor<100x64xbf16>) -> tensor<?x100xf32>
    // CHECK: exec.return %[[LOGITS]]
    return %l, %c : tensor<?x100xf32>, !cache
  }
}
