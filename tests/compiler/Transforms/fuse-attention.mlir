// RUN: elah-opt %s -r1-fuse-softmax -r1-fuse-attention -r1-simplify-views -canonicalize -split-input-file | FileCheck %s
// RUN: elah-opt %s -r1-fuse-softmax -r1-fuse-attention -split-input-file --remark-format=emitRemark --remarks-filter=fusion 2>&1 | FileCheck %s --check-prefix=REMARK

// TorchScript: repeat_kv as Unsqueeze, Expand, Reshape; scores divided by the root; a mask of the lowest float above the
// diagonal, made of ranges, that is added.
// CHECK-LABEL: func.func @torchscript
func.func @torchscript(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %p: tensor<?xi32>) -> tensor<1x?x32xf32> {
  // CHECK: %[[Y:.*]] = r1.attention %arg0, %arg1, %arg2 at %{{.*}} {head_dim = 8 : i64, heads = 4 : i64, kv_heads = 2 : i64, layer = 0 : i64, scale = 0.353553390593273{{[0-9]+}} : f64, value_dim = 8 : i64}
  // CHECK-NEXT: r1.reshape %[[Y]] to [1, -1, 32]
  %root = r1.constant dense<2.82842708> : tensor<f32>
  %zero = r1.constant dense<0> : tensor<i64>
  %one = r1.constant dense<1> : tensor<i64>
  %none = r1.constant dense<0.0> : tensor<f32>
  %lowest = r1.constant dense<-3.40282347E+38> : tensor<f32>
  %count = r1.dim %q, 0 : tensor<?x32xf32>
  %range = r1.range %zero, %count, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %row = r1.reshape %range to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %after = r1.compare gt %range, %row : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %mask2 = r1.select %after, %lowest, %none : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %mask = r1.broadcast_to %mask2 to [1, 1, -1, -1] : (tensor<?x?xf32>) -> tensor<1x1x?x?xf32>

  %q0 = r1.reshape %q to [1, -1, 4, 8] : (tensor<?x32xf32>) -> tensor<1x?x4x8xf32>
  %q1 = r1.transpose %q0 by [0, 2, 1, 3] : (tensor<1x?x4x8xf32>) -> tensor<1x4x?x8xf32>
  %k0 = r1.reshape %k to [1, -1, 2, 8] : (tensor<?x16xf32>) -> tensor<1x?x2x8xf32>
  %k1 = r1.transpose %k0 by [0, 2, 1, 3] : (tensor<1x?x2x8xf32>) -> tensor<1x2x?x8xf32>
  %k2 = r1.reshape %k1 to [1, 2, 1, -1, 8] : (tensor<1x2x?x8xf32>) -> tensor<1x2x1x?x8xf32>
  %k3 = r1.broadcast_to %k2 to [-1, -1, 2, -1, -1] : (tensor<1x2x1x?x8xf32>) -> tensor<1x2x2x?x8xf32>
  %k4 = r1.reshape %k3 to [1, 4, -1, 8] : (tensor<1x2x2x?x8xf32>) -> tensor<1x4x?x8xf32>
  %k5 = r1.transpose %k4 by [0, 1, 3, 2] : (tensor<1x4x?x8xf32>) -> tensor<1x4x8x?xf32>
  %v0 = r1.reshape %v to [1, -1, 2, 8] : (tensor<?x16xf32>) -> tensor<1x?x2x8xf32>
  %v1 = r1.transpose %v0 by [0, 2, 1, 3] : (tensor<1x?x2x8xf32>) -> tensor<1x2x?x8xf32>
  %v2 = r1.reshape %v1 to [1, 2, 1, -1, 8] : (tensor<1x2x?x8xf32>) -> tensor<1x2x1x?x8xf32>
  %v3 = r1.broadcast_to %v2 to [-1, -1, 2, -1, -1] : (tensor<1x2x1x?x8xf32>) -> tensor<1x2x2x?x8xf32>
  %v4 = r1.reshape %v3 to [1, 4, -1, 8] : (tensor<1x2x2x?x8xf32>) -> tensor<1x4x?x8xf32>

  %s0 = r1.matmul %q1, %k5 : (tensor<1x4x?x8xf32>, tensor<1x4x8x?xf32>) -> tensor<1x4x?x?xf32>
  %s1 = r1.div %s0, %root : (tensor<1x4x?x?xf32>, tensor<f32>) -> tensor<1x4x?x?xf32>
  %s2 = r1.add %s1, %mask : (tensor<1x4x?x?xf32>, tensor<1x1x?x?xf32>) -> tensor<1x4x?x?xf32>
  %s3 = r1.softmax %s2 axis 3 : tensor<1x4x?x?xf32>
  %y0 = r1.matmul %s3, %v4 : (tensor<1x4x?x?xf32>, tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
  %y1 = r1.transpose %y0 by [0, 2, 1, 3] : (tensor<1x4x?x8xf32>) -> tensor<1x?x4x8xf32>
  %y2 = r1.reshape %y1 to [1, -1, 32] : (tensor<1x?x4x8xf32>) -> tensor<1x?x32xf32>
  return %y2 : tensor<1x?x32xf32>
}

// -----

// dynamo below opset 23: the root of the scale on queries and on keys, a mask of truths, rotations before.
#rope = #r1.rope<half, [1.0, 0.1], scale = 1.0>
// CHECK-LABEL: func.func @dynamo
func.func @dynamo(%q: tensor<?x8xf32>, %k: tensor<?x8xf32>, %v: tensor<?x6xf32>, %p: tensor<?xi32>) -> tensor<?x6xf32> {
  // CHECK-NEXT: %[[Y:.*]] = r1.attention %arg0, %arg1, %arg2 at %arg3 {head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, layer = 0 : i64, rope = #r1.rope<half, [1.000000e+00, 1.000000e-01], scale = 1.000000e+00 : f64>, scale = 5.000000e-01 : f64, value_dim = 3 : i64}
  // CHECK-NEXT: return %[[Y]]
  %root = r1.constant dense<0.707106769> : tensor<1xf32>
  %infinity = r1.constant dense<0xFF800000> : tensor<f32>
  %qr = r1.rope %q at %p {heads = 2 : i64, rope = #rope} : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %kr = r1.rope %k at %p {heads = 2 : i64, rope = #rope} : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %row = r1.reshape %p to [1, -1] : (tensor<?xi32>) -> tensor<1x?xi32>
  %column = r1.reshape %p to [-1, 1] : (tensor<?xi32>) -> tensor<?x1xi32>
  %before = r1.compare ge %column, %row : (tensor<?x1xi32>, tensor<1x?xi32>) -> tensor<?x?xi1>

  %q0 = r1.reshape %qr to [-1, 2, 4] : (tensor<?x8xf32>) -> tensor<?x2x4xf32>
  %q1 = r1.mul %root, %q0 : (tensor<1xf32>, tensor<?x2x4xf32>) -> tensor<?x2x4xf32>
  %q2 = r1.transpose %q1 by [1, 0, 2] : (tensor<?x2x4xf32>) -> tensor<2x?x4xf32>
  %k0 = r1.reshape %kr to [-1, 2, 4] : (tensor<?x8xf32>) -> tensor<?x2x4xf32>
  %k1 = r1.transpose %k0 by [1, 2, 0] : (tensor<?x2x4xf32>) -> tensor<2x4x?xf32>
  %k2 = r1.mul %k1, %root : (tensor<2x4x?xf32>, tensor<1xf32>) -> tensor<2x4x?xf32>
  %v0 = r1.reshape %v to [-1, 2, 3] : (tensor<?x6xf32>) -> tensor<?x2x3xf32>
  %v1 = r1.transpose %v0 by [1, 0, 2] : (tensor<?x2x3xf32>) -> tensor<2x?x3xf32>
  %s0 = r1.matmul %q2, %k2 : (tensor<2x?x4xf32>, tensor<2x4x?xf32>) -> tensor<2x?x?xf32>
  %s1 = r1.select %before, %s0, %infinity : (tensor<?x?xi1>, tensor<2x?x?xf32>, tensor<f32>) -> tensor<2x?x?xf32>
  %s2 = r1.softmax %s1 axis 2 : tensor<2x?x?xf32>
  %y0 = r1.matmul %s2, %v1 : (tensor<2x?x?xf32>, tensor<2x?x3xf32>) -> tensor<2x?x3xf32>
  %y1 = r1.transpose %y0 by [1, 0, 2] : (tensor<2x?x3xf32>) -> tensor<?x2x3xf32>
  %y2 = r1.reshape %y1 to [-1, 6] : (tensor<?x2x3xf32>) -> tensor<?x6xf32>
  return %y2 : tensor<?x6xf32>
}

// -----

// Rows through the cache; the order of the appends is the exporter's.
!kv = !r1.cache<kv, layers = 2, key_width = 4, value_width = 4>
// CHECK-LABEL: func.func @cached
func.func @cached(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %v: tensor<?x4xf32>, %p: tensor<?xi32>, %c: !kv) -> (tensor<?x8xf32>, !kv) {
  // CHECK-NEXT: %[[Y:.*]], %[[CACHE:.*]] = r1.attention %arg0, %arg1, %arg2 at %arg3 cache %arg4 {head_dim = 4 : i64, heads = 2 : i64, kv_heads = 1 : i64, layer = 1 : i64, scale = 5.000000e-01 : f64, value_dim = 4 : i64}
  // CHECK-NEXT: return %[[Y]], %[[CACHE]]
  %half = r1.constant dense<0.5> : tensor<f32>
  %infinity = r1.constant dense<0xFF800000> : tensor<f32>
  %zero = r1.constant dense<0> : tensor<i64>
  %one = r1.constant dense<1> : tensor<i64>
  %c1 = r1.cache_append %v to value of %c layer 1 : (!kv, tensor<?x4xf32>) -> !kv
  %c2 = r1.cache_append %k to key of %c1 layer 1 : (!kv, tensor<?x4xf32>) -> !kv
  %ks = r1.cache_read key of %c2 layer 1 : (!kv) -> tensor<?x4xf32>
  %vs = r1.cache_read value of %c2 layer 1 : (!kv) -> tensor<?x4xf32>
  %count = r1.dim %ks, 0 : tensor<?x4xf32>
  %range = r1.range %zero, %count, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %p64 = r1.cast %p to i64 : (tensor<?xi32>) -> tensor<?xi64>
  %column = r1.reshape %p64 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %after = r1.compare gt %range, %column : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %q0 = r1.reshape %q to [-1, 2, 4] : (tensor<?x8xf32>) -> tensor<?x2x4xf32>
  %q1 = r1.transpose %q0 by [1, 0, 2] : (tensor<?x2x4xf32>) -> tensor<2x?x4xf32>
  %k0 = r1.transpose %ks by [1, 0] : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %s0 = r1.matmul %q1, %k0 : (tensor<2x?x4xf32>, tensor<4x?xf32>) -> tensor<2x?x?xf32>
  %s1 = r1.mul %half, %s0 : (tensor<f32>, tensor<2x?x?xf32>) -> tensor<2x?x?xf32>
  %s2 = r1.select %after, %infinity, %s1 : (tensor<?x?xi1>, tensor<f32>, tensor<2x?x?xf32>) -> tensor<2x?x?xf32>
  %s3 = r1.softmax %s2 axis 2 : tensor<2x?x?xf32>
  %y0 = r1.matmul %s3, %vs : (tensor<2x?x?xf32>, tensor<?x4xf32>) -> tensor<2x?x4xf32>
  %y1 = r1.transpose %y0 by [1, 0, 2] : (tensor<2x?x4xf32>) -> tensor<?x2x4xf32>
  %y2 = r1.reshape %y1 to [-1, 8] : (tensor<?x2x4xf32>) -> tensor<?x8xf32>
  return %y2, %c2 : tensor<?x8xf32>, !kv
}

// -----

// A window of 3 tokens, a cache, and all else as above.
!kv = !r1.cache<kv, layers = 1, key_width = 4, value_width = 4>
// REMARK: loc("/model/layers.7/MatMul_1"): [Missed] r1.attention {{.*}} Node=/model/layers.7/MatMul_1, Reason="the mask is not causal: for 4 tokens behind 0, key 0 is hidden from query 3", Suggestion="export the model without a sliding window or a bias on its scores"
// CHECK-LABEL: func.func @window
func.func @window(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %v: tensor<?x4xf32>, %p: tensor<?xi32>, %c: !kv) -> (tensor<?x4xf32>, !kv) {
  // CHECK-NOT: r1.attention
  %infinity = r1.constant dense<0xFF800000> : tensor<f32>
  %zero = r1.constant dense<0> : tensor<i64>
  %one = r1.constant dense<1> : tensor<i64>
  %three = r1.constant dense<3> : tensor<i64>
  %c1 = r1.cache_append %k to key of %c layer 0 : (!kv, tensor<?x4xf32>) -> !kv
  %c2 = r1.cache_append %v to value of %c1 layer 0 : (!kv, tensor<?x4xf32>) -> !kv
  %ks = r1.cache_read key of %c2 layer 0 : (!kv) -> tensor<?x4xf32>
  %vs = r1.cache_read value of %c2 layer 0 : (!kv) -> tensor<?x4xf32>
  %count = r1.dim %ks, 0 : tensor<?x4xf32>
  %range = r1.range %zero, %count, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %p64 = r1.cast %p to i64 : (tensor<?xi32>) -> tensor<?xi64>
  %column = r1.reshape %p64 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %before = r1.compare le %range, %column : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %limit = r1.sub %column, %three : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi64>
  %near = r1.compare gt %range, %limit : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %visible = r1.and %before, %near : tensor<?x?xi1>
  %k0 = r1.transpose %ks by [1, 0] : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %s0 = r1.matmul %q, %k0 : (tensor<?x4xf32>, tensor<4x?xf32>) -> tensor<?x?xf32>
  %s1 = r1.select %visible, %s0, %infinity : (tensor<?x?xi1>, tensor<?x?xf32>, tensor<f32>) -> tensor<?x?xf32>
  %s2 = r1.softmax %s1 axis 1 : tensor<?x?xf32>
  %y = r1.matmul %s2, %vs : (tensor<?x?xf32>, tensor<?x4xf32>) -> tensor<?x4xf32> loc("/model/layers.7/MatMul_1")
  return %y, %c2 : tensor<?x4xf32>, !kv
}

// -----

// REMARK: [Missed] r1.attention {{.*}} Reason="the mask is not causal: for 4 tokens behind 0, key 1 is seen by query 0", Suggestion="export the model with its causal mask"
// CHECK-LABEL: func.func @encoder
func.func @encoder(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %v: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NOT: r1.attention
  %k0 = r1.transpose %k by [1, 0] : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %s0 = r1.matmul %q, %k0 : (tensor<?x4xf32>, tensor<4x?xf32>) -> tensor<?x?xf32>
  %s2 = r1.softmax %s0 axis 1 : tensor<?x?xf32>
  %y = r1.matmul %s2, %v : (tensor<?x?xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// REMARK: [Missed] r1.attention {{.*}} Reason="the scores depend on more than products, numbers, sizes and positions"
// CHECK-LABEL: func.func @given_mask
func.func @given_mask(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %v: tensor<?x4xf32>, %mask: tensor<?x?xf32>) -> tensor<?x4xf32> {
  // CHECK-NOT: r1.attention
  %k0 = r1.transpose %k by [1, 0] : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %s0 = r1.matmul %q, %k0 : (tensor<?x4xf32>, tensor<4x?xf32>) -> tensor<?x?xf32>
  %s1 = r1.add %s0, %mask : tensor<?x?xf32>
  %s2 = r1.softmax %s1 axis 1 : tensor<?x?xf32>
  %y = r1.matmul %s2, %v : (tensor<?x?xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// ONNX's Attention since operator set 23: a query that sees no key comes to nothing. Under a causal mask there is none.
// CHECK-LABEL: func.func @blind_rows
func.func @blind_rows(%q: tensor<?x8xf32>, %k: tensor<?x8xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>) -> tensor<?x8xf32> {
  // CHECK: %[[Y:.*]] = r1.attention %arg0, %arg1, %arg2 at %arg3 {head_dim = 8 : i64, heads = 1 : i64, kv_heads = 1 : i64
  // CHECK-NEXT: return %[[Y]]
  %half = r1.constant dense<0.5> : tensor<f32>
  %none = r1.constant dense<0.0> : tensor<f32>
  %infinity = r1.constant dense<0xFF800000> : tensor<f32>
  %row = r1.reshape %p to [1, -1] : (tensor<?xi32>) -> tensor<1x?xi32>
  %column = r1.reshape %p to [-1, 1] : (tensor<?xi32>) -> tensor<?x1xi32>
  %visible = r1.compare ge %column, %row : (tensor<?x1xi32>, tensor<1x?xi32>) -> tensor<?x?xi1>
  %kt = r1.transpose %k by [1, 0] : (tensor<?x8xf32>) -> tensor<8x?xf32>
  %s0 = r1.matmul %q, %kt : (tensor<?x8xf32>, tensor<8x?xf32>) -> tensor<?x?xf32>
  %s1 = r1.mul %s0, %half : (tensor<?x?xf32>, tensor<f32>) -> tensor<?x?xf32>
  %s2 = r1.select %visible, %s1, %infinity : (tensor<?x?xi1>, tensor<?x?xf32>, tensor<f32>) -> tensor<?x?xf32>
  %s3 = r1.softmax %s2 axis 1 : tensor<?x?xf32>
  %greatest = r1.reduce max %s2 over [1] keep_dims : (tensor<?x?xf32>) -> tensor<?x1xf32>
  %blind = r1.compare eq %greatest, %infinity : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xi1>
  %s4 = r1.select %blind, %none, %s3 : (tensor<?x1xi1>, tensor<f32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  %y = r1.matmul %s4, %v : (tensor<?x?xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Another condition is no matter of masks.
// CHECK-LABEL: func.func @other_condition
func.func @other_condition(%q: tensor<?x8xf32>, %k: tensor<?x8xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>) -> tensor<?x8xf32> {
  // CHECK-NOT: r1.attention
  // CHECK: return
  %none = r1.constant dense<0.0> : tensor<f32>
  %infinity = r1.constant dense<0xFF800000> : tensor<f32>
  %row = r1.reshape %p to [1, -1] : (tensor<?xi32>) -> tensor<1x?xi32>
  %column = r1.reshape %p to [-1, 1] : (tensor<?xi32>) -> tensor<?x1xi32>
  %visible = r1.compare ge %column, %row : (tensor<?x1xi32>, tensor<1x?xi32>) -> tensor<?x?xi1>
  %kt = r1.transpose %k by [1, 0] : (tensor<?x8xf32>) -> tensor<8x?xf32>
  %s0 = r1.matmul %q, %kt : (tensor<?x8xf32>, tensor<8x?xf32>) -> tensor<?x?xf32>
  %s2 = r1.select %visible, %s0, %infinity : (tensor<?x?xi1>, tensor<?x?xf32>, tensor<f32>) -> tensor<?x?xf32>
  %s3 = r1.softmax %s2 axis 1 : tensor<?x?xf32>
  %greatest = r1.reduce max %s2 over [1] keep_dims : (tensor<?x?xf32>) -> tensor<?x1xf32>
  %small = r1.compare eq %greatest, %none : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xi1>
  %s4 = r1.select %small, %none, %s3 : (tensor<?x1xi1>, tensor<f32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  %y = r1.matmul %s4, %v : (tensor<?x?xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
