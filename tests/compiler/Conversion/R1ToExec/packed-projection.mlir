// RUN: elah-opt %s -convert-r1-to-exec="cpu=znver4 precision=f32" | FileCheck %s

// One projection makes queries, keys and values (the GenAI builder's packed form): the parts that attention reads are
// columns of its buffer, and no kernel.

#norm = #r1.weight<"norm.weight" in "m.onnx" at 0 size 256 : tensor<64xf32>>
#embed = #r1.weight<"embed_tokens.weight" in "m.onnx" at 256 size 25600 : tensor<100x64xf32>>
#qkv = #r1.weight<"qkv_proj" in "m.onnx" at 0 size 32768 : tensor<128x64xf32> transposed = true>
!cache = !r1.cache<kv, layers = 1, key_width = 32, value_width = 32>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>

module attributes {r1.max_context = 128 : i64} {
  // CHECK: %[[QKV:.*]] = exec.alloc rows <tokens> : memref<?x128xf32>
  // CHECK: kernel.gemm %{{.*}}, %{{.*}} to %[[QKV]]
  // CHECK-NOT: kernel.gemm
  // CHECK: kernel.rope_append %[[QKV]]
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xf32>
    %scale = r1.weight [#norm] : tensor<64xf32>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xf32>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, tensor<64xf32>) -> !rows
    %w = r1.weight [#qkv] : tensor<128x64xf32>
    %all = r1.linear %x, %w : (!rows, tensor<128x64xf32>) -> tensor<?x128xf32>
    %q = r1.slice %all axis 1 from 0 to 64 : (tensor<?x128xf32>) -> !rows
    %k = r1.slice %all axis 1 from 64 to 96 : (tensor<?x128xf32>) -> tensor<?x32xf32>
    %v = r1.slice %all axis 1 from 96 to 128 : (tensor<?x128xf32>) -> tensor<?x32xf32>
    %a, %new = r1.attention %q, %k, %v at %positions cache %cache {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64, value_dim = 16 : i64, scale = 0.25 : f64, layer = 0 : i64} : (!rows, tensor<?x32xf32>, tensor<?x32xf32>, !i, !cache) -> (!rows, !cache)
    %n = r1.rms_norm %a, %scale {epsilon = 1.0e-6} : (!rows, tensor<64xf32>) -> !rows
    %l = r1.linear %n, %table : (!rows, tensor<100x64xf32>) -> tensor<?x100xf32>
    return %l, %new : tensor<?x100xf32>, !cache
  }
}
