// RUN: elah-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: func.func @nothing_to_do
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>
func.func @nothing_to_do(%x: tensor<?x4xf32>, %m: tensor<?x4xi1>) -> (tensor<?x4xf32>, tensor<?x4xi1>) {
  %zero = r1.constant dense<0.0> : tensor<f32>
  %one = r1.constant dense<1.0> : tensor<4xf32>
  %true = r1.constant dense<true> : tensor<i1>
  %false = r1.constant dense<false> : tensor<i1>
  %0 = r1.add %x, %zero : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %1 = r1.sub %0, %zero : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %2 = r1.mul %one, %1 : (tensor<4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %3 = r1.div %2, %one : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %4 = r1.pow %3, %one : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %5 = r1.neg %4 : tensor<?x4xf32>
  %6 = r1.neg %5 : tensor<?x4xf32>
  %7 = r1.max %6, %6 : tensor<?x4xf32>
  %8 = r1.cast %7 to f32 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %9 = r1.reshape %8 to [-1, 4] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %10 = r1.transpose %9 by [1, 0] : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %11 = r1.transpose %10 by [1, 0] : (tensor<4x?xf32>) -> tensor<?x4xf32>
  %12 = r1.slice %11 axis 0 from 0 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %13 = r1.slice %12 axis 1 from 0 to 9 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %14 = r1.concat %13 axis 0 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %15 = r1.broadcast_to %14 to [-1, 4] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %16 = r1.reduce sum %15 over [] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %17 = r1.select %true, %16, %x : (tensor<i1>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %18 = r1.and %m, %true : (tensor<?x4xi1>, tensor<i1>) -> tensor<?x4xi1>
  %19 = r1.or %false, %18 : (tensor<i1>, tensor<?x4xi1>) -> tensor<?x4xi1>
  %20 = r1.not %19 : tensor<?x4xi1>
  %21 = r1.not %20 : tensor<?x4xi1>
  // CHECK-NEXT: return %[[X]], %{{.*}} : tensor<?x4xf32>, tensor<?x4xi1>
  return %17, %21 : tensor<?x4xf32>, tensor<?x4xi1>
}

// What broadcasts, or may, is not dropped.
// CHECK-LABEL: func.func @broadcasts
func.func @broadcasts(%x: tensor<4xf32>, %y: tensor<?xf32>) -> (tensor<2x4xf32>, tensor<?xf32>, tensor<?x?xf32>) {
  %zeros = r1.constant dense<0.0> : tensor<2x4xf32>
  // CHECK: r1.add
  %0 = r1.add %x, %zeros : (tensor<4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: r1.slice
  %1 = r1.slice %y axis 0 from 0 to 9 : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: r1.reshape
  // CHECK: r1.reshape
  %two = r1.constant dense<[2, -1]> : tensor<2xi64>
  %2 = r1.reshape %y to %two : (tensor<?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %3 = r1.dim %2, 1 : tensor<?x?xf32>
  %4 = r1.reshape %3 to [1] : (tensor<i64>) -> tensor<1xi64>
  %5 = r1.concat %4, %4 axis 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %6 = r1.broadcast_to %2 to %5 : (tensor<?x?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %0, %1, %6 : tensor<2x4xf32>, tensor<?xf32>, tensor<?x?xf32>
}

// CHECK-LABEL: func.func @compositions
func.func @compositions(%x: tensor<?x4x6xf32>) -> (tensor<6x?x4xf32>, tensor<?x8xf32>) {
  // CHECK: r1.transpose %{{.*}} by [2, 0, 1] : (tensor<?x4x6xf32>) -> tensor<6x?x4xf32>
  %0 = r1.transpose %x by [1, 2, 0] : (tensor<?x4x6xf32>) -> tensor<4x6x?xf32>
  %1 = r1.transpose %0 by [1, 2, 0] : (tensor<4x6x?xf32>) -> tensor<6x?x4xf32>
  // CHECK: r1.reshape %{{.*}} to [-1, 8] : (tensor<?x4x6xf32>) -> tensor<?x8xf32>
  %2 = r1.reshape %x to [-1] : (tensor<?x4x6xf32>) -> tensor<?xf32>
  %3 = r1.reshape %2 to [-1, 8] : (tensor<?xf32>) -> tensor<?x8xf32>
  return %1, %3 : tensor<6x?x4xf32>, tensor<?x8xf32>
}

// Shape arithmetic as exporters write it.
// CHECK-LABEL: func.func @shape_arithmetic
func.func @shape_arithmetic(%x: tensor<3x8xf32>) -> (tensor<3x2x4xf32>, tensor<5x3x8xf32>, tensor<3xi64>) {
  %two = r1.constant dense<2> : tensor<1xi64>
  %one = r1.constant dense<1> : tensor<i64>
  %zero = r1.constant dense<0> : tensor<i64>
  %rows = r1.dim %x, 0 : tensor<3x8xf32>
  %columns = r1.dim %x, 1 : tensor<3x8xf32>
  %r = r1.reshape %rows to [1] : (tensor<i64>) -> tensor<1xi64>
  %c = r1.reshape %columns to [1] : (tensor<i64>) -> tensor<1xi64>
  %half = r1.div %c, %two : tensor<1xi64>
  %shape = r1.concat %r, %two, %half axis 0 : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  // CHECK-DAG: r1.reshape %{{.*}} to [3, 2, 4] : (tensor<3x8xf32>) -> tensor<3x2x4xf32>
  %0 = r1.reshape %x to %shape : (tensor<3x8xf32>, tensor<3xi64>) -> tensor<3x2x4xf32>
  %sum = r1.add %r, %two : tensor<1xi64>
  %minus = r1.sub %sum, %two : tensor<1xi64>
  %greatest = r1.max %sum, %minus : tensor<1xi64>
  %least = r1.min %minus, %r : tensor<1xi64>
  %wide = r1.concat %greatest, %least, %c axis 0 : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  // CHECK-DAG: r1.broadcast_to %{{.*}} to [5, 3, 8] : (tensor<3x8xf32>) -> tensor<5x3x8xf32>
  %1 = r1.broadcast_to %x to %wide : (tensor<3x8xf32>, tensor<3xi64>) -> tensor<5x3x8xf32>
  %order = r1.range %zero, %rows, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<3xi64>
  %tail = r1.slice %shape axis 0 from -2 : (tensor<3xi64>) -> tensor<2xi64>
  %last = r1.constant dense<-1> : tensor<i32>
  %picked = r1.gather %tail, %last axis 0 : (tensor<2xi64>, tensor<i32>) -> tensor<i64>
  %is = r1.compare lt %order, %picked : (tensor<3xi64>, tensor<i64>) -> tensor<3xi1>
  %product = r1.mul %order, %picked : (tensor<3xi64>, tensor<i64>) -> tensor<3xi64>
  %chosen = r1.select %is, %product, %shape : (tensor<3xi1>, tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  %narrow = r1.cast %chosen to i32 : (tensor<3xi64>) -> tensor<3xi32>
  %again = r1.cast %narrow to i64 : (tensor<3xi32>) -> tensor<3xi64>
  // CHECK-DAG: r1.constant dense<[0, -4, -8]> : tensor<3xi64>
  %negative = r1.neg %again : tensor<3xi64>
  return %0, %1, %negative : tensor<3x2x4xf32>, tensor<5x3x8xf32>, tensor<3xi64>
}

// A division by zero is left to where it runs.
// CHECK-LABEL: func.func @division_by_zero
func.func @division_by_zero() -> tensor<i64> {
  %zero = r1.constant dense<0> : tensor<i64>
  %one = r1.constant dense<1> : tensor<i64>
  // CHECK: r1.div
  %0 = r1.div %one, %zero : tensor<i64>
  return %0 : tensor<i64>
}
