// RUN: elah-opt %s -convert-r1-to-exec=cpu=znver4 | FileCheck %s

// A shared expert that is wider than the routed ones is a product of its own, which adds to the hidden state behind them.

#norm = #r1.weight<"norm.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 128 size 12800 : tensor<100x64xbf16>>
#router = #r1.weight<"gate.weight" in "m.safetensors" at 0 size 512 : tensor<4x64xbf16>>
#bias = #r1.weight<"gate.e_score_correction_bias" in "m.safetensors" at 0 size 16 : tensor<4xf32>>
#g0 = #r1.weight<"experts.0.gate_proj" in "m.safetensors" at 0 size 4096 : tensor<32x64xbf16>>
#g1 = #r1.weight<"experts.1.gate_proj" in "m.safetensors" at 0 size 4096 : tensor<32x64xbf16>>
#g2 = #r1.weight<"experts.2.gate_proj" in "m.safetensors" at 0 size 4096 : tensor<32x64xbf16>>
#g3 = #r1.weight<"experts.3.gate_proj" in "m.safetensors" at 0 size 4096 : tensor<32x64xbf16>>
// Parts that one tensor holds stacked are taken apart.
#up = #r1.weight<"experts.up_proj" in "m.safetensors" at 1000 size 16384 : tensor<4x32x64xbf16>>
#down = #r1.weight<"experts.down_proj" in "m.safetensors" at 2000 size 16384 : tensor<4x64x32xbf16>>
#sg = #r1.weight<"shared.gate_proj" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#su = #r1.weight<"shared.up_proj" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#sd = #r1.weight<"shared.down_proj" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#routing = #r1.routing<sigmoid, top_k = 2, groups = 2, top_groups = 1, group_score = top2, normalize = true, scale = 2.5 : f64>
!cache = !r1.cache<kv, layers = 1, key_width = 32, value_width = 32>

module attributes {r1.max_context = 128 : i64, r1.vocabulary = 100 : i64} {
  // CHECK: exec.weight @experts.0.gate_proj <{{.*}}batch = 4, swiglu = true
  // CHECK: exec.program @forward {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    // CHECK: kernel.embed %{{.*}} to %[[HIDDEN:[0-9]+]] :
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %h = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<100x64xbf16>) -> tensor<?x64xf32>
    %n = r1.weight [#norm] : tensor<64xbf16>
    %x = r1.rms_norm %h, %n {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32>
    // CHECK: kernel.route %{{.*}} to %{{.*}}, %{{.*}} : memref<?x4xf32>, memref<4xf32>, memref<?x2xi32>
    %rw = r1.weight [#router] : tensor<4x64xbf16>
    %rl = r1.linear %x, %rw : (tensor<?x64xf32>, tensor<4x64xbf16>) -> tensor<?x4xf32>
    %b = r1.weight [#bias] : tensor<4xf32>
    %e, %ew = r1.route %rl bias %b {routing = #routing} : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
    %gates = r1.weight [#g0, #g1, #g2, #g3] : tensor<4x32x64xbf16>
    %ups = r1.weight [#up] : tensor<4x32x64xbf16>
    %downs = r1.weight [#down] : tensor<4x64x32xbf16>
    %routed = r1.experts %x to %e, %ew gate %gates up %ups down %downs : (tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x32x64xbf16>, tensor<4x32x64xbf16>, tensor<4x64x32xbf16>) -> tensor<?x64xf32>
    // CHECK: kernel.gemm %{{.*}} to %[[SHARED:[0-9]+]] {activation = #kernel<activation swiglu>
    %sgw = r1.weight [#sg] : tensor<64x64xbf16>
    %suw = r1.weight [#su] : tensor<64x64xbf16>
    %sdw = r1.weight [#sd] : tensor<64x64xbf16>
    %sg = r1.linear %x, %sgw : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
    %su = r1.linear %x, %suw : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
    %ss = r1.swiglu %sg, %su : tensor<?x64xf32>
    %sd = r1.linear %ss, %sdw : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
    // CHECK-COUNT-2: kernel.grouped_gemm
    // CHECK: kernel.combine %{{.*}} to %[[HIDDEN]]
    // CHECK: kernel.gemm %[[SHARED]], %{{.*}} to %[[HIDDEN]] {accumulate
    %mlp = r1.add %routed, %sd : tensor<?x64xf32>
    %h1 = r1.add %h, %mlp : tensor<?x64xf32>
    %f = r1.rms_norm %h1, %n {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32>
    %l = r1.linear %f, %table : (tensor<?x64xf32>, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}
