// RUN: elah-opt %s -convert-graph-to-exec | FileCheck %s

#w = #r1.weight<"w" in "weights.bin" at 8 size 24 : tensor<2x3xf32>>
#b = #r1.weight<"b" in "weights.bin" at 32 size 12 : tensor<3xf32>>

// Two operations that read the same bytes share them.
// CHECK: exec.weight @w <kind = table, sources = [#r1.weight<"w" in "weights.bin" at 8 size 24 : tensor<2x3xf32>>]> bytes 24
// CHECK: exec.weight @b <kind = table, {{.*}} bytes 12
// CHECK: exec.graph @graph runs @main weights [@w, @b, @w]
// CHECK: func.func @main
func.func @main(%x: tensor<?x2xf32> {r1.name = "x"}) -> (tensor<?x3xf32> {r1.name = "y"}) {
  %w = r1.weight [#w] : tensor<2x3xf32>
  %b = r1.weight [#b] : tensor<3xf32>
  %again = r1.weight [#w] : tensor<2x3xf32>
  %sum = r1.add %w, %again : tensor<2x3xf32>
  %product = r1.matmul %x, %sum : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  %y = r1.add %product, %b : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
