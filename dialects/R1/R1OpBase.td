#ifndef DIALECTS_R1_R1OPBASE
#define DIALECTS_R1_R1OPBASE

include "dialects/R1/R1Attrs.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class R1_Op<string mnemonic, list<Trait> traits = []> : Op<R1_Dialect, mnemonic, !listconcat([Pure], traits)>;

/// An operation whose result types follow from its operands and attributes. A result may know less than that, or more.
class R1_InferredOp<string mnemonic, list<Trait> traits = []>
    : R1_Op<mnemonic, !listconcat([InferTypeOpAdaptor], traits)> {
  let extraClassDeclaration = [{
    static bool isCompatibleReturnTypes(::mlir::TypeRange inferred, ::mlir::TypeRange found) {
      return mayBeSame(inferred, found);
    }
  }];
}

/// Constraints are checked where types are inferred; this trait reports them once, before the interface would again.
def R1_VerifiedByInference : NativeOpTrait<"VerifiedByInference"> {
  let cppNamespace = "::elah::r1";
}

class R1_Primitive<string mnemonic, list<Trait> traits = []>
    : R1_InferredOp<mnemonic, !listconcat([R1_VerifiedByInference], traits)>;

// What primitives compute with; a weight in blocks is none of these before it is dequantized.
class R1_TensorOf<list<Type> elements> : RankedTensorOf<elements, [
  CPred<"!::llvm::cast<::mlir::RankedTensorType>($_self).getEncoding()">], "tensor without encoding">;
def R1_Float : R1_TensorOf<[F64, F32, F16, BF16]>;
def R1_Unsigned : R1_TensorOf<[UI8, UI16, UI32, UI64]>;
def R1_Number : R1_TensorOf<[F64, F32, F16, BF16, I8, I16, I32, I64, UI8, UI16, UI32, UI64]>;
// What is stored, but not computed with, beside numbers: small floats, 4 bit integers, truth values.
def R1_Tensor : R1_TensorOf<[F64, F32, F16, BF16, F8E4M3FN, F8E5M2, F8E4M3FNUZ, F8E5M2FNUZ, I1, I<4>, I8, I16, I32, I64,
                             UI<4>, UI8, UI16, UI32, UI64]>;
def R1_Truth : R1_TensorOf<[I1]>;
def R1_IndexTensor : R1_TensorOf<[I32, I64]>;
def R1_Shape : 1DTensorOf<[I64]>;
def R1_Index : 0DTensorOf<[I64]>;
def R1_Flag : 0DTensorOf<[I1]>;

def R1_Activation : Non0RankedTensorOf<[F32]>;
def R1_Rows : 2DTensorOf<[F32]>;
def R1_Indices : 1DTensorOf<[I32]>;
def R1_IndexRows : 2DTensorOf<[I32]>;
// Weights lie on disk: their shapes are static.
class R1_WeightOf<list<int> ranks, list<Type> elements = [F32, BF16, F16, F8E4M3FN, UI<4>, UI8]>
    : RankedTensorOf<elements, [HasAnyRankOfPred<ranks>, HasStaticShapePred],
                     "static " # !interleave(!foreach(rank, ranks, rank # "D"), "/") # " tensor">;
def R1_StoredTensor : RankedTensorOf<[F64, F32, F16, BF16, F8E4M3FN, F8E5M2, F8E4M3FNUZ, F8E5M2FNUZ, I1, I<4>, I8, I16, I32,
                                      I64, UI<4>, UI8, UI16, UI32, UI64], [HasStaticShapePred], "static tensor">;
def R1_WeightTensor : R1_WeightOf<[1, 2, 3]>;
def R1_WeightVector : R1_WeightOf<[1], [F32, BF16, F16]>;
def R1_WeightMatrix : R1_WeightOf<[2]>;
def R1_WeightStack : R1_WeightOf<[3]>;
def R1_Table : R1_WeightOf<[2], [F32, BF16, F16]>;
def R1_AnySequence : Type<CPred<"::llvm::isa<::elah::r1::SequenceType>($_self)">, "sequence of tensors",
                          "::elah::r1::SequenceType">;
def R1_AnyCache : Type<CPred<"::llvm::isa<::elah::r1::CacheType>($_self)">, "KV cache", "::elah::r1::CacheType">;

#endif
