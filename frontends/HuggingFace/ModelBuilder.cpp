// Every weight that an importer names is looked up, and its shape and type held against what config.json promises: the
// place to find out is here, with the tensor's name, not in a kernel.
#include "frontends/HuggingFace/ModelBuilder.h"
#include "frontends/HuggingFace/RotaryFrequencies.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using llvm::formatv;

namespace elah {
namespace {

Type elementType(MLIRContext *context, StringRef dtype) {
  return llvm::StringSwitch<function_ref<Type()>>(dtype)
      .Case("F32", [&]() -> Type { return Float32Type::get(context); })
      .Case("BF16", [&]() -> Type { return BFloat16Type::get(context); })
      .Case("F16", [&]() -> Type { return Float16Type::get(context); })
      .Case("F8_E4M3", [&]() -> Type { return Float8E4M3FNType::get(context); })
      .Default([]() -> Type { return {}; })();
}

} // namespace

ModelBuilder::ModelBuilder(OpBuilder &builder, const ModelConfig &config, const Checkpoint &checkpoint,
                           StringRef folder)
    : config(config), builder(builder), checkpoint(checkpoint), folder(folder.str()) {}

void ModelBuilder::fail(const Twine &message) {
  if (!hasFailed) {
    emitError(FileLineColLoc::get(builder.getStringAttr(folder), 0, 0)) << message;
  }
  hasFailed = true;
}

RankedTensorType ModelBuilder::rows(int64_t width) const {
  return RankedTensorType::get({ShapedType::kDynamic, width}, Float32Type::get(builder.getContext()));
}

Location ModelBuilder::locationOf(const Twine &module) const {
  return NameLoc::get(StringAttr::get(builder.getContext(), module));
}

r1::WeightAttr ModelBuilder::source(const Twine &nameTwine, ArrayRef<int64_t> shape) {
  std::string name = nameTwine.str();
  const CheckpointTensor *tensor = checkpoint.find(name);
  MLIRContext *context = builder.getContext();
  auto placeholder = [&] {
    auto type = RankedTensorType::get(shape, Float32Type::get(context));
    return r1::WeightAttr::get(context, builder.getStringAttr(""), builder.getStringAttr(name), 0, 0, type, {});
  };
  if (!tensor) {
    fail(formatv("tensor '{0}' is missing from the checkpoint, config.json asks for one of shape [{1:$[, ]}]", name,
                 llvm::make_range(shape.begin(), shape.end()))
             .str());
    return placeholder();
  }
  const TensorEntry &entry = tensor->entry;
  if (ArrayRef<int64_t>(entry.shape) != shape) {
    fail(formatv("{0}: tensor '{1}': expected shape [{2:$[, ]}] by config.json, found [{3:$[, ]}]", tensor->file, name,
                 llvm::make_range(shape.begin(), shape.end()), llvm::make_range(entry.shape.begin(), entry.shape.end()))
             .str());
    return placeholder();
  }
  Type element = elementType(context, entry.dtype);
  if (!element) {
    fail(formatv("{0}: tensor '{1}': expected F32, BF16, F16 or F8_E4M3, found {2}", tensor->file, name, entry.dtype)
             .str());
    return placeholder();
  }
  if (used.insert(name).second) {
    uint64_t elements = 1;
    for (int64_t size : shape) {
      elements *= size;
    }
    parameterCount += elements;
  }
  r1::WeightAttr scales;
  Attribute encoding;
  if (isa<Float8E4M3FNType>(element)) {
    if (config.blockRows == 0) {
      fail(formatv("{0}: tensor '{1}' is FP8, config.json has no quantization_config with weight_block_size",
                   tensor->file, name)
               .str());
      return placeholder();
    }
    if (shape.size() < 2) {
      fail(formatv("{0}: tensor '{1}': expected F32, BF16 or F16, found F8_E4M3, which is for matrices only",
                   tensor->file, name)
               .str());
      return placeholder();
    }
    std::string scaleName = name + "_scale_inv";
    const CheckpointTensor *scale = checkpoint.find(scaleName);
    if (!scale) {
      fail(formatv("{0}: tensor '{1}' is FP8, its scales '{2}' are missing", tensor->file, name, scaleName).str());
      return placeholder();
    }
    SmallVector<int64_t> scaleShape(shape.drop_back(2));
    scaleShape.push_back(llvm::divideCeil(shape[shape.size() - 2], config.blockRows));
    scaleShape.push_back(llvm::divideCeil(shape.back(), config.blockColumns));
    if (ArrayRef<int64_t>(scale->entry.shape) != ArrayRef<int64_t>(scaleShape) || scale->entry.dtype != "F32") {
      fail(formatv("{0}: tensor '{1}': expected F32 of shape [{2:$[, ]}], found {3} of [{4:$[, ]}]", scale->file,
                   scaleName, llvm::make_range(scaleShape.begin(), scaleShape.end()), scale->entry.dtype,
                   llvm::make_range(scale->entry.shape.begin(), scale->entry.shape.end()))
               .str());
      return placeholder();
    }
    used.insert(scaleName);
    scales = r1::WeightAttr::get(context, builder.getStringAttr(scale->file), builder.getStringAttr(scaleName),
                                 scale->entry.offset, scale->entry.size,
                                 RankedTensorType::get(scaleShape, Float32Type::get(context)), {});
    encoding = r1::BlocksAttr::get(context, config.blockRows, config.blockColumns);
  }
  return r1::WeightAttr::get(context, builder.getStringAttr(tensor->file), builder.getStringAttr(name), entry.offset,
                             entry.size, RankedTensorType::get(shape, element, encoding), scales);
}

Value ModelBuilder::weightOf(ArrayRef<Attribute> parts, const Twine &module) {
  auto first = cast<r1::WeightAttr>(parts.front()).getType();
  SmallVector<int64_t> shape(first.getShape());
  if (parts.size() > 1) {
    shape.insert(shape.begin(), static_cast<int64_t>(parts.size()));
  }
  for (Attribute part : parts) {
    auto weight = cast<r1::WeightAttr>(part);
    if (weight.getType() != first) {
      fail(formatv("{0}: tensor '{1}': expected {2}, as '{3}' has, found {4}", weight.getFile().getValue(),
                   weight.getName().getValue(), first, cast<r1::WeightAttr>(parts.front()).getName().getValue(),
                   weight.getType())
               .str());
    }
  }
  auto type = RankedTensorType::get(shape, first.getElementType(), first.getEncoding());
  return r1::WeightOp::create(builder, locationOf(module), type, builder.getArrayAttr(parts));
}

Value ModelBuilder::weight(const Twine &name, ArrayRef<int64_t> shape) { return weightOf({source(name, shape)}, name); }

Value ModelBuilder::stackedWeight(int64_t count, function_ref<std::string(int64_t)> nameOf, ArrayRef<int64_t> shape,
                                  const Twine &module) {
  SmallVector<Attribute> parts;
  for (int64_t index = 0; index < count && (parts.empty() || !failed()); ++index) {
    parts.push_back(source(nameOf(index), shape));
  }
  // After an error the made-up weight has to have the right shape still.
  parts.resize(static_cast<size_t>(count), parts.front());
  return weightOf(parts, module);
}

r1::WeightAttr ModelBuilder::slice(r1::WeightAttr whole, int64_t index, int64_t firstRow, int64_t rowCount) {
  RankedTensorType type = whole.getType();
  int64_t rowsOfPart = type.getDimSize(1), columns = type.getDimSize(2);
  uint64_t rowBytes = static_cast<uint64_t>(columns) * type.getElementTypeBitWidth() / 8;
  auto partType = RankedTensorType::get({rowCount, columns}, type.getElementType(), type.getEncoding());
  r1::WeightAttr scales;
  if (r1::WeightAttr all = whole.getScales()) {
    if (firstRow % config.blockRows != 0 || (rowsOfPart != rowCount && rowCount % config.blockRows != 0)) {
      fail(formatv("tensor '{0}': its parts must begin at a block of {1} rows", whole.getName().getValue(),
                   config.blockRows)
               .str());
      return whole;
    }
    scales = slice(r1::WeightAttr::get(builder.getContext(), all.getFile(), all.getName(), all.getOffset(),
                                       all.getSize(), all.getType(), {}),
                   index, firstRow / config.blockRows, llvm::divideCeil(rowCount, config.blockRows));
  }
  return r1::WeightAttr::get(builder.getContext(), whole.getFile(), whole.getName(),
                             whole.getOffset() + static_cast<uint64_t>(index * rowsOfPart + firstRow) * rowBytes,
                             static_cast<uint64_t>(rowCount) * rowBytes, partType, scales);
}

Value ModelBuilder::embedding(Value tokens, const Twine &module) {
  Value table = weight(module + ".weight", {config.vocabulary, config.hidden});
  if (!cast<RankedTensorType>(table.getType()).getElementType().isF32() &&
      cast<RankedTensorType>(table.getType()).getElementTypeBitWidth() != 16) {
    fail(formatv("tensor '{0}.weight': expected F32, BF16 or F16 for an embedding", module.str()).str());
  }
  return r1::EmbeddingOp::create(builder, locationOf(module), rows(config.hidden), tokens, table);
}

Value ModelBuilder::linear(Value input, int64_t outputs, const Twine &module, bool bias) {
  int64_t inputs = cast<RankedTensorType>(input.getType()).getDimSize(1);
  Value matrix = weight(module + ".weight", {outputs, inputs});
  Value vector = bias ? weight(module + ".bias", {outputs}) : Value();
  return r1::LinearOp::create(builder, locationOf(module), rows(outputs), input, matrix, vector);
}

Value ModelBuilder::norm(Value input, int64_t width, const Twine &module, double epsilon) {
  Value scale = weight(module + ".weight", {width});
  return r1::RmsNormOp::create(builder, locationOf(module), input.getType(), input, scale,
                               builder.getF64FloatAttr(epsilon));
}

Value ModelBuilder::add(Value lhs, Value rhs, const Twine &module) {
  return r1::AddOp::create(builder, locationOf(module), lhs.getType(), lhs, rhs);
}

Value ModelBuilder::swigluMlp(Value input, int64_t intermediate, const Twine &module, bool bias) {
  int64_t width = cast<RankedTensorType>(input.getType()).getDimSize(1);
  Value gate = linear(input, intermediate, module + ".gate_proj", bias);
  Value up = linear(input, intermediate, module + ".up_proj", bias);
  Value hidden = r1::SwigluOp::create(builder, locationOf(module + ".act_fn"), gate.getType(), gate, up);
  return linear(hidden, width, module + ".down_proj", bias);
}

r1::RopeAttr ModelBuilder::rope(int64_t dim) const {
  RotaryFrequencies frequencies = rotaryFrequencies(config, dim);
  return r1::RopeAttr::get(builder.getContext(),
                           config.ropeInterleaved ? r1::RopeLayout::Interleaved : r1::RopeLayout::Half,
                           DenseF64ArrayAttr::get(builder.getContext(), frequencies.values),
                           FloatAttr::get(Float64Type::get(builder.getContext()), frequencies.scale));
}

std::vector<std::string> ModelBuilder::unusedTensors() const {
  std::vector<std::string> names;
  for (const auto &tensor : checkpoint.tensors()) {
    if (!used.contains(tensor.getKey())) {
      names.push_back(tensor.getKey().str());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

} // namespace elah
