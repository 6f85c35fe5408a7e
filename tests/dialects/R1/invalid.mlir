// RUN: elah-opt %s -split-input-file -verify-diagnostics
// The weights' and composites' constraints, each broken once; invalid-primitives.mlir has the primitives'.

// expected-error@+1 {{expected blocks of positive size, found 0 x 128}}
#blocks_c1 = #r1.blocks<0, 128>

// -----

// expected-error@+1 {{expected at least one frequency, found none}}
#rope_c1 = #r1.rope<half, [], scale = 1.0>

// -----

// expected-error@+1 {{expected positive layers and key_width and value_width 0, found 2, 24 and 8}}
func.func private @cache_c1(!r1.cache<latent, layers = 2, key_width = 24, value_width = 8>)

// -----

// expected-error@+1 {{expected positive layers and key_width and value_width positive, found 2, 24 and 0}}
func.func private @cache_c1(!r1.cache<kv, layers = 2, key_width = 24, value_width = 0>)

// -----

func.func @weight_c1() -> tensor<2x4xf32> {
  // expected-error@+1 {{must have at least one part}}
  %0 = r1.weight [] : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

#a = #r1.weight<"a" in "model.safetensors" at 0 size 32 : tensor<2x4xf32>>
#b = #r1.weight<"b" in "model.safetensors" at 32 size 16 : tensor<2x4xbf16>>
func.func @weight_c1() -> tensor<2x2x4xf32> {
  // expected-error@+1 {{parts must have one type, found 'tensor<2x4xf32>' and 'tensor<2x4xbf16>'}}
  %0 = r1.weight [#a, #b] : tensor<2x2x4xf32>
  return %0 : tensor<2x2x4xf32>
}

// -----

#a = #r1.weight<"a" in "model.safetensors" at 0 size 32 : tensor<2x4xf32>>
func.func @weight_c2() -> tensor<2x4xf32> {
  // expected-error@+1 {{must return 'tensor<2x2x4xf32>', found 'tensor<2x4xf32>'}}
  %0 = r1.weight [#a, #a] : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

#a = #r1.weight<"a" in "model.safetensors" at 0 size 16 : tensor<2x4xf32>>
func.func @weight_c3() -> tensor<2x4xf32> {
  // expected-error@+1 {{part "a" must have the bytes of 'tensor<2x4xf32>', found 16}}
  %0 = r1.weight [#a] : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

#a = #r1.weight<"a" in "model.safetensors" at 0 size 24 : tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>>>
func.func @weight_c4() -> tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>> {
  // expected-error@+1 {{must have one scale of f32, bf16 or f16 for each of its blocks, found none}}
  %0 = r1.weight [#a] : tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>>
  return %0 : tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>>
}

// -----

#s = #r1.weight<"s" in "model.safetensors" at 24 size 8 : tensor<2x1xf32>>
#a = #r1.weight<"a" in "model.safetensors" at 0 size 24 : tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>> scaled_by #s>
func.func @weight_c4() -> tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>> {
  // expected-error@+1 {{must have one scale of f32, bf16 or f16 for each of its blocks, found 'tensor<2x1xf32>'}}
  %0 = r1.weight [#a] : tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>>
  return %0 : tensor<4x6xf8E4M3FN, #r1.blocks<2, 4>>
}

// -----

#s = #r1.weight<"s" in "model.safetensors" at 24 size 16 : tensor<2x2xf32>>
#a = #r1.weight<"a" in "model.safetensors" at 0 size 48 : tensor<4x6xbf16> scaled_by #s>
func.func @weight_c4() -> tensor<4x6xbf16> {
  // expected-error@+1 {{must have no scales, found 'tensor<2x2xf32>'}}
  %0 = r1.weight [#a] : tensor<4x6xbf16>
  return %0 : tensor<4x6xbf16>
}

// -----

#s = #r1.weight<"s" in "model.onnx" at 24 size 32 : tensor<4x2xf32>>
#z = #r1.weight<"z" in "model.onnx" at 56 size 8 : tensor<4x2xui8>>
#a = #r1.weight<"a" in "model.onnx" at 0 size 12 : tensor<4x6xui4, #r1.blocks<1, 4>> scaled_by #s zeros #z>
func.func @weight_c6() -> tensor<4x6xui4, #r1.blocks<1, 4>> {
  // expected-error@+1 {{must have zero points of its own type for each block of ui4 or ui8, found 'tensor<4x2xui8>'}}
  %0 = r1.weight [#a] : tensor<4x6xui4, #r1.blocks<1, 4>>
  return %0 : tensor<4x6xui4, #r1.blocks<1, 4>>
}

// -----

// expected-error@+1 {{expected a pitch of at least the bytes of a row of 'tensor<4x6xbf16>', found 11}}
#weight_attr_c2 = #r1.weight<"a" in "model.onnx" at 0 size 45 : tensor<4x6xbf16> pitch = 11>

// -----

func.func @embedding_c1(%t: tensor<?xi32>, %w: tensor<8x4xf32>) {
  // expected-error@+1 {{the result must be [?, 4], found 'tensor<?x8xf32>'}}
  %0 = r1.embedding %t, %w : (tensor<?xi32>, tensor<8x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @embedding_c1(%t: tensor<3xi32>, %w: tensor<8x4xf32>) {
  // expected-error@+1 {{the result must be [3, 4], found 'tensor<2x4xf32>'}}
  %0 = r1.embedding %t, %w : (tensor<3xi32>, tensor<8x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @linear_c1(%x: tensor<?x4xf32>, %w: tensor<8x6xbf16>) {
  // expected-error@+1 {{the input must be [?, 6], found 'tensor<?x4xf32>'}}
  %0 = r1.linear %x, %w : (tensor<?x4xf32>, tensor<8x6xbf16>) -> tensor<?x8xf32>
  return
}

// -----

func.func @linear_c2(%x: tensor<?x6xf32>, %w: tensor<8x6xbf16>) {
  // expected-error@+1 {{the result must be [?, 8], found 'tensor<?x6xf32>'}}
  %0 = r1.linear %x, %w : (tensor<?x6xf32>, tensor<8x6xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @linear_c3(%x: tensor<?x6xf32>, %w: tensor<8x6xbf16>, %b: tensor<6xf32>) {
  // expected-error@+1 {{the bias must be [8], found 'tensor<6xf32>'}}
  %0 = r1.linear %x, %w bias %b : (tensor<?x6xf32>, tensor<8x6xbf16>, tensor<6xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @rms_norm_c1(%x: tensor<?x6xf32>, %w: tensor<8xbf16>) {
  // expected-error@+1 {{the weight must be [6], found 'tensor<8xbf16>'}}
  %0 = r1.rms_norm %x, %w {epsilon = 1.0e-6} : (tensor<?x6xf32>, tensor<8xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @rms_norm_c2(%x: tensor<?x8xf32>, %w: tensor<8xbf16>) {
  // expected-error@+1 {{epsilon must be positive, found 0.0}}
  %0 = r1.rms_norm %x, %w {epsilon = 0.0} : (tensor<?x8xf32>, tensor<8xbf16>) -> tensor<?x8xf32>
  return
}

// -----

// expected-error@+1 {{expected a matrix without blocks and pitch to be transposed, found 'tensor<2x4x6xf32>'}}
#weight_attr_c1 = #r1.weight<"a" in "f" at 0 size 192 : tensor<2x4x6xf32> transposed = true>

// -----

func.func @rope_op_c1(%x: tensor<?x16xf32>, %p: tensor<?xi32>) {
  // expected-error@+1 {{heads must divide the input's last dimension, found 3 and 'tensor<?x16xf32>'}}
  %0 = r1.rope %x at %p {heads = 3 : i64, rope = #r1.rope<half, [1.0], scale = 1.0>} : (tensor<?x16xf32>, tensor<?xi32>) -> tensor<?x16xf32>
  return
}

// -----

func.func @rope_op_c2(%x: tensor<?x16xf32>, %p: tensor<?xi32>) {
  // expected-error@+1 {{rope must rotate at most the 2 elements of a head, found 4}}
  %0 = r1.rope %x at %p {heads = 8 : i64, rope = #r1.rope<half, [1.0, 0.5], scale = 1.0>} : (tensor<?x16xf32>, tensor<?xi32>) -> tensor<?x16xf32>
  return
}

// -----

func.func @rope_op_c3(%x: tensor<3x16xf32>, %p: tensor<2xi32>) {
  // expected-error@+1 {{positions must be [3], found 'tensor<2xi32>'}}
  %0 = r1.rope %x at %p {heads = 8 : i64, rope = #r1.rope<half, [1.0], scale = 1.0>} : (tensor<3x16xf32>, tensor<2xi32>) -> tensor<3x16xf32>
  return
}

// -----

func.func @attention_c1(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>,
    %c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) {
  // expected-error@+1 {{heads must be a multiple of kv_heads, found 4 and 3}}
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 3, head_dim = 8, value_dim = 4, scale = 0.5, layer = 0}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) -> (tensor<?x16xf32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>)
  return
}

// -----

func.func @attention_c2(%q: tensor<?x24xf32>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>,
    %c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) {
  // expected-error@+1 {{query must be [?, 32], found 'tensor<?x24xf32>'}}
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 0}
      : (tensor<?x24xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) -> (tensor<?x16xf32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>)
  return
}

// -----

func.func @attention_c2(%q: tensor<?x32xf32>, %k: tensor<?x8xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>,
    %c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) {
  // expected-error@+1 {{key must be [?, 16], found 'tensor<?x8xf32>'}}
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 0}
      : (tensor<?x32xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) -> (tensor<?x16xf32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>)
  return
}

// -----

func.func @attention_c2(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x4xf32>, %p: tensor<?xi32>,
    %c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) {
  // expected-error@+1 {{value must be [?, 8], found 'tensor<?x4xf32>'}}
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 0}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x4xf32>, tensor<?xi32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) -> (tensor<?x16xf32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>)
  return
}

// -----

func.func @attention_c2(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>,
    %c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) {
  // expected-error@+1 {{the result must be [?, 16], found 'tensor<?x8xf32>'}}
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 0}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) -> (tensor<?x8xf32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>)
  return
}

// -----

func.func @attention_c3(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>,
    %c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) {
  // expected-error@+1 {{rope must rotate at most head_dim = 8 elements, found 10}}
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 0, rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125, 0.1], scale = 1.0>}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) -> (tensor<?x16xf32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>)
  return
}

// -----

func.func @attention_c4(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>,
    %c: !r1.cache<latent, layers = 2, key_width = 16, value_width = 0>) {
  // expected-error@+1 {{needs a cache of kind kv with key_width 16 and value_width 8, found}}
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 0}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>, !r1.cache<latent, layers = 2, key_width = 16, value_width = 0>) -> (tensor<?x16xf32>, !r1.cache<latent, layers = 2, key_width = 16, value_width = 0>)
  return
}

// -----

func.func @attention_c4(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>,
    %c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) {
  // expected-error@+1 {{layer must be in 0..1, found 2}}
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 2}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) -> (tensor<?x16xf32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>)
  return
}

// -----

func.func @attention_c5(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>,
    %c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) {
  // expected-error@+1 {{must return a cache exactly if it is given one}}
  %0 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 0}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) -> tensor<?x16xf32>
  return
}

// -----

func.func @attention_c5(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x8xf32>, %p: tensor<?xi32>,
    %c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) {
  // expected-error@+1 {{must return the type of cache that it is given}}
  %0:2 = r1.attention %q, %k, %v at %p cache %c
      {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 4, scale = 0.5, layer = 0}
      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x8xf32>, tensor<?xi32>, !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) -> (tensor<?x16xf32>, !r1.cache<kv, layers = 3, key_width = 16, value_width = 8>)
  return
}

// -----

func.func @latent_attention_c1(%q: tensor<?x16xf32>, %l: tensor<?x14xf32>, %n: tensor<10xf32>, %e: tensor<24x10xbf16>,
    %p: tensor<?xi32>, %c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) {
  // expected-error@+1 {{query must be [?, 24], found 'tensor<?x16xf32>'}}
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = 0,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x16xf32>, tensor<?x14xf32>, tensor<10xf32>, tensor<24x10xbf16>, tensor<?xi32>,
         !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) -> (tensor<?x8xf32>, !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>)
  return
}

// -----

func.func @latent_attention_c1(%q: tensor<?x24xf32>, %l: tensor<?x10xf32>, %n: tensor<10xf32>, %e: tensor<24x10xbf16>,
    %p: tensor<?xi32>, %c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) {
  // expected-error@+1 {{latent must be [?, 14], found 'tensor<?x10xf32>'}}
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = 0,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x10xf32>, tensor<10xf32>, tensor<24x10xbf16>, tensor<?xi32>,
         !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) -> (tensor<?x8xf32>, !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>)
  return
}

// -----

func.func @latent_attention_c1(%q: tensor<?x24xf32>, %l: tensor<?x14xf32>, %n: tensor<14xf32>, %e: tensor<24x10xbf16>,
    %p: tensor<?xi32>, %c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) {
  // expected-error@+1 {{norm_weight must be [10], found 'tensor<14xf32>'}}
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = 0,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x14xf32>, tensor<14xf32>, tensor<24x10xbf16>, tensor<?xi32>,
         !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) -> (tensor<?x8xf32>, !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>)
  return
}

// -----

func.func @latent_attention_c1(%q: tensor<?x24xf32>, %l: tensor<?x14xf32>, %n: tensor<10xf32>, %e: tensor<16x10xbf16>,
    %p: tensor<?xi32>, %c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) {
  // expected-error@+1 {{expand must be [24, 10], found 'tensor<16x10xbf16>'}}
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = 0,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x14xf32>, tensor<10xf32>, tensor<16x10xbf16>, tensor<?xi32>,
         !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) -> (tensor<?x8xf32>, !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>)
  return
}

