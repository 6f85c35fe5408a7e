// `elah run FILE --input NAME=FILE.npy`: a plain graph, from files to files.
#include "commands/run_graph.h"
#include "commands/json_string.h"
#include "commands/npy.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

namespace {

std::string shapeText(const elah_tensor &tensor, bool json) {
  std::string text = "[";
  for (size_t axis = 0; axis < tensor.rank; ++axis) {
    std::string size = tensor.dims[axis] >= 0 ? std::to_string(tensor.dims[axis]) : json ? "null" : "?";
    text += (axis ? (json ? "," : ", ") : "") + size;
  }
  return text + "]";
}

/// A tensor's name may hold what a file's name may not: every such character, and '%', becomes %XX.
std::string fileName(const std::string &name) {
  std::string result;
  for (unsigned char c : name) {
    if (c == '/' || c == '%' || c < 0x20) {
      char code[4];
      std::snprintf(code, sizeof(code), "%%%02X", c);
      result += code;
    } else {
      result += static_cast<char>(c);
    }
  }
  return result + ".npy";
}

} // namespace

bool isPlainGraph(const elah_artifact *artifact) {
  const elah_tensor *tensors;
  size_t count;
  return elah_artifact_inputs(artifact, &tensors, &count) == ELAH_OK;
}

int runGraph(const elah_artifact *artifact, elah_session *session, const GraphRunOptions &options) {
  const elah_tensor *ports;
  size_t portCount;
  if (elah_code code = elah_artifact_inputs(artifact, &ports, &portCount)) {
    return reportError(code);
  }
  std::vector<NpyTensor> files(options.inputs.size());
  std::vector<std::string> names;
  for (size_t index = 0; index < options.inputs.size(); ++index) {
    const std::string &input = options.inputs[index];
    // A name may hold a '='; a file that is there decides.
    size_t split = input.find('=');
    while (split != std::string::npos && !std::filesystem::exists(input.substr(split + 1)) &&
           input.find('=', split + 1) != std::string::npos) {
      split = input.find('=', split + 1);
    }
    if (split == std::string::npos || split == 0) {
      std::fprintf(stderr, "error: --input %s: expected NAME=FILE.npy\n", input.c_str());
      return 2;
    }
    names.push_back(input.substr(0, split));
    auto port =
        std::find_if(ports, ports + portCount, [&](const elah_tensor &tensor) { return names.back() == tensor.name; });
    elah_element_type expected = port == ports + portCount ? ELAH_F32 : port->type;
    if (int status = readNpy(input.substr(split + 1), expected, files[index])) {
      return status;
    }
  }
  std::vector<elah_tensor> inputs;
  for (size_t index = 0; index < files.size(); ++index) {
    inputs.push_back({names[index].c_str(), files[index].type, files[index].dims.size(), files[index].dims.data(),
                      files[index].bytes.data()});
  }
  const elah_tensor *outputs;
  size_t count;
  if (elah_code code = elah_session_run(session, inputs.data(), inputs.size(), &outputs, &count)) {
    return reportError(code);
  }
  if (!options.outputFolder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options.outputFolder, error);
    if (error) {
      std::fprintf(stderr, "error: %s: cannot create the folder: %s\n", options.outputFolder.c_str(),
                   error.message().c_str());
      return 74;
    }
  }
  for (size_t index = 0; index < count; ++index) {
    const elah_tensor &output = outputs[index];
    std::string path;
    if (!options.outputFolder.empty()) {
      path = options.outputFolder + "/" + fileName(output.name);
      if (int status = writeNpy(path, output)) {
        return status;
      }
    }
    if (options.json) {
      std::printf("{\"name\":%s,\"type\":\"%s\",\"shape\":%s%s%s}\n", jsonString(output.name).c_str(),
                  elah_element_name(output.type), shapeText(output, true).c_str(),
                  path.empty() ? "" : ",\"file\":", path.empty() ? "" : jsonString(path).c_str());
    } else {
      std::printf("%s: %s%s%s%s\n", output.name, elah_element_name(output.type), shapeText(output, false).c_str(),
                  path.empty() ? "" : " -> ", path.c_str());
    }
  }
  return finishOutput(0);
}
