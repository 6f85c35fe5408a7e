// RUN: elah-opt %s | elah-opt | FileCheck %s

!kv = !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>

// CHECK-LABEL: func.func @values
func.func @values(%x: tensor<?x4xf32>) -> tensor<?xi64> {
  // CHECK: %[[ZERO:.*]] = r1.constant dense<0> : tensor<i64>
  %zero = r1.constant dense<0> : tensor<i64>
  %one = r1.constant dense<1> : tensor<i64>
  // CHECK: %[[ROWS:.*]] = r1.dim %{{.*}}, 0 : tensor<?x4xf32>
  %rows = r1.dim %x, 0 : tensor<?x4xf32>
  // CHECK: r1.range %[[ZERO]], %[[ROWS]], %{{.*}} : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %0 = r1.range %zero, %rows, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  return %0 : tensor<?xi64>
}

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%x: tensor<?x4xf32>, %y: tensor<4xf32>) -> tensor<?x4xf32> {
  // CHECK: r1.abs %{{.*}} : tensor<?x4xf32>
  %abs = r1.abs %x : tensor<?x4xf32>
  %ceil = r1.ceil %abs : tensor<?x4xf32>
  %cos = r1.cos %ceil : tensor<?x4xf32>
  %erf = r1.erf %cos : tensor<?x4xf32>
  %exp = r1.exp %erf : tensor<?x4xf32>
  %floor = r1.floor %exp : tensor<?x4xf32>
  %log = r1.log %floor : tensor<?x4xf32>
  %neg = r1.neg %log : tensor<?x4xf32>
  %round = r1.round %neg : tensor<?x4xf32>
  %rsqrt = r1.rsqrt %round : tensor<?x4xf32>
  %sigmoid = r1.sigmoid %rsqrt : tensor<?x4xf32>
  %sin = r1.sin %sigmoid : tensor<?x4xf32>
  %sqrt = r1.sqrt %sin : tensor<?x4xf32>
  // CHECK: r1.tanh
  %tanh = r1.tanh %sqrt : tensor<?x4xf32>
  // CHECK: r1.add %{{.*}}, %{{.*}} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %add = r1.add %tanh, %y : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: r1.sub %{{.*}}, %{{.*}} : tensor<?x4xf32>
  %sub = r1.sub %add, %x : tensor<?x4xf32>
  %mul = r1.mul %sub, %x : tensor<?x4xf32>
  %div = r1.div %mul, %x : tensor<?x4xf32>
  %pow = r1.pow %div, %x : tensor<?x4xf32>
  %max = r1.max %pow, %x : tensor<?x4xf32>
  %min = r1.min %max, %x : tensor<?x4xf32>
  // CHECK: r1.compare le %{{.*}}, %{{.*}} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xi1>
  %le = r1.compare le %min, %y : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xi1>
  // CHECK: r1.not %{{.*}} : tensor<?x4xi1>
  %not = r1.not %le : tensor<?x4xi1>
  %and = r1.and %le, %not : tensor<?x4xi1>
  %or = r1.or %and, %not : tensor<?x4xi1>
  // CHECK: r1.cast %{{.*}} to bf16 : (tensor<4xf32>) -> tensor<4xbf16>
  %narrow = r1.cast %y to bf16 : (tensor<4xf32>) -> tensor<4xbf16>
  %wide = r1.cast %narrow to f32 : (tensor<4xbf16>) -> tensor<4xf32>
  // CHECK: r1.select %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x4xi1>, tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %select = r1.select %or, %min, %wide : (tensor<?x4xi1>, tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %select : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @contractions
func.func @contractions(%x: tensor<3x?x4xf32>, %w: tensor<4x5xf32>) -> tensor<3x5xf32> {
  // CHECK: r1.matmul %{{.*}}, %{{.*}} : (tensor<3x?x4xf32>, tensor<4x5xf32>) -> tensor<3x?x5xf32>
  %0 = r1.matmul %x, %w : (tensor<3x?x4xf32>, tensor<4x5xf32>) -> tensor<3x?x5xf32>
  // CHECK: r1.cumsum %{{.*}} axis 1 exclusive reverse : (tensor<3x?x5xf32>) -> tensor<3x?x5xf32>
  %1 = r1.cumsum %0 axis 1 exclusive reverse : (tensor<3x?x5xf32>) -> tensor<3x?x5xf32>
  // CHECK: r1.reduce mean %{{.*}} over [1, 2] keep_dims : (tensor<3x?x5xf32>) -> tensor<3x1x1xf32>
  %2 = r1.reduce mean %1 over [1, 2] keep_dims : (tensor<3x?x5xf32>) -> tensor<3x1x1xf32>
  // CHECK: r1.reduce max %{{.*}} over [1] : (tensor<3x?x5xf32>) -> tensor<3x5xf32>
  %3 = r1.reduce max %1 over [1] : (tensor<3x?x5xf32>) -> tensor<3x5xf32>
  return %3 : tensor<3x5xf32>
}

// CHECK-LABEL: func.func @shapes
func.func @shapes(%x: tensor<?x6xf32>, %shape: tensor<2xi64>) -> tensor<?x12xf32> {
  // CHECK: r1.reshape %{{.*}} to [-1, 2, 3] : (tensor<?x6xf32>) -> tensor<?x2x3xf32>
  %0 = r1.reshape %x to [-1, 2, 3] : (tensor<?x6xf32>) -> tensor<?x2x3xf32>
  // CHECK: r1.reshape %{{.*}} to %{{.*}} : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %1 = r1.reshape %x to %shape : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  // CHECK: r1.broadcast_to %{{.*}} to [5, -1, 2, 3] : (tensor<?x2x3xf32>) -> tensor<5x?x2x3xf32>
  %2 = r1.broadcast_to %0 to [5, -1, 2, 3] : (tensor<?x2x3xf32>) -> tensor<5x?x2x3xf32>
  // CHECK: r1.broadcast_to %{{.*}} to %{{.*}} : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x6xf32>
  %3 = r1.broadcast_to %x to %shape : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x6xf32>
  // CHECK: r1.transpose %{{.*}} by [3, 0, 1, 2] : (tensor<5x?x2x3xf32>) -> tensor<3x5x?x2xf32>
  %4 = r1.transpose %2 by [3, 0, 1, 2] : (tensor<5x?x2x3xf32>) -> tensor<3x5x?x2xf32>
  // CHECK: r1.slice %{{.*}} axis 1 from 1 to -1 by 2 : (tensor<?x6xf32>) -> tensor<?x2xf32>
  %5 = r1.slice %x axis 1 from 1 to -1 by 2 : (tensor<?x6xf32>) -> tensor<?x2xf32>
  // CHECK: r1.slice %{{.*}} axis 0 from -3 : (tensor<?x6xf32>) -> tensor<?x6xf32>
  %6 = r1.slice %x axis 0 from -3 : (tensor<?x6xf32>) -> tensor<?x6xf32>
  // CHECK: r1.concat %{{.*}}, %{{.*}} axis 1 : (tensor<?x6xf32>, tensor<?x6xf32>) -> tensor<?x12xf32>
  %7 = r1.concat %x, %3 axis 1 : (tensor<?x6xf32>, tensor<?x6xf32>) -> tensor<?x12xf32>
  return %7 : tensor<?x12xf32>
}

// CHECK-LABEL: func.func @indices
func.func @indices(%x: tensor<?x6xf32>, %i: tensor<2x3xi32>) -> tensor<2x?xi64> {
  // CHECK: r1.gather %{{.*}}, %{{.*}} axis 1 : (tensor<?x6xf32>, tensor<2x3xi32>) -> tensor<?x2x3xf32>
  %0 = r1.gather %x, %i axis 1 : (tensor<?x6xf32>, tensor<2x3xi32>) -> tensor<?x2x3xf32>
  // CHECK: r1.gather_elements %{{.*}}, %{{.*}} axis 1 : (tensor<?x6xf32>, tensor<2x3xi32>) -> tensor<2x3xf32>
  %1 = r1.gather_elements %x, %i axis 1 : (tensor<?x6xf32>, tensor<2x3xi32>) -> tensor<2x3xf32>
  // CHECK: r1.scatter_elements add %{{.*}}, %{{.*}}, %{{.*}} axis 1 : (tensor<?x6xf32>, tensor<2x3xi32>, tensor<2x3xf32>) -> tensor<?x6xf32>
  %2 = r1.scatter_elements add %x, %i, %1 axis 1 : (tensor<?x6xf32>, tensor<2x3xi32>, tensor<2x3xf32>) -> tensor<?x6xf32>
  // CHECK: r1.topk 2 of %{{.*}} axis 1 smallest : (tensor<?x6xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %3:2 = r1.topk 2 of %2 axis 1 smallest : (tensor<?x6xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  // CHECK: r1.nonzero %{{.*}} : (tensor<?x2xf32>) -> tensor<2x?xi64>
  %4 = r1.nonzero %3#0 : (tensor<?x2xf32>) -> tensor<2x?xi64>
  return %4 : tensor<2x?xi64>
}

// CHECK-LABEL: func.func @deep_indices
func.func @deep_indices(%x: tensor<?x6xui8>, %i: tensor<4x2xi64>) -> (tensor<4xui8>, tensor<?x6xui8>, tensor<2xi64>) {
  // CHECK: r1.gather_nd %{{.*}}, %{{.*}} : (tensor<?x6xui8>, tensor<4x2xi64>) -> tensor<4xui8>
  %0 = r1.gather_nd %x, %i : (tensor<?x6xui8>, tensor<4x2xi64>) -> tensor<4xui8>
  // CHECK: r1.scatter_nd add %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x6xui8>, tensor<4x2xi64>, tensor<4xui8>) -> tensor<?x6xui8>
  %1 = r1.scatter_nd add %x, %i, %0 : (tensor<?x6xui8>, tensor<4x2xi64>, tensor<4xui8>) -> tensor<?x6xui8>
  // CHECK: r1.shape %{{.*}} : (tensor<?x6xui8>) -> tensor<2xi64>
  %2 = r1.shape %1 : (tensor<?x6xui8>) -> tensor<2xi64>
  // CHECK: r1.sort %{{.*}} axis 0 falling : (tensor<2xi64>) -> (tensor<2xi64>, tensor<2xi64>)
  %3:2 = r1.sort %2 axis 0 falling : (tensor<2xi64>) -> (tensor<2xi64>, tensor<2xi64>)
  // CHECK: r1.shift_left %{{.*}}, %{{.*}} : tensor<4xui8>
  %4 = r1.shift_left %0, %0 : tensor<4xui8>
  // CHECK: r1.mod %{{.*}}, %{{.*}} : tensor<4xui8>
  %5 = r1.mod %4, %0 : tensor<4xui8>
  return %5, %1, %3#1 : tensor<4xui8>, tensor<?x6xui8>, tensor<2xi64>
}

// CHECK-LABEL: func.func @state
func.func @state(%w: tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>>, %c: !kv, %rows: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // CHECK: r1.dequantize %{{.*}} : (tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>>) -> tensor<4x6xf32>
  %0 = r1.dequantize %w : (tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>>) -> tensor<4x6xf32>
  // CHECK: r1.cache_append %{{.*}} to key of %{{.*}} layer 1 : (!r1.cache<kv, {{.*}}>, tensor<?x16xf32>) -> !r1.cache<kv,
  %1 = r1.cache_append %rows to key of %c layer 1 : (!kv, tensor<?x16xf32>) -> !kv
  // CHECK: r1.cache_read key of %{{.*}} layer 1 : (!r1.cache<kv, {{.*}}>) -> tensor<?x16xf32>
  %2 = r1.cache_read key of %1 layer 1 : (!kv) -> tensor<?x16xf32>
  // CHECK: r1.softmax %{{.*}} axis 1 : tensor<?x16xf32>
  %3 = r1.softmax %2 axis 1 : tensor<?x16xf32>
  return %3 : tensor<?x16xf32>
}
