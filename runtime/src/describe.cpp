#include "src/describe.h"
#include "src/graph_session.h"
#include "src/json.h"
#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

namespace elah {
namespace {

/// Writes JSON on one line; commas come by themselves.
class Writer {
public:
  Writer &key(std::string_view name) {
    separate();
    appendJsonString(text, name);
    text += ':';
    return *this;
  }
  Writer &open(char bracket) {
    separate();
    text += bracket;
    return *this;
  }
  Writer &close(char bracket) {
    text += bracket;
    return *this;
  }
  Writer &value(uint64_t number) {
    separate();
    text += std::to_string(number);
    return *this;
  }
  Writer &value(std::string_view string) {
    separate();
    appendJsonString(text, string);
    return *this;
  }
  Writer &value(JsonValue json) {
    separate();
    json.write(text);
    return *this;
  }

  std::string text;

private:
  void separate() {
    if (!text.empty() && !std::strchr("{[:", text.back())) {
      text += ',';
    }
  }
};

} // namespace

uint64_t cacheBytesPerToken(const proto::Manifest &manifest) {
  uint64_t bytes = 0;
  for (uint32_t rowBytes : manifest.cache().pool_row_bytes()) {
    bytes += uint64_t(rowBytes) * manifest.cache().layers();
  }
  return bytes;
}

bool computesInBF16(const proto::Manifest &manifest) {
  const auto &features = manifest.cpu_features();
  return std::find(features.begin(), features.end(), "avx512_bf16") != features.end();
}

std::string describe(const Artifact &artifact) {
  const proto::Manifest &manifest = artifact.manifest();
  Writer out;
  out.open('{').key("identity").value(artifact.identity());
  out.key("architecture").value(manifest.architecture());
  out.key("target").value(manifest.target()).key("cpu").value(manifest.cpu()).key("cpu_features").open('[');
  for (const std::string &feature : manifest.cpu_features()) {
    out.value(feature);
  }
  out.close(']');
  const bool isCuda = !manifest.buckets().empty();
  if (isCuda) {
    out.key("device").value(manifest.device()).key("compute_capability").value(manifest.compute_capability());
    out.key("buckets").open('[');
    for (uint32_t tokens : manifest.buckets()) {
      out.value(tokens);
    }
    out.close(']');
  }
  if (manifest.has_graph()) {
    for (auto [name, ports] :
         {std::pair("inputs", &manifest.graph().inputs()), std::pair("outputs", &manifest.graph().outputs())}) {
      out.key(name).open('[');
      for (const proto::Port &port : *ports) {
        out.open('{').key("name").value(port.name());
        out.key("type").value(elementTypeName(static_cast<elah_element_type>(port.type()))).key("shape").open('[');
        for (const proto::Dimension &dim : port.dims()) {
          if (dim.size() >= 0) {
            out.value(static_cast<uint64_t>(dim.size()));
          } else {
            out.value(dim.symbol().empty() ? "?" : dim.symbol());
          }
        }
        out.close(']').close('}');
      }
      out.close(']');
    }
  }
  out.key("parameters").value(manifest.parameters());
  out.key("active_weight_bytes").value(manifest.active_weight_bytes());
  out.key("flops_per_token").value(manifest.flops_per_token()).key("vocabulary").value(manifest.vocabulary());
  out.key("limits").open('{').key("context").value(manifest.limits().max_context());
  out.key("sequences").value(manifest.limits().max_sequences());
  out.key("tokens").value(manifest.limits().max_tokens()).close('}');
  out.key("cache").open('{').key("layers").value(manifest.cache().layers());
  out.key("page_tokens").value(manifest.cache().page_tokens());
  out.key("bytes_per_token").value(cacheBytesPerToken(manifest)).close('}');
  uint64_t weightBytes = 0;
  for (const proto::Weight &weight : manifest.weights()) {
    weightBytes += weight.size();
  }
  out.key("weights").open('{').key("mode").value(artifact.refersToWeights() ? "reference" : "embed");
  out.key("count").value(static_cast<uint64_t>(manifest.weights_size())).key("bytes").value(weightBytes);
  if (artifact.refersToWeights()) {
    out.key("folder").value(manifest.model_folder()).key("shards").open('[');
    for (const proto::Shard &shard : manifest.shards()) {
      out.open('{').key("name").value(shard.name()).key("size").value(shard.size()).close('}');
    }
    out.close(']');
  }
  out.close('}').key("sections").open('[');
  for (uint32_t i = 0; i < artifact.header().section_count; ++i) {
    const elah_section &section = artifact.header().sections[i];
    out.open('{').key("name").value(sectionName(section.kind)).key("offset").value(section.offset);
    out.key("size").value(section.size).close('}');
  }
  // In one step; on a GPU, in the step that has most of them.
  std::vector<uint64_t> launches(static_cast<size_t>(manifest.kernels_size()));
  std::vector<std::set<uint32_t>> buckets(launches.size());
  for (const proto::Launch &launch : manifest.launches()) {
    if (!isCuda) {
      ++launches[launch.kernel()];
    }
    std::set<uint32_t> kernels;
    uint32_t above = 0;
    for (const proto::Variant &variant : launch.variants()) {
      for (const proto::Step &step : variant.steps()) {
        kernels.insert(step.kernel());
        for (uint32_t tokens : manifest.buckets()) {
          if (tokens > above && tokens <= variant.max_tokens()) {
            buckets[step.kernel()].insert(tokens);
          }
        }
      }
      above = variant.max_tokens();
    }
    for (uint32_t kernel : kernels) {
      ++launches[kernel];
    }
  }
  out.close(']').key("kernels").open('[');
  for (int i = 0; i < manifest.kernels_size(); ++i) {
    const proto::Kernel &kernel = manifest.kernels(i);
    out.open('{').key("symbol").value(kernel.symbol()).key("family").value(kernel.family());
    out.key("launches").value(launches[static_cast<size_t>(i)]);
    if (!isCuda) {
      out.key("scratch_bytes").value(kernel.scratch_bytes()).close('}');
      continue;
    }
    const proto::CudaKernel &code = kernel.cuda();
    out.key("schedule")
        .value(code.schedule())
        .key("threads")
        .value(code.threads())
        .key("cluster")
        .value(code.cluster());
    out.key("registers").value(code.registers());
    out.key("shared_bytes").value(uint64_t(code.shared_bytes()) + code.static_shared_bytes());
    out.key("predicted_us").value(uint64_t(code.predicted_us() + 0.5f));
    out.key("cubin_bytes").value(code.cubin_size()).key("ptx_bytes").value(code.ptx_size());
    out.key("buckets").open('[');
    for (uint32_t tokens : buckets[static_cast<size_t>(i)]) {
      out.value(tokens);
    }
    out.close(']').close('}');
  }
  Result<JsonDocument> receipt = JsonDocument::parse(std::string(artifact.section(ELAH_SECTION_RECEIPT)));
  out.close(']').key("receipt").value(receipt.ok() ? receipt->root() : JsonValue()).close('}');
  std::string text;
  Result<JsonDocument> document = JsonDocument::parse(std::move(out.text));
  if (document.ok()) {
    document->root().write(text, 0);
  }
  return text;
}

} // namespace elah
