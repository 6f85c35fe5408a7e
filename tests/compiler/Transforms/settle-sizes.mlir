// RUN: elah-opt %s -r1-settle-sizes -split-input-file | FileCheck %s

// Sizes that no step changes become numbers: of what is computed from shapes, and of what is picked by numbers that only
// the program knows.
// CHECK-LABEL: func.func @forward
// CHECK: r1.reshape %{{.*}} to %{{.*}} : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<1x?x8xf32>
// CHECK: r1.add %{{.*}}, %{{.*}} : (tensor<1x?x8xf32>, tensor<1x1x8xf32>) -> tensor<1x?x8xf32>
// CHECK: return %{{.*}} : tensor<1x?x8xf32>
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x?x?xf32> {
  %table = r1.weight [#r1.weight<"t" in "m.data" at 0 size 128 : tensor<4x8xf32>>] : tensor<4x8xf32>
  %bias = r1.weight [#r1.weight<"b" in "m.data" at 128 size 32 : tensor<1x1x8xf32>>] : tensor<1x1x8xf32>
  %one = r1.constant dense<1> : tensor<1xi64>
  %x = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %shape = r1.shape %x : (tensor<?x8xf32>) -> tensor<2xi64>
  %sizes = r1.concat %one, %shape axis 0 : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
  %y = r1.reshape %x to %sizes : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  %z = r1.add %y, %bias : (tensor<?x?x?xf32>, tensor<1x1x8xf32>) -> tensor<?x?x?xf32>
  return %z : tensor<?x?x?xf32>
}

// -----

// Of a function that is no step it is not known what its arguments are.
// CHECK-LABEL: func.func @other
// CHECK: -> tensor<?x?xf32>
func.func @other(%x: tensor<?x8xf32>, %sizes: tensor<2xi64>) -> tensor<?x?xf32> {
  %y = r1.reshape %x to %sizes : (tensor<?x8xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
