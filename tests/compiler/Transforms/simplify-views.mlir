// RUN: elah-opt %s -r1-simplify-views -canonicalize | FileCheck %s

// CHECK-LABEL: func.func @round_trip
func.func @round_trip(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK-NEXT: return %arg0
  %0 = r1.reshape %x to [1, -1, 2, 4] : (tensor<?x8xf32>) -> tensor<1x?x2x4xf32>
  %1 = r1.transpose %0 by [0, 2, 1, 3] : (tensor<1x?x2x4xf32>) -> tensor<1x2x?x4xf32>
  %2 = r1.transpose %1 by [2, 0, 1, 3] : (tensor<1x2x?x4xf32>) -> tensor<?x1x2x4xf32>
  %3 = r1.reshape %2 to [-1, 8] : (tensor<?x1x2x4xf32>) -> tensor<?x8xf32>
  return %3 : tensor<?x8xf32>
}

// Heads that change places are no reshape.
// CHECK-LABEL: func.func @permuted
func.func @permuted(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: r1.transpose
  %0 = r1.reshape %x to [-1, 2, 4] : (tensor<?x8xf32>) -> tensor<?x2x4xf32>
  %1 = r1.transpose %0 by [0, 2, 1] : (tensor<?x2x4xf32>) -> tensor<?x4x2xf32>
  %2 = r1.reshape %1 to [-1, 8] : (tensor<?x4x2xf32>) -> tensor<?x8xf32>
  return %2 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @batch_of_one
func.func @batch_of_one(%x: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {
  // CHECK-NEXT: %[[NORM:.*]] = r1.rms_norm %arg0, %arg1
  // CHECK-NEXT: %[[SUM:.*]] = r1.add %arg0, %[[NORM]] : tensor<?x8xf32>
  // CHECK-NEXT: return %[[SUM]]
  %0 = r1.reshape %x to [1, -1, 8] : (tensor<?x8xf32>) -> tensor<1x?x8xf32>
  %1 = r1.rms_norm %0, %w {epsilon = 1.0e-6} : (tensor<1x?x8xf32>, tensor<8xf32>) -> tensor<1x?x8xf32>
  %2 = r1.add %0, %1 : tensor<1x?x8xf32>
  %3 = r1.reshape %2 to [-1, 8] : (tensor<1x?x8xf32>) -> tensor<?x8xf32>
  return %3 : tensor<?x8xf32>
}

// Assignments to both halves, as dynamo writes them along the first dimension.
// CHECK-LABEL: func.func @assigned
func.func @assigned(%x: tensor<5x?xf32>, %a: tensor<2x?xf32>, %b: tensor<3x?xf32>) -> tensor<5x?xf32> {
  // CHECK-NEXT: %[[BOTH:.*]] = r1.concat %arg1, %arg2 axis 0
  // CHECK-NEXT: return %[[BOTH]]
  %first = r1.constant dense<[[0], [1]]> : tensor<2x1xi64>
  %second = r1.constant dense<[[2], [3], [4]]> : tensor<3x1xi64>
  %0 = r1.scatter_nd replace %x, %first, %a : (tensor<5x?xf32>, tensor<2x1xi64>, tensor<2x?xf32>) -> tensor<5x?xf32>
  %1 = r1.scatter_nd replace %0, %second, %b : (tensor<5x?xf32>, tensor<3x1xi64>, tensor<3x?xf32>) -> tensor<5x?xf32>
  return %1 : tensor<5x?xf32>
}

// A row is left of what was there.
// CHECK-LABEL: func.func @partly_assigned
func.func @partly_assigned(%x: tensor<5x?xf32>, %a: tensor<2x?xf32>, %b: tensor<2x?xf32>) -> tensor<5x?xf32> {
  // CHECK-COUNT-2: r1.scatter_nd
  %first = r1.constant dense<[[0], [1]]> : tensor<2x1xi64>
  %second = r1.constant dense<[[3], [4]]> : tensor<2x1xi64>
  %0 = r1.scatter_nd replace %x, %first, %a : (tensor<5x?xf32>, tensor<2x1xi64>, tensor<2x?xf32>) -> tensor<5x?xf32>
  %1 = r1.scatter_nd replace %0, %second, %b : (tensor<5x?xf32>, tensor<2x1xi64>, tensor<2x?xf32>) -> tensor<5x?xf32>
  return %1 : tensor<5x?xf32>
}
