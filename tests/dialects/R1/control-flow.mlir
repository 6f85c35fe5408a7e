// RUN: elah-opt %s | elah-opt | FileCheck %s
// Regions and sequences are printed as they are read.

// CHECK-LABEL: func.func @regions
func.func @regions(%c: tensor<i1>, %n: tensor<i64>, %x: tensor<4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>) {
  // CHECK: r1.if %{{.*}} : (tensor<i1>) -> tensor<4xf32> then {
  %0 = r1.if %c : (tensor<i1>) -> tensor<4xf32> then {
    %negated = r1.neg %x : tensor<4xf32>
    // CHECK: r1.yield %{{.*}} : tensor<4xf32>
    r1.yield %negated : tensor<4xf32>
  // CHECK: } else {
  } else {
    r1.yield %x : tensor<4xf32>
  }
  // CHECK: r1.loop to %{{.*}} while %{{.*}} carrying %{{.*}} : (tensor<i64>, tensor<i1>, tensor<4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>) {
  %1:2 = r1.loop to %n while %c carrying %0 : (tensor<i64>, tensor<i1>, tensor<4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>) {
  // CHECK: ^bb0(%{{.*}}: tensor<i64>, %{{.*}}: tensor<4xf32>):
  ^bb0(%i: tensor<i64>, %y: tensor<4xf32>):
    r1.yield %c, %y, %y : tensor<i1>, tensor<4xf32>, tensor<4xf32>
  }
  return %1#0, %1#1 : tensor<4xf32>, tensor<?x4xf32>
}

// CHECK-LABEL: func.func @sequences
func.func @sequences(%x: tensor<?xf32>, %n: tensor<i64>) -> tensor<?x?xf32> {
  // CHECK: r1.sequence : () -> !r1.sequence<tensor<*xf32>>
  %0 = r1.sequence : () -> !r1.sequence<tensor<*xf32>>
  // CHECK: r1.sequence_insert %{{.*}}, %{{.*}} : (!r1.sequence<tensor<*xf32>>, tensor<?xf32>) -> !r1.sequence<tensor<?xf32>>
  %1 = r1.sequence_insert %0, %x : (!r1.sequence<tensor<*xf32>>, tensor<?xf32>) -> !r1.sequence<tensor<?xf32>>
  // CHECK: r1.sequence_insert %{{.*}}, %{{.*}} at %{{.*}} : (
  %2 = r1.sequence_insert %1, %x at %n : (!r1.sequence<tensor<?xf32>>, tensor<?xf32>, tensor<i64>) -> !r1.sequence<tensor<?xf32>>
  // CHECK: r1.sequence_erase %{{.*}} at %{{.*}} : (
  %3 = r1.sequence_erase %2 at %n : (!r1.sequence<tensor<?xf32>>, tensor<i64>) -> !r1.sequence<tensor<?xf32>>
  // CHECK: r1.sequence_length %{{.*}} : (!r1.sequence<tensor<?xf32>>) -> tensor<i64>
  %4 = r1.sequence_length %3 : (!r1.sequence<tensor<?xf32>>) -> tensor<i64>
  // CHECK: r1.sequence_at %{{.*}}, %{{.*}} : (!r1.sequence<tensor<?xf32>>, tensor<i64>) -> tensor<?xf32>
  %5 = r1.sequence_at %3, %4 : (!r1.sequence<tensor<?xf32>>, tensor<i64>) -> tensor<?xf32>
  // CHECK: r1.sequence_split %{{.*}} into %{{.*}} axis 0 : (tensor<?xf32>, tensor<i64>) -> !r1.sequence<tensor<?xf32>>
  %6 = r1.sequence_split %5 into %n axis 0 : (tensor<?xf32>, tensor<i64>) -> !r1.sequence<tensor<?xf32>>
  // CHECK: r1.sequence_concat %{{.*}} axis 0 stacked : (!r1.sequence<tensor<?xf32>>) -> tensor<?x?xf32>
  %7 = r1.sequence_concat %6 axis 0 stacked : (!r1.sequence<tensor<?xf32>>) -> tensor<?x?xf32>
  return %7 : tensor<?x?xf32>
}
