// RUN: elah-opt %s -r1-fuse -split-input-file | FileCheck %s
// RUN: elah-opt %s -r1-fuse -split-input-file --remark-format=emitRemark --remarks-filter=fusion 2>&1 | FileCheck %s --check-prefix=REMARK

// What transformers' DeepSeek-V3 becomes when it is exported: evens and odds of the rotated parts brought together, the
// shared key expanded, whole keys and values of all heads put together and kept in the cache.
!kv = !r1.cache<kv, layers = 1, key_width = 16, value_width = 6>
// CHECK-LABEL: func.func @expanded
// CHECK-SAME: %[[CACHE:[a-z0-9]*]]: !r1.cache<latent, layers = 1, key_width = 12, value_width = 0>) -> (tensor<?x6xf32>, !r1.cache<latent, layers = 1, key_width = 12, value_width = 0>)
func.func @expanded(%q: tensor<?x16xf32>, %kv: tensor<?x12xf32>, %norm: tensor<8xf32>, %kv_b: tensor<8x14xf32>, %p: tensor<?xi32>, %cache: !kv) -> (tensor<?x6xf32>, !kv) {
  // CHECK: %[[Y:.*]], %[[NEW:.*]] = r1.latent_attention %arg0, %arg1 norm %arg2 expand %{{.*}} at %arg4 cache %[[CACHE]] {epsilon = 9.9999999999999995E-7 : f64, heads = 2 : i64, layer = 0 : i64, nope_dim = 4 : i64, rank = 8 : i64, rope = #r1.rope<interleaved, [1.000000e+00, 1.000000e-02], scale = 1.000000e+00 : f64>, rope_dim = 4 : i64, scale = 3.500000e-01 : f64, value_dim = 3 : i64}
  // CHECK-NEXT: return %[[Y]], %[[NEW]]
  %scale = r1.constant dense<0.35> : tensor<f32>
  %two = r1.constant dense<2.0> : tensor<f32>
  %epsilon = r1.constant dense<1.0e-6> : tensor<f32>
  %frequencies = r1.constant dense<[1.0, 0.01]> : tensor<2xf32>
  %zero = r1.constant dense<0> : tensor<i64>
  %one = r1.constant dense<1> : tensor<i64>
  %none = r1.constant dense<0.0> : tensor<f32>
  %lowest = r1.constant dense<-3.40282347E+38> : tensor<f32>
  // cos and sin, [1, 1, T, 4]
  %pf = r1.cast %p to f32 : (tensor<?xi32>) -> tensor<?xf32>
  %pc = r1.reshape %pf to [1, 1, -1, 1] : (tensor<?xf32>) -> tensor<1x1x?x1xf32>
  %half = r1.mul %pc, %frequencies : (tensor<1x1x?x1xf32>, tensor<2xf32>) -> tensor<1x1x?x2xf32>
  %angles = r1.concat %half, %half axis 3 : (tensor<1x1x?x2xf32>, tensor<1x1x?x2xf32>) -> tensor<1x1x?x4xf32>
  %cos = r1.cos %angles : tensor<1x1x?x4xf32>
  %sin = r1.sin %angles : tensor<1x1x?x4xf32>
  // the latent
  %kv3 = r1.reshape %kv to [1, -1, 12] : (tensor<?x12xf32>) -> tensor<1x?x12xf32>
  %c0 = r1.slice %kv3 axis 2 from 0 to 8 : (tensor<1x?x12xf32>) -> tensor<1x?x8xf32>
  %kr0 = r1.slice %kv3 axis 2 from 8 : (tensor<1x?x12xf32>) -> tensor<1x?x4xf32>
  %c1 = r1.pow %c0, %two : (tensor<1x?x8xf32>, tensor<f32>) -> tensor<1x?x8xf32>
  %c2 = r1.reduce mean %c1 over [2] keep_dims : (tensor<1x?x8xf32>) -> tensor<1x?x1xf32>
  %c3 = r1.add %c2, %epsilon : (tensor<1x?x1xf32>, tensor<f32>) -> tensor<1x?x1xf32>
  %c4 = r1.sqrt %c3 : tensor<1x?x1xf32>
  %c5 = r1.div %c0, %c4 : (tensor<1x?x8xf32>, tensor<1x?x1xf32>) -> tensor<1x?x8xf32>
  %c6 = r1.mul %norm, %c5 : (tensor<8xf32>, tensor<1x?x8xf32>) -> tensor<1x?x8xf32>
  %e0 = r1.matmul %c6, %kv_b : (tensor<1x?x8xf32>, tensor<8x14xf32>) -> tensor<1x?x14xf32>
  %e1 = r1.reshape %e0 to [1, -1, 2, 7] : (tensor<1x?x14xf32>) -> tensor<1x?x2x7xf32>
  %e2 = r1.transpose %e1 by [0, 2, 1, 3] : (tensor<1x?x2x7xf32>) -> tensor<1x2x?x7xf32>
  %kn = r1.slice %e2 axis 3 from 0 to 4 : (tensor<1x2x?x7xf32>) -> tensor<1x2x?x4xf32>
  %v = r1.slice %e2 axis 3 from 4 : (tensor<1x2x?x7xf32>) -> tensor<1x2x?x3xf32>
  // the query
  %q0 = r1.reshape %q to [1, -1, 2, 8] : (tensor<?x16xf32>) -> tensor<1x?x2x8xf32>
  %q1 = r1.transpose %q0 by [0, 2, 1, 3] : (tensor<1x?x2x8xf32>) -> tensor<1x2x?x8xf32>
  %qn = r1.slice %q1 axis 3 from 0 to 4 : (tensor<1x2x?x8xf32>) -> tensor<1x2x?x4xf32>
  %qr0 = r1.slice %q1 axis 3 from 4 to 8 : (tensor<1x2x?x8xf32>) -> tensor<1x2x?x4xf32>
  // apply_rotary_pos_emb_interleave
  %qr1 = r1.reshape %qr0 to [1, 2, -1, 2, 2] : (tensor<1x2x?x4xf32>) -> tensor<1x2x?x2x2xf32>
  %qr2 = r1.transpose %qr1 by [0, 1, 2, 4, 3] : (tensor<1x2x?x2x2xf32>) -> tensor<1x2x?x2x2xf32>
  %qr3 = r1.reshape %qr2 to [1, 2, -1, 4] : (tensor<1x2x?x2x2xf32>) -> tensor<1x2x?x4xf32>
  %qa = r1.slice %qr3 axis 3 from 0 to 2 : (tensor<1x2x?x4xf32>) -> tensor<1x2x?x2xf32>
  %qb = r1.slice %qr3 axis 3 from 2 to 4 : (tensor<1x2x?x4xf32>) -> tensor<1x2x?x2xf32>
  %qm = r1.neg %qb : tensor<1x2x?x2xf32>
  %qh = r1.concat %qm, %qa axis 3 : (tensor<1x2x?x2xf32>, tensor<1x2x?x2xf32>) -> tensor<1x2x?x4xf32>
  %qx = r1.mul %qr3, %cos : (tensor<1x2x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<1x2x?x4xf32>
  %qy = r1.mul %qh, %sin : (tensor<1x2x?x4xf32>, tensor<1x1x?x4xf32>) -> tensor<1x2x?x4xf32>
  %qr = r1.add %qx, %qy : tensor<1x2x?x4xf32>
  %kr1 = r1.reshape %kr0 to [1, 1, -1, 2, 2] : (tensor<1x?x4xf32>) -> tensor<1x1x?x2x2xf32>
  %kr2 = r1.transpose %kr1 by [0, 1, 2, 4, 3] : (tensor<1x1x?x2x2xf32>) -> tensor<1x1x?x2x2xf32>
  %kr3 = r1.reshape %kr2 to [1, 1, -1, 4] : (tensor<1x1x?x2x2xf32>) -> tensor<1x1x?x4xf32>
  %ka = r1.slice %kr3 axis 3 from 0 to 2 : (tensor<1x1x?x4xf32>) -> tensor<1x1x?x2xf32>
  %kb = r1.slice %kr3 axis 3 from 2 to 4 : (tensor<1x1x?x4xf32>) -> tensor<1x1x?x2xf32>
  %km = r1.neg %kb : tensor<1x1x?x2xf32>
  %kh = r1.concat %km, %ka axis 3 : (tensor<1x1x?x2xf32>, tensor<1x1x?x2xf32>) -> tensor<1x1x?x4xf32>
  %kx = r1.mul %kr3, %cos : tensor<1x1x?x4xf32>
  %ky = r1.mul %kh, %sin : tensor<1x1x?x4xf32>
  %kr = r1.add %kx, %ky : tensor<1x1x?x4xf32>
  %kre = r1.broadcast_to %kr to [1, 2, -1, 4] : (tensor<1x1x?x4xf32>) -> tensor<1x2x?x4xf32>
  %qs = r1.concat %qn, %qr axis 3 : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x8xf32>
  %ks = r1.concat %kn, %kre axis 3 : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x8xf32>
  // past and present, as rows of the cache
  %kt = r1.transpose %ks by [0, 2, 1, 3] : (tensor<1x2x?x8xf32>) -> tensor<1x?x2x8xf32>
  %krows = r1.reshape %kt to [-1, 16] : (tensor<1x?x2x8xf32>) -> tensor<?x16xf32>
  %vt = r1.transpose %v by [0, 2, 1, 3] : (tensor<1x2x?x3xf32>) -> tensor<1x?x2x3xf32>
  %vrows = r1.reshape %vt to [-1, 6] : (tensor<1x?x2x3xf32>) -> tensor<?x6xf32>
  %cache1 = r1.cache_append %krows to key of %cache layer 0 : (!kv, tensor<?x16xf32>) -> !kv
  %kall = r1.cache_read key of %cache1 layer 0 : (!kv) -> tensor<?x16xf32>
  %cache2 = r1.cache_append %vrows to value of %cache1 layer 0 : (!kv, tensor<?x6xf32>) -> !kv
  %vall = r1.cache_read value of %cache2 layer 0 : (!kv) -> tensor<?x6xf32>
  %k4 = r1.reshape %kall to [1, -1, 2, 8] : (tensor<?x16xf32>) -> tensor<1x?x2x8xf32>
  %k5 = r1.transpose %k4 by [0, 2, 3, 1] : (tensor<1x?x2x8xf32>) -> tensor<1x2x8x?xf32>
  %v4 = r1.reshape %vall to [1, -1, 2, 3] : (tensor<?x6xf32>) -> tensor<1x?x2x3xf32>
  %v5 = r1.transpose %v4 by [0, 2, 1, 3] : (tensor<1x?x2x3xf32>) -> tensor<1x2x?x3xf32>
  // a causal mask over past and present
  %count = r1.dim %kall, 0 : tensor<?x16xf32>
  %range = r1.range %zero, %count, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %p64 = r1.cast %p to i64 : (tensor<?xi32>) -> tensor<?xi64>
  %column = r1.reshape %p64 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %after = r1.compare gt %range, %column : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %mask = r1.select %after, %lowest, %none : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %s0 = r1.matmul %qs, %k5 : (tensor<1x2x?x8xf32>, tensor<1x2x8x?xf32>) -> tensor<1x2x?x?xf32>
  %s1 = r1.mul %s0, %scale : (tensor<1x2x?x?xf32>, tensor<f32>) -> tensor<1x2x?x?xf32>
  %s2 = r1.add %s1, %mask : (tensor<1x2x?x?xf32>, tensor<?x?xf32>) -> tensor<1x2x?x?xf32>
  %s3 = r1.softmax %s2 axis 3 : tensor<1x2x?x?xf32>
  %y0 = r1.matmul %s3, %v5 : (tensor<1x2x?x?xf32>, tensor<1x2x?x3xf32>) -> tensor<1x2x?x3xf32>
  %y1 = r1.transpose %y0 by [0, 2, 1, 3] : (tensor<1x2x?x3xf32>) -> tensor<1x?x2x3xf32>
  %y2 = r1.reshape %y1 to [-1, 6] : (tensor<1x?x2x3xf32>) -> tensor<?x6xf32>
  return %y2, %cache2 : tensor<?x6xf32>, !kv
}

// -----

// Keys of each head that come from another projection than the values, with rotated parts added to the scores.
#rope = #r1.rope<half, [1.0], scale = 1.0>
// REMARK: [Missed] r1.latent_attention {{.*}} Node=/layers.2/attention/MatMul_2, Reason="the keys of the heads do not come from the projection that the values come from"
// CHECK-LABEL: func.func @two_projections
func.func @two_projections(%q: tensor<?x4xf32>, %kv: tensor<?x6xf32>, %norm: tensor<4xf32>, %k_b: tensor<2x4xf32>, %v_b: tensor<2x4xf32>, %p: tensor<?xi32>) -> tensor<?x2xf32> {
  // CHECK-NOT: r1.latent_attention
  %infinity = r1.constant dense<0xFF800000> : tensor<f32>
  %c0 = r1.slice %kv axis 1 from 0 to 4 : (tensor<?x6xf32>) -> tensor<?x4xf32>
  %c = r1.rms_norm %c0, %norm {epsilon = 1.0e-6} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %kr0 = r1.slice %kv axis 1 from 4 to 6 : (tensor<?x6xf32>) -> tensor<?x2xf32>
  %qr0 = r1.slice %q axis 1 from 2 to 4 : (tensor<?x4xf32>) -> tensor<?x2xf32>
  %qn = r1.slice %q axis 1 from 0 to 2 : (tensor<?x4xf32>) -> tensor<?x2xf32>
  %kr = r1.rope %kr0 at %p {heads = 1 : i64, rope = #rope} : (tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %qr = r1.rope %qr0 at %p {heads = 1 : i64, rope = #rope} : (tensor<?x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %k = r1.linear %c, %k_b : (tensor<?x4xf32>, tensor<2x4xf32>) -> tensor<?x2xf32>
  %v = r1.linear %c, %v_b : (tensor<?x4xf32>, tensor<2x4xf32>) -> tensor<?x2xf32>
  %kt = r1.transpose %k by [1, 0] : (tensor<?x2xf32>) -> tensor<2x?xf32>
  %krt = r1.transpose %kr by [1, 0] : (tensor<?x2xf32>) -> tensor<2x?xf32>
  %s0 = r1.matmul %qn, %kt : (tensor<?x2xf32>, tensor<2x?xf32>) -> tensor<?x?xf32>
  %s1 = r1.matmul %qr, %krt : (tensor<?x2xf32>, tensor<2x?xf32>) -> tensor<?x?xf32>
  %s2 = r1.add %s0, %s1 : tensor<?x?xf32>
  %row = r1.reshape %p to [1, -1] : (tensor<?xi32>) -> tensor<1x?xi32>
  %column = r1.reshape %p to [-1, 1] : (tensor<?xi32>) -> tensor<?x1xi32>
  %visible = r1.compare le %row, %column : (tensor<1x?xi32>, tensor<?x1xi32>) -> tensor<?x?xi1>
  %s3 = r1.select %visible, %s2, %infinity : (tensor<?x?xi1>, tensor<?x?xf32>, tensor<f32>) -> tensor<?x?xf32>
  %s4 = r1.softmax %s3 axis 1 : tensor<?x?xf32>
  %y = r1.matmul %s4, %v : (tensor<?x?xf32>, tensor<?x2xf32>) -> tensor<?x2xf32> loc("/layers.2/attention/MatMul_2")
  return %y : tensor<?x2xf32>
}
