// RUN: elah-opt %s -r1-compute-rope-tables -split-input-file | FileCheck %s
// RUN: elah-opt %s -r1-compute-rope-tables -split-input-file --remark-format=emitRemark --remarks-filter=fusion 2>&1 | FileCheck %s --check-prefix=REMARK

// The frequencies are 1 and 1/8, and cosines and sines are twice as large; which table is which shows in its first row.
// CHECK-LABEL: func.func @small
func.func @small(%positions: tensor<?xi32>) -> (tensor<1x?x2xf32>, tensor<1x?x2xf32>) {
  // CHECK: r1.constant dense<[1.000000e+00, {{1.250000e-01|0.12499999}}
  // CHECK: %[[SINE:.*]] = r1.sin %{{.*}} : tensor<1x?x2xf32>
  // CHECK: r1.constant dense<2.000000e+00>
  // CHECK: %[[S:.*]] = r1.mul %[[SINE]], %{{.*}} : (tensor<1x?x2xf32>, tensor<f32>) -> tensor<1x?x2xf32>
  // CHECK: %[[P:.*]] = r1.cast %{{.*}} to f32 : (tensor<1x?xi32>) -> tensor<1x?xf32>
  // CHECK: %[[COLUMN:.*]] = r1.reshape %[[P]] to [1, -1, 1]
  // CHECK: %[[ANGLES:.*]] = r1.mul %[[COLUMN]], %{{.*}} : (tensor<1x?x1xf32>, tensor<2xf32>) -> tensor<1x?x2xf32>
  // CHECK: %[[COSINE:.*]] = r1.cos %[[ANGLES]]
  // CHECK: %[[C:.*]] = r1.mul %[[COSINE]], %{{.*}}
  // CHECK: return %[[C]], %[[S]]
  %cos = r1.weight [#r1.weight<"cos_cache" in "m.data" at 0 size 32 : tensor<4x2xf32>>] value dense<[[2.0, 2.0], [1.080604554, 1.984395384], [-0.83229369, 1.937824846], [-1.979984998, 1.8610152]]> : tensor<4x2xf32> : tensor<4x2xf32>
  %sin = r1.weight [#r1.weight<"sin_cache" in "m.data" at 32 size 32 : tensor<4x2xf32>>] value dense<[[0.0, 0.0], [1.682941914, 0.24934946], [1.818594854, 0.494807928], [0.282240004, 0.732545078]]> : tensor<4x2xf32> : tensor<4x2xf32>
  %row = r1.reshape %positions to [1, -1] : (tensor<?xi32>) -> tensor<1x?xi32>
  %s = r1.gather %sin, %row axis 0 : (tensor<4x2xf32>, tensor<1x?xi32>) -> tensor<1x?x2xf32>
  %c = r1.gather %cos, %row axis 0 : (tensor<4x2xf32>, tensor<1x?xi32>) -> tensor<1x?x2xf32>
  return %c, %s : tensor<1x?x2xf32>, tensor<1x?x2xf32>
}

// -----

// The last row is another angle's: a model that turns far positions otherwise.
// CHECK-LABEL: func.func @other_rows
func.func @other_rows(%positions: tensor<?xi32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  // CHECK: r1.gather
  // CHECK: r1.gather
  // REMARK: Missed{{.*}}r1.rope{{.*}}the table is not one of cosines or sines that are multiples of one angle
  %cos = r1.weight [#r1.weight<"cos_cache" in "m.data" at 0 size 32 : tensor<4x2xf32>>] value dense<[[1.0, 1.0], [0.540302277, 0.992197692], [-0.416146845, 0.968912423], [-0.989992499, 0.9505076]]> : tensor<4x2xf32> : tensor<4x2xf32>
  %sin = r1.weight [#r1.weight<"sin_cache" in "m.data" at 32 size 32 : tensor<4x2xf32>>] value dense<[[0.0, 0.0], [0.841470957, 0.12467473], [0.909297407, 0.247403964], [0.141120002, 0.310672539]]> : tensor<4x2xf32> : tensor<4x2xf32>
  %s = r1.gather %sin, %positions axis 0 : (tensor<4x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  %c = r1.gather %cos, %positions axis 0 : (tensor<4x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  return %c, %s : tensor<?x2xf32>, tensor<?x2xf32>
}

// -----

// An embedding is no such table, and its file is not there.
// CHECK-LABEL: func.func @embedding
func.func @embedding(%tokens: tensor<?xi32>) -> tensor<?x2xf32> {
  // CHECK: r1.gather
  // REMARK-NOT: Function=embedding
  %table = r1.weight [#r1.weight<"embed" in "nowhere.data" at 0 size 32 : tensor<4x2xf32>>] : tensor<4x2xf32>
  %0 = r1.gather %table, %tokens axis 0 : (tensor<4x2xf32>, tensor<?xi32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
