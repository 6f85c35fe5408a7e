#include "commands/launch_arguments.h"
#include "driver/api/functions.h"
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace emulator {

using namespace cuda;

static void require(CUresult code, const std::string &what) {
  if (code != CUDA_SUCCESS) {
    const char *text = nullptr;
    cuGetErrorString(code, &text);
    throw UsageError(what + ": " + (text ? text : "unknown error"));
  }
}

static std::vector<std::string> split(const std::string &text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != std::string::npos; begin = end + 1) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

static uint64_t wholeNumber(const std::string &text, const std::string &where) {
  char *end = nullptr;
  errno = 0;
  const uint64_t value = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || text[0] == '-' || *end || errno) {
    throw UsageError(where + ": found '" + text + "', expected a number");
  }
  return value;
}

static bool endsWith(const std::string &text, const char *ending) {
  const size_t length = std::strlen(ending);
  return text.size() >= length && text.compare(text.size() - length, length, ending) == 0;
}

static Array fileOf(const std::string &path) {
  std::variant<Array, std::string> read = readNpy(path);
  if (const std::string *error = std::get_if<std::string>(&read)) {
    throw UsageError(*error);
  }
  return std::get<Array>(std::move(read));
}

/// "f32[128,64]".
static Array emptyArray(const std::string &text) {
  const size_t bracket = text.find('[');
  Array array;
  array.type = text.substr(0, bracket);
  const unsigned bytes = elementBytes(array.type);
  if (bytes == 0 || bracket == std::string::npos || text.back() != ']') {
    throw UsageError("--arg " + text + ": expected a type and a shape, as f32[128,64]");
  }
  uint64_t size = bytes;
  for (const std::string &dim : split(text.substr(bracket + 1, text.size() - bracket - 2), ',')) {
    array.shape.push_back(wholeNumber(dim, "--arg " + text));
    if (array.shape.back() != 0 && size > (uint64_t(1) << 40) / array.shape.back()) {
      throw UsageError("--arg " + text + ": more than a terabyte");
    }
    size *= array.shape.back();
  }
  array.bytes.resize(size);
  return array;
}

void LaunchArguments::add(const std::string &text) {
  if (text.rfind("map:", 0) == 0) {
    return addTensorMap(text);
  }
  if (!text.empty() && text[0] == '&') {
    return addBytes(text, &bufferNamed(text.substr(1)).address, 8);
  }
  if (const Buffer *buffer = makeBuffer(text)) {
    return addBytes(text, &buffer->address, 8);
  }
  const size_t colon = text.find(':');
  if (colon != std::string::npos) {
    return addNumber(text, text.substr(0, colon), text.substr(colon + 1));
  }
  throw UsageError("--arg " + text + ": expected x.npy, y=f32[128,64], y=x.npy, &x, i32:5 or map:x:box=64x32");
}

void LaunchArguments::addBytes(const std::string &text, const void *bytes, size_t size) {
  Value value{text, std::vector<std::byte>(size)};
  std::memcpy(value.bytes.data(), bytes, size);
  values.push_back(std::move(value));
}

LaunchArguments::Buffer *LaunchArguments::makeBuffer(const std::string &text) {
  const size_t equals = text.find('=');
  const std::string value = equals == std::string::npos ? text : text.substr(equals + 1);
  const bool file = endsWith(value, ".npy");
  if (equals == std::string::npos && !file) {
    return nullptr;
  }
  const std::string name =
      equals == std::string::npos ? std::filesystem::path(text).stem().string() : text.substr(0, equals);
  if (buffers.contains(name)) {
    throw UsageError(text + ": there is a buffer '" + name + "' already; --arg '&" + name + "' is its address");
  }
  Array array = file ? fileOf(value) : emptyArray(value);
  Buffer &buffer = buffers[name];
  require(cuMemAlloc_v2(&buffer.address, std::max<size_t>(1, array.bytes.size())), text);
  if (file && !array.bytes.empty()) {
    require(cuMemcpyHtoD_v2(buffer.address, array.bytes.data(), array.bytes.size()), text);
  }
  buffer.array = std::move(array);
  buffer.result = equals != std::string::npos;
  return &buffer;
}

