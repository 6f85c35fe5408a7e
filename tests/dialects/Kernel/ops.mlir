// RUN: elah-opt %s | elah-opt | FileCheck %s

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
#f8 = #kernel.packing<f8, n = 256, k = 256, panel = 64, step = 1, batch = 1, swiglu = false, blocks = 128 x 128>
#pair = #kernel.packing<bf16, n = 128, k = 32, panel = 64, step = 2, batch = 1, swiglu = true, blocks = 0 x 0>
#experts = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 4, swiglu = false, blocks = 0 x 0>
#heads = #kernel.packing<f32, n = 64, k = 32, panel = 64, step = 1, batch = 4, swiglu = false, blocks = 0 x 0>
#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
#routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5 : f64>

// CHECK-LABEL: func.func @rows
func.func @rows(%tokens: memref<?xi32>, %table: memref<100x64xbf16>, %h: memref<?x64xf32>, %scale: memref<64xf32>,
                %normed: memref<?x64xbf16>, %wanted: memref<?xi32>, %split: memref<?x128xbf16>) {
  // CHECK: kernel.embed %{{.*}}, %{{.*}} to %{{.*}} : memref<?xi32>, memref<100x64xbf16>, memref<?x64xf32>
  kernel.embed %tokens, %table to %h : memref<?xi32>, memref<100x64xbf16>, memref<?x64xf32>
  // CHECK: kernel.rms_norm %{{.*}}, %{{.*}} to %{{.*}} {epsilon = 1.000000e+00 : f64}
  kernel.rms_norm %h, %scale to %normed {epsilon = 1.0} : memref<?x64xf32>, memref<64xf32>, memref<?x64xbf16>
  // CHECK: kernel.rms_norm %{{.*}}, %{{.*}} rows %{{.*}} to %{{.*}} {epsilon
  kernel.rms_norm %h, %scale rows %wanted to %normed {epsilon = 1.0}
      : memref<?x64xf32>, memref<64xf32>, memref<?xi32>, memref<?x64xbf16>
  // CHECK: kernel.rms_norm %{{.*}}, %{{.*}} to %{{.*}} and %{{.*}} {epsilon
  kernel.rms_norm %h, %scale to %h and %normed {epsilon = 1.0}
      : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>, memref<?x64xbf16>
  // CHECK: kernel.split %{{.*}} to %{{.*}} : memref<?x64xf32>, memref<?x128xbf16>
  kernel.split %h to %split : memref<?x64xf32>, memref<?x128xbf16>
  return
}

