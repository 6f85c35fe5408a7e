#include "tests/runtime/artifact/small_artifact.h"
#include "tests/runtime/tokenizer/small_tokenizer.h"
#include <algorithm>
#include <elah/cpu_kernel.h>
#include <fstream>
#include <iterator>
#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace elah;

namespace {

uint64_t checksum(const char *bytes, size_t size) { return XXH3_64bits(bytes, size); }

void pad(std::string &file, size_t multiple) { file.resize((file.size() + multiple - 1) / multiple * multiple, '\0'); }

proto::Extent extent(int64_t constant, std::vector<int64_t> coefficients = {}) {
  proto::Extent result;
  result.set_constant(constant);
  result.mutable_coefficients()->Add(coefficients.begin(), coefficients.end());
  return result;
}

} // namespace

std::string SmallArtifact::bytes() const {
  elah_artifact_header header = {};
  std::memcpy(header.magic, ELAH_ARTIFACT_MAGIC, 8);
  header.version = ELAH_ARTIFACT_VERSION;
  header.section_count = static_cast<uint32_t>(sections.size());
  std::string file(sizeof(header), '\0');
  std::string description = manifest.SerializeAsString();
  header.manifest_offset = sizeof(header);
  header.manifest_size = description.size();
  file += description;
  size_t index = 0, blocks = 0;
  for (const auto &[kind, content] : sections) {
    pad(file, ELAH_ARTIFACT_PAGE);
    header.sections[index++] = {kind, 0, file.size(), content.size()};
    file += content;
    blocks += (content.size() + ELAH_ARTIFACT_BLOCK - 1) / ELAH_ARTIFACT_BLOCK;
  }
  pad(file, 8);
  header.checksums_offset = file.size();
  header.checksums_size = 8 * blocks;
  file.resize(file.size() + 8 * blocks);
  header.file_size = file.size();
  std::memcpy(file.data(), &header, sizeof(header));
  seal(file);
  return file;
}

bool SmallArtifact::seal(std::string &file) {
  elah_artifact_header header;
  if (file.size() < sizeof(header)) {
    return false;
  }
  std::memcpy(&header, file.data(), sizeof(header));
  auto fits = [&](uint64_t offset, uint64_t size) { return offset <= file.size() && size <= file.size() - offset; };
  bool isWhole = fits(header.manifest_offset, header.manifest_size) &&
                 fits(header.checksums_offset, header.checksums_size) &&
                 header.section_count <= ELAH_ARTIFACT_MAX_SECTIONS;
  uint64_t entry = 0;
  for (uint32_t i = 0; isWhole && i < header.section_count; ++i) {
    const elah_section &section = header.sections[i];
    isWhole = fits(section.offset, section.size);
    for (uint64_t done = 0; isWhole && done < section.size; done += ELAH_ARTIFACT_BLOCK, ++entry) {
      uint64_t size = std::min<uint64_t>(ELAH_ARTIFACT_BLOCK, section.size - done);
      uint64_t value = checksum(file.data() + section.offset + done, size);
      isWhole = 8 * entry + 8 <= header.checksums_size;
      if (isWhole) {
        std::memcpy(file.data() + header.checksums_offset + 8 * entry, &value, 8);
      }
    }
  }
  if (fits(header.manifest_offset, header.manifest_size)) {
    header.manifest_checksum = checksum(file.data() + header.manifest_offset, header.manifest_size);
  }
  if (fits(header.checksums_offset, header.checksums_size)) {
    header.checksums_checksum = checksum(file.data() + header.checksums_offset, header.checksums_size);
  }
  header.header_checksum = checksum(reinterpret_cast<const char *>(&header), sizeof(header) - 8);
  std::memcpy(file.data(), &header, sizeof(header));
  return isWhole;
}

