// RUN: elah-opt %s | elah-opt | FileCheck %s

#table = #r1.weight<"table" in "model.safetensors" at 0 size 128 : tensor<16x4xbf16>>
#scales = #r1.weight<"scales" in "scales.safetensors" at 16 size 16 : tensor<2x2xf32>>
#blocks = #r1.weight<"blocks" in "model.safetensors" at 128 size 24 : tensor<6x4xf8E4M3FN, #r1.blocks<4, 2>>
    scaled_by #scales>
!kv = !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>
!latent = !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>

// CHECK-LABEL: func.func @weights
func.func @weights(%tokens: tensor<?xi32>) -> tensor<?x6xf32> {
  // CHECK: r1.weight [#r1.weight<"table" in "model.safetensors" at 0 size 128 : tensor<16x4xbf16>>] : tensor<16x4xbf16>
  %table = r1.weight [#table] : tensor<16x4xbf16>
  // CHECK: r1.weight [{{.*}} scaled_by <"scales" in "scales.safetensors" at 16 size 16 : tensor<2x2xf32>>
  %weight = r1.weight [#blocks] : tensor<6x4xf8E4M3FN, #r1.blocks<4, 2>>
  // CHECK: r1.weight [#{{.*}}, #{{.*}}] : tensor<2x16x4xbf16>
  %stack = r1.weight [#table, #table] : tensor<2x16x4xbf16>
  // CHECK: r1.embedding
  %0 = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<16x4xbf16>) -> tensor<?x4xf32>
  // CHECK: r1.linear %{{.*}}, %{{[^ ]*}} : (
  %1 = r1.linear %0, %weight : (tensor<?x4xf32>, tensor<6x4xf8E4M3FN, #r1.blocks<4, 2>>) -> tensor<?x6xf32>
  return %1 : tensor<?x6xf32>
}

// CHECK-LABEL: func.func @dense
func.func @dense(%x: tensor<?x6xf32>, %norm: tensor<6xbf16>, %w: tensor<6x6xf16>, %b: tensor<6xf32>) -> tensor<?x6xf32> {
  // CHECK: r1.rms_norm %{{.*}}, %{{.*}} {epsilon = 9.99{{.*}}E-7 : f64}
  %0 = r1.rms_norm %x, %norm {epsilon = 1.0e-6} : (tensor<?x6xf32>, tensor<6xbf16>) -> tensor<?x6xf32>
  // CHECK: r1.linear %{{.*}}, %{{.*}} bias %{{.*}} :
  %1 = r1.linear %0, %w bias %b : (tensor<?x6xf32>, tensor<6x6xf16>, tensor<6xf32>) -> tensor<?x6xf32>
  // CHECK: r1.swiglu %{{.*}}, %{{.*}} : tensor<?x6xf32>
  %2 = r1.swiglu %1, %0 : tensor<?x6xf32>
  // CHECK: r1.add %{{.*}}, %{{.*}} : tensor<?x6xf32>
  %3 = r1.add %2, %x : tensor<?x6xf32>
  return %3 : tensor<?x6xf32>
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>, %c: !kv)
    -> (tensor<?x16xf32>, !kv) {
  // CHECK: r1.attention %{{.*}} at %{{.*}} cache %{{.*}} rope = #r1.rope<half,
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 1,
       rope = #r1.rope<half, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>, !kv) -> (tensor<?x16xf32>, !kv)
  // CHECK: r1.attention %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} at %{{[^ ]*}} {
  %1 = r1.attention %q, %k, %v at %p {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 1}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x16xf32>
  return %1, %0#1 : tensor<?x16xf32>, !kv
}

// CHECK-LABEL: func.func @latent_attention
func.func @latent_attention(%q: tensor<?x24xf32>, %l: tensor<?x14xf32>, %n: tensor<10xf32>, %e: tensor<24x10xbf16>,
                            %p: tensor<?xi32>, %c: !latent) -> (tensor<?x8xf32>, !latent) {
  // CHECK: r1.latent_attention %{{.*}} norm %{{.*}} expand %{{.*}} at %{{.*}} cache
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = 0,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x14xf32>, tensor<10xf32>, tensor<24x10xbf16>, tensor<?xi32>, !latent)
      -> (tensor<?x8xf32>, !latent)
  return %0#0, %0#1 : tensor<?x8xf32>, !latent
}

// CHECK-LABEL: func.func @mixture
func.func @mixture(%x: tensor<?x6xf32>, %logits: tensor<?x4xf32>, %bias: tensor<4xf32>, %gate: tensor<4x8x6xbf16>,
                   %up: tensor<4x8x6xbf16>, %down: tensor<4x6x8xbf16>) -> tensor<?x6xf32> {
  // CHECK: r1.route %{{.*}} bias %{{.*}} {routing = #r1.routing<sigmoid, top_k = 2, groups = 2, top_groups = 1,
  // CHECK-SAME: group_score = top2, normalize = true, scale = 2.500000e+00
  %0:2 = r1.route %logits bias %bias {routing = #r1.routing<sigmoid, top_k = 2, groups = 2, top_groups = 1,
      group_score = top2, normalize = true, scale = 2.5>}
      : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // CHECK: r1.experts %{{.*}} to %{{.*}} gate %{{.*}} up %{{.*}} down
  %1 = r1.experts %x to %0#0, %0#1 gate %gate up %up down %down
      : (tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x8x6xbf16>, tensor<4x8x6xbf16>, tensor<4x6x8xbf16>)
      -> tensor<?x6xf32>
  return %1 : tensor<?x6xf32>
}

// CHECK-LABEL: func.func @next_token_block
func.func @next_token_block(%hidden: tensor<?x6xf32>, %embedded: tensor<?x6xf32>, %positions: tensor<?xi32>,
                            %hnorm: tensor<6xf32>, %enorm: tensor<6xf32>, %w: tensor<6x12xbf16>) -> tensor<?x6xf32> {
  // CHECK: r1.next_token_block %{{.*}}, %{{.*}} at %{{.*}} norms %{{.*}}, %{{.*}} projection %{{.*}} {epsilon =
  %0 = r1.next_token_block %hidden, %embedded at %positions norms %hnorm, %enorm projection %w {epsilon = 1.0e-6}
      : (tensor<?x6xf32>, tensor<?x6xf32>, tensor<?xi32>, tensor<6xf32>, tensor<6xf32>, tensor<6x12xbf16>)
      -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}
