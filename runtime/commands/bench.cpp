// `elah bench`: prefill and decode speed of a model, each beside what this machine can do at most in the same minute.
#include "commands/commands.h"
#include "commands/handles.h"
#include "commands/machine_limits.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

} // namespace

int elahBenchCommand(int argc, char **argv) {
  std::string file, device, modelFolder;
  uint32_t promptTokens = 0, generateTokens = 64, batch = 1, threads = 0, repeats = 3;
  bool json = false, preload = false, noPreload = false;
  CLI::App app("Measures prefill and decode beside this machine's limits.", argv[0]);
  app.add_option("file", file, "The artifact")->required();
  auto *preloads = app.add_flag("--preload", preload, preloadOptionHelp);
  app.add_flag("--no-preload", noPreload, noPreloadOptionHelp)->excludes(preloads);
  app.add_option("--device", device, deviceOptionHelp);
  app.add_option("--model-folder", modelFolder,
                 "Of an artifact made with --weights reference: where the model's shards are now");
  app.add_option("--prompt-tokens", promptTokens, "Tokens of the prompt (default 512, or what the context holds)")
      ->check(CLI::PositiveNumber);
  app.add_option("--generate-tokens", generateTokens, "Tokens to generate (default 64)")->check(CLI::PositiveNumber);
  app.add_option("--batch", batch, "Sequences that are generated together (default 1)")->check(CLI::PositiveNumber);
  app.add_option("--threads", threads, "Threads to compute with (default: all processors)");
  app.add_option("--repeats", repeats, "Runs, of which the median counts (default 3)")->check(CLI::PositiveNumber);
  app.add_flag("--json", json, "Write JSON");
  app.footer(
      std::string(
          "The limits are measured by turns with the runs: reading memory, and multiply-adds on registers, by as many\n"
          "threads. Prefill counts against the peak, decode (weight bytes of one token) against reading; with a batch\n"
          "of a model with experts more is read than counts. On a device (--device) only the speeds are told.\n\n"
          "JSON: threads, batch, prompt_tokens, generate_tokens; prefill_tokens_per_second,\n"
          "prefill_flops_per_second, prefill_fraction_of_peak; decode_tokens_per_second (of all sequences),\n"
          "decode_bytes_per_second, decode_fraction_of_bandwidth; peak (bf16 or f32), peak_flops,\n"
          "read_bytes_per_second. All are medians.\n\n") +
      exitStatusHelp);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (threads == 0) {
    threads = std::max(1u, std::thread::hardware_concurrency());
  }
  Handle<elah_artifact> artifact;
  if (int status = openArtifact(file, artifact)) {
    return status;
  }
  elah_model_info info;
  elah_artifact_info(artifact.get(), &info);
  if (promptTokens == 0) {
    promptTokens = std::clamp<uint32_t>(info.max_context - std::min(info.max_context, generateTokens), 1, 512);
  }
  if (promptTokens + generateTokens > info.max_context || batch > info.max_sequences) {
    std::fprintf(
        stderr,
        "error: %u + %u tokens of %u sequences: the artifact was compiled for a context of %u and %u sequences\n",
        promptTokens, generateTokens, batch, info.max_context, info.max_sequences);
    return 65;
  }
  elah_session_options options = {threads, 0, modelFolder.empty() ? nullptr : modelFolder.c_str(),
                                  weightsPlace(preload, noPreload), device.empty() ? nullptr : device.c_str()};
  elah_session *openedSession;
  if (elah_code code = elah_session_create(artifact.get(), &options, &openedSession)) {
    return reportError(code);
  }
  Handle<elah_session> session(openedSession);
  std::optional<MachineLimits> limits; // Of a device they are not known here.
  if (!info.is_for_gpus) {
    limits.emplace(threads);
  }

  std::vector<uint32_t> tokens(promptTokens);
  for (uint32_t i = 0; i < promptTokens; ++i) {
    tokens[i] = static_cast<uint32_t>((uint64_t(i) * 7919 + 17) % info.vocabulary);
  }
  std::vector<double> prefill, decode, bandwidth, peak;
  for (uint32_t run = 0; run <= repeats; ++run) {
    std::vector<uint32_t> sequences(batch);
    for (uint32_t &sequence : sequences) {
      if (elah_code code = elah_sequence_create(session.get(), &sequence)) {
        return reportError(code);
      }
    }
    const float *logits;
    size_t rows;
    bool counts = run > 0; // The first run brings the weights into memory.
    if (counts && limits) {
      peak.push_back(limits->sampleComputePeak(info.computes_in_bf16));
    }
    Clock::time_point start = Clock::now();
    for (uint32_t sequence : sequences) {
      for (uint32_t done = 0; done < promptTokens;) {
        uint32_t count = std::min(info.max_tokens, promptTokens - done);
        elah_chunk chunk = {sequence, tokens.data() + done, count,
                            done + count == promptTokens ? ELAH_LOGITS_LAST : ELAH_LOGITS_NONE};
        if (elah_code code = elah_session_step(session.get(), &chunk, 1, &logits, &rows)) {
          return reportError(code);
        }
        done += count;
      }
    }
    if (counts) {
      prefill.push_back(secondsSince(start) / (double(promptTokens) * batch));
    }
    std::vector<elah_chunk> chunks(batch);
    std::vector<uint32_t> stepTokens(batch);
    for (uint32_t step = 0; step < generateTokens; ++step) {
      for (uint32_t i = 0; i < batch; ++i) { // different ones, which experts see
        stepTokens[i] = tokens[(step + i * 31) % promptTokens];
        chunks[i] = {sequences[i], &stepTokens[i], 1, ELAH_LOGITS_LAST};
      }
      Clock::time_point stepStart = Clock::now();
      if (elah_code code = elah_session_step(session.get(), chunks.data(), batch, &logits, &rows)) {
        return reportError(code);
      }
      if (counts) {
        decode.push_back(secondsSince(stepStart) / batch);
        if (step % 4 == 0 && limits) {
          bandwidth.push_back(limits->sampleReadBandwidth());
        }
      }
    }
    for (uint32_t sequence : sequences) {
      elah_sequence_free(session.get(), sequence);
    }
  }
  double prefillRate = 1 / median(prefill), decodeRate = 1 / median(decode);
  double readLimit = median(bandwidth), computeLimit = median(peak);
  double computed = prefillRate * static_cast<double>(info.flops_per_token);
  double read = decodeRate / batch * static_cast<double>(info.active_weight_bytes);
  double computeFraction = computeLimit > 0 ? computed / computeLimit : 0;
  double readFraction = readLimit > 0 ? read / readLimit : 0;
  const char *kind = info.computes_in_bf16 ? "bf16" : "f32";
  if (!limits) {
    const char *format =
        json ? "{\"batch\":%u,\"prompt_tokens\":%u,\"generate_tokens\":%u,\"prefill_tokens_per_second\":%.3f,"
               "\"prefill_flops_per_second\":%.4g,\"decode_tokens_per_second\":%.3f,\"decode_bytes_per_second\":%.4g}\n"
             : "batch %u, %u tokens of prompt, %u generated\n"
               "prefill   %9.1f tokens/s   %.4g FLOP/s\n"
               "decode    %9.1f tokens/s   %.4g bytes/s of weights\n";
    std::printf(format, batch, promptTokens, generateTokens, prefillRate, computed, decodeRate, read);
    return finishOutput(0);
  }
  if (json) {
    std::printf(
        "{\"threads\":%u,\"batch\":%u,\"prompt_tokens\":%u,\"generate_tokens\":%u,"
        "\"prefill_tokens_per_second\":%.3f,\"prefill_flops_per_second\":%.4g,\"prefill_fraction_of_peak\":%.4f,"
        "\"decode_tokens_per_second\":%.3f,\"decode_bytes_per_second\":%.4g,\"decode_fraction_of_bandwidth\":%.4f,"
        "\"peak\":\"%s\",\"peak_flops\":%.4g,\"read_bytes_per_second\":%.4g}\n",
        threads, batch, promptTokens, generateTokens, prefillRate, computed, computeFraction, decodeRate, read,
        readFraction, kind, computeLimit, readLimit);
    return finishOutput(0);
  }
  std::printf("machine, %u threads   read %.1f GB/s, %s peak %.0f GFLOP/s\n", threads, readLimit / 1e9, kind,
              computeLimit / 1e9);
  std::printf("prefill %4u tokens   %9.1f tokens/s   %.0f GFLOP/s, %.0f %% of the peak\n", promptTokens, prefillRate,
              computed / 1e9, 100 * computeFraction);
  std::printf("decode  %4u tokens   %9.1f tokens/s   %.1f GB/s of weights, %.0f %% of the read bandwidth\n",
              generateTokens, decodeRate, read / 1e9, 100 * readFraction);
  if (readFraction > 1) {
    std::printf("The weights lie in the caches: they are read faster than memory is.\n");
  }
  return finishOutput(0);
}
