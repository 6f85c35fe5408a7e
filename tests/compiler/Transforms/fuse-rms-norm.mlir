// RUN: elah-opt %s -r1-fuse-rms-norm -canonicalize -split-input-file | FileCheck %s
// RUN: elah-opt %s -r1-fuse-rms-norm -split-input-file --remark-format=emitRemark --remarks-filter=fusion 2>&1 | FileCheck %s --check-prefix=REMARK

// TorchScript: Pow, ReduceMean, Add, Sqrt, Div, Mul, with the weight on the left.
// CHECK-LABEL: func.func @pow_sqrt_div
func.func @pow_sqrt_div(%x: tensor<1x?x4xf32>, %w: tensor<4xf32>) -> tensor<1x?x4xf32> {
  // CHECK-NEXT: %[[Y:.*]] = r1.rms_norm %arg0, %arg1 {epsilon = 9.9999999999999995E-7 : f64}
  // CHECK-NEXT: return %[[Y]]
  %two = r1.constant dense<2.0> : tensor<f32>
  %epsilon = r1.constant dense<1.0e-6> : tensor<f32>
  %0 = r1.pow %x, %two : (tensor<1x?x4xf32>, tensor<f32>) -> tensor<1x?x4xf32>
  %1 = r1.reduce mean %0 over [2] keep_dims : (tensor<1x?x4xf32>) -> tensor<1x?x1xf32>
  %2 = r1.add %epsilon, %1 : (tensor<f32>, tensor<1x?x1xf32>) -> tensor<1x?x1xf32>
  %3 = r1.sqrt %2 : tensor<1x?x1xf32>
  %4 = r1.div %x, %3 : (tensor<1x?x4xf32>, tensor<1x?x1xf32>) -> tensor<1x?x4xf32>
  %5 = r1.mul %w, %4 : (tensor<4xf32>, tensor<1x?x4xf32>) -> tensor<1x?x4xf32>
  return %5 : tensor<1x?x4xf32>
}

// -----

// One divided by the root, the sum times 1/n, epsilon as a splat, the weight with sizes of 1 and multiplied first.
// CHECK-LABEL: func.func @reciprocal
func.func @reciprocal(%x: tensor<?x4xf32>, %w: tensor<4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: r1.rms_norm %arg0, %arg1 {epsilon = 1.000000e-02 : f64}
  // CHECK-NEXT: return
  %one = r1.constant dense<1.0> : tensor<f32>
  %quarter = r1.constant dense<0.25> : tensor<1x1xf32>
  %epsilon = r1.constant dense<0.01> : tensor<1x1xf32>
  %0 = r1.mul %x, %x : tensor<?x4xf32>
  %1 = r1.reduce sum %0 over [1] keep_dims : (tensor<?x4xf32>) -> tensor<?x1xf32>
  %2 = r1.mul %1, %quarter : (tensor<?x1xf32>, tensor<1x1xf32>) -> tensor<?x1xf32>
  %3 = r1.add %2, %epsilon : (tensor<?x1xf32>, tensor<1x1xf32>) -> tensor<?x1xf32>
  %4 = r1.sqrt %3 : tensor<?x1xf32>
  %5 = r1.div %one, %4 : (tensor<f32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %6 = r1.reshape %w to [1, 4] : (tensor<4xf32>) -> tensor<1x4xf32>
  %7 = r1.mul %6, %x : (tensor<1x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %8 = r1.mul %5, %7 : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %8 : tensor<?x4xf32>
}

// -----

// A bf16 model: normalized in f32, cast back, then multiplied by the weight.
// CHECK-LABEL: func.func @cast_back
func.func @cast_back(%x: tensor<?x4xbf16>, %w: tensor<4xbf16>) -> tensor<?x4xbf16> {
  // CHECK: %[[X:.*]] = r1.cast %arg0 to f32
  // CHECK: %[[Y:.*]] = r1.rms_norm %[[X]], %arg1 {{.*}} : (tensor<?x4xf32>, tensor<4xbf16>) -> tensor<?x4xf32>
  // CHECK: %[[BF16:.*]] = r1.cast %[[Y]] to bf16
  // CHECK: return %[[BF16]]
  %epsilon = r1.constant dense<1.0e-5> : tensor<f32>
  %f = r1.cast %x to f32 : (tensor<?x4xbf16>) -> tensor<?x4xf32>
  %0 = r1.mul %f, %f : tensor<?x4xf32>
  %1 = r1.reduce mean %0 over [1] keep_dims : (tensor<?x4xf32>) -> tensor<?x1xf32>
  %2 = r1.add %1, %epsilon : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %3 = r1.rsqrt %2 : tensor<?x1xf32>
  %4 = r1.mul %f, %3 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %5 = r1.cast %4 to bf16 : (tensor<?x4xf32>) -> tensor<?x4xbf16>
  %6 = r1.mul %w, %5 : (tensor<4xbf16>, tensor<?x4xbf16>) -> tensor<?x4xbf16>
  return %6 : tensor<?x4xbf16>
}

// -----

// The input is a product itself.
// CHECK-LABEL: func.func @product_input
func.func @product_input(%a: tensor<?x4xf32>, %w: tensor<4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: %[[X:.*]] = r1.mul %arg0, %arg1
  // CHECK-NEXT: r1.rms_norm %[[X]], %arg1
  %epsilon = r1.constant dense<1.0e-5> : tensor<f32>
  %x = r1.mul %a, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %0 = r1.mul %x, %x : tensor<?x4xf32>
  %1 = r1.reduce mean %0 over [1] keep_dims : (tensor<?x4xf32>) -> tensor<?x1xf32>
  %2 = r1.add %1, %epsilon : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %3 = r1.rsqrt %2 : tensor<?x1xf32>
  %4 = r1.mul %x, %3 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %5 = r1.mul %4, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %5 : tensor<?x4xf32>
}

// -----

// REMARK: loc("/layers.1/norm/Mul_1"): [Missed] r1.rms_norm {{.*}} Reason="the mean is not taken over the last dimension alone"
// CHECK-LABEL: func.func @other_axis
func.func @other_axis(%x: tensor<4x4xf32>, %w: tensor<4xf32>) -> tensor<4x4xf32> {
  // CHECK-NOT: r1.rms_norm
  %epsilon = r1.constant dense<1.0e-5> : tensor<f32>
  %0 = r1.mul %x, %x : tensor<4x4xf32>
  %1 = r1.reduce mean %0 over [0] keep_dims : (tensor<4x4xf32>) -> tensor<1x4xf32>
  %2 = r1.add %1, %epsilon : (tensor<1x4xf32>, tensor<f32>) -> tensor<1x4xf32>
  %3 = r1.rsqrt %2 : tensor<1x4xf32>
  %4 = r1.mul %x, %3 : (tensor<4x4xf32>, tensor<1x4xf32>) -> tensor<4x4xf32>
  %5 = r1.mul %4, %w : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32> loc("/layers.1/norm/Mul_1")
  return %5 : tensor<4x4xf32>
}
