// RUN: elah-opt %s -convert-r1-to-exec=cpu=znver4 -mlir-print-debuginfo | FileCheck %s

// A kernel is named after the module that it comes from, as a profile will show it; a product of siblings after the first.

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#norm = #r1.weight<"norm.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#w = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#norm] : tensor<64xbf16>
    %w = r1.weight [#w] : tensor<64x64xbf16>
    // CHECK-DAG: kernel.embed {{.*}} loc(#[[EMBED:.*]])
    // CHECK-DAG: #[[EMBED]] = loc("model.embed_tokens")
    %h = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<100x64xbf16>) -> tensor<?x64xf32> loc("model.embed_tokens")
    // CHECK-DAG: kernel.rms_norm {{.*}} loc(#[[NORM:.*]])
    // CHECK-DAG: #[[NORM]] = loc("model.layers.0.input_layernorm")
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32> loc("model.layers.0.input_layernorm")
    // CHECK-DAG: kernel.gemm {{.*}} loc(#[[QKV:.*]])
    // CHECK-DAG: #[[QKV]] = loc("model.layers.0.self_attn.q_proj")
    %q = r1.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32> loc("model.layers.0.self_attn.q_proj")
    %k = r1.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32> loc("model.layers.0.self_attn.k_proj")
    %v = r1.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32> loc("model.layers.0.self_attn.v_proj")
    // Without a rotation, key and value are appended all the same.
    // CHECK-DAG: kernel.rope_append %{{[0-9]+}} rows {{.*}} loc(#[[ATTENTION:.*]])
    // CHECK-DAG: kernel.attention {{.*}} loc(#[[ATTENTION]])
    // CHECK-DAG: #[[ATTENTION]] = loc("model.layers.0.self_attn")
    %a, %c = r1.attention %q, %k, %v at %positions cache %cache {heads = 4, kv_heads = 4, head_dim = 16, value_dim = 16, scale = 0.25, layer = 0} : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?xi32>, !cache) -> (tensor<?x64xf32>, !cache) loc("model.layers.0.self_attn")
    // CHECK-DAG: kernel.gemm {{.*}}accumulate{{.*}} loc(#[[OUT:.*]])
    // CHECK-DAG: #[[OUT]] = loc("model.layers.0.self_attn.o_proj")
    %o = r1.linear %a, %w : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32> loc("model.layers.0.self_attn.o_proj")
    %h1 = r1.add %h, %o : tensor<?x64xf32> loc("model.layers.0")
    %f = r1.rms_norm %h1, %scale {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32> loc("model.norm")
    // CHECK-DAG: #{{.*}} = loc("lm_head")
    %l = r1.linear %f, %table : (tensor<?x64xf32>, tensor<100x64xbf16>) -> tensor<?x100xf32> loc("lm_head")
    return %l, %c : tensor<?x100xf32>, !cache
  }
}