void LaunchArguments::addBufferOnly(const std::string &text) {
  if (!makeBuffer(text)) {
    throw UsageError("--buffer " + text + ": expected x.npy, y=f32[128,64] or y=x.npy");
  }
}

LaunchArguments::Buffer &LaunchArguments::bufferNamed(const std::string &name) {
  auto found = buffers.find(name);
  if (found == buffers.end()) {
    throw UsageError("no --buffer, and no --arg before this one, is a buffer '" + name + "'");
  }
  return found->second;
}

void LaunchArguments::addNumber(const std::string &text, const std::string &type, const std::string &number) {
  const unsigned bytes = elementBytes(type);
  char *end = nullptr;
  errno = 0;
  if (type == "f32" || type == "f64") {
    const double value = std::strtod(number.c_str(), &end);
    const float narrow = static_cast<float>(value);
    if (!number.empty() && !*end) {
      return type == "f32" ? addBytes(text, &narrow, 4) : addBytes(text, &value, 8);
    }
  } else if (bytes != 0) {
    // Others by their bits: two's complement, little endian.
    const bool negative = !number.empty() && number[0] == '-';
    const uint64_t value = negative ? static_cast<uint64_t>(std::strtoll(number.c_str(), &end, 0))
                                    : std::strtoull(number.c_str(), &end, 0);
    const bool fits = bytes == 8 || value >> (8 * bytes) == 0 ||
                      (negative && static_cast<int64_t>(value) >= -(int64_t(1) << (8 * bytes - 1)));
    if (!number.empty() && !*end && !errno && fits) {
      return addBytes(text, &value, bytes);
    }
  }
  throw UsageError("--arg " + text + ": found no number of type '" + type + "'");
}

static CUtensorMapDataType mapTypeOf(const std::string &type, const std::string &where) {
  static const std::map<std::string, CUtensorMapDataType> types = {
      {"u8", CU_TENSOR_MAP_DATA_TYPE_UINT8},      {"i8", CU_TENSOR_MAP_DATA_TYPE_UINT8},
      {"bool", CU_TENSOR_MAP_DATA_TYPE_UINT8},    {"e4m3", CU_TENSOR_MAP_DATA_TYPE_UINT8},
      {"e5m2", CU_TENSOR_MAP_DATA_TYPE_UINT8},    {"u16", CU_TENSOR_MAP_DATA_TYPE_UINT16},
      {"i16", CU_TENSOR_MAP_DATA_TYPE_UINT16},    {"u32", CU_TENSOR_MAP_DATA_TYPE_UINT32},
      {"i32", CU_TENSOR_MAP_DATA_TYPE_INT32},     {"u64", CU_TENSOR_MAP_DATA_TYPE_UINT64},
      {"i64", CU_TENSOR_MAP_DATA_TYPE_INT64},     {"f16", CU_TENSOR_MAP_DATA_TYPE_FLOAT16},
      {"f32", CU_TENSOR_MAP_DATA_TYPE_FLOAT32},   {"f64", CU_TENSOR_MAP_DATA_TYPE_FLOAT64},
      {"bf16", CU_TENSOR_MAP_DATA_TYPE_BFLOAT16}, {"tf32", CU_TENSOR_MAP_DATA_TYPE_TFLOAT32},
  };
  auto found = types.find(type);
  if (found == types.end()) {
    throw UsageError(where + ": '" + type + "' is no type of tensor maps");
  }
  return found->second;
}

/// The place of `word` among `words`.
static int choice(const std::string &word, std::initializer_list<const char *> words, const std::string &where) {
  int index = 0;
  std::string expected;
  for (const char *candidate : words) {
    if (word == candidate) {
      return index;
    }
    expected += (index++ ? ", " : "") + std::string(candidate);
  }
  throw UsageError(where + ": found '" + word + "', expected one of " + expected);
}

