// RUN: elah-opt %s -r1-decompose -split-input-file | FileCheck %s
// RUN: elah-opt %s -r1-decompose=ops=r1.latent_attention,r1.next_token_block -split-input-file | FileCheck %s --check-prefix=SOME
// RUN: not elah-opt %s -r1-decompose=ops=r1.mul -split-input-file 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: error: expected the name of a composite of r1, found 'r1.mul'

// CHECK-LABEL: func.func @embedding
// SOME-LABEL: func.func @embedding
func.func @embedding(%tokens: tensor<?xi32>, %table: tensor<16x4xbf16>) -> tensor<?x4xf32> {
  // CHECK-NEXT: %[[ROWS:.*]] = r1.gather %arg1, %arg0 axis 0 : (tensor<16x4xbf16>, tensor<?xi32>) -> tensor<?x4xbf16>
  // CHECK-NEXT: %[[F32:.*]] = r1.cast %[[ROWS]] to f32
  // CHECK-NEXT: return %[[F32]]
  // SOME: r1.embedding
  %0 = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<16x4xbf16>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func.func @linear
func.func @linear(%x: tensor<?x4xf32>, %w: tensor<6x4xf8E4M3FN, #r1.blocks<4, 2>>, %b: tensor<6xf16>) -> tensor<?x6xf32> {
  // CHECK-NEXT: %[[W:.*]] = r1.dequantize %arg1
  // CHECK-NEXT: %[[T:.*]] = r1.transpose %[[W]] by [1, 0] : (tensor<6x4xf32>) -> tensor<4x6xf32>
  // CHECK-NEXT: %[[P:.*]] = r1.matmul %arg0, %[[T]]
  // CHECK-NEXT: %[[B:.*]] = r1.cast %arg2 to f32
  // CHECK-NEXT: r1.add %[[P]], %[[B]] : (tensor<?x6xf32>, tensor<6xf32>) -> tensor<?x6xf32>
  // CHECK-NEXT: return
  %0 = r1.linear %x, %w bias %b
      : (tensor<?x4xf32>, tensor<6x4xf8E4M3FN, #r1.blocks<4, 2>>, tensor<6xf16>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// -----

// CHECK-LABEL: func.func @rms_norm
func.func @rms_norm(%x: tensor<?x4xf32>, %w: tensor<4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: %[[SQUARES:.*]] = r1.mul %arg0, %arg0
  // CHECK-NEXT: %[[MEAN:.*]] = r1.reduce mean %[[SQUARES]] over [1] keep_dims
  // CHECK-NEXT: %[[EPSILON:.*]] = r1.constant dense<9.99{{.*}}E-7> : tensor<f32>
  // CHECK-NEXT: %[[SUM:.*]] = r1.add %[[MEAN]], %[[EPSILON]]
  // CHECK-NEXT: %[[LENGTH:.*]] = r1.rsqrt %[[SUM]]
  // CHECK-NEXT: %[[UNIT:.*]] = r1.mul %arg0, %[[LENGTH]]
  // CHECK-NEXT: r1.mul %[[UNIT]], %arg1
  // CHECK-NEXT: return
  %0 = r1.rms_norm %x, %w {epsilon = 1.0e-6} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func.func @softmax
func.func @softmax(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: %[[MAX:.*]] = r1.reduce max %arg0 over [0] keep_dims
  // CHECK-NEXT: %[[SHIFTED:.*]] = r1.sub %arg0, %[[MAX]]
  // CHECK-NEXT: %[[POWERS:.*]] = r1.exp %[[SHIFTED]]
  // CHECK-NEXT: %[[SUM:.*]] = r1.reduce sum %[[POWERS]] over [0] keep_dims
  // CHECK-NEXT: r1.div %[[POWERS]], %[[SUM]]
  // CHECK-NEXT: return
  %0 = r1.softmax %x axis 0 : tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func.func @swiglu
func.func @swiglu(%gate: tensor<?x4xf32>, %up: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: %[[S:.*]] = r1.sigmoid %arg0
  // CHECK-NEXT: %[[A:.*]] = r1.mul %arg0, %[[S]]
  // CHECK-NEXT: r1.mul %[[A]], %arg1
  // CHECK-NEXT: return
  %0 = r1.swiglu %gate, %up : tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

!kv = !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>

// CHECK-LABEL: func.func @attention
// CHECK-NOT: {{r1.(attention|softmax)}}
func.func @attention(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>, %c: !kv)
    -> (tensor<?x16xf32>, !kv) {
  // CHECK: r1.cos %{{.*}} : tensor<?x1x2xf32>
  // CHECK: r1.slice %{{.*}} axis 2 from 4 to 8 : (tensor<?x4x8xf32>) -> tensor<?x4x4xf32>
  // CHECK: %[[K:.*]] = r1.cache_append %{{.*}} to key of %arg4 layer 1
  // CHECK: r1.cache_read key of %[[K]] layer 1
  // CHECK: %[[V:.*]] = r1.cache_append %arg2 to value of %[[K]] layer 1
  // CHECK: r1.cache_read value of %[[V]] layer 1
  // CHECK: r1.matmul %{{.*}} : (tensor<2x2x?x8xf32>, tensor<2x1x8x?xf32>) -> tensor<2x2x?x?xf32>
  // CHECK: r1.range
  // CHECK: r1.compare le
  // CHECK: r1.select
  // CHECK: r1.exp
  // CHECK: r1.matmul %{{.*}} : (tensor<2x2x?x?xf32>, tensor<2x1x?x4xf32>) -> tensor<2x2x?x4xf32>
  // CHECK: %[[RESULT:.*]] = r1.reshape %{{.*}} to [-1, 16]
  // CHECK: return %[[RESULT]], %[[V]]
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 1,
       rope = #r1.rope<half, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>, !kv) -> (tensor<?x16xf32>, !kv)
  return %0#0, %0#1 : tensor<?x16xf32>, !kv
}

// -----

!latent = !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>

// CHECK-LABEL: func.func @latent_attention
// CHECK-NOT: {{r1.(latent_attention|softmax|rms_norm|linear)}}
// SOME-LABEL: func.func @latent_attention
func.func @latent_attention(%q: tensor<?x24xf32>, %l: tensor<?x14xf32>, %n: tensor<10xf32>, %e: tensor<24x10xbf16>,
                            %p: tensor<?xi32>, %c: !latent) -> (tensor<?x8xf32>, !latent) {
  // SOME: %[[NORM:.*]] = r1.rms_norm %{{.*}} : (tensor<?x10xf32>, tensor<10xf32>) -> tensor<?x10xf32>
  // SOME: %[[ROWS:.*]] = r1.concat %[[NORM]], %{{.*}} axis 1 : (tensor<?x10xf32>, tensor<?x4xf32>) -> tensor<?x14xf32>
  // SOME: %[[CACHE:.*]] = r1.cache_append %[[ROWS]] to key of %arg5 layer 0
  // SOME: r1.cache_read key of %[[CACHE]]
  // SOME: r1.linear %{{.*}} : (tensor<?x10xf32>, tensor<24x10xbf16>) -> tensor<?x24xf32>
  // SOME: r1.matmul %{{.*}} : (tensor<2x?x8xf32>, tensor<2x8x?xf32>) -> tensor<2x?x?xf32>
  // SOME: r1.matmul %{{.*}} : (tensor<2x?x4xf32>, tensor<4x?xf32>) -> tensor<2x?x?xf32>
  // SOME: r1.softmax %{{.*}} axis 2
  // SOME: r1.matmul %{{.*}} : (tensor<2x?x?xf32>, tensor<2x?x4xf32>) -> tensor<2x?x4xf32>
  // SOME: return %{{.*}}, %[[CACHE]]
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = 0,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x14xf32>, tensor<10xf32>, tensor<24x10xbf16>, tensor<?xi32>, !latent)
      -> (tensor<?x8xf32>, !latent)
  return %0#0, %0#1 : tensor<?x8xf32>, !latent
}

// -----

// CHECK-LABEL: func.func @route
func.func @route(%logits: tensor<?x8xf32>, %bias: tensor<8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  // CHECK: %[[SCORES:.*]] = r1.sigmoid %arg0
  // CHECK: %[[BIASED:.*]] = r1.add %[[SCORES]], %arg1
  // CHECK: %[[GROUPED:.*]] = r1.reshape %[[BIASED]] to [-1, 4, 2]
  // CHECK: %[[TOP2:.*]], %{{.*}} = r1.topk 2 of %[[GROUPED]] axis 2
  // CHECK: %[[GROUPS:.*]] = r1.reduce sum %[[TOP2]] over [2]
  // CHECK: r1.topk 3 of %[[GROUPS]] axis 1
  // CHECK: %[[LIMITED:.*]] = r1.select %{{.*}}, %[[GROUPED]], %{{.*}}
  // CHECK: %[[MASKED:.*]] = r1.reshape %[[LIMITED]] to [-1, 8]
  // CHECK: %{{.*}}, %[[CHOSEN:.*]] = r1.topk 2 of %[[MASKED]] axis 1
  // CHECK: r1.gather_elements %[[SCORES]], %[[CHOSEN]] axis 1
  // CHECK: r1.div
  // CHECK: %[[WEIGHTS:.*]] = r1.mul
  // CHECK: %[[EXPERTS:.*]] = r1.cast %[[CHOSEN]] to i32
  // CHECK: return %[[EXPERTS]], %[[WEIGHTS]]
  %0:2 = r1.route %logits bias %bias {routing = #r1.routing<sigmoid, top_k = 2, groups = 4, top_groups = 3,
      group_score = top2, normalize = true, scale = 2.5>}
      : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return %0#0, %0#1 : tensor<?x2xi32>, tensor<?x2xf32>
}

// -----

// CHECK-LABEL: func.func @experts
// CHECK-NOT: {{r1.(experts|swiglu)}}
func.func @experts(%x: tensor<?x6xf32>, %e: tensor<?x2xi32>, %w: tensor<?x2xf32>, %gate: tensor<4x8x6xbf16>,
                   %up: tensor<4x8x6xbf16>, %down: tensor<4x6x8xbf16>) -> tensor<?x6xf32> {
  // CHECK: r1.matmul %arg0, %{{.*}} : (tensor<?x6xf32>, tensor<4x6x8xf32>) -> tensor<4x?x8xf32>
  // CHECK: r1.matmul %{{.*}} : (tensor<4x?x8xf32>, tensor<4x8x6xf32>) -> tensor<4x?x6xf32>
  // CHECK: r1.compare eq %{{.*}} : (tensor<?x2x1xi32>, tensor<4xi32>) -> tensor<?x2x4xi1>
  // CHECK: %[[COUNTED:.*]] = r1.select %{{.*}} : (tensor<4x?x1xi1>, tensor<4x?x6xf32>, tensor<f32>) -> tensor<4x?x6xf32>
  // CHECK: %[[SUM:.*]] = r1.reduce sum %[[COUNTED]] over [0]
  // CHECK: return %[[SUM]]
  %0 = r1.experts %x to %e, %w gate %gate up %up down %down
      : (tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x8x6xbf16>, tensor<4x8x6xbf16>, tensor<4x6x8xbf16>)
      -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}

// -----

// SOME-LABEL: func.func @next_token_block
func.func @next_token_block(%hidden: tensor<?x6xf32>, %embedded: tensor<?x6xf32>, %positions: tensor<?xi32>,
                            %hnorm: tensor<6xf32>, %enorm: tensor<6xf32>, %w: tensor<6x12xbf16>) -> tensor<?x6xf32> {
  // SOME: r1.compare ne %arg2, %{{.*}} : (tensor<?xi32>, tensor<i32>) -> tensor<?xi1>
  // SOME: %[[EMBEDDED:.*]] = r1.select %{{.*}}, %arg1, %{{.*}} : (tensor<?x1xi1>, tensor<?x6xf32>, tensor<f32>) -> tensor<?x6xf32>
  // SOME-NEXT: %[[FIRST:.*]] = r1.rms_norm %[[EMBEDDED]], %arg4
  // SOME-NEXT: %[[SECOND:.*]] = r1.rms_norm %arg0, %arg3
  // SOME-NEXT: %[[BOTH:.*]] = r1.concat %[[FIRST]], %[[SECOND]] axis 1
  // SOME-NEXT: r1.linear %[[BOTH]], %arg5
  // SOME-NEXT: return
  %0 = r1.next_token_block %hidden, %embedded at %positions norms %hnorm, %enorm projection %w {epsilon = 1.0e-6}
      : (tensor<?x6xf32>, tensor<?x6xf32>, tensor<?xi32>, tensor<6xf32>, tensor<6xf32>, tensor<6x12xbf16>)
      -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}
