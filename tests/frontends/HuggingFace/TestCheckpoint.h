#ifndef TESTS_FRONTENDS_HUGGINGFACE_TESTCHECKPOINT_H
#define TESTS_FRONTENDS_HUGGINGFACE_TESTCHECKPOINT_H

#include <cstdint>
#include <string>
#include <vector>

namespace elah {

/// A tensor to be written; its elements are zeros.
struct TestTensor {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
};

/// The bytes of a safetensors file that holds `tensors`.
inline std::string safetensorsFile(const std::vector<TestTensor> &tensors) {
  std::string header = "{";
  uint64_t end = 0;
  for (const TestTensor &tensor : tensors) {
    uint64_t size = tensor.dtype == "F32" ? 4 : tensor.dtype == "F8_E4M3" || tensor.dtype == "I8" ? 1 : 2;
    std::string shape;
    for (int64_t dimension : tensor.shape) {
      size *= static_cast<uint64_t>(dimension);
      shape += (shape.empty() ? "" : ",") + std::to_string(dimension);
    }
    header += (end || header.size() > 1 ? ",\"" : "\"") + tensor.name + R"(":{"dtype":")" + tensor.dtype +
              R"(","shape":[)" + shape + R"(],"data_offsets":[)" + std::to_string(end) + "," +
              std::to_string(end + size) + "]}";
    end += size;
  }
  header += "}";
  std::string file;
  for (int i = 0; i < 8; ++i) {
    file += static_cast<char>(header.size() >> 8 * i);
  }
  return file + header + std::string(end, '\0');
}

/// An index that places tensors in files.
inline std::string indexFile(const std::vector<std::pair<std::string, std::string>> &places) {
  std::string index = R"({"metadata":{"total_size":1},"weight_map":{)";
  for (size_t i = 0; i < places.size(); ++i) {
    index += (i ? ",\"" : "\"") + places[i].first + "\":\"" + places[i].second + "\"";
  }
  return index + "}}";
}

} // namespace elah

#endif