void LaunchArguments::addTensorMap(const std::string &text) {
  const std::string where = "--arg " + text;
  const std::vector<std::string> parts = split(text, ':');
  const Buffer &buffer = bufferNamed(parts[1]);
  const size_t rank = buffer.array.shape.size();
  std::string type = buffer.array.type;
  std::vector<uint32_t> box;
  int swizzle = 0, promotion = 0, fill = 0;
  for (size_t i = 2; i < parts.size(); ++i) {
    const size_t equals = parts[i].find('=');
    const std::string key = parts[i].substr(0, equals),
                      value = equals == std::string::npos ? "" : parts[i].substr(equals + 1);
    if (key == "box") {
      for (const std::string &dim : split(value, 'x')) {
        box.push_back(static_cast<uint32_t>(wholeNumber(dim, where)));
      }
    } else if (key == "swizzle") {
      swizzle = choice(value, {"0", "32", "64", "128"}, where);
    } else if (key == "l2") {
      promotion = choice(value, {"0", "64", "128", "256"}, where);
    } else if (key == "fill") {
      fill = choice(value, {"0", "nan"}, where);
    } else if (key == "type") {
      type = value;
    } else {
      throw UsageError(where + ": found '" + key + "', expected box, swizzle, l2, fill or type");
    }
  }
  if (rank == 0 || rank > 5 || box.size() != rank) {
    throw UsageError(where + ": a box of " + std::to_string(box.size()) + " dimensions on a buffer of " +
                     std::to_string(rank));
  }
  const CUtensorMapDataType mapType = mapTypeOf(type, where);
  if ((type == "tf32" ? 4 : elementBytes(type)) != elementBytes(buffer.array.type)) {
    throw UsageError(where + ": elements of another size than the buffer's");
  }
  // Tensor maps count from the innermost dimension.
  cuuint64_t dims[5] = {}, strides[5] = {};
  cuuint32_t boxDims[5] = {}, elementStrides[5] = {1, 1, 1, 1, 1};
  cuuint64_t stride = elementBytes(buffer.array.type);
  for (size_t d = 0; d < rank; ++d) {
    dims[d] = buffer.array.shape[rank - 1 - d];
    boxDims[d] = box[rank - 1 - d];
    stride *= dims[d];
    strides[d] = stride;
  }
  CUtensorMap map;
  // The reason of a refusal is the log's; ask for it here.
  CUlogIterator before = 0;
  cuLogsCurrent(&before, 0);
  const CUresult code = cuTensorMapEncodeTiled(
      &map, mapType, static_cast<cuuint32_t>(rank), reinterpret_cast<void *>(buffer.address), dims, strides, boxDims,
      elementStrides, CU_TENSOR_MAP_INTERLEAVE_NONE, static_cast<CUtensorMapSwizzle>(swizzle),
      static_cast<CUtensorMapL2promotion>(promotion), static_cast<CUtensorMapFloatOOBfill>(fill));
  if (code != CUDA_SUCCESS) {
    char log[1024];
    size_t size = sizeof log;
    cuLogsDumpToMemory(&before, log, &size, 0);
    throw UsageError(where + ": " + std::string(log, size ? size - 1 : 0));
  }
  addBytes(text, &map, sizeof map);
}

std::vector<void *> LaunchArguments::pointers() {
  std::vector<void *> result;
  for (Value &value : values) {
    result.push_back(value.bytes.data());
  }
  return result;
}

std::vector<std::string> LaunchArguments::writeResults(const std::string &folder) {
  std::vector<std::string> files;
  for (auto &[name, buffer] : buffers) {
    if (!buffer.result) {
      continue;
    }
    if (!buffer.array.bytes.empty()) {
      require(cuMemcpyDtoH_v2(buffer.array.bytes.data(), buffer.address, buffer.array.bytes.size()), name);
    }
    const std::string path = (std::filesystem::path(folder) / (name + ".npy")).string();
    const std::string error = writeNpy(path, buffer.array);
    if (!error.empty()) {
      throw UsageError(error);
    }
    files.push_back(path);
  }
  return files;
}

} // namespace emulator
