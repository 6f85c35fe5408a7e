#ifndef COMPILER_CONVERSION_PASSES
#define COMPILER_CONVERSION_PASSES

include "mlir/Pass/PassBase.td"

def ConvertGraphToExec : Pass<"convert-graph-to-exec", "::mlir::ModuleOp"> {
  let summary = "Makes a plain graph a host program: one native function, and its weights as tables.";
  let description = [{
    Reads `@main` of a module of r1 primitives and writes an `exec.graph @graph` that runs it, with an `exec.weight` for the
    bytes of each `r1.weight`; equal ones share one. Weights in blocks, and several stacked parts, are an error: they come
    from Hugging Face checkpoints, whose models are no plain graphs. So are sequences that come from outside or leave.

    ```mlir
    func.func @main(%x: tensor<?x64xf32> {r1.name = "x"}) -> (tensor<?x128xf32> {r1.name = "y"}) {
      %w = r1.weight [#w] : tensor<64x128xf32>
      ...
    ```
    becomes
    ```mlir
    exec.weight @w <kind = table, sources = [#w]> bytes 32768
    exec.graph @graph runs @main weights [@w]
    func.func @main ... // as it was
    ```
  }];
  let dependentDialects = ["::elah::exec::ExecDialect"];
}

def ConvertR1ToExec : Pass<"convert-r1-to-exec", "::mlir::ModuleOp"> {
  let summary = "Turns the model into one step of a host program: kernels on buffers, weights as recipes.";
  let description = [{
    Reads `@forward` of an r1 module and writes an `exec.program @forward` of kernel operations for any batch within the
    limits, with an `exec.weight` for everything that they read from the checkpoint. What is decided here:

    - *Buffers.* The hidden state is one f32 buffer. A linear map or the experts whose only use is an `r1.add` add to it
      in place, so no sum is a kernel.
    - *Fusion.* Linear maps of one input are one product over stacked panels, whose consumers look at its columns. Gate,
      up and `r1.swiglu` are one product. A shared expert of the routed ones' shape is one more of them, chosen by every
      token. The final norm is computed only for tokens whose logits are wanted.
    - *Leftovers.* Elementwise arithmetic on rows that no composite holds is `kernel.generic`, one for a chain.
    - *Attention.* Latent attention is absorbed in every step: `expand` is split into one matrix per head for the query
      and one for the value, and the cache keeps latents only. One table of rotations serves all layers.
    - *Precision.* bf16 and f8 weights are multiplied in bf16 on targets that have such products, f32 and f16 weights in
      f32; the router is always computed in f32. What bf16 products read is split into two bf16 with `precision=auto`,
      and rounded to one with `precision=bf16`, as is the cache; `precision=f32` computes in f32 throughout. f8 weights
      keep their bytes if their blocks fit the panels.
    - *Hopper.* With `cuda`, f8 weights in blocks of 128 x 128 are multiplied with quantized rows, all others in bf16, and
      weights lie in rows. Values between kernels are bf16, the residual stream, router and logits f32, the cache bf16 or,
      with `kv-cache=fp8`, of latents in FP8. The rows of experts are dispatched into their order before the first product.

    ```mlir
    func.func @forward(%tokens: tensor<?xi32>, ...) -> ... {
      %hidden = r1.embedding %tokens, %table : ...
      %normed = r1.rms_norm %hidden, %scale {epsilon = 1.0e-06} : ...
      %gate = r1.linear %normed, %gate_weight : ...
      %up = r1.linear %normed, %up_weight : ...
      %inner = r1.swiglu %gate, %up : tensor<?x128xf32>
      %down = r1.linear %inner, %down_weight : ...
      %sum = r1.add %hidden, %down : tensor<?x64xf32>
      ...
    ```
    becomes
    ```mlir
    exec.weight @mlp.gate_proj.weight <kind = panels, sources = [#gate, #up], packing = #packing> bytes 32768
    exec.program @forward {
      %tokens = exec.input token_ids : memref<?xi32>
      %hidden = exec.alloc rows <tokens> : memref<?x64xf32>
      kernel.embed %tokens, %table to %hidden : ...
      %normed = exec.alloc rows <tokens> : memref<?x128xbf16>  // split
      kernel.rms_norm %hidden, %scale to %normed {epsilon = 1.0e-06} : ...
      %inner = exec.alloc rows <tokens> : memref<?x256xbf16>
      kernel.gemm %normed, %gate_up to %inner {activation = #kernel<activation swiglu>, ...} : ...
      kernel.gemm %inner, %down to %hidden {accumulate, ...} : ...
      ...
    ```

    The module gets the attributes that the exec dialect describes. `@next_token`, if there is one, is dropped with a
    remark: no program runs it yet. Whatever r1 says that this conversion does not know is an error.
  }];
  let dependentDialects = ["::elah::exec::ExecDialect", "::elah::kernel::KernelDialect"];
  let options = [
    Option<"cpu", "cpu", "std::string", "\"host\"", "The processor to compile for.">,
    Option<"isCuda", "cuda", "bool", "false", "Whether to compile for Hopper's tensor cores instead.">,
    Option<"maxContext", "max-context", "int64_t", "0", "Tokens of one sequence; 0 is what the model was made for.">,
    Option<"maxSequences", "max-sequences", "int64_t", "8", "Sequences in one step.">,
    Option<"maxTokens", "max-tokens", "int64_t", "512", "Tokens in one step.">,
    Option<"pageTokens", "page-tokens", "int64_t", "64", "Tokens in one page of the KV cache.">,
    Option<"precision", "precision", "std::string", "\"auto\"", "auto, bf16 or f32: whether bf16 products read split or rounded values, or are not used.">,
    Option<"kvCache", "kv-cache", "std::string", "\"auto\"", "auto or fp8: what the KV cache holds, as precise as the computation or, of latents on a GPU, FP8.">
  ];
}

#endif
