// RUN: elah-opt %s -split-input-file -verify-diagnostics
// The primitives' and the cache operations' constraints, each broken once.

func.func @dim_c1(%x: tensor<2x?xf32>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<2x?xf32>', found 2}}
  %0 = r1.dim %x, 2 : tensor<2x?xf32>
  return
}

// -----

func.func @range_c1(%a: tensor<i64>, %b: tensor<i32>) {
  // expected-error@+1 {{start, limit and step must be scalars of one type, found 'tensor<i64>', 'tensor<i32>' and 'tensor<i64>'}}
  %0 = r1.range %a, %b, %a : (tensor<i64>, tensor<i32>, tensor<i64>) -> tensor<?xi64>
  return
}

// -----

func.func @range_c2(%a: tensor<i64>) {
  %zero = r1.constant dense<0> : tensor<i64>
  // expected-error@+1 {{step must not be 0}}
  %0 = r1.range %a, %a, %zero : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  return
}

// -----

func.func @range_c3() {
  %start = r1.constant dense<0> : tensor<i64>
  %limit = r1.constant dense<9223372036854775807> : tensor<i64>
  %step = r1.constant dense<1> : tensor<i64>
  // expected-error@+1 {{must have fewer than 2^46 elements}}
  %0 = r1.range %start, %limit, %step : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  return
}

// -----

func.func @cast_c1(%x: tensor<4xf32>) {
  // expected-error@+1 {{casts to what tensors are made of, found 'i24'}}
  %0 = r1.cast %x to i24 : (tensor<4xf32>) -> tensor<4xi32>
  return
}

// -----

func.func @add_c1(%x: tensor<4xf32>, %y: tensor<4xf16>) {
  // expected-error@+1 {{operands must have one element type, found 'tensor<4xf32>' and 'tensor<4xf16>'}}
  %0 = r1.add %x, %y : (tensor<4xf32>, tensor<4xf16>) -> tensor<4xf32>
  return
}

// -----