SmallArtifact echoModel() {
  SmallArtifact artifact;
  proto::Manifest &manifest = artifact.manifest;
  manifest.set_architecture("EchoForCausalLM");
  manifest.set_target("cpu");
#if defined(__aarch64__)
  manifest.set_cpu("aarch64");
#else
  manifest.set_cpu("x86-64");
#endif
  manifest.mutable_limits()->set_max_context(32);
  manifest.mutable_limits()->set_max_sequences(3);
  manifest.mutable_limits()->set_max_tokens(8);
  manifest.set_vocabulary(262);
  manifest.mutable_cache()->set_layers(2);
  manifest.mutable_cache()->set_page_tokens(4);
  manifest.mutable_cache()->add_pool_row_bytes(4);
  manifest.set_bos_token(256);
  manifest.add_eos_tokens(257);
  manifest.set_parameters(262);
  manifest.set_active_weight_bytes(262 * 4);
  manifest.set_flops_per_token(262 * 2);

  proto::Weight &bias = *manifest.add_weights();
  bias.set_name("bias");
  bias.set_offset(64);
  bias.set_size(262 * 4);
  std::string weights(64, '\0');
  for (int v = 0; v < 262; ++v) {
    float value = static_cast<float>(v % 8) / 8;
    weights.append(reinterpret_cast<const char *>(&value), 4);
  }
  artifact.sections[ELAH_SECTION_WEIGHTS] = weights;

  *manifest.add_slots()->add_sizes() = extent(0, {0, 0, 8});       // [logit rows] of {next, hash}
  *manifest.add_slots()->add_sizes() = extent(0, {0, 0, 262 * 4}); // logits
  for (int input = 0; input < 8; ++input) {
    manifest.add_buffers()->set_input(static_cast<proto::Input>(input));
  }
  manifest.add_buffers()->mutable_cache()->set_layer(1); // 8
  manifest.add_buffers()->set_slot(0);                   // 9
  manifest.add_buffers()->set_weight(0);                 // 10
  manifest.add_buffers()->set_slot(1);                   // 11
  manifest.set_logits(11);

  auto launch = [&](const char *symbol, uint64_t scratch, std::vector<uint32_t> buffers, proto::Extent rows,
                    uint64_t tile) {
    proto::Kernel &kernel = *manifest.add_kernels();
    kernel.set_symbol(symbol);
    kernel.set_family("echo");
    kernel.set_scratch_bytes(scratch);
    proto::Launch &entry = *manifest.add_launches();
    entry.set_kernel(static_cast<uint32_t>(manifest.kernels_size() - 1));
    entry.mutable_buffers()->Add(buffers.begin(), buffers.end());
    entry.mutable_grid()->set_outer(1);
    *entry.mutable_grid()->mutable_rows() = rows;
    entry.mutable_grid()->set_row_tile(tile);
    entry.set_name(symbol);
  };
  launch("echo_remember", 0, {proto::INPUT_TOKEN_IDS, proto::INPUT_CACHE_ROWS, 8}, extent(0, {1}), 1);
  launch("echo_think", 32 * 4,
         {proto::INPUT_TOKEN_SEQUENCE, proto::INPUT_POSITIONS, proto::INPUT_SEQUENCE_STARTS,
          proto::INPUT_CONTEXT_LENGTHS, proto::INPUT_PAGE_TABLE, proto::INPUT_LOGIT_TOKENS, 8, 9},
         extent(0, {0, 0, 1}), 2);
  launch("echo_speak", 0, {9, 10, 11}, extent(0, {0, 0, 1}), 1);

  std::ifstream object(ELAH_ECHO_KERNELS, std::ios::binary);
  artifact.sections[ELAH_SECTION_CPU_OBJECT] = {std::istreambuf_iterator<char>(object), {}};

  SmallTokenizer tokenizer;
  const char *special = "\"special\":true,\"normalized\":false";
  tokenizer.addedTokens = "[" + SmallTokenizer::added(256, "<｜begin▁of▁sentence｜>", special) + "," +
                          SmallTokenizer::added(257, "<｜end▁of▁sentence｜>", special) + "," +
                          SmallTokenizer::added(258, "<think>") + "," + SmallTokenizer::added(259, "</think>") + "," +
                          SmallTokenizer::added(260, "<｜User｜>") + "," +
                          SmallTokenizer::added(261, "<｜Assistant｜>") + "]";
  artifact.sections[ELAH_SECTION_TOKENIZER] = tokenizer.json();
  artifact.sections[ELAH_SECTION_TOKENIZER_CONFIG] =
      R"({"bos_token":"<｜begin▁of▁sentence｜>","chat_template":"{{bos_token}}{{'<｜User｜>' + message['content']}}{% if )"
      R"('</think>' in content %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{{'<｜Assistant｜><think>\\n'}}"})";
  artifact.sections[ELAH_SECTION_GENERATION_CONFIG] = R"({"do_sample":true,"temperature":0.01,"top_p":0.9})";
  artifact.sections[ELAH_SECTION_RECEIPT] = R"({"elah":"test"})";
  return artifact;
}

