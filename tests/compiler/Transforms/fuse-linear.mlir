// RUN: elah-opt %s -r1-fuse-linear -canonicalize -split-input-file | FileCheck %s
// RUN: elah-opt %s -r1-fuse-linear -split-input-file --remark-format=emitRemark --remarks-filter=fusion 2>&1 | FileCheck %s --check-prefix=REMARK

// The form of a Hugging Face weight, and a bias on the left.
// CHECK-LABEL: func.func @as_it_lies
func.func @as_it_lies(%x: tensor<?x4xf32>, %w: tensor<6x4xbf16>, %b: tensor<6xf32>) -> tensor<?x6xf32> {
  // CHECK-NEXT: %[[Y:.*]] = r1.linear %arg0, %arg1 bias %arg2 : (tensor<?x4xf32>, tensor<6x4xbf16>, tensor<6xf32>)
  // CHECK-NEXT: return %[[Y]]
  %0 = r1.cast %w to f32 : (tensor<6x4xbf16>) -> tensor<6x4xf32>
  %1 = r1.transpose %0 by [1, 0] : (tensor<6x4xf32>) -> tensor<4x6xf32>
  %2 = r1.matmul %x, %1 : (tensor<?x4xf32>, tensor<4x6xf32>) -> tensor<?x6xf32>
  %3 = r1.add %b, %2 : (tensor<6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
  return %3 : tensor<?x6xf32>
}

// -----

// What torch.onnx writes: the initializer is the right operand, and there is a batch.
// CHECK-LABEL: func.func @initializer
func.func @initializer(%x: tensor<1x?x4xf32>) -> tensor<1x?x6xf32> {
  // CHECK-NEXT: %[[ROWS:.*]] = r1.reshape %arg0 to [-1, 4]
  // CHECK-NEXT: %[[W:.*]] = r1.weight [#r1.weight<"onnx::MatMul_7" in "model.data" at 16 size 96 : tensor<6x4xf32> transposed = true>]
  // CHECK-NEXT: %[[Y:.*]] = r1.linear %[[ROWS]], %[[W]] : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  // CHECK-NEXT: r1.reshape %[[Y]] to [1, -1, 6] : (tensor<?x6xf32>) -> tensor<1x?x6xf32>
  %w = r1.weight [#r1.weight<"onnx::MatMul_7" in "model.data" at 16 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %0 = r1.matmul %x, %w : (tensor<1x?x4xf32>, tensor<4x6xf32>) -> tensor<1x?x6xf32>
  return %0 : tensor<1x?x6xf32>
}

// -----

// Two unknown sizes: the result's shape is computed.
// CHECK-LABEL: func.func @batch
func.func @batch(%x: tensor<?x?x4xf32>, %w: tensor<4x6xf32>) -> tensor<?x?x6xf32> {
  // CHECK: %[[Y:.*]] = r1.linear
  // CHECK: %[[SHAPE:.*]] = r1.concat
  // CHECK: r1.reshape %[[Y]] to %[[SHAPE]] : (tensor<?x6xf32>, tensor<3xi64>) -> tensor<?x?x6xf32>
  %0 = r1.matmul %x, %w : (tensor<?x?x4xf32>, tensor<4x6xf32>) -> tensor<?x?x6xf32>
  return %0 : tensor<?x?x6xf32>
}

// -----

// CHECK-LABEL: func.func @activations
func.func @activations(%x: tensor<?x4xf32>, %y: tensor<4x?xf32>) -> tensor<?x?xf32> {
  // CHECK-NEXT: r1.matmul
  %0 = r1.matmul %x, %y : (tensor<?x4xf32>, tensor<4x?xf32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// The bare product is used twice: the sum is no bias.
// CHECK-LABEL: func.func @shared_product
func.func @shared_product(%x: tensor<?x4xf32>, %w: tensor<4x6xf32>, %b: tensor<6xf32>) -> (tensor<?x6xf32>, tensor<?x6xf32>) {
  // CHECK: %[[Y:.*]] = r1.linear %arg0, %{{.*}} : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  // CHECK: r1.add %[[Y]], %arg2
  %0 = r1.matmul %x, %w : (tensor<?x4xf32>, tensor<4x6xf32>) -> tensor<?x6xf32>
  %1 = r1.add %0, %b : (tensor<?x6xf32>, tensor<6xf32>) -> tensor<?x6xf32>
  return %0, %1 : tensor<?x6xf32>, tensor<?x6xf32>
}

// -----

// REMARK: loc("/layers.3/up_proj/MatMul"): [Missed] r1.linear {{.*}} Node=/layers.3/up_proj/MatMul, Reason="a weight in blocks is multiplied as it lies, [inputs, outputs]", Suggestion="store the weight as [outputs, inputs]"
func.func @blocks(%x: tensor<?x4xf32>, %w: tensor<4x6xf8E4M3FN, #r1.blocks<2, 2>>) -> tensor<?x6xf32> {
  %0 = r1.dequantize %w : (tensor<4x6xf8E4M3FN, #r1.blocks<2, 2>>) -> tensor<4x6xf32>
  %1 = r1.matmul %x, %0 : (tensor<?x4xf32>, tensor<4x6xf32>) -> tensor<?x6xf32> loc("/layers.3/up_proj/MatMul")
  return %1 : tensor<?x6xf32>
}
