// RUN: elah-opt %s -convert-graph-to-exec -split-input-file -verify-diagnostics

// expected-error@+1 {{expected a plain graph's function @main}}
module {
}

// -----

#a = #r1.weight<"a" in "weights.bin" at 8 size 12 : tensor<3xf32>>
#b = #r1.weight<"b" in "weights.bin" at 32 size 12 : tensor<3xf32>>
func.func @main() -> (tensor<2x3xf32> {r1.name = "y"}) {
  // expected-error@+1 {{of several parts or with block scales is none that a plain graph has}}
  %w = r1.weight [#a, #b] : tensor<2x3xf32>
  return %w : tensor<2x3xf32>
}

// -----

// expected-error@+1 {{a compiled graph takes and gives tensors alone, found '!r1.sequence<tensor<?xf32>>'}}
func.func @main(%x: !r1.sequence<tensor<?xf32>> {r1.name = "x"}) -> (tensor<i64> {r1.name = "y"}) {
  %n = r1.sequence_length %x : (!r1.sequence<tensor<?xf32>>) -> tensor<i64>
  return %n : tensor<i64>
}
