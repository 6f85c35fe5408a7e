// RUN: elah-opt %s -r1-fuse-route -canonicalize -split-input-file | FileCheck %s
// RUN: elah-opt %s -r1-fuse-route -split-input-file --remark-format=emitRemark --remarks-filter=fusion 2>&1 | FileCheck %s --check-prefix=REMARK

// transformers' DeepSeek-V3 after TorchScript: groups by TopK(2) and ReduceSum, a mask that is scattered, expanded, and
// filled with 0; weights divided by their sum and scaled.
// CHECK-LABEL: func.func @deepseek
func.func @deepseek(%logits: tensor<?x8xf32>, %bias: tensor<8xf32>) -> (tensor<?x3xi64>, tensor<?x3xf32>) {
  // CHECK-NEXT: %[[EXPERTS:.*]], %[[WEIGHTS:.*]] = r1.route %arg0 bias %arg1 {routing = #r1.routing<sigmoid, top_k = 3, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.500000e+00 : f64>}
  // CHECK-NEXT: %[[WIDE:.*]] = r1.cast %[[EXPERTS]] to i64
  // CHECK-NEXT: return %[[WIDE]], %[[WEIGHTS]]
  %scale = r1.constant dense<2.5> : tensor<f32>
  %tiny = r1.constant dense<1.0e-20> : tensor<f32>
  %zero = r1.constant dense<0.0> : tensor<f32>
  %half = r1.constant dense<0.5> : tensor<f32>
  %scores = r1.sigmoid %logits : tensor<?x8xf32>
  %choice = r1.add %scores, %bias : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %grouped = r1.reshape %choice to [-1, 4, 2] : (tensor<?x8xf32>) -> tensor<?x4x2xf32>
  %pair, %pair_indices = r1.topk 2 of %grouped axis 2 : (tensor<?x4x2xf32>) -> (tensor<?x4x2xf32>, tensor<?x4x2xi64>)
  %group_scores = r1.reduce sum %pair over [2] : (tensor<?x4x2xf32>) -> tensor<?x4xf32>
  %best, %best_indices = r1.topk 2 of %group_scores axis 1 : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %nothing = r1.mul %group_scores, %zero : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %one = r1.constant dense<1.0> : tensor<f32>
  %ones0 = r1.mul %best, %zero : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %ones = r1.add %ones0, %one : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %mask = r1.scatter_elements replace %nothing, %best_indices, %ones axis 1 : (tensor<?x4xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x4xf32>
  %mask3 = r1.reshape %mask to [-1, 4, 1] : (tensor<?x4xf32>) -> tensor<?x4x1xf32>
  %expanded = r1.broadcast_to %mask3 to [-1, -1, 2] : (tensor<?x4x1xf32>) -> tensor<?x4x2xf32>
  %flat = r1.reshape %expanded to [-1, 8] : (tensor<?x4x2xf32>) -> tensor<?x8xf32>
  %left_out = r1.compare lt %flat, %half : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xi1>
  %filled = r1.select %left_out, %zero, %choice : (tensor<?x8xi1>, tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %top, %indices = r1.topk 3 of %filled axis 1 : (tensor<?x8xf32>) -> (tensor<?x3xf32>, tensor<?x3xi64>)
  %w0 = r1.gather_elements %scores, %indices axis 1 : (tensor<?x8xf32>, tensor<?x3xi64>) -> tensor<?x3xf32>
  %w1 = r1.reduce sum %w0 over [1] keep_dims : (tensor<?x3xf32>) -> tensor<?x1xf32>
  %w2 = r1.add %w1, %tiny : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %w3 = r1.div %w0, %w2 : (tensor<?x3xf32>, tensor<?x1xf32>) -> tensor<?x3xf32>
  %w4 = r1.mul %w3, %scale : (tensor<?x3xf32>, tensor<f32>) -> tensor<?x3xf32>
  return %indices, %w4 : tensor<?x3xi64>, tensor<?x3xf32>
}

// -----

// Softmax, and the values of the top-k as weights: no bias, no groups.
// CHECK-LABEL: func.func @softmax
func.func @softmax(%logits: tensor<?x8xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>) {
  // CHECK-NEXT: r1.route %arg0 {routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = true, scale = 1.000000e+00 : f64>}
  // CHECK-NOT: r1.topk
  %scores = r1.softmax %logits axis 1 : tensor<?x8xf32>
  %top, %indices = r1.topk 2 of %scores axis 1 : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %w1 = r1.reduce sum %top over [1] keep_dims : (tensor<?x2xf32>) -> tensor<?x1xf32>
  %w3 = r1.div %top, %w1 : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  return %indices, %w3 : tensor<?x2xi64>, tensor<?x2xf32>
}

// -----

// The weights are the biased scores: another rule.
// REMARK: [Missed] r1.route {{.*}} Node=/layers.4/gate/TopK, Reason="for random logits the experts or their weights are not those of a top-2 choice among 1 of 1 groups"
// CHECK-LABEL: func.func @biased_weights
func.func @biased_weights(%logits: tensor<?x8xf32>, %bias: tensor<8xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>) {
  // CHECK-NOT: r1.route
  %scores = r1.sigmoid %logits : tensor<?x8xf32>
  %square = r1.mul %scores, %scores : tensor<?x8xf32>
  %choice = r1.sub %square, %bias : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %top, %indices = r1.topk 2 of %choice axis 1 : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>) loc("/layers.4/gate/TopK")
  %w0 = r1.gather_elements %scores, %indices axis 1 : (tensor<?x8xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  return %indices, %w0 : tensor<?x2xi64>, tensor<?x2xf32>
}
