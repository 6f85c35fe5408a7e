// RUN: elah-opt %s -convert-r1-to-exec="cpu=znver4 precision=f32" | FileCheck %s

// Weights that lie as a graph multiplies by them, [inputs, outputs], are packed into the panels that checkpoints' weights
// are packed into: only their sources say that they are read the other way.

#norm = #r1.weight<"norm.weight" in "m.onnx" at 0 size 256 : tensor<64xf32>>
#embed = #r1.weight<"embed_tokens.weight" in "m.onnx" at 256 size 25600 : tensor<100x64xf32>>
#q = #r1.weight<"onnx::MatMul_1" in "m.onnx" at 0 size 16384 : tensor<64x64xf32> transposed = true>
#kv = #r1.weight<"onnx::MatMul_2" in "m.onnx" at 0 size 8192 : tensor<32x64xf32> transposed = true>
#o = #r1.weight<"onnx::MatMul_3" in "m.onnx" at 0 size 16384 : tensor<64x64xf32> transposed = true>
#head = #r1.weight<"onnx::MatMul_4" in "m.onnx" at 0 size 25600 : tensor<100x64xf32> transposed = true>
!cache = !r1.cache<kv, layers = 1, key_width = 32, value_width = 32>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>

module attributes {r1.max_context = 128 : i64} {
  // CHECK-DAG: exec.weight @"onnx::MatMul_1" <kind = panels, sources = [#r1.weight<"onnx::MatMul_1"{{[^#]*}}tensor<64x64xf32> transposed = true>, #r1.weight<"onnx::MatMul_2"{{[^#]*}}transposed = true>, {{.*}}packing = <f32, n = 128, k = 64
  // CHECK-DAG: exec.weight @"onnx::MatMul_4" <kind = panels, sources = [{{[^#]*}}#r1.weight<"onnx::MatMul_4"{{[^#]*}}tensor<100x64xf32> transposed = true>], packing = <f32, n = 100, k = 64
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xf32>
    %scale = r1.weight [#norm] : tensor<64xf32>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xf32>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, tensor<64xf32>) -> !rows
    %wq = r1.weight [#q] : tensor<64x64xf32>
    %wkv = r1.weight [#kv] : tensor<32x64xf32>
    %q = r1.linear %x, %wq : (!rows, tensor<64x64xf32>) -> !rows
    %k = r1.linear %x, %wkv : (!rows, tensor<32x64xf32>) -> tensor<?x32xf32>
    %v = r1.linear %x, %wkv : (!rows, tensor<32x64xf32>) -> tensor<?x32xf32>
    %a, %new = r1.attention %q, %k, %v at %positions cache %cache {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, value_dim = 16 : i64, scale = 0.25 : f64, layer = 0 : i64} : (!rows, tensor<?x32xf32>, tensor<?x32xf32>, !i, !cache) -> (!rows, !cache)
    %wo = r1.weight [#o] : tensor<64x64xf32>
    %o = r1.linear %a, %wo : (!rows, tensor<64x64xf32>) -> !rows
    %y = r1.add %h, %o : !rows
    %n = r1.rms_norm %y, %scale {epsilon = 1.0e-6} : (!rows, tensor<64xf32>) -> !rows
    %whead = r1.weight [#head] : tensor<100x64xf32>
    %l = r1.linear %n, %whead : (!rows, tensor<100x64xf32>) -> tensor<?x100xf32>
    return %l, %new : tensor<?x100xf32>, !cache
  }
}
