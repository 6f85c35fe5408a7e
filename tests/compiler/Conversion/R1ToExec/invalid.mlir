// RUN: elah-opt %s -convert-r1-to-exec=cpu=znver4 -split-input-file -verify-diagnostics

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// A residual is read after it was added to.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %a = r1.linear %x, %w : (!rows, !m) -> !rows
    // expected-error@+1 {{expected this sum to be the last to read the residual that it adds to}}
    %s = r1.add %h, %a : !rows
    // expected-note@+1 {{also read here}}
    %late = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %b = r1.linear %late, %w : (!rows, !m) -> !rows
    %s2 = r1.add %s, %b : !rows
    %f = r1.rms_norm %s2, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// A product reads the residual that it would add to.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    // expected-note@+1 {{also read here}}
    %a = r1.linear %h, %w : (!rows, !m) -> !rows
    // expected-error@+1 {{expected this sum to be the last to read the residual that it adds to}}
    %s = r1.add %h, %a : !rows
    %f = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// The factors of a swiglu have different inputs.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %a = r1.linear %x, %w : (!rows, !m) -> !rows
    %y = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %b = r1.linear %y, %w : (!rows, !m) -> !rows
    // expected-error@+1 {{expected gate and up to be linear maps of one input, used only here and both with a bias or both without}}
    %g = r1.swiglu %a, %b : !rows
    %d = r1.linear %g, %w : (!rows, !m) -> !rows
    %s = r1.add %h, %d : !rows
    %f = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// Query, key and value come in another order.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %k = r1.linear %x, %w : (!rows, !m) -> !rows
    %q = r1.linear %x, %w : (!rows, !m) -> !rows
    %v = r1.linear %x, %w : (!rows, !m) -> !rows
    // expected-error@+1 {{expected query, key and value to be linear maps of one input, in this order}}
    %a, %c = r1.attention %q, %k, %v at %positions cache %cache {heads = 4, kv_heads = 4, head_dim = 16, value_dim = 16, scale = 0.25, layer = 0} : (!rows, !rows, !rows, !i, !cache) -> (!rows, !cache)
    %o = r1.linear %a, %w : (!rows, !m) -> !rows
    %s = r1.add %h, %o : !rows
    %f = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %c : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// The positions are not those of the step.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %q = r1.linear %x, %w : (!rows, !m) -> !rows
    %k = r1.linear %x, %w : (!rows, !m) -> !rows
    %v = r1.linear %x, %w : (!rows, !m) -> !rows
    // expected-error@+1 {{expected the function's positions}}
    %a, %c = r1.attention %q, %k, %v at %tokens cache %cache {heads = 4, kv_heads = 4, head_dim = 16, value_dim = 16, scale = 0.25, layer = 0} : (!rows, !rows, !rows, !i, !cache) -> (!rows, !cache)
    %o = r1.linear %a, %w : (!rows, !m) -> !rows
    %s = r1.add %h, %o : !rows
    %f = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %c : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// An older state of the cache is read.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %q = r1.linear %x, %w : (!rows, !m) -> !rows
    %k = r1.linear %x, %w : (!rows, !m) -> !rows
    %v = r1.linear %x, %w : (!rows, !m) -> !rows
    %a, %c = r1.attention %q, %k, %v at %positions cache %cache {heads = 4, kv_heads = 4, head_dim = 16, value_dim = 16, scale = 0.25, layer = 0} : (!rows, !rows, !rows, !i, !cache) -> (!rows, !cache)
    // expected-error@+1 {{expected the cache in its latest state}}
    %b, %c2 = r1.attention %q, %k, %v at %positions cache %cache {heads = 4, kv_heads = 4, head_dim = 16, value_dim = 16, scale = 0.25, layer = 0} : (!rows, !rows, !rows, !i, !cache) -> (!rows, !cache)
    %o = r1.linear %a, %w : (!rows, !m) -> !rows
    %s = r1.add %h, %o : !rows
    %p = r1.linear %b, %w : (!rows, !m) -> !rows
    %s2 = r1.add %s, %p : !rows
    %f = r1.rms_norm %s2, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %c2 : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// An older state of the cache is returned.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %q = r1.linear %x, %w : (!rows, !m) -> !rows
    %k = r1.linear %x, %w : (!rows, !m) -> !rows
    %v = r1.linear %x, %w : (!rows, !m) -> !rows
    %a, %c = r1.attention %q, %k, %v at %positions cache %cache {heads = 4, kv_heads = 4, head_dim = 16, value_dim = 16, scale = 0.25, layer = 0} : (!rows, !rows, !rows, !i, !cache) -> (!rows, !cache)
    %o = r1.linear %a, %w : (!rows, !m) -> !rows
    %s = r1.add %h, %o : !rows
    %f = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    // expected-error@+1 {{expected the cache in its latest state}}
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// Logits are not normalized.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    // expected-error@+1 {{expected logits of an r1.rms_norm, found an input from r1.embedding}}
    %l = r1.linear %h, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// The tokens are not those of the step.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    // expected-error@+1 {{expected the function's tokens}}
    %e = r1.embedding %positions, %table : (!i, tensor<100x64xbf16>) -> !rows
    %a = r1.linear %x, %w : (!rows, !m) -> !rows
    %s = r1.add %e, %a : !rows
    %f = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

