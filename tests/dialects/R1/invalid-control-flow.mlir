// RUN: elah-opt %s -split-input-file -verify-diagnostics
// The constraints of regions and sequences, each broken once. sequence_c1 cannot be written: the parser takes tensors
// alone.

func.func @if_c1(%c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error@+1 {{regions must yield 'tensor<5xf32>' without arguments, found 'tensor<4xf32>'}}
  %0 = r1.if %c : (tensor<i1>) -> tensor<5xf32> then {
    r1.yield %x : tensor<4xf32>
  } else {
    r1.yield %x : tensor<4xf32>
  }
  return
}

// -----

func.func @loop_c1(%n: tensor<i64>, %c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error@+1 {{the region must take an i64 scalar and 'tensor<4xf32>', found 'tensor<i32>', 'tensor<4xf32>'}}
  %0 = r1.loop to %n while %c carrying %x : (tensor<i64>, tensor<i1>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%i: tensor<i32>, %y: tensor<4xf32>):
    r1.yield %c, %y : tensor<i1>, tensor<4xf32>
  }
  return
}

// -----

func.func @loop_c2(%n: tensor<i64>, %c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error@+1 {{the region must yield an i1 scalar and 'tensor<4xf32>', found 'tensor<4xf32>', 'tensor<4xf32>'}}
  %0 = r1.loop to %n while %c carrying %x : (tensor<i64>, tensor<i1>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%i: tensor<i64>, %y: tensor<4xf32>):
    r1.yield %y, %y : tensor<4xf32>, tensor<4xf32>
  }
  return
}

// -----

func.func @loop_c3(%n: tensor<i64>, %c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error@+1 {{must return stacks of 'tensor<4xf32>', found 'tensor<4xf32>'}}
  %0:2 = r1.loop to %n while %c carrying %x : (tensor<i64>, tensor<i1>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  ^bb0(%i: tensor<i64>, %y: tensor<4xf32>):
    r1.yield %c, %y, %y : tensor<i1>, tensor<4xf32>, tensor<4xf32>
  }
  return
}

// -----

func.func @sequence_op_c1(%x: tensor<4xf32>) {
  // expected-error@+1 {{elements must be 'tensor<5xf32>', found 'tensor<4xf32>'}}
  %0 = r1.sequence %x : (tensor<4xf32>) -> !r1.sequence<tensor<5xf32>>
  return
}

// -----

func.func @sequence_insert_c1(%s: !r1.sequence<tensor<5xf32>>, %x: tensor<4xf32>) {
  // expected-error@+1 {{elements must be 'tensor<5xf32>', found 'tensor<5xf32>' and 'tensor<4xf32>'}}
  %0 = r1.sequence_insert %s, %x : (!r1.sequence<tensor<5xf32>>, tensor<4xf32>) -> !r1.sequence<tensor<5xf32>>
  return
}

// -----

func.func @sequence_at_c1(%s: !r1.sequence<tensor<5xf32>>, %i: tensor<i64>) {
  // expected-error@+1 {{must return 'tensor<5xf32>', found 'tensor<5xf16>'}}
  %0 = r1.sequence_at %s, %i : (!r1.sequence<tensor<5xf32>>, tensor<i64>) -> tensor<5xf16>
  return
}

// -----

func.func @sequence_concat_c1(%s: !r1.sequence<tensor<5xf32>>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<?xf32>', found 1}}
  %0 = r1.sequence_concat %s axis 1 : (!r1.sequence<tensor<5xf32>>) -> tensor<?xf32>
  return
}

// -----

func.func @sequence_concat_c2(%s: !r1.sequence<tensor<5xf32>>) {
  // expected-error@+1 {{must return tensors 'tensor<5xf32>' stacked, found 'tensor<?xf32>'}}
  %0 = r1.sequence_concat %s axis 0 stacked : (!r1.sequence<tensor<5xf32>>) -> tensor<?xf32>
  return
}

// -----

func.func @sequence_split_c1(%x: tensor<6xf32>, %n: tensor<i64>) {
  // expected-error@+1 {{axis must be a dimension of 'tensor<6xf32>', found -1}}
  %0 = r1.sequence_split %x into %n axis -1 : (tensor<6xf32>, tensor<i64>) -> !r1.sequence<tensor<?xf32>>
  return
}

// -----

func.func @sequence_split_c2(%x: tensor<6xf32>, %n: tensor<i64>) {
  // expected-error@+1 {{elements must be parts of 'tensor<6xf32>' without the axis, found 'tensor<?xf32>'}}
  %0 = r1.sequence_split %x into %n axis 0 dropped : (tensor<6xf32>, tensor<i64>) -> !r1.sequence<tensor<?xf32>>
  return
}
