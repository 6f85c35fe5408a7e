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

// -----

// A product of 2^40 factors is looked at in parts.
// CHECK-LABEL: func.func @squares
func.func @squares(%x0: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-COUNT-40: r1.mul
  %x1 = r1.mul %x0, %x0 : tensor<?x4xf32>
  %x2 = r1.mul %x1, %x1 : tensor<?x4xf32>
  %x3 = r1.mul %x2, %x2 : tensor<?x4xf32>
  %x4 = r1.mul %x3, %x3 : tensor<?x4xf32>
  %x5 = r1.mul %x4, %x4 : tensor<?x4xf32>
  %x6 = r1.mul %x5, %x5 : tensor<?x4xf32>
  %x7 = r1.mul %x6, %x6 : tensor<?x4xf32>
  %x8 = r1.mul %x7, %x7 : tensor<?x4xf32>
  %x9 = r1.mul %x8, %x8 : tensor<?x4xf32>
  %x10 = r1.mul %x9, %x9 : tensor<?x4xf32>
  %x11 = r1.mul %x10, %x10 : tensor<?x4xf32>
  %x12 = r1.mul %x11, %x11 : tensor<?x4xf32>
  %x13 = r1.mul %x12, %x12 : tensor<?x4xf32>
  %x14 = r1.mul %x13, %x13 : tensor<?x4xf32>
  %x15 = r1.mul %x14, %x14 : tensor<?x4xf32>
  %x16 = r1.mul %x15, %x15 : tensor<?x4xf32>
  %x17 = r1.mul %x16, %x16 : tensor<?x4xf32>
  %x18 = r1.mul %x17, %x17 : tensor<?x4xf32>
  %x19 = r1.mul %x18, %x18 : tensor<?x4xf32>
  %x20 = r1.mul %x19, %x19 : tensor<?x4xf32>
  %x21 = r1.mul %x20, %x20 : tensor<?x4xf32>
  %x22 = r1.mul %x21, %x21 : tensor<?x4xf32>
  %x23 = r1.mul %x22, %x22 : tensor<?x4xf32>
  %x24 = r1.mul %x23, %x23 : tensor<?x4xf32>
  %x25 = r1.mul %x24, %x24 : tensor<?x4xf32>
  %x26 = r1.mul %x25, %x25 : tensor<?x4xf32>
  %x27 = r1.mul %x26, %x26 : tensor<?x4xf32>
  %x28 = r1.mul %x27, %x27 : tensor<?x4xf32>
  %x29 = r1.mul %x28, %x28 : tensor<?x4xf32>
  %x30 = r1.mul %x29, %x29 : tensor<?x4xf32>
  %x31 = r1.mul %x30, %x30 : tensor<?x4xf32>
  %x32 = r1.mul %x31, %x31 : tensor<?x4xf32>
  %x33 = r1.mul %x32, %x32 : tensor<?x4xf32>
  %x34 = r1.mul %x33, %x33 : tensor<?x4xf32>
  %x35 = r1.mul %x34, %x34 : tensor<?x4xf32>
  %x36 = r1.mul %x35, %x35 : tensor<?x4xf32>
  %x37 = r1.mul %x36, %x36 : tensor<?x4xf32>
  %x38 = r1.mul %x37, %x37 : tensor<?x4xf32>
  %x39 = r1.mul %x38, %x38 : tensor<?x4xf32>
  %x40 = r1.mul %x39, %x39 : tensor<?x4xf32>
  return %x40 : tensor<?x4xf32>
}