// An operation that is no composite.
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
module attributes {r1.max_context = 128 : i64} {
  func.func private @logits(tensor<?xi32>) -> tensor<?x100xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    // expected-error@+1 {{has no kernel: expected composites of r1}}
    %l = call @logits(%tokens) : (tensor<?xi32>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

// Something else than a product at the end.
#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x64xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %h = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<100x64xbf16>) -> tensor<?x64xf32>
    // expected-error@+1 {{expected logits that are a linear map of a norm, used only here}}
    return %h, %cache : tensor<?x64xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// Two routers.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %r = r1.linear %x, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    %e, %ew = r1.route %r {routing = #routing} : (tensor<?x100xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
    %es = r1.weight [#square, #square] : tensor<2x64x64xbf16>
    // expected-error@+1 {{expected experts and weights of one r1.route among 2 experts}}
    %m = r1.experts %x to %e, %ew gate %es up %es down %es : (!rows, tensor<?x2xi32>, tensor<?x2xf32>, tensor<2x64x64xbf16>, tensor<2x64x64xbf16>, tensor<2x64x64xbf16>) -> !rows
    %s = r1.add %h, %m : !rows
    %f = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// A sum repeats a column.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %c = r1.weight [#column] : tensor<1x64xbf16>
    %a = r1.linear %x, %c : (!rows, tensor<1x64xbf16>) -> tensor<?x1xf32>
    // expected-error@+1 {{expected rows of 'tensor<?x64xf32>', found 'tensor<?x1xf32>'}}
    %s = r1.add %h, %a : (!rows, tensor<?x1xf32>) -> !rows
    %f = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// Experts have nothing to add to.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %r = r1.linear %x, %two : (!rows, tensor<2x64xbf16>) -> tensor<?x2xf32>
    %e, %ew = r1.route %r {routing = #routing} : (tensor<?x2xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
    %es = r1.weight [#square, #square] : tensor<2x64x64xbf16>
    %a = r1.experts %x to %e, %ew gate %es up %es down %es : (!rows, tensor<?x2xi32>, tensor<?x2xf32>, tensor<2x64x64xbf16>, tensor<2x64x64xbf16>, tensor<2x64x64xbf16>) -> !rows
    %b = r1.experts %x to %e, %ew gate %es up %es down %es : (!rows, tensor<?x2xi32>, tensor<?x2xf32>, tensor<2x64x64xbf16>, tensor<2x64x64xbf16>, tensor<2x64x64xbf16>) -> !rows
    // expected-error@+1 {{expected a residual or a linear map as one operand}}
    %s = r1.add %a, %b : !rows
    %f = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 8192 : tensor<64x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
#routing = #r1.routing<softmax, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = false, scale = 1.0 : f64>
#pair = #r1.weight<"router.weight" in "m.safetensors" at 0 size 256 : tensor<2x64xbf16>>
#column = #r1.weight<"column.weight" in "m.safetensors" at 0 size 128 : tensor<1x64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
!m = tensor<64x64xbf16>
!v = tensor<64xbf16>

// The experts are not added to anything.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : !v
    %w = r1.weight [#square] : !m
    %two = r1.weight [#pair] : tensor<2x64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    %x = r1.rms_norm %h, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %r = r1.linear %x, %two : (!rows, tensor<2x64xbf16>) -> tensor<?x2xf32>
    %e, %ew = r1.route %r {routing = #routing} : (tensor<?x2xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
    %es = r1.weight [#square, #square] : tensor<2x64x64xbf16>
    // expected-error@+1 {{expected an r1.add as the only use of the experts' sum}}
    %s = r1.experts %x to %e, %ew gate %es up %es down %es : (!rows, tensor<?x2xi32>, tensor<?x2xf32>, tensor<2x64x64xbf16>, tensor<2x64x64xbf16>, tensor<2x64x64xbf16>) -> !rows
    %f = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (!rows, !v) -> !rows
    %l = r1.linear %f, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

// A weight is read as an activation.
#square = #r1.weight<"square.weight" in "m.safetensors" at 0 size 16384 : tensor<64x64xf32>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<64x64xf32>, !cache) {
    %w = r1.weight [#square] : tensor<64x64xf32>
    // expected-error@+1 {{expected activations, found a weight that is read as such}}
    %l = r1.linear %w, %w : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
    return %l, %cache : tensor<64x64xf32>, !cache
  }
}

// -----

// expected-error@+1 {{expected a function @forward}}
module attributes {r1.max_context = 128 : i64} {
}

// -----

module attributes {r1.max_context = 128 : i64} {
  // expected-error@+1 {{expected @forward(tokens, positions, cache) -> (logits, cache) with one block, found '(tensor<?xi32>) -> tensor<?xi32>'}}
  func.func @forward(%tokens: tensor<?xi32>) -> tensor<?xi32> {
    return %tokens : tensor<?xi32>
  }
}

// -----

// expected-error@+1 {{expected the attribute r1.max_context}}
module {
}

// -----

#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 128 : tensor<64xbf16>>
!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
!rows = tensor<?x64xf32>
!i = tensor<?xi32>
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: !i, %positions: !i, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : tensor<64xbf16>
    %h = r1.embedding %tokens, %table : (!i, tensor<100x64xbf16>) -> !rows
    // expected-error@+1 {{expected columns of rows, read by attention alone}}
    %s = r1.slice %h axis 0 from 0 to 2 : (!rows) -> tensor<2x64xf32>
    %n = r1.rms_norm %s, %scale {epsilon = 1.0e-6} : (tensor<2x64xf32>, tensor<64xbf16>) -> tensor<2x64xf32>
    %m = r1.add %n, %n : tensor<2x64xf32>
    %l = r1.linear %h, %table : (!rows, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 12800 : tensor<100x64xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 256 : tensor<64xf32>>
#short = #r1.weight<"short.weight" in "m.safetensors" at 0 size 4 : tensor<1xf32>>

// Arithmetic with a weight that has another number of values than rows have.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x64xbf16>
    %scale = r1.weight [#vector] : tensor<64xf32>
    %one = r1.weight [#short] : tensor<1xf32>
    %h = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<100x64xbf16>) -> tensor<?x64xf32>
    // expected-error@+1 {{expected a weight with one number for each of 64 columns, found 'tensor<1xf32>'}}
    %y = r1.mul %h, %one : (tensor<?x64xf32>, tensor<1xf32>) -> tensor<?x64xf32>
    %f = r1.rms_norm %y, %scale {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    %l = r1.linear %f, %table : (tensor<?x64xf32>, tensor<100x64xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}

// -----

!cache = !r1.cache<kv, layers = 1, key_width = 64, value_width = 64>
#embed = #r1.weight<"embed_tokens.weight" in "m.safetensors" at 0 size 400 : tensor<100x2xbf16>>
#vector = #r1.weight<"vector.weight" in "m.safetensors" at 0 size 4 : tensor<2xbf16>>

// Arithmetic with a table of numbers in the model itself.
module attributes {r1.max_context = 128 : i64} {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %cache: !cache) -> (tensor<?x100xf32>, !cache) {
    %table = r1.weight [#embed] : tensor<100x2xbf16>
    %scale = r1.weight [#vector] : tensor<2xbf16>
    %two = r1.constant dense<[1.0, 2.0]> : tensor<2xf32>
    %s = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<100x2xbf16>) -> tensor<?x2xf32>
    // expected-error@+1 {{expected one number for all elements, found a constant of 'tensor<2xf32>' with several}}
    %y = r1.mul %s, %two : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %f = r1.rms_norm %y, %scale {epsilon = 1.0e-6} : (tensor<?x2xf32>, tensor<2xbf16>) -> tensor<?x2xf32>
    %l = r1.linear %f, %table : (tensor<?x2xf32>, tensor<100x2xbf16>) -> tensor<?x100xf32>
    return %l, %cache : tensor<?x100xf32>, !cache
  }
}
