// RUN: elah-opt %s -r1-adopt-language-model -split-input-file | FileCheck %s
// RUN: elah-opt %s -r1-fuse -split-input-file | FileCheck %s --check-prefix=FUSED

// One layer of what transformers exports with past keys and values: positions behind the past, a mask for padding that
// becomes part of the causal one.
// CHECK-LABEL: func.func @forward
// CHECK-SAME: (%[[TOKENS:.*]]: tensor<?xi32>, %[[POSITIONS:.*]]: tensor<?xi32>, %[[CACHE:.*]]: !r1.cache<kv, layers = 1, key_width = 8, value_width = 8>) -> (tensor<?x6xf32>, !r1.cache<kv, layers = 1, key_width = 8, value_width = 8>)
// CHECK: r1.cache_append %{{.*}} to key of %[[CACHE]] layer 0
// CHECK: %[[LAST:.*]] = r1.cache_append %{{.*}} to value of
// CHECK: %[[ROWS:.*]] = r1.reshape %{{.*}} to [-1, 6]
// CHECK: return %[[ROWS]], %[[LAST]]

// FUSED-LABEL: func.func @forward
// FUSED-SAME: (%[[TOKENS:.*]]: tensor<?xi32>, %[[POSITIONS:.*]]: tensor<?xi32>, %[[CACHE:.*]]: !r1.cache
// FUSED-DAG: %[[X:.*]] = r1.embedding %[[TOKENS]]
// FUSED-DAG: %[[Q:.*]] = r1.linear %[[X]]
// FUSED: %[[Y:.*]], %[[NEW:.*]] = r1.attention %{{.*}}, %{{.*}}, %{{.*}} at %[[POSITIONS]] cache %[[CACHE]] {head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, layer = 0 : i64, scale = 5.000000e-01 : f64, value_dim = 4 : i64}
// FUSED: %[[SUM:.*]] = r1.add %{{.*}}, %{{.*}} : tensor<?x8xf32>
// FUSED: %[[LOGITS:.*]] = r1.linear %[[SUM]]
// FUSED-NEXT: return %[[LOGITS]], %[[NEW]]
func.func @main(%ids: tensor<?x?xi64> {r1.name = "input_ids"}, %mask: tensor<?x?xi64> {r1.name = "attention_mask"},
                %positions: tensor<?x?xi64> {r1.name = "position_ids"},
                %pk: tensor<?x2x?x4xf32> {r1.name = "past_key_values.0.key"},
                %pv: tensor<?x2x?x4xf32> {r1.name = "past_key_values.0.value"})
    -> (tensor<?x?x6xf32> {r1.name = "logits"}, tensor<?x2x?x4xf32> {r1.name = "present.0.key"},
        tensor<?x2x?x4xf32> {r1.name = "present.0.value"}) {
  %table = r1.weight [#r1.weight<"embed" in "model.data" at 0 size 192 : tensor<6x8xf32>>] : tensor<6x8xf32>
  %wq = r1.weight [#r1.weight<"q" in "model.data" at 192 size 256 : tensor<8x8xf32>>] : tensor<8x8xf32>
  %wk = r1.weight [#r1.weight<"k" in "model.data" at 448 size 256 : tensor<8x8xf32>>] : tensor<8x8xf32>
  %wv = r1.weight [#r1.weight<"v" in "model.data" at 704 size 256 : tensor<8x8xf32>>] : tensor<8x8xf32>
  %head = r1.weight [#r1.weight<"head" in "model.data" at 960 size 192 : tensor<8x6xf32>>] : tensor<8x6xf32>
  %half = r1.constant dense<0.5> : tensor<f32>
  %none = r1.constant dense<0.0> : tensor<f32>
  %lowest = r1.constant dense<-3.40282347E+38> : tensor<f32>
  %zero = r1.constant dense<0> : tensor<i64>
  %one = r1.constant dense<1> : tensor<i64>
  %one1 = r1.constant dense<1> : tensor<1xi64>
  %two1 = r1.constant dense<2> : tensor<1xi64>
  %four1 = r1.constant dense<4> : tensor<1xi64>
  %eight1 = r1.constant dense<8> : tensor<1xi64>
  %x = r1.gather %table, %ids axis 0 : (tensor<6x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %b = r1.dim %ids, 0 : tensor<?x?xi64>
  %s = r1.dim %ids, 1 : tensor<?x?xi64>
  %b1 = r1.reshape %b to [1] : (tensor<i64>) -> tensor<1xi64>
  %s1 = r1.reshape %s to [1] : (tensor<i64>) -> tensor<1xi64>
  %split = r1.concat %b1, %s1, %two1, %four1 axis 0 : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %merge = r1.concat %b1, %s1, %eight1 axis 0 : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %q0 = r1.matmul %x, %wq : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %k0 = r1.matmul %x, %wk : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %v0 = r1.matmul %x, %wv : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %q1 = r1.reshape %q0 to %split : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %k1 = r1.reshape %k0 to %split : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %v1 = r1.reshape %v0 to %split : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %q2 = r1.transpose %q1 by [0, 2, 1, 3] : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
  %k2 = r1.transpose %k1 by [0, 2, 1, 3] : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
  %v2 = r1.transpose %v1 by [0, 2, 1, 3] : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
  %k = r1.concat %pk, %k2 axis 2 : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  %v = r1.concat %pv, %v2 axis 2 : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  %total = r1.dim %k, 2 : tensor<?x2x?x4xf32>
  %past = r1.dim %pk, 2 : tensor<?x2x?x4xf32>
  %range = r1.range %zero, %total, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %from = r1.range %past, %total, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %column = r1.reshape %from to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %after = r1.compare gt %range, %column : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %padding = r1.compare eq %mask, %zero : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %b1s = r1.concat %b1, %one1, %one1 axis 0 : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %total1 = r1.reshape %total to [1] : (tensor<i64>) -> tensor<1xi64>
  %pshape = r1.concat %b1s, %total1 axis 0 : (tensor<3xi64>, tensor<1xi64>) -> tensor<4xi64>
  %padding4 = r1.reshape %padding to %pshape : (tensor<?x?xi1>, tensor<4xi64>) -> tensor<?x1x1x?xi1>
  %hidden = r1.or %after, %padding4 : (tensor<?x?xi1>, tensor<?x1x1x?xi1>) -> tensor<?x1x?x?xi1>
  %bias = r1.select %hidden, %lowest, %none : (tensor<?x1x?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x1x?x?xf32>
  %kt = r1.transpose %k by [0, 1, 3, 2] : (tensor<?x2x?x4xf32>) -> tensor<?x2x4x?xf32>
  %s0 = r1.matmul %q2, %kt : (tensor<?x2x?x4xf32>, tensor<?x2x4x?xf32>) -> tensor<?x2x?x?xf32>
  %s2 = r1.mul %s0, %half : (tensor<?x2x?x?xf32>, tensor<f32>) -> tensor<?x2x?x?xf32>
  %s3 = r1.add %s2, %bias : (tensor<?x2x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x2x?x?xf32>
  %s4 = r1.softmax %s3 axis 3 : tensor<?x2x?x?xf32>
  %y0 = r1.matmul %s4, %v : (tensor<?x2x?x?xf32>, tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  %y1 = r1.transpose %y0 by [0, 2, 1, 3] : (tensor<?x2x?x4xf32>) -> tensor<?x?x2x4xf32>
  %y2 = r1.reshape %y1 to %merge : (tensor<?x?x2x4xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %h = r1.add %x, %y2 : tensor<?x?x8xf32>
  %logits = r1.matmul %h, %head : (tensor<?x?x8xf32>, tensor<8x6xf32>) -> tensor<?x?x6xf32>
  return %logits, %k, %v : tensor<?x?x6xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>
}

// -----

// Another input: a plain graph.
// CHECK-LABEL: func.func @main
// CHECK-SAME: r1.name = "pixels"
func.func @main(%ids: tensor<?x?xi64> {r1.name = "input_ids"}, %p: tensor<?x3xf32> {r1.name = "pixels"})
    -> (tensor<?x?xi64> {r1.name = "logits"}) {
  return %ids : tensor<?x?xi64>
}

// -----

// Nothing has a name.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}
