// RUN: elah-opt %s -split-input-file -verify-diagnostics

// packing_c1
// expected-error@+1 {{must be positive, found 64, 0, 64, 2 and 1}}
#p = #kernel.packing<bf16, n = 64, k = 0, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>

// -----

// packing_c1
// expected-error@+1 {{with swiglu, n and panel must be even, found 63 and 64}}
#p = #kernel.packing<bf16, n = 63, k = 32, panel = 64, step = 2, batch = 1, swiglu = true, blocks = 0 x 0>

// -----

// packing_c2
// expected-error@+1 {{a step must be at most 4 whole bytes of a column, found 64 bits}}
#p = #kernel.packing<f32, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>

// -----

// packing_c3
// expected-error@+1 {{blocks must be positive in u4 and u8, positive or 0 x 0 in f8, 0 x 0 otherwise, found 128 x 128 in bf16}}
#p = #kernel.packing<bf16, n = 128, k = 128, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 128 x 128>

// -----

// packing_c3
// expected-error@+1 {{blocks must be positive in u4 and u8, positive or 0 x 0 in f8, 0 x 0 otherwise, found 128 x 0 in f8}}
#p = #kernel.packing<f8, n = 128, k = 128, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 128 x 0>

// -----

// packing_c4
// expected-error@+1 {{blocks must be whole panels of 64 columns, or one, and whole steps of 2, found 96 x 128}}
#p = #kernel.packing<f8, n = 128, k = 128, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 96 x 128>

// -----

// packing_c4
// expected-error@+1 {{blocks must be whole panels of 64 columns, or one, and whole steps of 2, found 128 x 3}}
#p = #kernel.packing<f8, n = 128, k = 128, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 128 x 3>

// -----

// packing_c2
// expected-error@+1 {{panels of u4 must have steps of 2 values and a number of columns that 4 divides, found 4 and 64}}
#p = #kernel.packing<u4, n = 128, k = 128, panel = 64, step = 4, batch = 1, swiglu = false, blocks = 1 x 32>

// -----

// packing_c3
// expected-error@+1 {{blocks must be positive in u4 and u8, positive or 0 x 0 in f8, 0 x 0 otherwise, found 0 x 0 in u4}}
#p = #kernel.packing<u4, n = 128, k = 128, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>

// -----

// packing_c5
// expected-error@+1 {{zero points must be those of u4 or u8, found f8}}
#p = #kernel.packing<f8, n = 128, k = 128, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 128 x 128, zeros = true>

// -----

func.func @embed_c1(%i: memref<?xi32>, %t: memref<100x64xbf16>, %o: memref<?x32xf32>) {
  // expected-error@+1 {{output must be 64 wide}}
  kernel.embed %i, %t to %o : memref<?xi32>, memref<100x64xbf16>, memref<?x32xf32>
  return
}

// -----

func.func @rms_norm_c1(%x: memref<?x64xf32>, %w: memref<32xf32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{weight must have 64 elements}}
  kernel.rms_norm %x, %w to %o {epsilon = 1.0} : memref<?x64xf32>, memref<32xf32>, memref<?x64xf32>
  return
}

// -----

func.func @rms_norm_c1_copy(%x: memref<?x64xf32>, %w: memref<64xf32>, %o: memref<?x64xf32>, %c: memref<?x32xbf16>) {
  // expected-error@+1 {{copy must be 64 wide}}
  kernel.rms_norm %x, %w to %o and %c {epsilon = 1.0} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>, memref<?x32xbf16>
  return
}

// -----

func.func @rms_norm_c2(%x: memref<?x64xf32>, %w: memref<64xf32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{epsilon must be positive, found 0}}
  kernel.rms_norm %x, %w to %o {epsilon = 0.0} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>
  return
}

// -----

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
func.func @gemm_c1(%x: memref<?x32xbf16>, %w: memref<4095xi8>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{weight must have 4096 elements}}
  kernel.gemm %x, %w to %o {packing = #bf, compute = #kernel<compute bf16>, activation = #kernel<activation none>} : memref<?x32xbf16>, memref<4095xi8>, memref<?x64xf32>
  return
}

// -----

