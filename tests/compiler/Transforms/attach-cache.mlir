// RUN: elah-opt %s -r1-attach-cache -canonicalize -split-input-file | FileCheck %s

// Positions that were counted become those that are given.
// CHECK-LABEL: func.func @forward
// CHECK-SAME: %[[CACHE:[a-z0-9]*]]: !r1.cache<kv, layers = 2, key_width = 4, value_width = 4>) -> (tensor<?x8xf32>, !r1.cache<kv, layers = 2, key_width = 4, value_width = 4>)
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  // CHECK: %[[Y:.*]], %[[FIRST:.*]] = r1.attention %{{.*}} at %arg1 cache %[[CACHE]] {{.*}}layer = 0 : i64
  // CHECK: %[[Z:.*]], %[[SECOND:.*]] = r1.attention %[[Y]], %{{.*}} at %arg1 cache %[[FIRST]] {{.*}}layer = 1 : i64
  // CHECK: return %[[Z]], %[[SECOND]]
  %zero = r1.constant dense<0> : tensor<i64>
  %one = r1.constant dense<1> : tensor<i64>
  %table = r1.weight [#r1.weight<"embed" in "model.data" at 0 size 192 : tensor<6x8xf32>>] : tensor<6x8xf32>
  %kv = r1.weight [#r1.weight<"kv" in "model.data" at 192 size 128 : tensor<4x8xf32>>] : tensor<4x8xf32>
  %x = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<6x8xf32>) -> tensor<?x8xf32>
  %k = r1.linear %x, %kv : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %count = r1.dim %x, 0 : tensor<?x8xf32>
  %range = r1.range %zero, %count, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %counted = r1.cast %range to i32 : (tensor<?xi64>) -> tensor<?xi32>
  %y = r1.attention %x, %k, %k at %counted {heads = 2 : i64, kv_heads = 1 : i64, head_dim = 4 : i64, value_dim = 4 : i64, scale = 0.5, layer = 0 : i64}
      : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %z = r1.attention %y, %k, %k at %positions {heads = 2 : i64, kv_heads = 1 : i64, head_dim = 4 : i64, value_dim = 4 : i64, scale = 0.5, layer = 0 : i64}
      : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

// A sum over all rows needs what is behind, too: no cache holds that.
// CHECK-LABEL: func.func @forward
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  // CHECK-NOT: !r1.cache
  %table = r1.weight [#r1.weight<"embed" in "model.data" at 0 size 192 : tensor<6x8xf32>>] : tensor<6x8xf32>
  %x = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<6x8xf32>) -> tensor<?x8xf32>
  %y = r1.attention %x, %x, %x at %positions {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 4 : i64, value_dim = 4 : i64, scale = 0.5, layer = 0 : i64}
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %sum = r1.reduce sum %y over [0] keep_dims : (tensor<?x8xf32>) -> tensor<1x8xf32>
  %z = r1.add %y, %sum : (tensor<?x8xf32>, tensor<1x8xf32>) -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