func.func @add_c2(%x: tensor<2x4xf32>, %y: tensor<3xf32>) {
  // expected-error@+1 {{operands must broadcast, found 'tensor<2x4xf32>' and 'tensor<3xf32>'}}
  %0 = r1.add %x, %y : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @sub_c1(%x: tensor<4xf32>, %y: tensor<4xf16>) {
  // expected-error@+1 {{operands must have one element type, found 'tensor<4xf32>' and 'tensor<4xf16>'}}
  %0 = r1.sub %x, %y : (tensor<4xf32>, tensor<4xf16>) -> tensor<4xf32>
  return
}

// -----

func.func @sub_c2(%x: tensor<2x4xf32>, %y: tensor<3xf32>) {
  // expected-error@+1 {{operands must broadcast, found 'tensor<2x4xf32>' and 'tensor<3xf32>'}}
  %0 = r1.sub %x, %y : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @mul_c1(%x: tensor<4xf32>, %y: tensor<4xf16>) {
  // expected-error@+1 {{operands must have one element type, found 'tensor<4xf32>' and 'tensor<4xf16>'}}
  %0 = r1.mul %x, %y : (tensor<4xf32>, tensor<4xf16>) -> tensor<4xf32>
  return
}

// -----

func.func @mul_c2(%x: tensor<2x4xf32>, %y: tensor<3xf32>) {
  // expected-error@+1 {{operands must broadcast, found 'tensor<2x4xf32>' and 'tensor<3xf32>'}}
  %0 = r1.mul %x, %y : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @div_c1(%x: tensor<4xf32>, %y: tensor<4xf16>) {
  // expected-error@+1 {{operands must have one element type, found 'tensor<4xf32>' and 'tensor<4xf16>'}}
  %0 = r1.div %x, %y : (tensor<4xf32>, tensor<4xf16>) -> tensor<4xf32>
  return
}

// -----

func.func @div_c2(%x: tensor<2x4xf32>, %y: tensor<3xf32>) {
  // expected-error@+1 {{operands must broadcast, found 'tensor<2x4xf32>' and 'tensor<3xf32>'}}
  %0 = r1.div %x, %y : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @max_c1(%x: tensor<4xf32>, %y: tensor<4xf16>) {
  // expected-error@+1 {{operands must have one element type, found 'tensor<4xf32>' and 'tensor<4xf16>'}}
  %0 = r1.max %x, %y : (tensor<4xf32>, tensor<4xf16>) -> tensor<4xf32>
  return
}

// -----

func.func @max_c2(%x: tensor<2x4xf32>, %y: tensor<3xf32>) {
  // expected-error@+1 {{operands must broadcast, found 'tensor<2x4xf32>' and 'tensor<3xf32>'}}
  %0 = r1.max %x, %y : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @min_c1(%x: tensor<4xf32>, %y: tensor<4xf16>) {
  // expected-error@+1 {{operands must have one element type, found 'tensor<4xf32>' and 'tensor<4xf16>'}}
  %0 = r1.min %x, %y : (tensor<4xf32>, tensor<4xf16>) -> tensor<4xf32>
  return
}

// -----

func.func @min_c2(%x: tensor<2x4xf32>, %y: tensor<3xf32>) {
  // expected-error@+1 {{operands must broadcast, found 'tensor<2x4xf32>' and 'tensor<3xf32>'}}
  %0 = r1.min %x, %y : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @pow_c1(%x: tensor<4xf32>, %y: tensor<4xf16>) {
  // expected-error@+1 {{operands must have one element type, found 'tensor<4xf32>' and 'tensor<4xf16>'}}
  %0 = r1.pow %x, %y : (tensor<4xf32>, tensor<4xf16>) -> tensor<4xf32>
  return
}

// -----

func.func @pow_c2(%x: tensor<2x4xf32>, %y: tensor<3xf32>) {
  // expected-error@+1 {{operands must broadcast, found 'tensor<2x4xf32>' and 'tensor<3xf32>'}}
  %0 = r1.pow %x, %y : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @and_c1(%x: tensor<4xi1>, %y: tensor<4xi32>) {
  // expected-error@+1 {{operand #1 must be tensor without encoding of 1-bit signless integer values}}
  %0 = r1.and %x, %y : (tensor<4xi1>, tensor<4xi32>) -> tensor<4xi1>
  return
}

// -----

func.func @and_c2(%x: tensor<2x4xi1>, %y: tensor<3xi1>) {
  // expected-error@+1 {{operands must broadcast, found 'tensor<2x4xi1>' and 'tensor<3xi1>'}}
  %0 = r1.and %x, %y : (tensor<2x4xi1>, tensor<3xi1>) -> tensor<2x4xi1>
  return
}

// -----

func.func @or_c1(%x: tensor<4xi1>, %y: tensor<4xi32>) {
  // expected-error@+1 {{operand #1 must be tensor without encoding of 1-bit signless integer values}}
  %0 = r1.or %x, %y : (tensor<4xi1>, tensor<4xi32>) -> tensor<4xi1>
  return
}

// -----

func.func @or_c2(%x: tensor<2x4xi1>, %y: tensor<3xi1>) {
  // expected-error@+1 {{operands must broadcast, found 'tensor<2x4xi1>' and 'tensor<3xi1>'}}
  %0 = r1.or %x, %y : (tensor<2x4xi1>, tensor<3xi1>) -> tensor<2x4xi1>
  return
}

// -----

func.func @add_types(%x: tensor<4xf32>) {
  // expected-error@+1 {{expected the types of two operands and a result, found '(tensor<4xf32>) -> tensor<4xf32>'}}
  %0 = r1.add %x, %x : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @add_result(%x: tensor<4xf32>) {
  // expected-error@+1 {{must return 'tensor<4xf32>', found 'tensor<5xf32>'}}
  %0 = r1.add %x, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @compare_c1(%x: tensor<4xf32>, %y: tensor<4xi32>) {
  // expected-error@+1 {{operands must have one element type}}
  %0 = r1.compare lt %x, %y : (tensor<4xf32>, tensor<4xi32>) -> tensor<4xi1>
  return
}

// -----

func.func @compare_c2(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error@+1 {{operands must broadcast}}
  %0 = r1.compare lt %x, %y : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xi1>
  return
}

// -----

func.func @select_c1(%c: tensor<4xi1>, %x: tensor<4xf32>, %y: tensor<4xi32>) {
  // expected-error@+1 {{operands must have one element type, found 'tensor<4xf32>' and 'tensor<4xi32>'}}
  %0 = r1.select %c, %x, %y : (tensor<4xi1>, tensor<4xf32>, tensor<4xi32>) -> tensor<4xf32>
  return
}

// -----

func.func @select_c2(%c: tensor<3xi1>, %x: tensor<4xf32>) {
  // expected-error@+1 {{operands must broadcast, found 'tensor<3xi1>' and 'tensor<4xf32>'}}
  %0 = r1.select %c, %x, %x : (tensor<3xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @matmul_c1(%x: tensor<4xf32>, %y: tensor<4x2xf32>) {
  // expected-error@+1 {{operands must be matrices, or stacks of them, of one element type, found 'tensor<4xf32>' and 'tensor<4x2xf32>'}}
  %0 = r1.matmul %x, %y : (tensor<4xf32>, tensor<4x2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @matmul_c2(%x: tensor<?x4xf32>, %y: tensor<3x2xf32>) {
  // expected-error@+1 {{rhs must have the 4 rows that lhs has columns, found 3}}
  %0 = r1.matmul %x, %y : (tensor<?x4xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @matmul_c3(%x: tensor<2x?x4xf32>, %y: tensor<3x4x2xf32>) {
  // expected-error@+1 {{the leading dimensions must broadcast}}
  %0 = r1.matmul %x, %y : (tensor<2x?x4xf32>, tensor<3x4x2xf32>) -> tensor<2x?x2xf32>
  return
}

// -----

func.func @reduce_c1(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{axes must be dimensions of 'tensor<2x4xf32>' in rising order, found [1, 1]}}
  %0 = r1.reduce sum %x over [1, 1] : (tensor<2x4xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @reduce_c1(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{in rising order, found [2]}}
  %0 = r1.reduce sum %x over [2] : (tensor<2x4xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @reduce_c2(%x: tensor<2x4xi32>) {
  // expected-error@+1 {{there is no mean of 'i32'}}
  %0 = r1.reduce mean %x over [1] : (tensor<2x4xi32>) -> tensor<2xi32>
  return
}

// -----

func.func @reduce_c2(%x: tensor<2x4xi1>) {
  // expected-error@+1 {{there is no sum of 'i1'}}
  %0 = r1.reduce sum %x over [1] : (tensor<2x4xi1>) -> tensor<2xi1>
  return
}

// -----

func.func @cumsum_c1(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<2x4xf32>', found -1}}
  %0 = r1.cumsum %x axis -1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @reshape_c2(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{sizes must not be negative but for one -1, found [-1, -1]}}
  %0 = r1.reshape %x to [-1, -1] : (tensor<2x4xf32>) -> tensor<?x?xf32>
  return
}

// -----

func.func @reshape_c2(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{sizes must not be negative but for one -1, found [-2]}}
  %0 = r1.reshape %x to [-2] : (tensor<?x4xf32>) -> tensor<?xf32>
  return
}

// -----

func.func @reshape_c3(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{must keep the 8 elements of 'tensor<2x4xf32>', found [3, -1]}}
  %0 = r1.reshape %x to [3, -1] : (tensor<2x4xf32>) -> tensor<3x?xf32>
  return
}

// -----

func.func @reshape_c4(%x: tensor<2x4xf32>, %s: tensor<?xi64>) {
  // expected-error@+1 {{must know how many sizes the shape has, found 'tensor<?xi64>'}}
  %0 = r1.reshape %x to %s : (tensor<2x4xf32>, tensor<?xi64>) -> tensor<8xf32>
  return
}

// -----

func.func @broadcast_to_c2(%x: tensor<4xf32>) {
  // expected-error@+1 {{sizes must be positive or the input's own (-1), found [-1, 4]}}
  %0 = r1.broadcast_to %x to [-1, 4] : (tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @broadcast_to_c3(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{'tensor<2x4xf32>' must broadcast to the result, found 'tensor<3x4xf32>'}}
  %0 = r1.broadcast_to %x to [3, 4] : (tensor<2x4xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @broadcast_to_c3(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{'tensor<2x4xf32>' must broadcast to the result, found 'tensor<4xf32>'}}
  %0 = r1.broadcast_to %x to [4] : (tensor<2x4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @broadcast_to_c4(%x: tensor<2x4xf32>, %s: tensor<?xi64>) {
  // expected-error@+1 {{must know how many sizes the shape has, found 'tensor<?xi64>'}}
  %0 = r1.broadcast_to %x to %s : (tensor<2x4xf32>, tensor<?xi64>) -> tensor<2x4xf32>
  return
}

// -----

func.func @transpose_c1(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{permutation must name each dimension of 'tensor<2x4xf32>' once, found [0, 0]}}
  %0 = r1.transpose %x by [0, 0] : (tensor<2x4xf32>) -> tensor<2x2xf32>
  return
}

// -----

func.func @transpose_c1(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{permutation must name each dimension of 'tensor<2x4xf32>' once, found [0]}}
  %0 = r1.transpose %x by [0] : (tensor<2x4xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @slice_c1(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<2x4xf32>', found 2}}
  %0 = r1.slice %x axis 2 from 0 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @slice_c2(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{step must be positive, found 0}}
  %0 = r1.slice %x axis 1 from 0 by 0 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @concat_c1() {
  // expected-error@+1 {{needs at least one input}}
  %0 = "r1.concat"() {axis = 0 : i64} : () -> tensor<2xf32>
  return
}

// -----

func.func @concat_c2(%x: tensor<2x4xf32>, %y: tensor<2x3xf32>) {
  // expected-error@+1 {{inputs must agree in all dimensions but 0, found 'tensor<2x4xf32>' and 'tensor<2x3xf32>'}}
  %0 = r1.concat %x, %y axis 0 : (tensor<2x4xf32>, tensor<2x3xf32>) -> tensor<4x4xf32>
  return
}

// -----

func.func @concat_c2(%x: tensor<2xf32>, %y: tensor<2xf16>) {
  // expected-error@+1 {{inputs must agree in all dimensions but 0, found 'tensor<2xf32>' and 'tensor<2xf16>'}}
  %0 = r1.concat %x, %y axis 0 : (tensor<2xf32>, tensor<2xf16>) -> tensor<4xf32>
  return
}

// -----

func.func @concat_c3(%x: tensor<2xf32>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<2xf32>', found 1}}
  %0 = r1.concat %x axis 1 : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_c1(%x: tensor<2xf32>, %i: tensor<3xi64>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<2xf32>', found 1}}
  %0 = r1.gather %x, %i axis 1 : (tensor<2xf32>, tensor<3xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @gather_elements_c1(%x: tensor<2x4xf32>, %i: tensor<2x4xi64>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<2x4xf32>', found 2}}
  %0 = r1.gather_elements %x, %i axis 2 : (tensor<2x4xf32>, tensor<2x4xi64>) -> tensor<2x4xf32>
  return
}

// -----

func.func @gather_elements_c1(%x: tensor<2x4xf32>, %i: tensor<2xi64>) {
  // expected-error@+1 {{indices must have as many dimensions as 'tensor<2x4xf32>', found 'tensor<2xi64>'}}
  %0 = r1.gather_elements %x, %i axis 1 : (tensor<2x4xf32>, tensor<2xi64>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_elements_c2(%x: tensor<2x4xf32>, %i: tensor<3x4xi64>) {
  // expected-error@+1 {{indices must not be larger than 'tensor<2x4xf32>' but along axis 1, found 'tensor<3x4xi64>'}}
  %0 = r1.gather_elements %x, %i axis 1 : (tensor<2x4xf32>, tensor<3x4xi64>) -> tensor<3x4xf32>
  return
}

// -----

func.func @scatter_elements_c1(%x: tensor<2x4xf32>, %i: tensor<2x1xi64>, %u: tensor<2x1xf32>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<2x4xf32>', found 2}}
  %0 = r1.scatter_elements add %x, %i, %u axis 2 : (tensor<2x4xf32>, tensor<2x1xi64>, tensor<2x1xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @scatter_elements_c1(%x: tensor<2x4xf32>, %i: tensor<2xi64>, %u: tensor<2xf32>) {
  // expected-error@+1 {{indices must have as many dimensions as 'tensor<2x4xf32>', found 'tensor<2xi64>'}}
  %0 = r1.scatter_elements add %x, %i, %u axis 1 : (tensor<2x4xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @scatter_elements_c2(%x: tensor<2x4xf32>, %i: tensor<3x1xi64>, %u: tensor<3x1xf32>) {
  // expected-error@+1 {{indices must not be larger than 'tensor<2x4xf32>' but along axis 1, found 'tensor<3x1xi64>'}}
  %0 = r1.scatter_elements add %x, %i, %u axis 1 : (tensor<2x4xf32>, tensor<3x1xi64>, tensor<3x1xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @scatter_elements_c3(%x: tensor<2x4xf32>, %i: tensor<2x1xi64>, %u: tensor<2x2xf32>) {
  // expected-error@+1 {{updates must be 'tensor<2x1xf32>', found 'tensor<2x2xf32>'}}
  %0 = r1.scatter_elements add %x, %i, %u axis 1 : (tensor<2x4xf32>, tensor<2x1xi64>, tensor<2x2xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @scatter_elements_c3(%x: tensor<2x4xf32>, %i: tensor<2x1xi64>, %u: tensor<2x1xf16>) {
  // expected-error@+1 {{updates must be 'tensor<2x1xf32>', found 'tensor<2x1xf16>'}}
  %0 = r1.scatter_elements add %x, %i, %u axis 1 : (tensor<2x4xf32>, tensor<2x1xi64>, tensor<2x1xf16>) -> tensor<2x4xf32>
  return
}

// -----

func.func @scatter_elements_c4(%x: tensor<2x4xi1>, %i: tensor<2x1xi64>, %u: tensor<2x1xi1>) {
  // expected-error@+1 {{elements of i1 are replaced only, found add}}
  %0 = r1.scatter_elements add %x, %i, %u axis 1 : (tensor<2x4xi1>, tensor<2x1xi64>, tensor<2x1xi1>) -> tensor<2x4xi1>
  return
}

// -----

func.func @topk_c1(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<2x4xf32>', found 3}}
  %0:2 = r1.topk 2 of %x axis 3 : (tensor<2x4xf32>) -> (tensor<2x2xf32>, tensor<2x2xi64>)
  return
}

// -----

func.func @topk_c2(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{k must be positive and at most dimension 1 of 'tensor<2x4xf32>', found 5}}
  %0:2 = r1.topk 5 of %x axis 1 : (tensor<2x4xf32>) -> (tensor<2x5xf32>, tensor<2x5xi64>)
  return
}

// -----

func.func @nonzero_c1(%x: tensor<f32>) {
  // expected-error@+1 {{the input must have at least one dimension, found 'tensor<f32>'}}
  %0 = r1.nonzero %x : (tensor<f32>) -> tensor<0x?xi64>
  return
}

// -----

func.func @dequantize_c1(%x: tensor<2x4xf8E4M3FN>) {
  // expected-error@+1 {{the input must be matrices in blocks, found 'tensor<2x4xf8E4M3FN>'}}
  %0 = r1.dequantize %x : (tensor<2x4xf8E4M3FN>) -> tensor<2x4xf32>
  return
}

// -----

func.func @encoding(%x: tensor<2x4xf8E4M3FN, #r1.blocks<2, 2>>) {
  // expected-error@+1 {{operand #0 must be tensor without encoding}}
  %0 = r1.cast %x to f32 : (tensor<2x4xf8E4M3FN, #r1.blocks<2, 2>>) -> tensor<2x4xf32>
  return
}

// -----

func.func @softmax_c1(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<2x4xf32>', found 2}}
  %0 = r1.softmax %x axis 2 : tensor<2x4xf32>
  return
}

// -----

func.func @cache_append_c1(%c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>, %x: tensor<?x16xf32>) {
  // expected-error@+1 {{layer must be in 0..1, found 2}}
  %0 = r1.cache_append %x to key of %c layer 2 : (!r1.cache<kv, layers = 2, key_width = 16, value_width = 8>, tensor<?x16xf32>) -> !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>
  return
}

// -----

func.func @cache_append_c2(%c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>, %x: tensor<?x14xf32>) {
  // expected-error@+1 {{a latent cache has keys alone, found value}}
  %0 = r1.cache_append %x to value of %c layer 1 : (!r1.cache<latent, layers = 2, key_width = 14, value_width = 0>, tensor<?x14xf32>) -> !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>
  return
}

// -----

func.func @cache_append_c3(%c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>, %x: tensor<?x16xf32>) {
  // expected-error@+1 {{rows must be 8 wide, found 'tensor<?x16xf32>'}}
  %0 = r1.cache_append %x to value of %c layer 1 : (!r1.cache<kv, layers = 2, key_width = 16, value_width = 8>, tensor<?x16xf32>) -> !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>
  return
}

// -----

func.func @cache_read_c1(%c: !r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) {
  // expected-error@+1 {{layer must be in 0..1, found -1}}
  %0 = r1.cache_read key of %c layer -1 : (!r1.cache<kv, layers = 2, key_width = 16, value_width = 8>) -> tensor<?x16xf32>
  return
}

// -----

func.func @cache_read_c2(%c: !r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) {
  // expected-error@+1 {{a latent cache has keys alone, found value}}
  %0 = r1.cache_read value of %c layer 1 : (!r1.cache<latent, layers = 2, key_width = 14, value_width = 0>) -> tensor<?x14xf32>
  return
}

// -----

func.func @reshape_c1(%x: tensor<2x4xf32>, %s: tensor<1xi64>) {
  // expected-error@+1 {{needs either sizes or a shape, found both}}
  %0 = "r1.reshape"(%x, %s) {sizes = array<i64: 8>} : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<8xf32>
  return
}

// -----

func.func @reshape_c1(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{needs either sizes or a shape, found none}}
  %0 = "r1.reshape"(%x) : (tensor<2x4xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @broadcast_to_c1(%x: tensor<2x4xf32>, %s: tensor<1xi64>) {
  // expected-error@+1 {{needs either sizes or a shape, found both}}
  %0 = "r1.broadcast_to"(%x, %s) {sizes = array<i64: 8>} : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<8xf32>
  return
}

// -----

func.func @broadcast_to_c1(%x: tensor<2x4xf32>) {
  // expected-error@+1 {{needs either sizes or a shape, found none}}
  %0 = "r1.broadcast_to"(%x) : (tensor<2x4xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @sort_c1(%x: tensor<4xf32>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<4xf32>', found 1}}
  %0:2 = r1.sort %x axis 1 : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xi64>)
  return
}

// -----

func.func @gather_nd_c1(%x: tensor<4x5xf32>, %i: tensor<3x1xi64>) {
  // expected-error@+1 {{batch_dims must be leading dimensions that 'tensor<4x5xf32>' and 'tensor<3x1xi64>' share, found 1}}
  %0 = r1.gather_nd %x, %i batch_dims 1 : (tensor<4x5xf32>, tensor<3x1xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @gather_nd_c2(%x: tensor<4x5xf32>, %i: tensor<3x?xi64>) {
  // expected-error@+1 {{rows of indices must name at most 2 dimensions of 'tensor<4x5xf32>', found 'tensor<3x?xi64>'}}
  %0 = r1.gather_nd %x, %i : (tensor<4x5xf32>, tensor<3x?xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @scatter_nd_c1(%x: tensor<4x5xf32>, %i: tensor<3x3xi64>, %u: tensor<3xf32>) {
  // expected-error@+1 {{rows of indices must name at most 2 dimensions of 'tensor<4x5xf32>', found 'tensor<3x3xi64>'}}
  %0 = r1.scatter_nd replace %x, %i, %u : (tensor<4x5xf32>, tensor<3x3xi64>, tensor<3xf32>) -> tensor<4x5xf32>
  return
}

// -----

func.func @scatter_nd_c2(%x: tensor<4x5xf32>, %i: tensor<3x1xi64>, %u: tensor<3x4xf32>) {
  // expected-error@+1 {{updates must be 'tensor<3x5xf32>', found 'tensor<3x4xf32>'}}
  %0 = r1.scatter_nd replace %x, %i, %u : (tensor<4x5xf32>, tensor<3x1xi64>, tensor<3x4xf32>) -> tensor<4x5xf32>
  return
}

// -----

func.func @scatter_nd_c3(%x: tensor<4xi1>, %i: tensor<3x1xi64>, %u: tensor<3xi1>) {
  // expected-error@+1 {{elements of i1 are replaced only, found add}}
  %0 = r1.scatter_nd add %x, %i, %u : (tensor<4xi1>, tensor<3x1xi64>, tensor<3xi1>) -> tensor<4xi1>
  return
}
