// RUN: elah-opt %s -r1-fuse-swiglu -canonicalize -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @sigmoid
func.func @sigmoid(%g: tensor<1x?x4xf32>, %u: tensor<1x?x4xf32>) -> tensor<1x?x4xf32> {
  // CHECK-NEXT: r1.swiglu %arg0, %arg1 : tensor<1x?x4xf32>
  %0 = r1.sigmoid %g : tensor<1x?x4xf32>
  %1 = r1.mul %0, %g : tensor<1x?x4xf32>
  %2 = r1.mul %u, %1 : tensor<1x?x4xf32>
  return %2 : tensor<1x?x4xf32>
}

// -----

// CHECK-LABEL: func.func @other_order
func.func @other_order(%g: tensor<?x4xf32>, %u: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: r1.swiglu %arg0, %arg1
  %0 = r1.sigmoid %g : tensor<?x4xf32>
  %1 = r1.mul %0, %u : tensor<?x4xf32>
  %2 = r1.mul %g, %1 : tensor<?x4xf32>
  return %2 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func.func @written_out
func.func @written_out(%g: tensor<?x4xf32>, %u: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: r1.swiglu %arg0, %arg1
  %one = r1.constant dense<1.0> : tensor<f32>
  %0 = r1.neg %g : tensor<?x4xf32>
  %1 = r1.exp %0 : tensor<?x4xf32>
  %2 = r1.add %one, %1 : (tensor<f32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %3 = r1.div %g, %2 : tensor<?x4xf32>
  %4 = r1.mul %3, %u : tensor<?x4xf32>
  return %4 : tensor<?x4xf32>
}

// -----

// A gate that is not its own sigmoid's input is another activation.
// CHECK-LABEL: func.func @glu
func.func @glu(%g: tensor<?x4xf32>, %a: tensor<?x4xf32>, %u: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NOT: r1.swiglu
  %0 = r1.sigmoid %g : tensor<?x4xf32>
  %1 = r1.mul %a, %0 : tensor<?x4xf32>
  %2 = r1.mul %1, %u : tensor<?x4xf32>
  return %2 : tensor<?x4xf32>
}
