// RUN: elah-opt %s -convert-r1-to-exec="cpu=znver4 precision=bf16" | FileCheck %s

// Mixture of experts: the router reads the norm in f32, the products read it in bf16, and the sum of all experts adds to
// the hidden state in place. The shared expert is one more, which every token chooses.

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
#sg = #r1.weight<"shared.gate_proj" in "m.safetensors" at 0 size 4096 : tensor<32x64xbf16>>
#su = #r1.weight<"shared.up_proj" in "m.safetensors" at 0 size 4096 : tensor<32x64xbf16>>
#sd = #r1.weight<"shared.down_proj" in "m.safetensors" at 0 size 4096 : tensor<64x32xbf16>>
#routing = #r1.routing<sigmoid, top_k = 2, groups = 2, top_groups = 1, group_score = top2, normalize = true, scale = 2.5 : f64>
!cache = !r1.cache<kv, layers = 1, key_width = 32, value_width = 32>

// What a token reads: a row of the table 128; two norms of 256; router 8192 + 16; two of four experts, each 8192 for gate
// and up and 4096 for down; the shared expert as much as one of them; the head 16384.
// CHECK: exec.active_weight_bytes = 62096 : i64
// What it multiplies: 2 * (4 * 64 + (2 + 1) * (64 * 64 + 32 * 64) + 100 * 64).
// CHECK-SAME: exec.flops_per_token = 50176 : i64
module attributes {r1.max_context = 128 : i64, r1.vocabulary = 100 : i64} {
  // CHECK: exec.weight @experts.0.gate_proj <kind = panels, sources = [#r1.weight<"experts.0.gate_proj"
  // CHECK-SAME: #r1.weight<"experts.up_proj" in "m.safetensors" at 1000 size 4096 : tensor<32x64xbf16>>, #r1.weight<"experts.1.gate_proj"
  // CHECK-SAME: #r1.weight<"experts.up_proj" in "m.safetensors" at 5096 size 4096 : tensor<32x64xbf16>>
  // CHECK-SAME: #r1.weight<"shared.gate_proj"{{.*}}#r1.weight<"shared.up_proj"
  // CHECK-SAME: packing = <bf16, n = 64, k = 64, panel = 64, step = 2, batch = 5, swiglu = true, blocks = 0 x 0>> bytes 40960
  // CHECK: exec.weight @experts.down_proj <kind = panels, sources = [{{.*}} at 2000 size 4096{{.*}} at 6096{{.*}}"shared.down_proj"
  // CHECK-SAME: packing = <bf16, n = 64, k = 32, panel = 64, step = 2, batch = 5, swiglu = false, blocks = 0 x 0>> bytes 20480
  // CHECK: exec.program @forward {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    // CHECK: kernel.embed %{{.*}} to %[[HIDDEN:[0-9]+]] :
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %h = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<100x64xbf16>) -> tensor<?x64xf32>
    // CHECK: kernel.rms_norm %[[HIDDEN]], %{{.*}} to %[[EXACT:[0-9]+]] and %[[NORMED:[0-9]+]] {
    // CHECK-SAME: memref<?x64xf32>, memref<?x64xbf16>{{$}}
    %n = r1.weight [#norm] : tensor<64xbf16>
    %x = r1.rms_norm %h, %n {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32>
    // CHECK: kernel.gemm %[[EXACT]], %{{.*}} to %[[LOGITS:[0-9]+]] {{{.*}}compute = #kernel<compute f32>
    // CHECK: kernel.route %[[LOGITS]] bias %{{.*}} to %[[CHOSEN:[0-9]+]], %[[WEIGHTS:.*]] {
    %rw = r1.weight [#router] : tensor<4x64xbf16>
    %rl = r1.linear %x, %rw : (tensor<?x64xf32>, tensor<4x64xbf16>) -> tensor<?x4xf32>
    %b = r1.weight [#bias] : tensor<4xf32>
    %e, %ew = r1.route %rl bias %b {routing = #routing} : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
    %gates = r1.weight [#g0, #g1, #g2, #g3] : tensor<4x32x64xbf16>
    %ups = r1.weight [#up] : tensor<4x32x64xbf16>
    %downs = r1.weight [#down] : tensor<4x64x32xbf16>
    %routed = r1.experts %x to %e, %ew gate %gates up %ups down %downs : (tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x32x64xbf16>, tensor<4x32x64xbf16>, tensor<4x64x32xbf16>) -> tensor<?x64xf32>
    %sgw = r1.weight [#sg] : tensor<32x64xbf16>
    %suw = r1.weight [#su] : tensor<32x64xbf16>
    %sdw = r1.weight [#sd] : tensor<64x32xbf16>
    %sg = r1.linear %x, %sgw : (tensor<?x64xf32>, tensor<32x64xbf16>) -> tensor<?x32xf32>
    %su = r1.linear %x, %suw : (tensor<?x64xf32>, tensor<32x64xbf16>) -> tensor<?x32xf32>
    %ss = r1.swiglu %sg, %su : tensor<?x32xf32>
    %sd = r1.linear %ss, %sdw : (tensor<?x32xf32>, tensor<64x32xbf16>) -> tensor<?x64xf32>
    // CHECK-DAG: %[[OFFSETS:.*]] = exec.alloc rows <6> : memref<6xi32>
    // CHECK-DAG: %[[GATHER:.*]] = exec.alloc rows <3 * tokens> : memref<?xi32>
    // CHECK-DAG: %[[SLOTS:.*]] = exec.alloc rows <tokens> : memref<?x3xi32>
    // CHECK: kernel.expert_plan %[[CHOSEN]] to %[[OFFSETS]], %[[GATHER]], %[[SLOTS]]
    // CHECK: %[[INNER:.*]] = exec.alloc rows <3 * tokens> : memref<?x32xbf16>
    // CHECK: kernel.grouped_gemm %[[NORMED]], %{{.*}} offsets %[[OFFSETS]] gather %[[GATHER]] to %[[INNER]]
    // CHECK: %[[ROWS:.*]] = exec.alloc rows <3 * tokens> : memref<?x64xf32>
    // CHECK: kernel.grouped_gemm %[[INNER]], %{{.*}} offsets %[[OFFSETS]] to %[[ROWS]]
    // CHECK: kernel.combine %[[ROWS]], %[[WEIGHTS]], %[[SLOTS]] to %[[HIDDEN]]
    // CHECK-NOT: accumulate
    %mlp = r1.add %routed, %sd : tensor<?x64xf32>
    %h1 = r1.add %h, %mlp : tensor<?x64xf32>
    %f = r1.rms_norm %h1, %n {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32>
    %l = r1.linear %f, %table : (tensor<?x64xf32>, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}
