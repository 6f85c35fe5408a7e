// RUN: elah-opt %s -r1-infer-shapes -split-input-file | FileCheck %s

!kv = !r1.cache<kv, layers = 1, key_width = 8, value_width = 8>

// CHECK-LABEL: func.func @composites
// CHECK-SAME: -> (tensor<5x8xf32>, !r1.cache<{{.*}}>, tensor<5x2xi32>)
func.func @composites(%tokens: tensor<5xi32>, %positions: tensor<5xi32>, %c: !kv, %table: tensor<16x8xbf16>,
                      %norm: tensor<8xf32>, %w: tensor<8x8xbf16>, %router: tensor<4x8xf32>)
    -> (tensor<?x8xf32>, !kv, tensor<?x2xi32>) {
  // CHECK: r1.embedding {{.*}} -> tensor<5x8xf32>
  %0 = r1.embedding %tokens, %table : (tensor<5xi32>, tensor<16x8xbf16>) -> tensor<?x8xf32>
  // CHECK: r1.rms_norm {{.*}} -> tensor<5x8xf32>
  %1 = r1.rms_norm %0, %norm {epsilon = 1.0e-6} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  // CHECK: r1.linear {{.*}} -> tensor<5x8xf32>
  %2 = r1.linear %1, %w : (tensor<?x8xf32>, tensor<8x8xbf16>) -> tensor<?x8xf32>
  // CHECK: r1.attention {{.*}} -> (tensor<5x8xf32>,
  %3:2 = r1.attention %2, %2, %2 at %positions cache %c
      {heads = 2, kv_heads = 2, head_dim = 4, value_dim = 4, scale = 0.5, layer = 0}
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<5xi32>, !kv) -> (tensor<?x8xf32>, !kv)
  // CHECK: r1.swiglu %{{.*}} : tensor<5x8xf32>
  %4 = r1.swiglu %3#0, %2 : tensor<?x8xf32>
  // CHECK: r1.add %{{.*}} : tensor<5x8xf32>
  %5 = r1.add %4, %0 : tensor<?x8xf32>
  %6 = r1.linear %5, %router : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  // CHECK: r1.route {{.*}} -> (tensor<5x2xi32>, tensor<5x2xf32>)
  %7:2 = r1.route %6 {routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max,
      normalize = false, scale = 1.0>} : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return %5, %3#1, %7#0 : tensor<?x8xf32>, !kv, tensor<?x2xi32>
}

// -----

// CHECK-LABEL: func.func @primitives
func.func @primitives(%x: tensor<3x6xf32>, %i: tensor<2xi64>, %s: tensor<3xi64>) {
  %zero = r1.constant dense<10> : tensor<i64>
  %limit = r1.constant dense<3> : tensor<i64>
  %step = r1.constant dense<-2> : tensor<i64>
  // CHECK: r1.range {{.*}} -> tensor<4xi64>
  %0 = r1.range %zero, %limit, %step : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  // CHECK: r1.range {{.*}} -> tensor<0xi64>
  %1 = r1.range %limit, %zero, %step : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  // CHECK: r1.reshape {{.*}} -> tensor<9x2xf32>
  %2 = r1.reshape %x to [-1, 2] : (tensor<3x6xf32>) -> tensor<?x2xf32>
  // CHECK: r1.transpose {{.*}} -> tensor<6x3xf32>
  %3 = r1.transpose %x by [1, 0] : (tensor<3x6xf32>) -> tensor<?x?xf32>
  // CHECK: r1.matmul {{.*}} -> tensor<3x3xf32>
  %4 = r1.matmul %x, %3 : (tensor<3x6xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  // CHECK: r1.slice {{.*}} -> tensor<3x2xf32>
  %5 = r1.slice %x axis 1 from -5 to -1 by 2 : (tensor<3x6xf32>) -> tensor<?x?xf32>
  // CHECK: r1.concat {{.*}} -> tensor<6x6xf32>
  %6 = r1.concat %x, %x axis 0 : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<?x6xf32>
  // CHECK: r1.gather {{.*}} -> tensor<3x2xf32>
  %7 = r1.gather %x, %i axis 1 : (tensor<3x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  // CHECK: r1.topk {{.*}} -> (tensor<3x4xf32>, tensor<3x4xi64>)
  %8:2 = r1.topk 4 of %x axis 1 : (tensor<3x6xf32>) -> (tensor<?x?xf32>, tensor<?x?xi64>)
  // CHECK: r1.reduce {{.*}} -> tensor<3x1xf32>
  %9 = r1.reduce sum %x over [1] keep_dims : (tensor<3x6xf32>) -> tensor<?x?xf32>
  // CHECK: r1.broadcast_to {{.*}} -> tensor<3x7xf32>
  %10 = r1.broadcast_to %9 to [-1, 7] : (tensor<?x?xf32>) -> tensor<?x?xf32>
  // CHECK: r1.compare {{.*}} -> tensor<3x7xi1>
  %11 = r1.compare gt %10, %9 : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xi1>
  // CHECK: r1.select {{.*}} -> tensor<3x7xf32>
  %12 = r1.select %11, %9, %10 : (tensor<?x?xi1>, tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  // CHECK: r1.cast {{.*}} -> tensor<3x7xf16>
  %13 = r1.cast %12 to f16 : (tensor<?x?xf32>) -> tensor<?x?xf16>
  // CHECK: r1.cumsum {{.*}} -> tensor<3x7xf16>
  %14 = r1.cumsum %13 axis 0 : (tensor<?x?xf16>) -> tensor<?x?xf16>
  // What no operand settles stays open, and what is known is kept.
  // CHECK: r1.reshape {{.*}} -> tensor<?x?x7xf16>
  %15 = r1.reshape %14 to %s : (tensor<?x?xf16>, tensor<3xi64>) -> tensor<?x?x7xf16>
  return
}

// -----

// A function that is called keeps its types.
// CHECK-LABEL: func.func @called
// CHECK-SAME: -> tensor<?x4xf32>
func.func @called(%x: tensor<2x4xf32>) -> tensor<?x4xf32> {
  // CHECK: r1.slice {{.*}} -> tensor<?x4xf32>
  %0 = r1.slice %x axis 0 from 1 : (tensor<2x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
func.func @caller(%x: tensor<2x4xf32>) -> tensor<?x4xf32> {
  %0 = call @called(%x) : (tensor<2x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
