// RUN: elah-opt %s --r1-expand-quantized | FileCheck %s

#s = #r1.weight<"s" in "w" at 64 size 16 : tensor<2x2xf32>>
#z = #r1.weight<"z" in "w" at 80 size 2 : tensor<2x2xui4>>
#a = #r1.weight<"a" in "w" at 0 size 26 : tensor<2x20xui4, #r1.blocks<1, 16>> scaled_by #s zeros #z pitch = 16>
#b = #r1.weight<"b" in "w" at 0 size 64 : tensor<2x32xui8, #r1.blocks<1, 16>> scaled_by #s>

// Bytes hold two numbers, and rows are padded to whole blocks.
// CHECK-LABEL: @u4
// CHECK: %[[BYTES:.*]] = r1.weight [#r1.weight<"a" in "w" at 0 size 32 : tensor<2x16xui8>>] : tensor<2x16xui8>
// CHECK: r1.mod %[[BYTES]]
// CHECK: r1.div %[[BYTES]]
// CHECK: r1.slice {{.*}} -> tensor<2x20xui8>
// CHECK: r1.weight [#r1.weight<"z" in "w" at 80 size 2 : tensor<2x1xui8>>]
// CHECK: r1.weight [#r1.weight<"s"
// CHECK: r1.sub {{.*}} : tensor<2x20xf32>
// CHECK: %[[RESULT:.*]] = r1.mul
// CHECK-NOT: r1.dequantize
// CHECK: return %[[RESULT]]
func.func @u4() -> tensor<2x20xf32> {
  %0 = r1.weight [#a] : tensor<2x20xui4, #r1.blocks<1, 16>>
  %1 = r1.dequantize %0 : (tensor<2x20xui4, #r1.blocks<1, 16>>) -> tensor<2x20xf32>
  return %1 : tensor<2x20xf32>
}

// CHECK-LABEL: @u8
// CHECK: r1.constant dense<1.280000e+02>
// CHECK-NOT: r1.dequantize
// CHECK: r1.sub {{.*}} : (tensor<2x32xf32>, tensor<f32>) -> tensor<2x32xf32>
func.func @u8() -> tensor<2x32xf32> {
  %0 = r1.weight [#b] : tensor<2x32xui8, #r1.blocks<1, 16>>
  %1 = r1.dequantize %0 : (tensor<2x32xui8, #r1.blocks<1, 16>>) -> tensor<2x32xf32>
  return %1 : tensor<2x32xf32>
}
