// RUN: elah-opt %s --elah-pipeline="max-context=64 max-sequences=2 max-tokens=16 precision=f32" | FileCheck %s
// A printed pipeline reproduces a run: its options are all there, in the order that Pipeline.cpp tells.
// RUN: elah-opt %s --elah-pipeline="cpu=x86-64-v3 max-context=64 max-sequences=2 max-tokens=16" --dump-pass-pipeline 2>&1 >/dev/null | FileCheck %s --check-prefix=PASSES

// PASSES: builtin.module(
// PASSES-NEXT: r1-adopt-language-model,
// PASSES-NEXT: func.func(
// PASSES-NEXT: r1-settle-sizes
// PASSES-NEXT: ),
// PASSES-NEXT: r1-infer-shapes,
// PASSES-NEXT: canonicalize{
// PASSES-NEXT: r1-infer-shapes,
// PASSES-NEXT: canonicalize{
// PASSES-NEXT: cse,
// PASSES-NEXT: func.func(
// PASSES-NEXT: r1-fuse-linear,
// PASSES-NEXT: r1-fuse-rms-norm,
// PASSES-NEXT: r1-fuse-swiglu,
// PASSES-NEXT: r1-fuse-softmax,
// PASSES-NEXT: r1-compute-rope-tables{weights=}
// PASSES-NEXT: r1-fuse-embedding,
// PASSES-NEXT: r1-simplify-views,
// PASSES-NEXT: r1-fuse-rope,
// PASSES-NEXT: r1-fuse-latent-attention,
// PASSES-NEXT: r1-fuse-attention,
// PASSES-NEXT: r1-fuse-next-token-block,
// PASSES-NEXT: r1-fuse-route,
// PASSES-NEXT: r1-fuse-experts,
// PASSES-NEXT: r1-settle-sizes,
// PASSES-NEXT: r1-simplify-views
// PASSES-NEXT: ),
// PASSES-NEXT: canonicalize{
// PASSES-NEXT: func.func(
// PASSES-NEXT: r1-attach-cache
// PASSES-NEXT: ),
// PASSES-NEXT: canonicalize{
// PASSES-NEXT: cse,
// PASSES-NEXT: convert-r1-to-exec{cpu=x86-64-v3 cuda=false kv-cache=auto max-context=64 max-sequences=2 max-tokens=16
// PASSES-NEXT: exec-outline-kernels,
// PASSES-NEXT: exec-plan-arena

#table = #r1.weight<"model.embed_tokens.weight" in "model.safetensors" at 128 size 8192 : tensor<32x64xf32>>
#scale = #r1.weight<"model.norm.weight" in "model.safetensors" at 8320 size 256 : tensor<64xf32>>

// CHECK: exec.limits = array<i64: 64, 2, 16>
module attributes {r1.architecture = "Test", r1.vocabulary = 32 : i64, r1.max_context = 256 : i64} {
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>,
                     %cache: !r1.cache<kv, layers = 1, key_width = 16, value_width = 16>)
      -> (tensor<?x32xf32>, !r1.cache<kv, layers = 1, key_width = 16, value_width = 16>) {
    %table = r1.weight [#table] : tensor<32x64xf32>
    %scale = r1.weight [#scale] : tensor<64xf32>
    %hidden = r1.embedding %tokens, %table : (tensor<?xi32>, tensor<32x64xf32>) -> tensor<?x64xf32>
    %normed = r1.rms_norm %hidden, %scale {epsilon = 1.0e-6} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    %logits = r1.linear %normed, %table : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !r1.cache<kv, layers = 1, key_width = 16, value_width = 16>
  }
}
// Nothing of r1 is left; every buffer has its slot.
// CHECK-NOT: r1.rms_norm
// CHECK: exec.kernel @embed(
// CHECK: exec.program @forward attributes {arena =
// CHECK-COUNT-3: exec.launch
// CHECK: exec.return
