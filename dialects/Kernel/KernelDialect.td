#ifndef DIALECTS_KERNEL_KERNELDIALECT
#define DIALECTS_KERNEL_KERNELDIALECT

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let summary = "Which kernel, with which schedule: one operation per kernel family, on buffers.";
  let description = [{
    Operations work on memrefs in destination-passing style: inputs first, outputs last, in the order in which the kernel
    gets their addresses (`elah_cpu_kernel`). T is the number of tokens in a step, of all its sequences together. The first
    dimension of an activation is dynamic; a row may be longer than its width (a strided memref), which is how a
    kernel reads a part of another's result.

    *Split rows* hold each value as the sum of two bf16: the nearest one, and the one nearest to what that leaves. A row
    of n values is then 2 n bf16 wide, all high parts before all low parts; that is how it is told from others. 2^-17 of a
    value is lost at most, and its product with a bf16 takes two of the processor's bf16 products.

    *Quantized rows* are f8 rows of n values, and beside them f32 rows of ceil(n / 128) scales, rounded up to a multiple of
    4: value j is f8[j] * scales[j / 128] (DeepSeek-V3, section 3.3.2). The scale is the largest magnitude of its 128
    values / 448.
  }];
  let cppNamespace = "::elah::kernel";
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"]; // In kernel.generic.
  let useDefaultAttributePrinterParser = 1;
}

class Kernel_Attr<string name, string attrMnemonic> : AttrDef<Kernel_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Kernel_Format : I32EnumAttr<"Format", "How a packed weight's bytes stand for numbers.", [
  I32EnumAttrCase<"F32", 0, "f32">, I32EnumAttrCase<"BF16", 1, "bf16">, I32EnumAttrCase<"F16", 2, "f16">,
  I32EnumAttrCase<"F8", 3, "f8">, I32EnumAttrCase<"U4", 4, "u4">, I32EnumAttrCase<"U8", 5, "u8">]> {
  let cppNamespace = "::elah::kernel";
  let genSpecializedAttr = 0;
}

// bf16x2: the input's values are split, and both parts are multiplied in bf16. f8: the input's rows are quantized; of each
// 128 products in f8 the sum is scaled and added in f32.
def Kernel_Compute : I32EnumAttr<"Compute", "In which precision products are formed; sums are f32 always.", [
  I32EnumAttrCase<"F32", 0, "f32">, I32EnumAttrCase<"BF16", 1, "bf16">, I32EnumAttrCase<"BF16X2", 2, "bf16x2">,
  I32EnumAttrCase<"F8", 3, "f8">]> {
  let cppNamespace = "::elah::kernel";
  let genSpecializedAttr = 0;
}
def Kernel_ComputeAttr : EnumAttr<Kernel_Dialect, Kernel_Compute, "compute">;

def Kernel_Activation : I32EnumAttr<"Activation", "What a product's epilogue does.", [
  I32EnumAttrCase<"None", 0, "none">, I32EnumAttrCase<"Swiglu", 1, "swiglu">]> {
  let cppNamespace = "::elah::kernel";
  let genSpecializedAttr = 0;
}
def Kernel_ActivationAttr : EnumAttr<Kernel_Dialect, Kernel_Activation, "activation">;