// -----

func.func @latent_attention_c1(%q: tensor<?x24xf32>, %l: tensor<?x14xf32>, %n: tensor<10xf32>, %e: tensor<24x10xbf16>,
    %p: tensor<?xi32>, %c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) {
  // expected-error@+1 {{the result must be [?, 8], found 'tensor<?x24xf32>'}}
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = 0,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x14xf32>, tensor<10xf32>, tensor<24x10xbf16>, tensor<?xi32>,
         !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) -> (tensor<?x24xf32>, !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>)
  return
}

// -----

func.func @latent_attention_c2(%q: tensor<?x24xf32>, %l: tensor<?x14xf32>, %n: tensor<10xf32>, %e: tensor<24x10xbf16>,
    %p: tensor<?xi32>, %c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) {
  // expected-error@+1 {{rope must rotate rope_dim = 4 elements, found 2}}
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = 0,
       rope = #r1.rope<interleaved, [1.0], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x14xf32>, tensor<10xf32>, tensor<24x10xbf16>, tensor<?xi32>,
         !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) -> (tensor<?x8xf32>, !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>)
  return
}

// -----

func.func @latent_attention_c3(%q: tensor<?x24xf32>, %l: tensor<?x14xf32>, %n: tensor<10xf32>, %e: tensor<24x10xbf16>,
    %p: tensor<?xi32>, %c: !r1.cache<latent, layers = 2, key_width = 12, value_width = 0>) {
  // expected-error@+1 {{needs a cache of kind latent with key_width 14 and value_width 0, found}}
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = 0,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x14xf32>, tensor<10xf32>, tensor<24x10xbf16>, tensor<?xi32>,
         !r1.cache<latent, layers = 2, key_width = 12, value_width = 0>) -> (tensor<?x8xf32>, !r1.cache<latent, layers = 2, key_width = 12, value_width = 0>)
  return
}