#f8 = #kernel.packing<f8, n = 256, k = 256, panel = 64, step = 1, batch = 1, swiglu = false, blocks = 128 x 128>
func.func @gemm_c1_blocks(%x: memref<?x256xf32>, %w: memref<65536xi8>, %o: memref<?x256xf32>) {
  // expected-error@+1 {{must have scales exactly if the packing has blocks, which are 128 x 128}}
  kernel.gemm %x, %w to %o {packing = #f8, compute = #kernel<compute f32>, activation = #kernel<activation none>} : memref<?x256xf32>, memref<65536xi8>, memref<?x256xf32>
  return
}

// -----

#f8 = #kernel.packing<f8, n = 256, k = 256, panel = 64, step = 1, batch = 1, swiglu = false, blocks = 128 x 128>
func.func @gemm_c1_scales(%x: memref<?x256xf32>, %w: memref<65536xi8>, %s: memref<3xf32>, %o: memref<?x256xf32>) {
  // expected-error@+1 {{scales must have 4 elements}}
  kernel.gemm %x, %w scales %s to %o {packing = #f8, compute = #kernel<compute f32>, activation = #kernel<activation none>} : memref<?x256xf32>, memref<65536xi8>, memref<3xf32>, memref<?x256xf32>
  return
}

// -----

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
func.func @gemm_c2_input(%x: memref<?x32xf32>, %w: memref<4096xi8>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{computes in bf16 and needs an input in bf16, found}}
  kernel.gemm %x, %w to %o {packing = #bf, compute = #kernel<compute bf16>, activation = #kernel<activation none>} : memref<?x32xf32>, memref<4096xi8>, memref<?x64xf32>
  return
}

// -----

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
func.func @gemm_c2_step(%x: memref<?x32xf32>, %w: memref<4096xi8>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{computes in f32 and needs a packing with step 1, found 2}}
  kernel.gemm %x, %w to %o {packing = #bf, compute = #kernel<compute f32>, activation = #kernel<activation none>} : memref<?x32xf32>, memref<4096xi8>, memref<?x64xf32>
  return
}

// -----

func.func @split_c1(%x: memref<?x32xf32>, %o: memref<?x32xbf16>) {
  // expected-error@+1 {{output must be 64 bf16 wide, found 'memref<?x32xbf16>'}}
  kernel.split %x to %o : memref<?x32xf32>, memref<?x32xbf16>
  return
}

// -----

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
func.func @gemm_c3_split_input(%x: memref<?x32xbf16>, %w: memref<4096xi8>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{input must be 64 wide}}
  kernel.gemm %x, %w to %o {packing = #bf, compute = #kernel<compute bf16x2>, activation = #kernel<activation none>} : memref<?x32xbf16>, memref<4096xi8>, memref<?x64xf32>
  return
}

// -----

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
func.func @gemm_c3_input(%x: memref<?x33xbf16>, %w: memref<4096xi8>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{input must be 32 wide}}
  kernel.gemm %x, %w to %o {packing = #bf, compute = #kernel<compute bf16>, activation = #kernel<activation none>} : memref<?x33xbf16>, memref<4096xi8>, memref<?x64xf32>
  return
}

// -----

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
func.func @gemm_c3_output(%x: memref<?x32xbf16>, %w: memref<4096xi8>, %o: memref<?x65xf32>) {
  // expected-error@+1 {{output must be 64 wide}}
  kernel.gemm %x, %w to %o {packing = #bf, compute = #kernel<compute bf16>, activation = #kernel<activation none>} : memref<?x32xbf16>, memref<4096xi8>, memref<?x65xf32>
  return
}

// -----

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
func.func @gemm_c4_activation(%x: memref<?x32xbf16>, %w: memref<4096xi8>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{activation swiglu needs a packing with swiglu = true}}
  kernel.gemm %x, %w to %o {packing = #bf, compute = #kernel<compute bf16>, activation = #kernel<activation swiglu>} : memref<?x32xbf16>, memref<4096xi8>, memref<?x64xf32>
  return
}

// -----

#experts = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @gemm_c4_batch(%x: memref<?x32xbf16>, %w: memref<16384xi8>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{must have one matrix, found a packing of 4}}
  kernel.gemm %x, %w to %o {packing = #experts, compute = #kernel<compute bf16>, activation = #kernel<activation none>} : memref<?x32xbf16>, memref<16384xi8>, memref<?x64xf32>
  return
}

// -----

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
func.func @gemm_c5(%x: memref<?x32xbf16>, %w: memref<4096xi8>, %b: memref<63xf32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{bias must have 64 elements}}
  kernel.gemm %x, %w bias %b to %o {packing = #bf, compute = #kernel<compute bf16>, activation = #kernel<activation none>} : memref<?x32xbf16>, memref<4096xi8>, memref<63xf32>, memref<?x64xf32>
  return
}

// -----

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 1, swiglu = false, blocks = 0 x 0>
func.func @gemm_c6_type(%x: memref<?x32xbf16>, %w: memref<4096xi8>, %o: memref<?x64xbf16>) {
  // expected-error@+1 {{accumulates into f32 only}}
  kernel.gemm %x, %w to %o {packing = #bf, compute = #kernel<compute bf16>, activation = #kernel<activation none>, accumulate} : memref<?x32xbf16>, memref<4096xi8>, memref<?x64xbf16>
  return
}

// -----

#pair = #kernel.packing<bf16, n = 128, k = 32, panel = 64, step = 2, batch = 1, swiglu = true, blocks = 0 x 0>
func.func @gemm_c6_activation(%x: memref<?x32xbf16>, %w: memref<8192xi8>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{accumulates into f32 only, without an activation}}
  kernel.gemm %x, %w to %o {packing = #pair, compute = #kernel<compute bf16>, activation = #kernel<activation swiglu>, accumulate} : memref<?x32xbf16>, memref<8192xi8>, memref<?x64xf32>
  return
}

// -----

#experts = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @grouped_gemm_c1(%x: memref<?x32xbf16>, %w: memref<4096xi8>, %e: memref<5xi32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{weight must have 16384 elements}}
  kernel.grouped_gemm %x, %w offsets %e to %o {packing = #experts, compute = #kernel<compute bf16>, activation = #kernel<activation none>} : memref<?x32xbf16>, memref<4096xi8>, memref<5xi32>, memref<?x64xf32>
  return
}

// -----

#experts = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @grouped_gemm_c2(%x: memref<?x32xbf16>, %w: memref<16384xi8>, %e: memref<5xi32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{computes in f32 and needs an input in f32, found}}
  kernel.grouped_gemm %x, %w offsets %e to %o {packing = #experts, compute = #kernel<compute f32>, activation = #kernel<activation none>} : memref<?x32xbf16>, memref<16384xi8>, memref<5xi32>, memref<?x64xf32>
  return
}

// -----

#experts = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @grouped_gemm_c3(%x: memref<?x32xbf16>, %w: memref<16384xi8>, %e: memref<5xi32>, %o: memref<?x32xf32>) {
  // expected-error@+1 {{output must be 64 wide}}
  kernel.grouped_gemm %x, %w offsets %e to %o {packing = #experts, compute = #kernel<compute bf16>, activation = #kernel<activation none>} : memref<?x32xbf16>, memref<16384xi8>, memref<5xi32>, memref<?x32xf32>
  return
}

// -----

#experts = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @grouped_gemm_c4(%x: memref<?x32xbf16>, %w: memref<16384xi8>, %e: memref<5xi32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{activation swiglu needs a packing with swiglu = true}}
  kernel.grouped_gemm %x, %w offsets %e to %o {packing = #experts, compute = #kernel<compute bf16>, activation = #kernel<activation swiglu>} : memref<?x32xbf16>, memref<16384xi8>, memref<5xi32>, memref<?x64xf32>
  return
}

// -----

#experts = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @grouped_gemm_c5(%x: memref<?x32xbf16>, %w: memref<16384xi8>, %e: memref<4xi32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{offsets must have 5 elements}}
  kernel.grouped_gemm %x, %w offsets %e to %o {packing = #experts, compute = #kernel<compute bf16>, activation = #kernel<activation none>} : memref<?x32xbf16>, memref<16384xi8>, memref<4xi32>, memref<?x64xf32>
  return
}

// -----

#heads = #kernel.packing<f32, n = 64, k = 32, panel = 64, step = 1, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @head_gemm_c1(%x: memref<?x160xf32>, %w: memref<32767xi8>, %o: memref<?x288xf32>) {
  // expected-error@+1 {{weight must have 32768 elements}}
  kernel.head_gemm %x, %w to %o {packing = #heads, compute = #kernel<compute f32>, input_stride = 40, input_offset = 8, output_stride = 72, output_offset = 0} : memref<?x160xf32>, memref<32767xi8>, memref<?x288xf32>
  return
}

// -----

#pair = #kernel.packing<bf16, n = 128, k = 32, panel = 64, step = 2, batch = 1, swiglu = true, blocks = 0 x 0>
func.func @head_gemm_c1_swiglu(%x: memref<?x160xbf16>, %w: memref<8192xi8>, %o: memref<?x288xf32>) {
  // expected-error@+1 {{must have a packing without swiglu}}
  kernel.head_gemm %x, %w to %o {packing = #pair, compute = #kernel<compute bf16>, input_stride = 40, input_offset = 8, output_stride = 72, output_offset = 0} : memref<?x160xbf16>, memref<8192xi8>, memref<?x288xf32>
  return
}

// -----

#heads = #kernel.packing<f32, n = 64, k = 32, panel = 64, step = 1, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @head_gemm_c2(%x: memref<?x160xf32>, %w: memref<32768xi8>, %o: memref<?x288xf32>) {
  // expected-error@+1 {{computes in bf16 and needs an input in bf16, found}}
  kernel.head_gemm %x, %w to %o {packing = #heads, compute = #kernel<compute bf16>, input_stride = 40, input_offset = 8, output_stride = 72, output_offset = 0} : memref<?x160xf32>, memref<32768xi8>, memref<?x288xf32>
  return
}

// -----

#heads = #kernel.packing<f32, n = 64, k = 32, panel = 64, step = 1, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @head_gemm_c3(%x: memref<?x160xf32>, %w: memref<32768xi8>, %o: memref<?x288xf32>) {
  // expected-error@+1 {{the slices of 4 heads must lie within the rows, found 32 of stride 40 from 9}}
  kernel.head_gemm %x, %w to %o {packing = #heads, compute = #kernel<compute f32>, input_stride = 40, input_offset = 9, output_stride = 72, output_offset = 0} : memref<?x160xf32>, memref<32768xi8>, memref<?x288xf32>
  return
}

// -----

#heads = #kernel.packing<f32, n = 64, k = 32, panel = 64, step = 1, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @head_gemm_c3_negative(%x: memref<?x160xf32>, %w: memref<32768xi8>, %o: memref<?x288xf32>) {
  // expected-error@+1 {{the slices of 4 heads must lie within the rows}}
  kernel.head_gemm %x, %w to %o {packing = #heads, compute = #kernel<compute f32>, input_stride = 40, input_offset = 8, output_stride = 72, output_offset = -1} : memref<?x160xf32>, memref<32768xi8>, memref<?x288xf32>
  return
}

// -----

#bf = #kernel.packing<bf16, n = 64, k = 32, panel = 64, step = 2, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @head_gemm_c5(%x: memref<?x160xbf16>, %w: memref<16384xi8>, %o: memref<?x288xf32>) {
  // expected-error@+1 {{computes in bf16x2 and needs an input of 320 bf16, found 'memref<?x160xbf16>'}}
  kernel.head_gemm %x, %w to %o {packing = #bf, compute = #kernel<compute bf16x2>, input_stride = 40, input_offset = 8, output_stride = 72, output_offset = 0} : memref<?x160xbf16>, memref<16384xi8>, memref<?x288xf32>
  return
}

// -----

#heads = #kernel.packing<f32, n = 64, k = 32, panel = 64, step = 1, batch = 4, swiglu = false, blocks = 0 x 0>
func.func @head_gemm_c4(%x: memref<?x160xf32>, %w: memref<32768xi8>, %o: memref<?x288xf32>) {
  // expected-error@+1 {{output_stride must be at least the 64 columns of a head, found 63}}
  kernel.head_gemm %x, %w to %o {packing = #heads, compute = #kernel<compute f32>, input_stride = 40, input_offset = 8, output_stride = 63, output_offset = 0} : memref<?x160xf32>, memref<32768xi8>, memref<?x288xf32>
  return
}

// -----

#routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5 : f64>
func.func @route_c1(%l: memref<?x16xf32>, %b: memref<15xf32>, %e: memref<?x4xi32>, %w: memref<?x4xf32>) {
  // expected-error@+1 {{bias must have 16 elements}}
  kernel.route %l bias %b to %e, %w {routing = #routing, shared = 0} : memref<?x16xf32>, memref<15xf32>, memref<?x4xi32>, memref<?x4xf32>
  return
}

// -----

#routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5 : f64>
func.func @route_c2(%l: memref<?x16xf32>, %b: memref<16xf32>, %e: memref<?x4xi32>, %w: memref<?x5xf32>) {
  // expected-error@+1 {{weights must be 4 wide}}
  kernel.route %l bias %b to %e, %w {routing = #routing, shared = 0} : memref<?x16xf32>, memref<16xf32>, memref<?x4xi32>, memref<?x5xf32>
  return
}

// -----

#routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5 : f64>
func.func @route_c2_shared(%l: memref<?x16xf32>, %b: memref<16xf32>, %e: memref<?x4xi32>, %w: memref<?x4xf32>) {
  // expected-error@+1 {{experts must be 5 wide}}
  kernel.route %l bias %b to %e, %w {routing = #routing, shared = 1} : memref<?x16xf32>, memref<16xf32>, memref<?x4xi32>, memref<?x4xf32>
  return
}

// -----

#routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5 : f64>
func.func @route_c2_negative(%l: memref<?x16xf32>, %b: memref<16xf32>, %e: memref<?x3xi32>, %w: memref<?x3xf32>) {
  // expected-error@+1 {{shared must not be negative, found -1}}
  kernel.route %l bias %b to %e, %w {routing = #routing, shared = -1} : memref<?x16xf32>, memref<16xf32>, memref<?x3xi32>, memref<?x3xf32>
  return
}

// -----

#routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5 : f64>
func.func @route_c3_groups(%l: memref<?x18xf32>, %b: memref<18xf32>, %e: memref<?x4xi32>, %w: memref<?x4xf32>) {
  // expected-error@+1 {{must choose top_k of the experts in top_groups of equal groups, found 4 of 18 in 2 of 4}}
  kernel.route %l bias %b to %e, %w {routing = #routing, shared = 0} : memref<?x18xf32>, memref<18xf32>, memref<?x4xi32>, memref<?x4xf32>
  return
}

// -----

#routing = #r1.routing<sigmoid, top_k = 4, groups = 4, top_groups = 2, group_score = top2, normalize = true, scale = 2.5 : f64>
func.func @route_c3_top_k(%l: memref<?x4xf32>, %b: memref<4xf32>, %e: memref<?x4xi32>, %w: memref<?x4xf32>) {
  // expected-error@+1 {{must choose top_k of the experts in top_groups of equal groups, found 4 of 4 in 2 of 4}}
  kernel.route %l bias %b to %e, %w {routing = #routing, shared = 0} : memref<?x4xf32>, memref<4xf32>, memref<?x4xi32>, memref<?x4xf32>
  return
}

// -----

func.func @expert_plan_c1(%e: memref<?x4xi32>, %f: memref<17xi32>, %g: memref<?xi32>, %s: memref<?x3xi32>) {
  // expected-error@+1 {{slots must be 4 wide}}
  kernel.expert_plan %e to %f, %g, %s : memref<?x4xi32>, memref<17xi32>, memref<?xi32>, memref<?x3xi32>
  return
}

// -----

func.func @expert_plan_c2(%e: memref<?x4xi32>, %f: memref<?xi32>, %g: memref<?xi32>, %s: memref<?x4xi32>) {
  // expected-error@+1 {{must know the number of offsets}}
  kernel.expert_plan %e to %f, %g, %s : memref<?x4xi32>, memref<?xi32>, memref<?xi32>, memref<?x4xi32>
  return
}

// -----

func.func @combine_c1(%r: memref<?x64xf32>, %w: memref<?x4xf32>, %s: memref<?x3xi32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{slots must be 4 wide}}
  kernel.combine %r, %w, %s to %o : memref<?x64xf32>, memref<?x4xf32>, memref<?x3xi32>, memref<?x64xf32>
  return
}

// -----

func.func @combine_c2(%r: memref<?x64xf32>, %w: memref<?x4xf32>, %s: memref<?x4xi32>, %o: memref<?x65xf32>) {
  // expected-error@+1 {{output must be 64 wide}}
  kernel.combine %r, %w, %s to %o : memref<?x64xf32>, memref<?x4xf32>, memref<?x4xi32>, memref<?x65xf32>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @rope_table_c1(%i: memref<?xi32>, %t: memref<?x16xf32>) {
  // expected-error@+1 {{table must be 8 wide}}
  kernel.rope_table %i to %t {rope = #rope} : memref<?xi32>, memref<?x16xf32>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @rope_append_c1(%x: memref<?x64xf32>, %t: memref<?x8xf32>, %i: memref<?xi32>, %q: memref<?x32xf32>, %k: memref<?x16xbf16>, %v: memref<?x16xbf16>) {
  // expected-error@+1 {{heads must be a multiple of kv_heads, found 4 and 3}}
  kernel.rope_append %x table %t rows %i to %q, %k, %v {heads = 4, kv_heads = 3, head_dim = 8, value_dim = 8, rope = #rope} : memref<?x64xf32>, memref<?x8xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xbf16>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @rope_append_c1_positive(%x: memref<?x64xf32>, %t: memref<?x8xf32>, %i: memref<?xi32>, %q: memref<?x32xf32>, %k: memref<?x16xbf16>, %v: memref<?x16xbf16>) {
  // expected-error@+1 {{value_dim must be positive, found 0}}
  kernel.rope_append %x table %t rows %i to %q, %k, %v {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 0, rope = #rope} : memref<?x64xf32>, memref<?x8xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xbf16>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @rope_append_c2(%x: memref<?x64xf32>, %t: memref<?x8xf32>, %i: memref<?xi32>, %q: memref<?x32xf32>, %k: memref<?x16xbf16>, %v: memref<?x8xbf16>) {
  // expected-error@+1 {{value_cache must be 16 wide}}
  kernel.rope_append %x table %t rows %i to %q, %k, %v {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 8, rope = #rope} : memref<?x64xf32>, memref<?x8xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x16xbf16>, memref<?x8xbf16>
  return
}

// -----

func.func @rope_append_c3(%x: memref<?x64xf32>, %t: memref<?x8xf32>, %i: memref<?xi32>, %q: memref<?x32xf32>, %k: memref<?x16xbf16>, %v: memref<?x16xbf16>) {
  // expected-error@+1 {{must have a table exactly if it has a rotation}}
  kernel.rope_append %x table %t rows %i to %q, %k, %v {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 8} : memref<?x64xf32>, memref<?x8xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xbf16>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @rope_append_c3_head(%x: memref<?x32xf32>, %t: memref<?x8xf32>, %i: memref<?xi32>, %q: memref<?x16xf32>, %k: memref<?x8xbf16>, %v: memref<?x8xbf16>) {
  // expected-error@+1 {{rotates at most the 4 values of a head, found 8}}
  kernel.rope_append %x table %t rows %i to %q, %k, %v {heads = 4, kv_heads = 2, head_dim = 4, value_dim = 4, rope = #rope} : memref<?x32xf32>, memref<?x8xf32>, memref<?xi32>, memref<?x16xf32>, memref<?x8xbf16>, memref<?x8xbf16>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @rope_append_c3_table(%x: memref<?x64xf32>, %t: memref<?x4xf32>, %i: memref<?xi32>, %q: memref<?x32xf32>, %k: memref<?x16xbf16>, %v: memref<?x16xbf16>) {
  // expected-error@+1 {{table must be 8 wide}}
  kernel.rope_append %x table %t rows %i to %q, %k, %v {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 8, rope = #rope} : memref<?x64xf32>, memref<?x4xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xbf16>
  return
}

// -----

func.func @attention_c1(%q: memref<?x32xf32>, %k: memref<?x16xbf16>, %v: memref<?x16xbf16>, %i: memref<?xi32>, %o: memref<?x32xf32>) {
  // expected-error@+1 {{heads must be a multiple of kv_heads, found 5 and 2}}
  kernel.attention %q, %k, %v at %i, %i, %i to %o {heads = 5, kv_heads = 2, head_dim = 8, value_dim = 8, scale = 1.0, page_tokens = 32} : memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xbf16>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x32xf32>
  return
}

// -----

func.func @attention_c2(%q: memref<?x32xf32>, %k: memref<?x16xbf16>, %v: memref<?x16xbf16>, %i: memref<?xi32>, %o: memref<?x16xf32>) {
  // expected-error@+1 {{output must be 32 wide}}
  kernel.attention %q, %k, %v at %i, %i, %i to %o {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 8, scale = 1.0, page_tokens = 32} : memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xbf16>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x16xf32>
  return
}

// -----

func.func @attention_c3(%q: memref<?x32xf32>, %k: memref<?x16xbf16>, %v: memref<?x16xf32>, %i: memref<?xi32>, %o: memref<?x32xf32>) {
  // expected-error@+1 {{must have pools of one type}}
  kernel.attention %q, %k, %v at %i, %i, %i to %o {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 8, scale = 1.0, page_tokens = 32} : memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xf32>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x32xf32>
  return
}

// -----

func.func @attention_c4(%q: memref<?x32xf32>, %k: memref<?x16xbf16>, %v: memref<?x16xbf16>, %i: memref<?xi32>, %o: memref<?x32xf32>) {
  // expected-error@+1 {{page_tokens must be positive, found 0}}
  kernel.attention %q, %k, %v at %i, %i, %i to %o {heads = 4, kv_heads = 2, head_dim = 8, value_dim = 8, scale = 1.0, page_tokens = 0} : memref<?x32xf32>, memref<?x16xbf16>, memref<?x16xbf16>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x32xf32>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @latent_append_c1(%q: memref<?x96xf32>, %l: memref<?x40xf32>, %n: memref<32xf32>, %t: memref<?x8xf32>, %i: memref<?xi32>, %a: memref<?x160xf32>, %c: memref<?x40xbf16>) {
  // expected-error@+1 {{heads must be positive, found 0}}
  kernel.latent_append %q, %l norm %n table %t rows %i to %a, %c {heads = 0, nope_dim = 16, rope_dim = 8, rank = 32, epsilon = 1.0e-6, rope = #rope} : memref<?x96xf32>, memref<?x40xf32>, memref<32xf32>, memref<?x8xf32>, memref<?xi32>, memref<?x160xf32>, memref<?x40xbf16>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @latent_append_c2(%q: memref<?x96xf32>, %l: memref<?x40xf32>, %n: memref<32xf32>, %t: memref<?x8xf32>, %i: memref<?xi32>, %a: memref<?x128xf32>, %c: memref<?x40xbf16>) {
  // expected-error@+1 {{absorbed must be 160 wide}}
  kernel.latent_append %q, %l norm %n table %t rows %i to %a, %c {heads = 4, nope_dim = 16, rope_dim = 8, rank = 32, epsilon = 1.0e-6, rope = #rope} : memref<?x96xf32>, memref<?x40xf32>, memref<32xf32>, memref<?x8xf32>, memref<?xi32>, memref<?x128xf32>, memref<?x40xbf16>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @latent_append_c2_fp8(%q: memref<?x96xf32>, %l: memref<?x40xf32>, %n: memref<32xf32>, %t: memref<?x8xf32>, %i: memref<?xi32>, %a: memref<?x160xf32>, %c: memref<?x40xi8>) {
  // expected-error@+1 {{cache must be 64 wide, found 'memref<?x40xi8>'}}
  kernel.latent_append %q, %l norm %n table %t rows %i to %a, %c {heads = 4, nope_dim = 16, rope_dim = 8, rank = 32, epsilon = 1.0e-6, rope = #rope} : memref<?x96xf32>, memref<?x40xf32>, memref<32xf32>, memref<?x8xf32>, memref<?xi32>, memref<?x160xf32>, memref<?x40xi8>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @latent_append_c3(%q: memref<?x96xf32>, %l: memref<?x40xf32>, %n: memref<32xf32>, %t: memref<?x16xf32>, %i: memref<?xi32>, %a: memref<?x160xf32>, %c: memref<?x40xbf16>) {
  // expected-error@+1 {{table must be 8 wide}}
  kernel.latent_append %q, %l norm %n table %t rows %i to %a, %c {heads = 4, nope_dim = 16, rope_dim = 8, rank = 32, epsilon = 1.0e-6, rope = #rope} : memref<?x96xf32>, memref<?x40xf32>, memref<32xf32>, memref<?x16xf32>, memref<?xi32>, memref<?x160xf32>, memref<?x40xbf16>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @latent_append_c3_rope(%q: memref<?x128xf32>, %l: memref<?x48xf32>, %n: memref<32xf32>, %t: memref<?x16xf32>, %i: memref<?xi32>, %a: memref<?x192xf32>, %c: memref<?x48xbf16>) {
  // expected-error@+1 {{must rotate 16 values, found 8}}
  kernel.latent_append %q, %l norm %n table %t rows %i to %a, %c {heads = 4, nope_dim = 16, rope_dim = 16, rank = 32, epsilon = 1.0e-6, rope = #rope} : memref<?x128xf32>, memref<?x48xf32>, memref<32xf32>, memref<?x16xf32>, memref<?xi32>, memref<?x192xf32>, memref<?x48xbf16>
  return
}

// -----

#rope = #r1.rope<half, [1.0, 0.5, 0.25, 0.125], scale = 1.0 : f64>
func.func @latent_append_c4(%q: memref<?x96xf32>, %l: memref<?x40xf32>, %n: memref<32xf32>, %t: memref<?x8xf32>, %i: memref<?xi32>, %a: memref<?x160xf32>, %c: memref<?x40xbf16>) {
  // expected-error@+1 {{epsilon must be positive}}
  kernel.latent_append %q, %l norm %n table %t rows %i to %a, %c {heads = 4, nope_dim = 16, rope_dim = 8, rank = 32, epsilon = -1.0, rope = #rope} : memref<?x96xf32>, memref<?x40xf32>, memref<32xf32>, memref<?x8xf32>, memref<?xi32>, memref<?x160xf32>, memref<?x40xbf16>
  return
}

// -----

func.func @latent_attention_c1(%q: memref<?x160xf32>, %c: memref<?x40xbf16>, %i: memref<?xi32>, %o: memref<?x128xf32>) {
  // expected-error@+1 {{heads must be a multiple of head_groups, found 4 and 3}}
  kernel.latent_attention %q, %c at %i, %i, %i to %o {heads = 4, rank = 32, rope_dim = 8, head_groups = 3, scale = 1.0, page_tokens = 32} : memref<?x160xf32>, memref<?x40xbf16>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x128xf32>
  return
}

// -----

func.func @latent_attention_c1_positive(%q: memref<?x160xf32>, %c: memref<?x40xbf16>, %i: memref<?xi32>, %o: memref<?x128xf32>) {
  // expected-error@+1 {{head_groups must be positive, found 0}}
  kernel.latent_attention %q, %c at %i, %i, %i to %o {heads = 4, rank = 32, rope_dim = 8, head_groups = 0, scale = 1.0, page_tokens = 32} : memref<?x160xf32>, memref<?x40xbf16>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x128xf32>
  return
}

// -----

func.func @latent_attention_c2(%q: memref<?x160xf32>, %c: memref<?x32xbf16>, %i: memref<?xi32>, %o: memref<?x128xf32>) {
  // expected-error@+1 {{cache must be 40 wide}}
  kernel.latent_attention %q, %c at %i, %i, %i to %o {heads = 4, rank = 32, rope_dim = 8, head_groups = 2, scale = 1.0, page_tokens = 32} : memref<?x160xf32>, memref<?x32xbf16>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x128xf32>
  return
}

// -----

func.func @latent_attention_c2_fp8(%q: memref<?x160xf32>, %c: memref<?x32xi8>, %i: memref<?xi32>, %o: memref<?x128xf32>) {
  // expected-error@+1 {{cache must be 64 wide, found 'memref<?x32xi8>'}}
  kernel.latent_attention %q, %c at %i, %i, %i to %o {heads = 4, rank = 32, rope_dim = 8, head_groups = 2, scale = 1.0, page_tokens = 32} : memref<?x160xf32>, memref<?x32xi8>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x128xf32>
  return
}

// -----

func.func @latent_attention_c3(%q: memref<?x160xf32>, %c: memref<?x40xbf16>, %i: memref<?xi32>, %o: memref<?x128xf32>) {
  // expected-error@+1 {{page_tokens must be positive, found -1}}
  kernel.latent_attention %q, %c at %i, %i, %i to %o {heads = 4, rank = 32, rope_dim = 8, head_groups = 2, scale = 1.0, page_tokens = -1} : memref<?x160xf32>, memref<?x40xbf16>, memref<?xi32>, memref<?xi32>, memref<?xi32>, memref<?x128xf32>
  return
}

// -----

// packing_c2
// expected-error@+1 {{a step must be at most 16 whole bytes of a column, found 256 bits}}
#p = #kernel.packing<bf16, n = 64, k = 32, panel = 1, step = 16, batch = 1, swiglu = false, blocks = 0 x 0>

// -----

func.func @rms_norm_c3(%x: memref<?x64xf32>, %w: memref<64xf32>, %o: memref<?x64xf8E4M3FN>) {
  // expected-error@+1 {{output must have scales exactly if it is f8}}
  kernel.rms_norm %x, %w to %o {epsilon = 1.0} : memref<?x64xf32>, memref<64xf32>, memref<?x64xf8E4M3FN>
  return
}

// -----

func.func @rms_norm_c3_count(%x: memref<?x640xf32>, %w: memref<640xf32>, %o: memref<?x640xf8E4M3FN>, %s: memref<?x5xf32>) {
  // expected-error@+1 {{output's scales must be 8 wide}}
  kernel.rms_norm %x, %w to %o scales %s {epsilon = 1.0}
    : memref<?x640xf32>, memref<640xf32>, memref<?x640xf8E4M3FN>, memref<?x5xf32>
  return
}

// -----

func.func @quantize_c1(%x: memref<?x64xbf16>, %o: memref<?x64xbf16>, %s: memref<?x4xf32>) {
  // expected-error@+1 {{output must be f8}}
  kernel.quantize %x to %o scales %s : memref<?x64xbf16>, memref<?x64xbf16>, memref<?x4xf32>
  return
}

// -----

func.func @dispatch_c1(%x: memref<?x64xbf16>, %g: memref<?xi32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{must not change the type of elements}}
  kernel.dispatch %x gather %g to %o : memref<?x64xbf16>, memref<?xi32>, memref<?x64xf32>
  return
}

// -----

func.func @dispatch_c2(%x: memref<?x64xf8E4M3FN>, %g: memref<?xi32>, %o: memref<?x64xf8E4M3FN>) {
  // expected-error@+1 {{input must have scales exactly if it is f8}}
  kernel.dispatch %x gather %g to %o : memref<?x64xf8E4M3FN>, memref<?xi32>, memref<?x64xf8E4M3FN>
  return
}

// -----

#rows = #kernel.packing<f8, n = 128, k = 128, panel = 1, step = 16, batch = 1, swiglu = false, blocks = 128 x 128>

func.func @gemm_c2_f8(%x: memref<?x128xbf16>, %w: memref<16384xi8>, %s: memref<1xf32>, %o: memref<?x128xf32>) {
  // expected-error@+1 {{computes in f8 and needs an f8 input and an f8 packing with blocks}}
  kernel.gemm %x, %w scales %s to %o {packing = #rows, compute = #kernel<compute f8>, activation = #kernel<activation none>}
    : memref<?x128xbf16>, memref<16384xi8>, memref<1xf32>, memref<?x128xf32>
  return
}

// -----

func.func @generic_c1(%x: memref<?x64xf32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{body must have one f32 argument for each of 1 inputs, found}}
  kernel.generic %x to %o : memref<?x64xf32>, memref<?x64xf32> {
  ^bb0(%a: f32, %b: f32):
    kernel.yield %a : f32
  }
  return
}

// -----

func.func @generic_c2_rows(%x: memref<?x32xf32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{rows must be 64 wide, found 'memref<?x32xf32>'}}
  kernel.generic %x to %o : memref<?x32xf32>, memref<?x64xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return
}

// -----

func.func @generic_c2_vector(%x: memref<32xf32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{vectors must have 64 elements, found 'memref<32xf32>'}}
  kernel.generic %x to %o : memref<32xf32>, memref<?x64xf32> {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  }
  return
}

// -----

func.func @generic_c3(%x: memref<?x64xf32>, %o: memref<?x64xf32>) {
  // expected-error@+1 {{body must be of arith and math on f32 that every target has, found 'math.cbrt'}}
  kernel.generic %x to %o : memref<?x64xf32>, memref<?x64xf32> {
  ^bb0(%a: f32):
    %y = math.cbrt %a : f32
    kernel.yield %y : f32
  }
  return
}
