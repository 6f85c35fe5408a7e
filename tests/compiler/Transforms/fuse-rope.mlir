// RUN: elah-opt %s -r1-fuse-rope -r1-simplify-views -canonicalize -split-input-file | FileCheck %s

// Llama as TorchScript and dynamo write it: angles from a product with the frequencies, both halves of cosines, heads in
// front of tokens, rotate_half.
// CHECK-LABEL: func.func @rotate_half
func.func @rotate_half(%x: tensor<?x16xf32>, %positions: tensor<?xi32>) -> tensor<1x2x?x8xf32> {
  // CHECK-NEXT: %[[ROPE:.*]] = r1.rope %arg0 at %arg1 {heads = 2 : i64, rope = #r1.rope<half, [1.000000e+00, 1.000000e-01, 1.000000e-02, 1.000000e-03], scale = 1.000000e+00 : f64>}
  // CHECK-NEXT: %[[HEADS:.*]] = r1.reshape %[[ROPE]] to [-1, 1, 2, 8]
  // CHECK-NEXT: r1.transpose %[[HEADS]] by [1, 2, 0, 3]
  %inv_freq = r1.constant dense<[[[1.0], [0.1], [0.01], [0.001]]]> : tensor<1x4x1xf32>
  %p64 = r1.cast %positions to i64 : (tensor<?xi32>) -> tensor<?xi64>
  %p = r1.reshape %p64 to [1, 1, -1] : (tensor<?xi64>) -> tensor<1x1x?xi64>
  %pf = r1.cast %p to f32 : (tensor<1x1x?xi64>) -> tensor<1x1x?xf32>
  %m = r1.matmul %inv_freq, %pf : (tensor<1x4x1xf32>, tensor<1x1x?xf32>) -> tensor<1x4x?xf32>
  %f = r1.transpose %m by [0, 2, 1] : (tensor<1x4x?xf32>) -> tensor<1x?x4xf32>
  %e = r1.concat %f, %f axis 2 : (tensor<1x?x4xf32>, tensor<1x?x4xf32>) -> tensor<1x?x8xf32>
  %c = r1.cos %e : tensor<1x?x8xf32>
  %s = r1.sin %e : tensor<1x?x8xf32>
  %c4 = r1.reshape %c to [1, 1, -1, 8] : (tensor<1x?x8xf32>) -> tensor<1x1x?x8xf32>
  %s4 = r1.reshape %s to [1, 1, -1, 8] : (tensor<1x?x8xf32>) -> tensor<1x1x?x8xf32>
  %0 = r1.reshape %x to [1, -1, 2, 8] : (tensor<?x16xf32>) -> tensor<1x?x2x8xf32>
  %1 = r1.transpose %0 by [0, 2, 1, 3] : (tensor<1x?x2x8xf32>) -> tensor<1x2x?x8xf32>
  %2 = r1.mul %1, %c4 : (tensor<1x2x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<1x2x?x8xf32>
  %3 = r1.slice %1 axis 3 from 0 to 4 : (tensor<1x2x?x8xf32>) -> tensor<1x2x?x4xf32>
  %4 = r1.slice %1 axis 3 from 4 : (tensor<1x2x?x8xf32>) -> tensor<1x2x?x4xf32>
  %5 = r1.neg %4 : tensor<1x2x?x4xf32>
  %6 = r1.concat %5, %3 axis 3 : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x8xf32>
  %7 = r1.mul %6, %s4 : (tensor<1x2x?x8xf32>, tensor<1x1x?x8xf32>) -> tensor<1x2x?x8xf32>
  %8 = r1.add %2, %7 : tensor<1x2x?x8xf32>
  return %8 : tensor<1x2x?x8xf32>
}

// -----

// Tables of cosines and sines for all positions, looked up by position; scaled, as YaRN does.
// CHECK-LABEL: func.func @tables
func.func @tables(%x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x2x4xf32> {
  // CHECK: r1.rope %arg0 at %arg1 {heads = 2 : i64, rope = #r1.rope<half, [1.{{0*}}e+00, 1.{{0*}}e-02], scale = 2.000000e+00 : f64>}
  // CHECK-NOT: r1.gather
  %cosines = r1.constant dense<[[2.0, 2.0], [1.0806046118, 1.9999000008], [-0.8322936731, 1.9996000133], [-1.9799849932, 1.9991000675]]> : tensor<4x2xf32>
  %sines = r1.constant dense<[[0.0, 0.0], [1.6829419696, 0.0199996667], [1.8185948537, 0.0399973334], [0.2822400161, 0.0599910004]]> : tensor<4x2xf32>
  %c = r1.gather %cosines, %positions axis 0 : (tensor<4x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %s = r1.gather %sines, %positions axis 0 : (tensor<4x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %c3 = r1.reshape %c to [-1, 1, 2] : (tensor<?x2xf32>) -> tensor<?x1x2xf32>
  %s3 = r1.reshape %s to [-1, 1, 2] : (tensor<?x2xf32>) -> tensor<?x1x2xf32>
  %0 = r1.reshape %x to [-1, 2, 4] : (tensor<?x8xf32>) -> tensor<?x2x4xf32>
  %a = r1.slice %0 axis 2 from 0 to 2 : (tensor<?x2x4xf32>) -> tensor<?x2x2xf32>
  %b = r1.slice %0 axis 2 from 2 to 4 : (tensor<?x2x4xf32>) -> tensor<?x2x2xf32>
  %1 = r1.mul %a, %c3 : (tensor<?x2x2xf32>, tensor<?x1x2xf32>) -> tensor<?x2x2xf32>
  %2 = r1.mul %b, %s3 : (tensor<?x2x2xf32>, tensor<?x1x2xf32>) -> tensor<?x2x2xf32>
  %3 = r1.sub %1, %2 : tensor<?x2x2xf32>
  %4 = r1.mul %a, %s3 : (tensor<?x2x2xf32>, tensor<?x1x2xf32>) -> tensor<?x2x2xf32>
  %5 = r1.mul %b, %c3 : (tensor<?x2x2xf32>, tensor<?x1x2xf32>) -> tensor<?x2x2xf32>
  %6 = r1.add %5, %4 : tensor<?x2x2xf32>
  %7 = r1.concat %3, %6 axis 2 : (tensor<?x2x2xf32>, tensor<?x2x2xf32>) -> tensor<?x2x4xf32>
  return %7 : tensor<?x2x4xf32>
}

// -----

// Pairs of neighbours in the last part of each head, as complex numbers; the positions are those of the rows.
// CHECK-LABEL: func.func @interleaved_part
func.func @interleaved_part(%x: tensor<?x12xf32>) -> tensor<?x2x4xf32> {
  // CHECK-DAG: %[[POSITIONS:.*]] = r1.cast %{{.*}} to i32
  // CHECK-DAG: %[[HEADS:.*]] = r1.reshape %arg0 to [-1, 2, 6
  // CHECK-DAG: %[[PART:.*]] = r1.slice %{{.*}} axis 2 from 2 to 6
  // CHECK: r1.rope %{{.*}} at %[[POSITIONS]] {heads = 2 : i64, rope = #r1.rope<interleaved, [1.000000e+00, 5.000000e-01], scale = 1.000000e+00 : f64>} : (tensor<?x8xf32>
  %frequencies = r1.constant dense<[1.0, 0.5]> : tensor<2xf32>
  %zero = r1.constant dense<0> : tensor<i64>
  %one = r1.constant dense<1> : tensor<i64>
  %count = r1.dim %x, 0 : tensor<?x12xf32>
  %range = r1.range %zero, %count, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %p = r1.cast %range to f32 : (tensor<?xi64>) -> tensor<?xf32>
  %column = r1.reshape %p to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %angles = r1.mul %column, %frequencies : (tensor<?x1xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %cos = r1.cos %angles : tensor<?x2xf32>
  %sin = r1.sin %angles : tensor<?x2xf32>
  %c = r1.reshape %cos to [-1, 1, 2, 1] : (tensor<?x2xf32>) -> tensor<?x1x2x1xf32>
  %s = r1.reshape %sin to [-1, 1, 2, 1] : (tensor<?x2xf32>) -> tensor<?x1x2x1xf32>
  %0 = r1.reshape %x to [-1, 2, 6] : (tensor<?x12xf32>) -> tensor<?x2x6xf32>
  %1 = r1.slice %0 axis 2 from 2 to 6 : (tensor<?x2x6xf32>) -> tensor<?x2x4xf32>
  %2 = r1.reshape %1 to [-1, 2, 2, 2] : (tensor<?x2x4xf32>) -> tensor<?x2x2x2xf32>
  %real = r1.slice %2 axis 3 from 0 to 1 : (tensor<?x2x2x2xf32>) -> tensor<?x2x2x1xf32>
  %imaginary = r1.slice %2 axis 3 from 1 to 2 : (tensor<?x2x2x2xf32>) -> tensor<?x2x2x1xf32>
  %3 = r1.mul %real, %c : (tensor<?x2x2x1xf32>, tensor<?x1x2x1xf32>) -> tensor<?x2x2x1xf32>
  %4 = r1.mul %imaginary, %s : (tensor<?x2x2x1xf32>, tensor<?x1x2x1xf32>) -> tensor<?x2x2x1xf32>
  %5 = r1.sub %3, %4 : tensor<?x2x2x1xf32>
  %6 = r1.mul %real, %s : (tensor<?x2x2x1xf32>, tensor<?x1x2x1xf32>) -> tensor<?x2x2x1xf32>
  %7 = r1.mul %imaginary, %c : (tensor<?x2x2x1xf32>, tensor<?x1x2x1xf32>) -> tensor<?x2x2x1xf32>
  %8 = r1.add %6, %7 : tensor<?x2x2x1xf32>
  %9 = r1.concat %5, %8 axis 3 : (tensor<?x2x2x1xf32>, tensor<?x2x2x1xf32>) -> tensor<?x2x2x2xf32>
  %10 = r1.reshape %9 to [-1, 2, 4] : (tensor<?x2x2x2xf32>) -> tensor<?x2x4xf32>
  return %10 : tensor<?x2x4xf32>
}

// -----

// A reflection is no rotation.
// CHECK-LABEL: func.func @reflection
func.func @reflection(%x: tensor<?x2xf32>, %positions: tensor<?xi32>) -> tensor<?x2xf32> {
  // CHECK-NOT: r1.rope
  %p = r1.cast %positions to f32 : (tensor<?xi32>) -> tensor<?xf32>
  %angles = r1.reshape %p to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %c = r1.cos %angles : tensor<?x1xf32>
  %s = r1.sin %angles : tensor<?x1xf32>
  %a = r1.slice %x axis 1 from 0 to 1 : (tensor<?x2xf32>) -> tensor<?x1xf32>
  %b = r1.slice %x axis 1 from 1 to 2 : (tensor<?x2xf32>) -> tensor<?x1xf32>
  %0 = r1.mul %a, %c : tensor<?x1xf32>
  %1 = r1.mul %b, %s : tensor<?x1xf32>
  %2 = r1.add %0, %1 : tensor<?x1xf32>
  %3 = r1.mul %a, %s : tensor<?x1xf32>
  %4 = r1.mul %b, %c : tensor<?x1xf32>
  %5 = r1.sub %3, %4 : tensor<?x1xf32>
  %6 = r1.concat %2, %5 axis 1 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  return %6 : tensor<?x2xf32>
}

// -----

// Rotated halves that are put behind the rest of a head at once.
// CHECK-LABEL: func.func @halves_behind
func.func @halves_behind(%x: tensor<?x6xf32>, %positions: tensor<?xi32>) -> tensor<?x6xf32> {
  // CHECK: %[[PART:.*]] = r1.slice %arg0 axis 1 from 2 to 6
  // CHECK: %[[ROPE:.*]] = r1.rope %{{.*}} at %arg1 {heads = 1 : i64, rope = #r1.rope<half, [1.000000e+00, 5.000000e-01], scale = 1.000000e+00 : f64>} : (tensor<?x4xf32>
  // CHECK: r1.concat %{{.*}}, %[[ROPE]] axis 1 : (tensor<?x2xf32>, tensor<?x4xf32>) -> tensor<?x6xf32>
  %frequencies = r1.constant dense<[1.0, 0.5]> : tensor<2xf32>
  %p = r1.cast %positions to f32 : (tensor<?xi32>) -> tensor<?xf32>
  %column = r1.reshape %p to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %angles = r1.mul %column, %frequencies : (tensor<?x1xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %c = r1.cos %angles : tensor<?x2xf32>
  %s = r1.sin %angles : tensor<?x2xf32>
  %rest = r1.slice %x axis 1 from 0 to 2 : (tensor<?x6xf32>) -> tensor<?x2xf32>
  %a = r1.slice %x axis 1 from 2 to 4 : (tensor<?x6xf32>) -> tensor<?x2xf32>
  %b = r1.slice %x axis 1 from 4 to 6 : (tensor<?x6xf32>) -> tensor<?x2xf32>
  %0 = r1.mul %a, %c : tensor<?x2xf32>
  %1 = r1.mul %b, %s : tensor<?x2xf32>
  %first = r1.sub %0, %1 : tensor<?x2xf32>
  %2 = r1.mul %a, %s : tensor<?x2xf32>
  %3 = r1.mul %b, %c : tensor<?x2xf32>
  %second = r1.add %2, %3 : tensor<?x2xf32>
  %y = r1.concat %rest, %first, %second axis 1 : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
