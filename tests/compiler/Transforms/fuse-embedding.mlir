// RUN: elah-opt %s -r1-fuse-embedding -canonicalize | FileCheck %s

// CHECK-LABEL: func.func @bf16
func.func @bf16(%t: tensor<?xi32>, %w: tensor<16x4xbf16>) -> tensor<?x4xf32> {
  // CHECK-NEXT: r1.embedding %arg0, %arg1 : (tensor<?xi32>, tensor<16x4xbf16>) -> tensor<?x4xf32>
  %0 = r1.gather %w, %t axis 0 : (tensor<16x4xbf16>, tensor<?xi32>) -> tensor<?x4xbf16>
  %1 = r1.cast %0 to f32 : (tensor<?x4xbf16>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// A batch of one, and i64 as ONNX has it.
// CHECK-LABEL: func.func @batch_of_one
func.func @batch_of_one(%t: tensor<?xi32>, %w: tensor<16x4xf32>) -> tensor<1x?x4xf32> {
  // CHECK-NEXT: %[[ROWS:.*]] = r1.embedding %arg0, %arg1 : (tensor<?xi32>, tensor<16x4xf32>) -> tensor<?x4xf32>
  // CHECK-NEXT: r1.reshape %[[ROWS]] to [1, -1, 4]
  %0 = r1.cast %t to i64 : (tensor<?xi32>) -> tensor<?xi64>
  %1 = r1.reshape %0 to [1, -1] : (tensor<?xi64>) -> tensor<1x?xi64>
  %2 = r1.gather %w, %1 axis 0 : (tensor<16x4xf32>, tensor<1x?xi64>) -> tensor<1x?x4xf32>
  return %2 : tensor<1x?x4xf32>
}