// -----

func.func @latent_attention_c3(%q: tensor<?x24xf32>, %l: tensor<?x14xf32>, %n: tensor<10xf32>, %e: tensor<24x10xbf16>,
    %p: tensor<?xi32>, %c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) {
  // expected-error@+1 {{layer must be in 0..1, found -1}}
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = -1,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x14xf32>, tensor<10xf32>, tensor<24x10xbf16>, tensor<?xi32>,
         !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) -> (tensor<?x8xf32>, !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>)
  return
}

// -----

func.func @latent_attention_c4(%q: tensor<?x24xf32>, %l: tensor<?x14xf32>, %n: tensor<10xf32>, %e: tensor<24x10xbf16>,
    %p: tensor<?xi32>, %c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) {
  // expected-error@+1 {{must return a cache exactly if it is given one}}
  %0 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = 1.0e-6, layer = 0,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x14xf32>, tensor<10xf32>, tensor<24x10xbf16>, tensor<?xi32>,
         !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) -> tensor<?x8xf32>
  return
}

// -----

func.func @latent_attention_c5(%q: tensor<?x24xf32>, %l: tensor<?x14xf32>, %n: tensor<10xf32>, %e: tensor<24x10xbf16>,
    %p: tensor<?xi32>, %c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) {
  // expected-error@+1 {{epsilon must be positive}}
  %0:2 = r1.latent_attention %q, %l norm %n expand %e at %p cache %c
      {heads = 2, nope_dim = 8, rope_dim = 4, value_dim = 4, rank = 10, scale = 0.5, epsilon = -1.0, layer = 0,
       rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0>}
      : (tensor<?x24xf32>, tensor<?x14xf32>, tensor<10xf32>, tensor<24x10xbf16>, tensor<?xi32>,
         !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) -> (tensor<?x8xf32>, !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>)
  return
}

