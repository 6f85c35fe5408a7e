// RUN: elah-opt %s -convert-r1-to-exec=cpu=znver4 -verify-diagnostics | FileCheck %s

// Multi-token prediction is dropped; the model runs without it.

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#norm = #r1.weight<"norm.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
// CHECK-NOT: @next_token
// CHECK: exec.program @forward
// CHECK-NOT: @next_token
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#norm] : tensor<64xbf16>
    %h = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<100x64xbf16>) -> tensor<?x64xf32>
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xbf16>) -> tensor<?x64xf32>
    %l = r1.linear %x, %table : (tensor<?x64xf32>, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
  // expected-remark@+1 {{multi-token prediction is left out: no program runs @next_token yet}}
  func.func @next_token(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %hidden: tensor<?x64xf32>, %cache: !cache) -> (tensor<?x64xf32>, !cache) {
    return %hidden, %cache : tensor<?x64xf32>, !cache
  }
}
