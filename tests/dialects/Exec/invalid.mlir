// RUN: elah-opt %s -split-input-file -verify-diagnostics

#w = #r1.weight<"w" in "model.safetensors" at 128 size 8192 : tensor<64x64xbf16>>
#v = #r1.weight<"v" in "model.safetensors" at 0 size 128 : tensor<64xbf16>>
// expected-error@+1 {{a table has one source, found 2}}
#recipe_c1 = #exec.recipe<kind = table, sources = [#w, #v]>

// -----

// expected-error@+1 {{expected #r1.weight sources, found [1]}}
#recipe_c1 = #exec.recipe<kind = vector, sources = [1]>

// -----

#w = #r1.weight<"w" in "model.safetensors" at 128 size 8192 : tensor<64x64xbf16>>
// expected-error@+1 {{panels needs a packing}}
#recipe_c2 = #exec.recipe<kind = panels, sources = [#w]>

// -----

#v = #r1.weight<"v" in "model.safetensors" at 0 size 128 : tensor<64xbf16>>
#packing = #kernel.packing<bf16, n = 64, k = 64, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
// expected-error@+1 {{expected sources that are matrices 64 wide, found 'tensor<64xbf16>'}}
#recipe_c3 = #exec.recipe<kind = panels, sources = [#v], packing = #packing>

// -----

#w = #r1.weight<"w" in "model.safetensors" at 128 size 8192 : tensor<64x64xbf16>>
#packing = #kernel.packing<bf16, n = 64, k = 64, panel = 64, step = 2, batch = 2, swiglu = false, blocks = 0 x 0>
// expected-error@+1 {{expected sources of 128 rows in all, found 64}}
#recipe_c3 = #exec.recipe<kind = panels, sources = [#w], packing = #packing>

// -----

#w = #r1.weight<"w" in "model.safetensors" at 128 size 8192 : tensor<64x64xbf16>>
// expected-error@+1 {{expected sources with scales, found}}
#recipe_c4 = #exec.recipe<kind = scales, sources = [#w]>

// -----

#w = #r1.weight<"w" in "model.safetensors" at 128 size 8192 : tensor<64x64xbf16>>
#packing = #kernel.packing<bf16, n = 16, k = 64, panel = 64, step = 2, batch = 2, swiglu = false, blocks = 0 x 0>
// expected-error@+1 {{expected a source of at least 72 rows that are 64 wide, found 'tensor<64x64xbf16>'}}
#recipe_c5 = #exec.recipe<kind = head_panels, sources = [#w], packing = #packing, headStride = 48, headFirst = 8>

// -----

#w = #r1.weight<"w" in "model.onnx" at 128 size 8192 : tensor<64x64xbf16> transposed = true>
// expected-error@+1 {{a table is made of sources that are not transposed, found #r1.weight<"w"}}
#recipe_c6 = #exec.recipe<kind = table, sources = [#w]>

// -----