// -----

func.func @route_c1(%l: tensor<?x16xf32>, %b: tensor<8xf32>) {
  // expected-error@+1 {{the bias must be [16], found 'tensor<8xf32>'}}
  %0:2 = r1.route %l bias %b
      {routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5>}
      : (tensor<?x16xf32>, tensor<8xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>)
  return
}

// -----

func.func @route_c1(%l: tensor<?x?xf32>, %b: tensor<16xf32>) {
  // expected-error@+1 {{must know the number of experts, found 'tensor<?x?xf32>'}}
  %0:2 = r1.route %l bias %b
      {routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5>}
      : (tensor<?x?xf32>, tensor<16xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>)
  return
}

// -----

func.func @route_c2(%l: tensor<?x16xf32>, %b: tensor<16xf32>) {
  // expected-error@+1 {{top_k must lie in 1..8, found 9}}
  %0:2 = r1.route %l bias %b
      {routing = #r1.routing<sigmoid, top_k = 9, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5>}
      : (tensor<?x16xf32>, tensor<16xf32>) -> (tensor<?x9xi32>, tensor<?x9xf32>)
  return
}

// -----

func.func @route_c2(%l: tensor<?x16xf32>, %b: tensor<16xf32>) {
  // expected-error@+1 {{top_k must lie in 1..8, found 0}}
  %0:2 = r1.route %l bias %b
      {routing = #r1.routing<sigmoid, top_k = 0, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5>}
      : (tensor<?x16xf32>, tensor<16xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>)
  return
}

// -----

func.func @route_c3(%l: tensor<?x16xf32>, %b: tensor<16xf32>) {
  // expected-error@+1 {{groups must divide the 16 experts and top_groups lie in 1..groups, found groups 3 and top_groups 2}}
  %0:2 = r1.route %l bias %b
      {routing = #r1.routing<sigmoid, top_k = 4, groups = 3, top_groups = 2, group_score = top2, normalize = true, scale = 2.5>}
      : (tensor<?x16xf32>, tensor<16xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>)
  return
}

// -----

func.func @route_c3(%l: tensor<?x16xf32>, %b: tensor<16xf32>) {
  // expected-error@+1 {{groups must divide the 16 experts and top_groups lie in 1..groups, found groups 4 and top_groups 5}}
  %0:2 = r1.route %l bias %b
      {routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 5, group_score = top2, normalize = true, scale = 2.5>}
      : (tensor<?x16xf32>, tensor<16xf32>) -> (tensor<?x4xi32>, tensor<?x4xf32>)
  return
}

// -----

func.func @route_c4(%l: tensor<?x16xf32>, %b: tensor<16xf32>) {
  // expected-error@+1 {{experts must be [?, 4], found 'tensor<?x3xi32>'}}
  %0:2 = r1.route %l bias %b
      {routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5>}
      : (tensor<?x16xf32>, tensor<16xf32>) -> (tensor<?x3xi32>, tensor<?x4xf32>)
  return
}

// -----

func.func @route_c4(%l: tensor<?x16xf32>, %b: tensor<16xf32>) {
  // expected-error@+1 {{weights must be [?, 4], found 'tensor<?x3xf32>'}}
  %0:2 = r1.route %l bias %b
      {routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5>}
      : (tensor<?x16xf32>, tensor<16xf32>) -> (tensor<?x4xi32>, tensor<?x3xf32>)
  return
}

// -----

func.func @experts_c1(%x: tensor<?x6xf32>, %e: tensor<?x2xi32>, %w: tensor<?x2xf32>, %g: tensor<4x8x5xbf16>, %u: tensor<4x8x6xbf16>,
    %d: tensor<4x6x8xbf16>) {
  // expected-error@+1 {{gate must be [4, 8, 6], found 'tensor<4x8x5xbf16>'}}
  %0 = r1.experts %x to %e, %w gate %g up %u down %d : (tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x8x5xbf16>,
      tensor<4x8x6xbf16>, tensor<4x6x8xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @experts_c1(%x: tensor<?x6xf32>, %e: tensor<?x2xi32>, %w: tensor<?x2xf32>, %g: tensor<4x8x6xbf16>, %u: tensor<3x8x6xbf16>,
    %d: tensor<4x6x8xbf16>) {
  // expected-error@+1 {{up must be [4, 8, 6], found 'tensor<3x8x6xbf16>'}}
  %0 = r1.experts %x to %e, %w gate %g up %u down %d : (tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x8x6xbf16>,
      tensor<3x8x6xbf16>, tensor<4x6x8xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @experts_c1(%x: tensor<?x6xf32>, %e: tensor<?x2xi32>, %w: tensor<?x2xf32>, %g: tensor<4x8x6xbf16>, %u: tensor<4x8x6xbf16>,
    %d: tensor<4x8x6xbf16>) {
  // expected-error@+1 {{down must be [4, 6, 8], found 'tensor<4x8x6xbf16>'}}
  %0 = r1.experts %x to %e, %w gate %g up %u down %d : (tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x8x6xbf16>,
      tensor<4x8x6xbf16>, tensor<4x8x6xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @experts_c2(%x: tensor<?x6xf32>, %e: tensor<?x2xi32>, %w: tensor<?x3xf32>, %g: tensor<4x8x6xbf16>, %u: tensor<4x8x6xbf16>,
    %d: tensor<4x6x8xbf16>) {
  // expected-error@+1 {{weights must be [?, 2], found 'tensor<?x3xf32>'}}
  %0 = r1.experts %x to %e, %w gate %g up %u down %d : (tensor<?x6xf32>, tensor<?x2xi32>, tensor<?x3xf32>, tensor<4x8x6xbf16>,
      tensor<4x8x6xbf16>, tensor<4x6x8xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @next_token_block_c1(%h: tensor<?x6xf32>, %e: tensor<?x6xf32>, %p: tensor<?xi32>, %hn: tensor<5xf32>, %en: tensor<6xf32>,
    %w: tensor<6x12xbf16>) {
  // expected-error@+1 {{hidden_norm must be [6], found 'tensor<5xf32>'}}
  %0 = r1.next_token_block %h, %e at %p norms %hn, %en projection %w {epsilon = 1.0e-6}
      : (tensor<?x6xf32>, tensor<?x6xf32>, tensor<?xi32>, tensor<5xf32>, tensor<6xf32>, tensor<6x12xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @next_token_block_c1(%h: tensor<?x6xf32>, %e: tensor<?x6xf32>, %p: tensor<?xi32>, %hn: tensor<6xf32>, %en: tensor<12xf32>,
    %w: tensor<6x12xbf16>) {
  // expected-error@+1 {{embedding_norm must be [6], found 'tensor<12xf32>'}}
  %0 = r1.next_token_block %h, %e at %p norms %hn, %en projection %w {epsilon = 1.0e-6}
      : (tensor<?x6xf32>, tensor<?x6xf32>, tensor<?xi32>, tensor<6xf32>, tensor<12xf32>, tensor<6x12xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @next_token_block_c1(%h: tensor<4x6xf32>, %e: tensor<4x6xf32>, %p: tensor<3xi32>, %hn: tensor<6xf32>, %en: tensor<6xf32>,
    %w: tensor<6x12xbf16>) {
  // expected-error@+1 {{positions must be [4], found 'tensor<3xi32>'}}
  %0 = r1.next_token_block %h, %e at %p norms %hn, %en projection %w {epsilon = 1.0e-6}
      : (tensor<4x6xf32>, tensor<4x6xf32>, tensor<3xi32>, tensor<6xf32>, tensor<6xf32>, tensor<6x12xbf16>) -> tensor<4x6xf32>
  return
}

// -----

func.func @next_token_block_c2(%h: tensor<?x6xf32>, %e: tensor<?x6xf32>, %p: tensor<?xi32>, %hn: tensor<6xf32>, %en: tensor<6xf32>,
    %w: tensor<12x6xbf16>) {
  // expected-error@+1 {{projection must be [6, 12], found 'tensor<12x6xbf16>'}}
  %0 = r1.next_token_block %h, %e at %p norms %hn, %en projection %w {epsilon = 1.0e-6}
      : (tensor<?x6xf32>, tensor<?x6xf32>, tensor<?xi32>, tensor<6xf32>, tensor<6xf32>, tensor<12x6xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @next_token_block_c3(%h: tensor<?x6xf32>, %e: tensor<?x6xf32>, %p: tensor<?xi32>, %hn: tensor<6xf32>, %en: tensor<6xf32>,
    %w: tensor<6x12xbf16>) {
  // expected-error@+1 {{epsilon must be positive}}
  %0 = r1.next_token_block %h, %e at %p norms %hn, %en projection %w {epsilon = 0.0}
      : (tensor<?x6xf32>, tensor<?x6xf32>, tensor<?xi32>, tensor<6xf32>, tensor<6xf32>, tensor<6x12xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @experts_c2(%x: tensor<?x6xf32>, %e: tensor<?x?xi32>, %w: tensor<?x?xf32>, %g: tensor<4x8x6xbf16>,
    %d: tensor<4x6x8xbf16>) {
  // expected-error@+1 {{must know the number of experts of a token, found 'tensor<?x?xi32>'}}
  %0 = r1.experts %x to %e, %w gate %g up %g down %d : (tensor<?x6xf32>, tensor<?x?xi32>, tensor<?x?xf32>,
      tensor<4x8x6xbf16>, tensor<4x8x6xbf16>, tensor<4x6x8xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @next_token_block_c1(%h: tensor<?x6xf32>, %e: tensor<?x4xf32>, %p: tensor<?xi32>, %n: tensor<6xf32>,
    %w: tensor<6x12xbf16>) {
  // expected-error@+1 {{embedded must be [?, 6], found 'tensor<?x4xf32>'}}
  %0 = r1.next_token_block %h, %e at %p norms %n, %n projection %w {epsilon = 1.0e-6}
      : (tensor<?x6xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<6xf32>, tensor<6xf32>, tensor<6x12xbf16>) -> tensor<?x6xf32>
  return
}

// -----

func.func @weight_c5() {
  // expected-error@+1 {{value must be 'tensor<2xf32>', found 'tensor<3xf32>'}}
  %0 = r1.weight [#r1.weight<"w" in "m.onnx" at 0 size 8 : tensor<2xf32>>] value dense<1.0> : tensor<3xf32> : tensor<2xf32>
  return
}
