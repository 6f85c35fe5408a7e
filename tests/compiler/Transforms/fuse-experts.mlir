// RUN: elah-opt %s -r1-fuse-experts -canonicalize -split-input-file | FileCheck %s

// What mobius writes: every expert on every token, times its weight for the token, or 0. A shared expert is added, and
// stays an MLP.
// CHECK-LABEL: func.func @dense
func.func @dense(%x: tensor<?x4xf32>, %logits: tensor<?x3xf32>, %gs: tensor<6x4xf32>, %us: tensor<6x4xf32>, %ds: tensor<4x6xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[EXPERTS:.*]], %[[WEIGHTS:.*]] = r1.route
  // CHECK-DAG: %[[GATE:.*]] = r1.weight [#r1.weight<"experts.0.gate" {{.*}}, #r1.weight<"experts.1.gate" {{.*}}, #r1.weight<"experts.2.gate" {{.*}}] : tensor<3x6x4xf32>
  // CHECK-DAG: %[[UP:.*]] = r1.weight [#r1.weight<"experts.0.up" {{.*}}] : tensor<3x6x4xf32>
  // CHECK-DAG: %[[DOWN:.*]] = r1.weight [#r1.weight<"experts.0.down" {{.*}}] : tensor<3x4x6xf32>
  // CHECK: %[[ROUTED:.*]] = r1.experts %arg0 to %[[EXPERTS]], %[[WEIGHTS]] gate %[[GATE]] up %[[UP]] down %[[DOWN]]
  // CHECK: %[[SHARED:.*]] = r1.linear %{{.*}}, %arg4
  // CHECK: r1.add %[[ROUTED]], %[[SHARED]]
  %gate0 = r1.weight [#r1.weight<"experts.0.gate" in "model.data" at 0 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up0 = r1.weight [#r1.weight<"experts.0.up" in "model.data" at 96 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down0 = r1.weight [#r1.weight<"experts.0.down" in "model.data" at 192 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %gate1 = r1.weight [#r1.weight<"experts.1.gate" in "model.data" at 288 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up1 = r1.weight [#r1.weight<"experts.1.up" in "model.data" at 384 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down1 = r1.weight [#r1.weight<"experts.1.down" in "model.data" at 480 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %gate2 = r1.weight [#r1.weight<"experts.2.gate" in "model.data" at 576 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up2 = r1.weight [#r1.weight<"experts.2.up" in "model.data" at 672 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down2 = r1.weight [#r1.weight<"experts.2.down" in "model.data" at 768 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %experts, %weights = r1.route %logits {routing = #r1.routing<sigmoid, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = true, scale = 1.0>} : (tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) loc("/layers.3/mlp/gate/TopK")
  %i0 = r1.constant dense<0> : tensor<i32>
  %g0 = r1.linear %x, %gate0 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u0 = r1.linear %x, %up0 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h0 = r1.swiglu %g0, %u0 : tensor<?x6xf32>
  %d0 = r1.linear %h0, %down0 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %is0 = r1.compare eq %experts, %i0 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %f0 = r1.cast %is0 to f32 : (tensor<?x2xi1>) -> tensor<?x2xf32>
  %p0 = r1.mul %f0, %weights : tensor<?x2xf32>
  %c0 = r1.reduce sum %p0 over [1] keep_dims : (tensor<?x2xf32>) -> tensor<?x1xf32>
  %y0 = r1.mul %d0, %c0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %i1 = r1.constant dense<1> : tensor<i32>
  %g1 = r1.linear %x, %gate1 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u1 = r1.linear %x, %up1 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h1 = r1.swiglu %g1, %u1 : tensor<?x6xf32>
  %d1 = r1.linear %h1, %down1 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %is1 = r1.compare eq %experts, %i1 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %f1 = r1.cast %is1 to f32 : (tensor<?x2xi1>) -> tensor<?x2xf32>
  %p1 = r1.mul %f1, %weights : tensor<?x2xf32>
  %c1 = r1.reduce sum %p1 over [1] keep_dims : (tensor<?x2xf32>) -> tensor<?x1xf32>
  %y1 = r1.mul %d1, %c1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %i2 = r1.constant dense<2> : tensor<i32>
  %g2 = r1.linear %x, %gate2 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u2 = r1.linear %x, %up2 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h2 = r1.swiglu %g2, %u2 : tensor<?x6xf32>
  %d2 = r1.linear %h2, %down2 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %is2 = r1.compare eq %experts, %i2 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %f2 = r1.cast %is2 to f32 : (tensor<?x2xi1>) -> tensor<?x2xf32>
  %p2 = r1.mul %f2, %weights : tensor<?x2xf32>
  %c2 = r1.reduce sum %p2 over [1] keep_dims : (tensor<?x2xf32>) -> tensor<?x1xf32>
  %y2 = r1.mul %d2, %c2 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %s1 = r1.add %y0, %y1 : tensor<?x4xf32>
  %s2 = r1.add %s1, %y2 : tensor<?x4xf32>
  %gsh = r1.linear %x, %gs : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %ush = r1.linear %x, %us : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %hsh = r1.swiglu %gsh, %ush : tensor<?x6xf32>
  %dsh = r1.linear %hsh, %ds : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %y = r1.add %s2, %dsh : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// TorchScript's loop: each expert's tokens by NonZero, its results put into zeros (unique indices, no reduction) and
// added. The order of the loop does not matter.
// CHECK-LABEL: func.func @loop
func.func @loop(%x: tensor<?x4xf32>, %logits: tensor<?x3xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[EXPERTS:.*]], %[[WEIGHTS:.*]] = r1.route
  // CHECK-DAG: r1.weight [#r1.weight<"experts.0.gate" {{.*}}, #r1.weight<"experts.1.gate" {{.*}}, #r1.weight<"experts.2.gate" {{.*}}] : tensor<3x6x4xf32>
  // CHECK: r1.experts %arg0 to %[[EXPERTS]], %[[WEIGHTS]]
  // CHECK-NOT: r1.nonzero
  %gate2 = r1.weight [#r1.weight<"experts.2.gate" in "model.data" at 0 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up2 = r1.weight [#r1.weight<"experts.2.up" in "model.data" at 96 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down2 = r1.weight [#r1.weight<"experts.2.down" in "model.data" at 192 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %gate0 = r1.weight [#r1.weight<"experts.0.gate" in "model.data" at 288 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up0 = r1.weight [#r1.weight<"experts.0.up" in "model.data" at 384 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down0 = r1.weight [#r1.weight<"experts.0.down" in "model.data" at 480 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %gate1 = r1.weight [#r1.weight<"experts.1.gate" in "model.data" at 576 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up1 = r1.weight [#r1.weight<"experts.1.up" in "model.data" at 672 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down1 = r1.weight [#r1.weight<"experts.1.down" in "model.data" at 768 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %zero = r1.constant dense<0.0> : tensor<f32>
  %none = r1.mul %x, %zero : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %two = r1.constant dense<2> : tensor<i64>
  %hidden = r1.constant dense<4> : tensor<1xi64>
  %experts, %weights = r1.route %logits {routing = #r1.routing<sigmoid, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = true, scale = 1.0>} : (tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) loc("/layers.3/mlp/gate/TopK")
  %flat_weights = r1.reshape %weights to [-1] : (tensor<?x2xf32>) -> tensor<?xf32>
  %i2 = r1.constant dense<2> : tensor<i32>
  %is2 = r1.compare eq %experts, %i2 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %nz2 = r1.nonzero %is2 : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %t12 = r1.slice %nz2 axis 0 from 0 to 1 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %t2 = r1.reshape %t12 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %k12 = r1.slice %nz2 axis 0 from 1 to 2 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %k2 = r1.reshape %k12 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %x2 = r1.gather %x, %t2 axis 0 : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %g2 = r1.linear %x2, %gate2 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u2 = r1.linear %x2, %up2 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h2 = r1.swiglu %g2, %u2 : tensor<?x6xf32>
  %d2 = r1.linear %h2, %down2 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %o2 = r1.mul %t2, %two : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %w12 = r1.add %o2, %k2 : tensor<?xi64>
  %w22 = r1.gather %flat_weights, %w12 axis 0 : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %w2 = r1.reshape %w22 to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %y2 = r1.mul %d2, %w2 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %tc2 = r1.reshape %t2 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %n2 = r1.dim %t2, 0 : tensor<?xi64>
  %n12 = r1.reshape %n2 to [1] : (tensor<i64>) -> tensor<1xi64>
  %shape2 = r1.concat %n12, %hidden axis 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %te2 = r1.broadcast_to %tc2 to %shape2 : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %z2 = r1.scatter_elements replace %none, %te2, %y2 axis 0 : (tensor<?x4xf32>, tensor<?x?xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %a2 = r1.add %none, %z2 : tensor<?x4xf32>
  %i0 = r1.constant dense<0> : tensor<i32>
  %is0 = r1.compare eq %experts, %i0 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %nz0 = r1.nonzero %is0 : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %t10 = r1.slice %nz0 axis 0 from 0 to 1 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %t0 = r1.reshape %t10 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %k10 = r1.slice %nz0 axis 0 from 1 to 2 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %k0 = r1.reshape %k10 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %x0 = r1.gather %x, %t0 axis 0 : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %g0 = r1.linear %x0, %gate0 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u0 = r1.linear %x0, %up0 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h0 = r1.swiglu %g0, %u0 : tensor<?x6xf32>
  %d0 = r1.linear %h0, %down0 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %o0 = r1.mul %t0, %two : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %w10 = r1.add %o0, %k0 : tensor<?xi64>
  %w20 = r1.gather %flat_weights, %w10 axis 0 : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %w0 = r1.reshape %w20 to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %y0 = r1.mul %d0, %w0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %tc0 = r1.reshape %t0 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %n0 = r1.dim %t0, 0 : tensor<?xi64>
  %n10 = r1.reshape %n0 to [1] : (tensor<i64>) -> tensor<1xi64>
  %shape0 = r1.concat %n10, %hidden axis 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %te0 = r1.broadcast_to %tc0 to %shape0 : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %z0 = r1.scatter_elements replace %none, %te0, %y0 axis 0 : (tensor<?x4xf32>, tensor<?x?xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %a0 = r1.add %a2, %z0 : tensor<?x4xf32>
  %i1 = r1.constant dense<1> : tensor<i32>
  %is1 = r1.compare eq %experts, %i1 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %nz1 = r1.nonzero %is1 : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %t11 = r1.slice %nz1 axis 0 from 0 to 1 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %t1 = r1.reshape %t11 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %k11 = r1.slice %nz1 axis 0 from 1 to 2 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %k1 = r1.reshape %k11 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %x1 = r1.gather %x, %t1 axis 0 : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %g1 = r1.linear %x1, %gate1 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u1 = r1.linear %x1, %up1 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h1 = r1.swiglu %g1, %u1 : tensor<?x6xf32>
  %d1 = r1.linear %h1, %down1 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %o1 = r1.mul %t1, %two : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %w11 = r1.add %o1, %k1 : tensor<?xi64>
  %w21 = r1.gather %flat_weights, %w11 axis 0 : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %w1 = r1.reshape %w21 to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %y1 = r1.mul %d1, %w1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %tc1 = r1.reshape %t1 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %n1 = r1.dim %t1, 0 : tensor<?xi64>
  %n11 = r1.reshape %n1 to [1] : (tensor<i64>) -> tensor<1xi64>
  %shape1 = r1.concat %n11, %hidden axis 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %te1 = r1.broadcast_to %tc1 to %shape1 : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %z1 = r1.scatter_elements replace %none, %te1, %y1 axis 0 : (tensor<?x4xf32>, tensor<?x?xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %a1 = r1.add %a0, %z1 : tensor<?x4xf32>
  return %a1 : tensor<?x4xf32>
}

// -----

// dynamo's loop: index_put that accumulates.
// CHECK-LABEL: func.func @accumulate
func.func @accumulate(%x: tensor<?x4xf32>, %logits: tensor<?x3xf32>) -> tensor<?x4xf32> {
  // CHECK: r1.experts %arg0
  // CHECK-NOT: r1.scatter_elements
  %gate0 = r1.weight [#r1.weight<"experts.0.gate" in "model.data" at 0 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up0 = r1.weight [#r1.weight<"experts.0.up" in "model.data" at 96 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down0 = r1.weight [#r1.weight<"experts.0.down" in "model.data" at 192 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %gate1 = r1.weight [#r1.weight<"experts.1.gate" in "model.data" at 288 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up1 = r1.weight [#r1.weight<"experts.1.up" in "model.data" at 384 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down1 = r1.weight [#r1.weight<"experts.1.down" in "model.data" at 480 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %gate2 = r1.weight [#r1.weight<"experts.2.gate" in "model.data" at 576 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %up2 = r1.weight [#r1.weight<"experts.2.up" in "model.data" at 672 size 96 : tensor<6x4xf32>>] : tensor<6x4xf32>
  %down2 = r1.weight [#r1.weight<"experts.2.down" in "model.data" at 768 size 96 : tensor<4x6xf32>>] : tensor<4x6xf32>
  %zero = r1.constant dense<0.0> : tensor<f32>
  %none = r1.mul %x, %zero : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %two = r1.constant dense<2> : tensor<i64>
  %hidden = r1.constant dense<4> : tensor<1xi64>
  %experts, %weights = r1.route %logits {routing = #r1.routing<sigmoid, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = true, scale = 1.0>} : (tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) loc("/layers.3/mlp/gate/TopK")
  %flat_weights = r1.reshape %weights to [-1] : (tensor<?x2xf32>) -> tensor<?xf32>
  %i0 = r1.constant dense<0> : tensor<i32>
  %is0 = r1.compare eq %experts, %i0 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %nz0 = r1.nonzero %is0 : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %t10 = r1.slice %nz0 axis 0 from 0 to 1 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %t0 = r1.reshape %t10 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %k10 = r1.slice %nz0 axis 0 from 1 to 2 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %k0 = r1.reshape %k10 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %x0 = r1.gather %x, %t0 axis 0 : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %g0 = r1.linear %x0, %gate0 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u0 = r1.linear %x0, %up0 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h0 = r1.swiglu %g0, %u0 : tensor<?x6xf32>
  %d0 = r1.linear %h0, %down0 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %o0 = r1.mul %t0, %two : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %w10 = r1.add %o0, %k0 : tensor<?xi64>
  %w20 = r1.gather %flat_weights, %w10 axis 0 : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %w0 = r1.reshape %w20 to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %y0 = r1.mul %d0, %w0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %tc0 = r1.reshape %t0 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %n0 = r1.dim %t0, 0 : tensor<?xi64>
  %n10 = r1.reshape %n0 to [1] : (tensor<i64>) -> tensor<1xi64>
  %shape0 = r1.concat %n10, %hidden axis 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %te0 = r1.broadcast_to %tc0 to %shape0 : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %a0 = r1.scatter_elements add %none, %te0, %y0 axis 0 : (tensor<?x4xf32>, tensor<?x?xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %i1 = r1.constant dense<1> : tensor<i32>
  %is1 = r1.compare eq %experts, %i1 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %nz1 = r1.nonzero %is1 : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %t11 = r1.slice %nz1 axis 0 from 0 to 1 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %t1 = r1.reshape %t11 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %k11 = r1.slice %nz1 axis 0 from 1 to 2 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %k1 = r1.reshape %k11 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %x1 = r1.gather %x, %t1 axis 0 : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %g1 = r1.linear %x1, %gate1 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u1 = r1.linear %x1, %up1 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h1 = r1.swiglu %g1, %u1 : tensor<?x6xf32>
  %d1 = r1.linear %h1, %down1 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %o1 = r1.mul %t1, %two : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %w11 = r1.add %o1, %k1 : tensor<?xi64>
  %w21 = r1.gather %flat_weights, %w11 axis 0 : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %w1 = r1.reshape %w21 to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %y1 = r1.mul %d1, %w1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %tc1 = r1.reshape %t1 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %n1 = r1.dim %t1, 0 : tensor<?xi64>
  %n11 = r1.reshape %n1 to [1] : (tensor<i64>) -> tensor<1xi64>
  %shape1 = r1.concat %n11, %hidden axis 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %te1 = r1.broadcast_to %tc1 to %shape1 : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %a1 = r1.scatter_elements add %a0, %te1, %y1 axis 0 : (tensor<?x4xf32>, tensor<?x?xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %i2 = r1.constant dense<2> : tensor<i32>
  %is2 = r1.compare eq %experts, %i2 : (tensor<?x2xi32>, tensor<i32>) -> tensor<?x2xi1>
  %nz2 = r1.nonzero %is2 : (tensor<?x2xi1>) -> tensor<2x?xi64>
  %t12 = r1.slice %nz2 axis 0 from 0 to 1 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %t2 = r1.reshape %t12 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %k12 = r1.slice %nz2 axis 0 from 1 to 2 : (tensor<2x?xi64>) -> tensor<1x?xi64>
  %k2 = r1.reshape %k12 to [-1] : (tensor<1x?xi64>) -> tensor<?xi64>
  %x2 = r1.gather %x, %t2 axis 0 : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %g2 = r1.linear %x2, %gate2 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %u2 = r1.linear %x2, %up2 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %h2 = r1.swiglu %g2, %u2 : tensor<?x6xf32>
  %d2 = r1.linear %h2, %down2 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %o2 = r1.mul %t2, %two : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %w12 = r1.add %o2, %k2 : tensor<?xi64>
  %w22 = r1.gather %flat_weights, %w12 axis 0 : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %w2 = r1.reshape %w22 to [-1, 1] : (tensor<?xf32>) -> tensor<?x1xf32>
  %y2 = r1.mul %d2, %w2 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %tc2 = r1.reshape %t2 to [-1, 1] : (tensor<?xi64>) -> tensor<?x1xi64>
  %n2 = r1.dim %t2, 0 : tensor<?xi64>
  %n12 = r1.reshape %n2 to [1] : (tensor<i64>) -> tensor<1xi64>
  %shape2 = r1.concat %n12, %hidden axis 0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %te2 = r1.broadcast_to %tc2 to %shape2 : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %a2 = r1.scatter_elements add %a1, %te2, %y2 axis 0 : (tensor<?x4xf32>, tensor<?x?xi64>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %a2 : tensor<?x4xf32>
}

// -----

// All experts in one product with stacked weights, [experts, inputs, outputs].
// CHECK-LABEL: func.func @stacked
func.func @stacked(%x: tensor<?x4xf32>, %logits: tensor<?x3xf32>, %gate: tensor<3x4x6xf32>, %up: tensor<3x4x6xf32>, %down: tensor<3x6x4xf32>) -> tensor<?x4xf32> {
  // CHECK-DAG: %[[GATE:.*]] = r1.transpose %arg2 by [0, 2, 1]
  // CHECK-DAG: %[[UP:.*]] = r1.transpose %arg3 by [0, 2, 1]
  // CHECK-DAG: %[[DOWN:.*]] = r1.transpose %arg4 by [0, 2, 1]
  // CHECK: r1.experts %arg0 to %{{.*}}, %{{.*}} gate %[[GATE]] up %[[UP]] down %[[DOWN]]
  %zero = r1.constant dense<0.0> : tensor<f32>
  %experts, %weights = r1.route %logits {routing = #r1.routing<sigmoid, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = true, scale = 1.0>} : (tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) loc("/layers.3/mlp/gate/TopK")
  %g = r1.matmul %x, %gate : (tensor<?x4xf32>, tensor<3x4x6xf32>) -> tensor<3x?x6xf32>
  %u = r1.matmul %x, %up : (tensor<?x4xf32>, tensor<3x4x6xf32>) -> tensor<3x?x6xf32>
  %h = r1.swiglu %g, %u : tensor<3x?x6xf32>
  %d = r1.matmul %h, %down : (tensor<3x?x6xf32>, tensor<3x6x4xf32>) -> tensor<3x?x4xf32>
  %nothing = r1.mul %logits, %zero : (tensor<?x3xf32>, tensor<f32>) -> tensor<?x3xf32>
  %wide = r1.cast %experts to i64 : (tensor<?x2xi32>) -> tensor<?x2xi64>
  %w0 = r1.scatter_elements replace %nothing, %wide, %weights axis 1 : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %w1 = r1.transpose %w0 by [1, 0] : (tensor<?x3xf32>) -> tensor<3x?xf32>
  %w2 = r1.reshape %w1 to [3, -1, 1] : (tensor<3x?xf32>) -> tensor<3x?x1xf32>
  %y0 = r1.mul %d, %w2 : (tensor<3x?x4xf32>, tensor<3x?x1xf32>) -> tensor<3x?x4xf32>
  %y = r1.reduce sum %y0 over [0] : (tensor<3x?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Weights gathered for each choice, and a batched product for each (transformers' batched_mm).
// CHECK-LABEL: func.func @gathered
func.func @gathered(%x: tensor<?x4xf32>, %logits: tensor<?x3xf32>, %gate: tensor<3x6x4xf32>, %up: tensor<3x6x4xf32>, %down: tensor<3x4x6xf32>) -> tensor<?x4xf32> {
  // CHECK: r1.experts %arg0 to %{{.*}}, %{{.*}} gate %arg2 up %arg3 down %arg4
  // CHECK-NOT: r1.gather
  %experts, %weights = r1.route %logits {routing = #r1.routing<sigmoid, top_k = 2, groups = 1, top_groups = 1, group_score = max, normalize = true, scale = 1.0>} : (tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) loc("/layers.3/mlp/gate/TopK")
  %chosen = r1.reshape %experts to [-1] : (tensor<?x2xi32>) -> tensor<?xi32>
  %x1 = r1.reshape %x to [-1, 1, 4] : (tensor<?x4xf32>) -> tensor<?x1x4xf32>
  %x2 = r1.broadcast_to %x1 to [-1, 2, 4] : (tensor<?x1x4xf32>) -> tensor<?x2x4xf32>
  %x3 = r1.reshape %x2 to [-1, 1, 4] : (tensor<?x2x4xf32>) -> tensor<?x1x4xf32>
  %gs = r1.gather %gate, %chosen axis 0 : (tensor<3x6x4xf32>, tensor<?xi32>) -> tensor<?x6x4xf32>
  %us = r1.gather %up, %chosen axis 0 : (tensor<3x6x4xf32>, tensor<?xi32>) -> tensor<?x6x4xf32>
  %ds = r1.gather %down, %chosen axis 0 : (tensor<3x4x6xf32>, tensor<?xi32>) -> tensor<?x4x6xf32>
  %gt = r1.transpose %gs by [0, 2, 1] : (tensor<?x6x4xf32>) -> tensor<?x4x6xf32>
  %ut = r1.transpose %us by [0, 2, 1] : (tensor<?x6x4xf32>) -> tensor<?x4x6xf32>
  %dt = r1.transpose %ds by [0, 2, 1] : (tensor<?x4x6xf32>) -> tensor<?x6x4xf32>
  %g = r1.matmul %x3, %gt : (tensor<?x1x4xf32>, tensor<?x4x6xf32>) -> tensor<?x1x6xf32>
  %u = r1.matmul %x3, %ut : (tensor<?x1x4xf32>, tensor<?x4x6xf32>) -> tensor<?x1x6xf32>
  %h = r1.swiglu %g, %u : tensor<?x1x6xf32>
  %d = r1.matmul %h, %dt : (tensor<?x1x6xf32>, tensor<?x6x4xf32>) -> tensor<?x1x4xf32>
  %d2 = r1.reshape %d to [-1, 2, 4] : (tensor<?x1x4xf32>) -> tensor<?x2x4xf32>
  %w = r1.reshape %weights to [-1, 2, 1] : (tensor<?x2xf32>) -> tensor<?x2x1xf32>
  %y0 = r1.mul %d2, %w : (tensor<?x2x4xf32>, tensor<?x2x1xf32>) -> tensor<?x2x4xf32>
  %y = r1.reduce sum %y0 over [1] : (tensor<?x2x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