// CHECK-LABEL: func.func @products
func.func @products(%x: memref<?x32xbf16>, %w: memref<4096xi8>, %bias: memref<64xf32>, %y: memref<?x64xf32>,
                    %x8: memref<?x256xf32>, %w8: memref<65536xi8>, %scales: memref<4xf32>, %y8: memref<?x256xf32>,
                    %wide: memref<?x128xf32>, %pairs: memref<8192xi8>, %experts: memref<16384xi8>,
                    %offsets: memref<5xi32>, %gather: memref<?xi32>, %heads: memref<32768xi8>, %q: memref<?x160xf32>,
                    %absorbed: memref<?x288xf32>) {
  // CHECK: kernel.gemm %{{.*}}, %{{.*}} bias %{{.*}} to %{{.*}} {accumulate, activation = #kernel<activation none>
  kernel.gemm %x, %w bias %bias to %y {packing = #bf, compute = #kernel<compute bf16>,
      activation = #kernel<activation none>, accumulate}
      : memref<?x32xbf16>, memref<4096xi8>, memref<64xf32>, memref<?x64xf32>
  // CHECK: kernel.gemm %{{.*}}, %{{.*}} scales %{{.*}} to %{{.*}} {activation
  kernel.gemm %x8, %w8 scales %scales to %y8 {packing = #f8, compute = #kernel<compute f32>,
      activation = #kernel<activation none>} : memref<?x256xf32>, memref<65536xi8>, memref<4xf32>, memref<?x256xf32>
  // CHECK: kernel.gemm {{.*}}activation = #kernel<activation swiglu>
  // CHECK-SAME: swiglu = true
  kernel.gemm %x, %pairs to %y {packing = #pair, compute = #kernel<compute bf16>,
      activation = #kernel<activation swiglu>} : memref<?x32xbf16>, memref<8192xi8>, memref<?x64xf32>
  // CHECK: kernel.grouped_gemm %{{.*}}, %{{.*}} offsets %{{.*}} gather %{{.*}} to
  kernel.grouped_gemm %x, %experts offsets %offsets gather %gather to %y {packing = #experts,
      compute = #kernel<compute bf16>, activation = #kernel<activation none>}
      : memref<?x32xbf16>, memref<16384xi8>, memref<5xi32>, memref<?xi32>, memref<?x64xf32>
  // CHECK: kernel.head_gemm %{{.*}}, %{{.*}} to
  // CHECK-SAME: input_offset = 8 : i64, input_stride = 40 : i64, output_offset = 0 : i64, output_stride = 72 : i64
  kernel.head_gemm %q, %heads to %absorbed {packing = #heads, compute = #kernel<compute f32>, input_stride = 40,
      input_offset = 8, output_stride = 72, output_offset = 0}
      : memref<?x160xf32>, memref<32768xi8>, memref<?x288xf32>
  return
}

// CHECK-LABEL: func.func @experts
func.func @experts(%logits: memref<?x16xf32>, %bias: memref<16xf32>, %chosen: memref<?x4xi32>, %weights: memref<?x4xf32>,
                   %offsets: memref<17xi32>, %gather: memref<?xi32>, %slots: memref<?x4xi32>, %rows: memref<?x64xf32>,
                   %chosen5: memref<?x5xi32>, %weights5: memref<?x5xf32>) {
  // CHECK: kernel.route %{{.*}} bias %{{.*}} to %{{.*}}, %{{.*}} {routing
  kernel.route %logits bias %bias to %chosen, %weights {routing = #routing}
      : memref<?x16xf32>, memref<16xf32>, memref<?x4xi32>, memref<?x4xf32>
  // CHECK: kernel.route %{{.*}} to %{{.*}}, %{{.*}} {routing = {{.*}}, shared = 1 : i64}
  kernel.route %logits to %chosen5, %weights5 {routing = #routing, shared = 1}
      : memref<?x16xf32>, memref<?x5xi32>, memref<?x5xf32>
  // CHECK: kernel.expert_plan %{{.*}} to %{{.*}}, %{{.*}}, %{{.*}} :
  kernel.expert_plan %chosen to %offsets, %gather, %slots
      : memref<?x4xi32>, memref<17xi32>, memref<?xi32>, memref<?x4xi32>
  // CHECK: kernel.combine %{{.*}}, %{{.*}}, %{{.*}} to %{{.*}} :
  kernel.combine %rows, %weights, %slots to %rows
      : memref<?x64xf32>, memref<?x4xf32>, memref<?x4xi32>, memref<?x64xf32>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%i: memref<?xi32>, %table: memref<?x8xf32>, %qkv: memref<?x64xf32>, %q: memref<?x32xf32>,
                     %pool: memref<?x16xbf16>, %o: memref<?x32xbf16>) {
  // CHECK: kernel.rope_table %{{.*}} to %{{.*}} {rope = #r1.rope<half
  kernel.rope_table %i to %table {rope = #rope} : memref<?xi32>, memref<?x8xf32>
  // CHECK: kernel.rope_append %{{.*}} table %{{.*}} rows %{{.*}} to %{{.*}}, %{{.*}}, %{{.*}} {
  kernel.rope_append %qkv table %table rows %i to %q, %pool, %pool {heads = 4, kv_heads = 2, head_dim = 8,
      value_dim = 8, rope = #rope}
      : memref<?x64xf32>, memref<?x8xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xbf16>
  // CHECK: kernel.rope_append %{{.*}} rows
  kernel.rope_append %qkv rows %i to %q, %pool, %pool {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 8}
      : memref<?x64xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xbf16>
  // CHECK: kernel.attention %{{.*}}, %{{.*}}, %{{.*}} at %{{.*}}, %{{.*}}, %{{.*}} to
  kernel.attention %q, %pool, %pool at %i, %i, %i to %o {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 8,
      scale = 1.0, page_tokens = 32} : memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xbf16>, memref<?xi32>,
      memref<?xi32>, memref<?xi32>, memref<?x32xbf16>
  return
}

// CHECK-LABEL: func.func @latent
func.func @latent(%i: memref<?xi32>, %table: memref<?x8xf32>, %q: memref<?x96xf32>, %latent: memref<?x40xf32>,
                  %norm: memref<32xf32>, %absorbed: memref<?x160xf32>, %cache: memref<?x40xbf16>,
                  %o: memref<?x128xbf16>) {
  // CHECK: kernel.latent_append %{{.*}}, %{{.*}} norm %{{.*}} table %{{.*}} rows %{{.*}} to %{{.*}}, %{{.*}} {
  kernel.latent_append %q, %latent norm %norm table %table rows %i to %absorbed, %cache {heads = 4, nope_dim = 16,
      rope_dim = 8, rank = 32, epsilon = 1.0e-6, rope = #rope} : memref<?x96xf32>, memref<?x40xf32>, memref<32xf32>,
      memref<?x8xf32>, memref<?xi32>, memref<?x160xf32>, memref<?x40xbf16>
  // CHECK: kernel.latent_attention %{{.*}}, %{{.*}} at %{{.*}}, %{{.*}}, %{{.*}} to %{{.*}} {head_groups = 2 : i64
  kernel.latent_attention %absorbed, %cache at %i, %i, %i to %o {heads = 4, rank = 32, rope_dim = 8, head_groups = 2,
      scale = 1.0, page_tokens = 32} : memref<?x160xf32>, memref<?x40xbf16>, memref<?xi32>, memref<?xi32>,
      memref<?xi32>, memref<?x128xbf16>
  return
}

// CHECK-LABEL: func.func @generic
func.func @generic(%rows: memref<?x64xbf16>, %factors: memref<64xf32>, %o: memref<?x64xf32>) {
  // CHECK: kernel.generic %{{.*}}, %{{.*}} to %{{.*}} : memref<?x64xbf16>, memref<64xf32>, memref<?x64xf32> {
  // CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[FACTOR:.*]]: f32):
  // CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[X]], %[[FACTOR]] : f32
  // CHECK-NEXT: kernel.yield %[[Y]] : f32
  kernel.generic %rows, %factors to %o : memref<?x64xbf16>, memref<64xf32>, memref<?x64xf32> {
  ^bb0(%x: f32, %factor: f32):
    %y = arith.mulf %x, %factor : f32
    kernel.yield %y : f32
  }
  return
}

// A cache in FP8: 32 latent values, their scale in 16 bytes, 8 rotated values.
// CHECK-LABEL: func.func @fp8_latent
func.func @fp8_latent(%i: memref<?xi32>, %absorbed: memref<?x160xf32>, %cache: memref<?x64xi8>,
                      %o: memref<?x128xbf16>) {
  // CHECK: kernel.latent_attention {{.*}}memref<?x64xi8>
  kernel.latent_attention %absorbed, %cache at %i, %i, %i to %o {heads = 4, rank = 32, rope_dim = 8, head_groups = 2,
      scale = 1.0, page_tokens = 32} : memref<?x160xf32>, memref<?x64xi8>, memref<?xi32>, memref<?xi32>,
      memref<?xi32>, memref<?x128xbf16>
  return
}