#v = #r1.weight<"v" in "model.safetensors" at 0 size 128 : tensor<64xbf16>>
// expected-error@+1 {{must have the 256 bytes of its recipe, found 128}}
exec.weight @weight_c1 <kind = vector, sources = [#v]> bytes 128

// -----

exec.program @weight_ref_c1 {
  // expected-error@+1 {{expected an exec.weight named @missing}}
  %w = exec.weight_ref @missing : memref<64xf32>
  %a = exec.alloc rows <logit_rows> : memref<?x64xf32>
  exec.return %a : memref<?x64xf32>
}

// -----

#v = #r1.weight<"v" in "model.safetensors" at 0 size 128 : tensor<64xbf16>>
exec.weight @v <kind = vector, sources = [#v]> bytes 256
exec.program @weight_ref_c2 {
  // expected-error@+1 {{must have the 256 bytes of @v, found 'memref<64xbf16>'}}
  %w = exec.weight_ref @v : memref<64xbf16>
  %a = exec.alloc rows <logit_rows> : memref<?x64xf32>
  exec.return %a : memref<?x64xf32>
}

// -----

exec.program @input_c1 {
  // expected-error@+1 {{must be memref<?xi32>, found 'memref<?xf32>'}}
  %0 = exec.input token_ids : memref<?xf32>
}

// -----

exec.program @cache_c1 {
  // expected-error@+1 {{needs the module's attribute exec.cache}}
  %0 = exec.cache pool 0 layer 0 : memref<?x64xf32>
}

// -----

module attributes {exec.cache = array<i64: 2, 32, 256>} {
  exec.program @cache_c1 {
    // expected-error@+1 {{must be within the cache of 2 layers and 1 pools, found layer 2 and pool 0}}
    %0 = exec.cache pool 0 layer 2 : memref<?x64xf32>
  }
}

// -----

module attributes {exec.cache = array<i64: 2, 32, 256>} {
  exec.program @cache_c1 {
    // expected-error@+1 {{must have rows of 256 bytes, found 128}}
    %0 = exec.cache pool 0 layer 1 : memref<?x32xf32>
  }
}

// -----

exec.program @alloc_c1 {
  // expected-error@+1 {{must be dynamic in its first dimension only}}
  %0 = exec.alloc rows <tokens> : memref<?x?xf32>
}

// -----

exec.program @alloc_c1 {
  // expected-error@+1 {{must be dynamic in its first dimension only}}
  %0 = exec.alloc rows <8> : memref<9xi32>
}

// -----

exec.program @view_c1 {
  %0 = exec.alloc rows <tokens> : memref<?x64xf32>
  // expected-error@+1 {{must look at columns of 'memref<?x64xf32>'}}
  %1 = exec.view %0 column 48 : memref<?x64xf32> -> memref<?x32xf32, strided<[64, 1], offset: ?>>
}

// -----

exec.program @view_c2 {
  %0 = exec.alloc rows <tokens> : memref<?x64xf32>
  // expected-error@+1 {{must have the row stride of 'memref<?x64xf32>'}}
  %1 = exec.view %0 column 32 : memref<?x64xf32> -> memref<?x32xf32>
}

// -----

exec.program @return_c1 {
  %0 = exec.alloc rows <tokens> : memref<?x64xf32>
  // expected-error@+1 {{must name f32 logits with logit_rows rows, found 'memref<?x64xf32>' with #exec.extent<tokens>}}
  exec.return %0 : memref<?x64xf32>
}

// -----

exec.program @program_c1 {
  // expected-error@+1 {{must not be the program's end}}
  %0 = exec.alloc rows <tokens> : memref<?x64xf32>
}

// -----

exec.program @program_c2 attributes {arena = [[#exec.extent<64 * logit_rows>]]} {
  // expected-error@+1 {{must have a slot of the arena whose sizes contain #exec.extent<256 * logit_rows>}}
  %0 = exec.alloc rows <logit_rows> {slot = 0} : memref<?x64xf32>
  exec.return %0 : memref<?x64xf32>
}

// -----

// expected-error@+1 {{must hold one operation of the kernel dialect}}
exec.kernel @kernel_c1(%a: memref<?x64xf32>) rows [#exec.extent<tokens>] {
  %0 = exec.view %a column 0 : memref<?x64xf32> -> memref<?x32xf32, strided<[64, 1], offset: ?>>
}

// -----

// expected-error@+1 {{must hand its arguments to its operation, each once and in order}}
exec.kernel @kernel_c2(%x: memref<?x64xf32>, %w: memref<64xf32>, %y: memref<?x64xf32>)
    rows [#exec.extent<tokens>, #exec.extent<64>, #exec.extent<tokens>] {
  kernel.rms_norm %y, %w to %x {epsilon = 1.0e-6} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
}

// -----

// expected-error@+1 {{must say the rows of each argument, found 2 for 3}}
exec.kernel @kernel_c3(%x: memref<?x64xf32>, %w: memref<64xf32>, %y: memref<?x64xf32>)
    rows [#exec.extent<tokens>, #exec.extent<64>] {
  kernel.rms_norm %x, %w to %y {epsilon = 1.0e-6} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
}

// -----

exec.program @launch_c1 {
  %0 = exec.alloc rows <logit_rows> : memref<?x64xf32>
  // expected-error@+1 {{expected an exec.kernel named @missing}}
  exec.launch @missing(%0) grid(1, <tokens>, 1) : memref<?x64xf32>
  exec.return %0 : memref<?x64xf32>
}

// -----

exec.kernel @norm(%x: memref<?x64xf32>, %w: memref<64xf32>, %y: memref<?x64xf32>)
    rows [#exec.extent<tokens>, #exec.extent<64>, #exec.extent<tokens>] {
  kernel.rms_norm %x, %w to %y {epsilon = 1.0e-6} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
}
exec.program @launch_c2 {
  %0 = exec.alloc rows <logit_rows> : memref<?x64xf32>
  // expected-error@+1 {{must have the operand types of @norm}}
  exec.launch @norm(%0, %0, %0) grid(1, <tokens>, 1) : memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>
  exec.return %0 : memref<?x64xf32>
}

// -----

exec.kernel @norm(%x: memref<?x64xf32>, %w: memref<64xf32>, %y: memref<?x64xf32>)
    rows [#exec.extent<tokens>, #exec.extent<64>, #exec.extent<tokens>] {
  kernel.rms_norm %x, %w to %y {epsilon = 1.0e-6} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
}
exec.program @launch_c2 {
  %0 = exec.alloc rows <logit_rows> : memref<?x64xf32>
  %1 = exec.alloc rows <64> : memref<64xf32>
  // expected-error@+1 {{must hand #exec.extent<tokens> rows to @norm, found #exec.extent<logit_rows>}}
  exec.launch @norm(%0, %1, %0) grid(1, <tokens>, 1) : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
  exec.return %0 : memref<?x64xf32>
}

// -----

exec.program @launch_c3 {
  %0 = exec.alloc rows <logit_rows> : memref<?x64xf32>
  // expected-error@+1 {{must have a positive grid, found outer 1 and row tile 0}}
  exec.launch @norm(%0) grid(1, <tokens>, 0) : memref<?x64xf32>
  exec.return %0 : memref<?x64xf32>
}

// -----

exec.program @extent {
  // expected-error@+1 {{unknown dimension 'token', expected tokens, sequences, logit_rows, cache_rows or pages_per_sequence}}
  %0 = exec.alloc rows <2 * token> : memref<?x64xf32>
}

// -----

// expected-error@+1 {{expected a function named @missing}}
exec.graph @graph_c1 runs @missing weights []

// -----

// expected-error@+1 {{expected argument 1 of @main to be a tensor with an r1.name of its own, found 'tensor<2xf32>' with "x"}}
exec.graph @graph_c1 runs @main weights []
func.func @main(%a: tensor<2xf32> {r1.name = "x"}, %b: tensor<2xf32> {r1.name = "x"}) {
  return
}

// -----

#w = #r1.weight<"w" in "w.bin" at 0 size 8 : tensor<2xf32>>
// expected-error@+1 {{expected 1 weights, one for each r1.weight of @main, found 0}}
exec.graph @graph_c2 runs @main weights []
func.func @main() -> (tensor<2xf32> {r1.name = "y"}) {
  %w = r1.weight [#w] : tensor<2xf32>
  return %w : tensor<2xf32>
}

// -----

#w = #r1.weight<"w" in "w.bin" at 0 size 8 : tensor<2xf32>>
exec.weight @w <kind = vector, sources = [#w]> bytes 8
// expected-error@+1 {{expected an exec.weight with a table named @w}}
exec.graph @graph_c2 runs @main weights [@w]
func.func @main() -> (tensor<2xf32> {r1.name = "y"}) {
  %w = r1.weight [#w] : tensor<2xf32>
  return %w : tensor<2xf32>
}
