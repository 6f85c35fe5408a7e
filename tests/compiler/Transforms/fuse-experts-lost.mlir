// RUN: elah-opt %s -r1-fuse-experts -verify-diagnostics

// Traced with one token: two of the eight experts are left, and nothing else tells.
func.func @lost(%x: tensor<?x4xf32>, %logits: tensor<?x8xf32>) -> tensor<?x4xf32> {
  %gate3 = r1.weight [#r1.weight<"experts.3.gate" in "model.data" at 0 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up3 = r1.weight [#r1.weight<"experts.3.up" in "model.data" at 96 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down3 = r1.weight [#r1.weight<"experts.3.down" in "model.data" at 192 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %gate5 = r1.weight [#r1.weight<"experts.5.gate" in "model.data" at 288 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up5 = r1.weight [#r1.weight<"experts.5.up" in "model.data" at 384 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down5 = r1.weight [#r1.weight<"experts.5.down" in "model.data" at 480 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %zero = r1.constant dense<0.0> : tensor<f32>
  %none = r1.mul %x, %zero : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %two = r1.constant dense<2> : tensor<i64>
  %hidden = r1.constant dense<4> : tensor<1xi64>
  // expected-error@+1 {{the router chooses among 8 experts, but the graph has branches of 2 only: the others were lost when it was traced}}
  %experts, %weights = r1.route %logits {routing = #r1.routing<sigmoid, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = true, scale = 1.0>} : (tensor<?x8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  %flat_weights = r1.reshape %weights to [-1] : (tensor<?x2xf32>) -> tensor<?xf32>
  %i3 = r1.constant dense<3> : tensor<i32>
  %is3 = r1.compare eq %experts, %i3 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %nz3 = r1.nonzero %is3 : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %t13 = r1.slice %nz3 axis 0 from 0 to 1 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %t3 = r1.reshape %t13 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %k13 = r1.slice %nz3 axis 0 from 1 to 2 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %k3 = r1.reshape %k13 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %x3 = r1.gather %x, %t3 axis 0 : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %g3 = r1.linear %x3, %gate3 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u3 = r1.linear %x3, %up3 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h3 = r1.swiglu %g3, %u3 : tensor<?x6xf32>
  %d3 = r1.linear %h3, %down3 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %o3 = r1.mul %t3, %two : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %w13 = r1.add %o3, %k3 : tensor<?xi64>
  %w23 = r1.gather %flat_weights, %w13 axis 0 : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %w3 = r1.reshape %w23 to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %y3 = r1.mul %d3, %w3 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %tc3 = r1.reshape %t3 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %n3 = r1.dim %t3, 0 : tensor<?xi64>
  %n13 = r1.reshape %n3 to [1] : (tensor<i64>) -> tensor<1xi64>
  %shape3 = r1.concat %n13, %hidden axis 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %te3 = r1.broadcast_to %tc3 to %shape3 : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %z3 = r1.scatter_elements replace %none, %te3, %y3 axis 0 : (tensor<?x4xf32>, tensor<?x?xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %a3 = r1.add %none, %z3 : tensor<?x4xf32>
  %i5 = r1.constant dense<5> : tensor<i32>
  %is5 = r1.compare eq %experts, %i5 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %nz5 = r1.nonzero %is5 : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %t15 = r1.slice %nz5 axis 0 from 0 to 1 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %t5 = r1.reshape %t15 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %k15 = r1.slice %nz5 axis 0 from 1 to 2 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %k5 = r1.reshape %k15 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %x5 = r1.gather %x, %t5 axis 0 : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %g5 = r1.linear %x5, %gate5 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u5 = r1.linear %x5, %up5 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h5 = r1.swiglu %g5, %u5 : tensor<?x6xf32>
  %d5 = r1.linear %h5, %down5 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %o5 = r1.mul %t5, %two : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %w15 = r1.add %o5, %k5 : tensor<?xi64>
  %w25 = r1.gather %flat_weights, %w15 axis 0 : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %w5 = r1.reshape %w25 to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %y5 = r1.mul %d5, %w5 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %tc5 = r1.reshape %t5 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %n5 = r1.dim %t5, 0 : tensor<?xi64>
  %n15 = r1.reshape %n5 to [1] : (tensor<i64>) -> tensor<1xi64>
  %shape5 = r1.concat %n15, %hidden axis 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %te5 = r1.broadcast_to %tc5 to %shape5 : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %z5 = r1.scatter_elements replace %none, %te5, %y5 axis 0 : (tensor<?x4xf32>, tensor<?x?xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %a5 = r1.add %a3, %z5 : tensor<?x4xf32>
  return %a5 : tensor<?x4xf32>
}
