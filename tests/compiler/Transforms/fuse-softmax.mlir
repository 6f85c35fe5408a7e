// RUN: elah-opt %s -r1-fuse-softmax -canonicalize | FileCheck %s
// RUN: elah-opt %s -r1-fuse-softmax --remark-format=emitRemark --remarks-filter=fusion 2>&1 | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: func.func @softmax
func.func @softmax(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NEXT: r1.softmax %arg0 axis 1 : tensor<?x4xf32>
  %0 = r1.reduce max %x over [1] keep_dims : (tensor<?x4xf32>) -> tensor<?x1xf32>
  %1 = r1.sub %x, %0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %2 = r1.exp %1 : tensor<?x4xf32>
  %3 = r1.reduce sum %2 over [1] keep_dims : (tensor<?x4xf32>) -> tensor<?x1xf32>
  %4 = r1.div %2, %3 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  return %4 : tensor<?x4xf32>
}

// REMARK: [Missed] r1.softmax {{.*}} Reason="the maximum along the same axis is not taken off before the powers"
// CHECK-LABEL: func.func @overflows
func.func @overflows(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NOT: r1.softmax
  %0 = r1.exp %x : tensor<?x4xf32>
  %1 = r1.reduce sum %0 over [1] keep_dims : (tensor<?x4xf32>) -> tensor<?x1xf32>
  %2 = r1.div %0, %1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  return %2 : tensor<?x4xf32>
}