def Kernel_PackingAttr : Kernel_Attr<"Packing", "packing"> {
  let summary = "The layout of a weight matrix [n, k] in which the matrix kernels read it.";
  let description = [{
    `batch` matrices follow each other, each padded to 64 bytes unless panels are single rows. A matrix is ceil(n / panel) panels; a panel is
    ceil(k / step) steps; a step holds, for each of `panel` columns, `step` consecutive values of k. Columns beyond n and
    values beyond k are zero. Prefill and decode read the same bytes: a panel is one stream.

    With `swiglu`, n = 2 * I counts the gate's I rows and then the up projection's; a panel holds panel / 2 gate
    columns and then the up columns of the same indices, so that one register tile holds both factors.

    An f8 matrix has one f32 scale per block of `block_n` x `block_k` values, in a buffer of its own:
    [batch, ceil(n / block_n), ceil(k / block_k)], with `swiglu` [batch, 2, ceil(I / block_n), ceil(k / block_k)].
    With `block_n` = 1 and panels of several columns, scales lie as a panel's columns do: [batch, panels,
    ceil(k / block_k), panel].

    u4 and u8 are unsigned integers that count from 8 and 128, or, with `zeros`, from a zero point of their block. Zero
    points are f32 integers behind the scales of the same columns: [.., ceil(k / block_k), 2, panel]. A step of u4 in
    panels of several columns is panel / 4 words of 32 bits. Word w holds the columns w, w + panel / 4, w + panel / 2 and
    w + 3 * panel / 4, 4 bits each: their first value of k in the lower half, their second one in the upper half. So one
    shift of words brings a quarter of the columns in place.

    With `panel` = 1 a matrix is n rows as they lie, each padded to whole steps; with `swiglu` those of the gate, then
    those of the up projection. This is what a tensor map describes.

    (C1) n, k, panel, step and batch are positive; with `swiglu`, n and a panel of more than one column are even.
    (C2) a step of one column is 1 to 4 bytes, in panels of one column up to 16; of u4 in panels of several columns, whose
    number is divisible by 4, 2 values.
    (C3) either both block sizes are positive, in f8, u4 or u8, or both are 0, in any other format or f8.
    (C4) a block's rows are whole panels of the result or one, and its columns whole steps: a step has one scale for a
    column.
    (C5) `zeros` are those of u4 and u8.
  }];
  let genVerifyDecl = 1;
  let parameters = (ins EnumParameter<Kernel_Format>:$format, "int64_t":$n, "int64_t":$k, "int64_t":$panel,
                    "int64_t":$step, "int64_t":$batch, "bool":$swiglu, "int64_t":$blockN, "int64_t":$blockK,
                    DefaultValuedParameter<"bool", "false">:$zeros);
  let assemblyFormat = [{
    `<` $format `,` `n` `=` $n `,` `k` `=` $k `,` `panel` `=` $panel `,` `step` `=` $step `,` `batch` `=` $batch `,`
    `swiglu` `=` $swiglu `,` `blocks` `=` $blockN `x` $blockK (`,` `zeros` `=` $zeros^)? `>`
  }];
  let extraClassDeclaration = [{
    /// Columns of the result that one panel makes.
    int64_t getPanelColumns() const { return getSwiglu() && !isRows() ? getPanel() / 2 : getPanel(); }
    /// Whether panels are single rows.
    bool isRows() const { return getPanel() == 1; }
    /// Columns of the whole result.
    int64_t getColumns() const { return getSwiglu() ? getN() / 2 : getN(); }
    int64_t getPanels() const { return (getColumns() + getPanelColumns() - 1) / getPanelColumns(); }
    int64_t getSteps() const { return (getK() + getStep() - 1) / getStep(); }
    static int64_t elementBits(Format format) {
      switch (format) {
      case Format::F32: return 32;
      case Format::BF16: case Format::F16: return 16;
      case Format::F8: case Format::U8: return 8;
      case Format::U4: return 4;
      }
      llvm_unreachable("unknown packing format");
    }
    int64_t getElementBits() const { return elementBits(getFormat()); }
    bool isInteger() const { return getFormat() == Format::U4 || getFormat() == Format::U8; }
    int64_t getPanelBytes() const { return getSteps() * getPanel() * getStep() * getElementBits() / 8; }
    int64_t getMatrixBytes() const {
      return isRows() ? getN() * getPanelBytes() : (getPanels() * getPanelBytes() + 63) / 64 * 64;
    }
    int64_t getBytes() const { return getBatch() * getMatrixBytes(); }
    bool isScaled() const { return getBlockN() > 0; }
    /// Block rows of one of the matrix's halves (swiglu) or of the matrix.
    int64_t getBlockRows() const { return (getColumns() + getBlockN() - 1) / getBlockN(); }
    int64_t getBlockColumns() const { return (getK() + getBlockK() - 1) / getBlockK(); }
    /// Whether each column has scales of its own, beside each other in a panel.
    bool hasColumnScales() const { return getBlockN() == 1; }
    /// f32 values for one block of k of a panel: scales, and with zero points as many of these.
    int64_t getPanelScales() const { return getPanel() * (getZeros() ? 2 : 1); }
    int64_t getScaleCount() const {
      if (hasColumnScales()) {
        return getBatch() * (isRows() ? getN() : getPanels()) * getBlockColumns() * getPanelScales();
      }
      return getBatch() * (getSwiglu() ? 2 : 1) * getBlockRows() * getBlockColumns();
    }
  }];
}

#endif