SmallArtifact referringEchoModel() {
  SmallArtifact artifact = echoModel();
  artifact.sections.erase(ELAH_SECTION_WEIGHTS);
  proto::Manifest &manifest = artifact.manifest;
  manifest.set_model_folder("model");
  proto::Shard &shard = *manifest.add_shards();
  shard.set_name("model.safetensors");
  shard.set_size(8192);
  shard.set_header_size(100);
  shard.set_header_hash(1);
  proto::Recipe &vector = *manifest.mutable_weights(0)->mutable_recipe();
  vector.set_kind(proto::RECIPE_KIND_VECTOR);
  proto::Source &bias = *vector.add_sources();
  bias.set_offset(100);
  bias.add_shape(262);

  proto::Weight &matrix = *manifest.add_weights();
  matrix.set_name("matrix");
  matrix.set_offset(1152);
  matrix.set_size(16 * 4 * 4);
  proto::Recipe &panels = *matrix.mutable_recipe();
  panels.set_kind(proto::RECIPE_KIND_PANELS);
  proto::Source &source = *panels.add_sources();
  source.set_offset(2000);
  source.set_format(proto::ELEMENT_FORMAT_F8E4M3);
  source.add_shape(16);
  source.add_shape(4);
  source.mutable_scales()->set_offset(3000);
  source.mutable_scales()->set_rows(8);
  source.mutable_scales()->set_columns(4);
  proto::Packing &packing = *panels.mutable_packing();
  packing.set_n(16);
  packing.set_k(4);
  packing.set_panel(16);
  packing.set_step(1);
  packing.set_batch(1);
  return artifact;
}

std::vector<float> echoLogits(const std::vector<uint32_t> &history) {
  uint32_t hash = 1;
  for (uint32_t token : history) {
    hash = hash * 31 + token;
  }
  auto last = [&](uint32_t token) {
    return static_cast<int>(history.rend() - std::find(history.rbegin(), history.rend(), token)) - 1;
  };
  int user = last(260), assistant = last(261), said = static_cast<int>(history.size()) - 1 - (assistant + 2);
  uint32_t next = (history.back() + 1) % 256;
  if (user >= 0 && user < assistant) {
    const uint32_t start[] = {'h', 'm', 259};
    int asked = assistant - user - 1;
    next = said < 0           ? 'x'
           : said < 3         ? start[said]
           : said - 3 < asked ? history[static_cast<size_t>(user + 1 + said - 3)]
                              : 257;
  }
  std::vector<float> logits(262);
  for (uint32_t v = 0; v < 262; ++v) {
    uint32_t noise = hash * (v + 1) >> 8 & 0xff;
    logits[v] = static_cast<float>(v % 8) / 8 + (v == next ? 8.0f : static_cast<float>(noise) / 64.0f);
  }
  return logits;
}
