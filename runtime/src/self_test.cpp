// Digests, not bits: machines add in other orders. A row's digest is its length and, for each eighth of its columns,
// two sums with signs drawn by a hash: two rows that differ by a part of their length have sums that differ by about as
// much. After each operation on the residual stream, both runs go on from the golden stream, rounded to bf16, so that
// differences do not add up from layer to layer and what is off is so by its own fault. A choice of experts that is
// nearly a tie may go the other way: such rows are left out until the stream is golden again, unless they are most.
#include "src/self_test.h"
#include "packing/element_format.h"
#include "src/extent.h"
#include <algorithm>
#include <cmath>
#include <cstring>

namespace elah {
namespace {

constexpr size_t segments = 8, digestSize = 1 + 2 * segments;
constexpr uint32_t promptTokens = 8;

/// Bytes of an element; 0 where a probe may not be of that type.
uint64_t elementBytesOf(proto::ElementType type) {
  switch (type) {
  case proto::ELEMENT_TYPE_F32:
    return 4;
  case proto::ELEMENT_TYPE_BF16:
    return 2;
  case proto::ELEMENT_TYPE_F8E4M3:
    return 1;
  default:
    return 0;
  }
}

proto::ElementFormat formatOf(proto::ElementType type) {
  return type == proto::ELEMENT_TYPE_F32    ? proto::ELEMENT_FORMAT_F32
         : type == proto::ELEMENT_TYPE_BF16 ? proto::ELEMENT_FORMAT_BF16
                                            : proto::ELEMENT_FORMAT_F8E4M3;
}

void digest(std::span<const float> row, float *out) {
  double squares = 0;
  for (size_t segment = 0; segment < segments; ++segment) {
    double sums[2] = {0, 0};
    for (size_t i = row.size() * segment / segments; i < row.size() * (segment + 1) / segments; ++i) {
      uint32_t hash = static_cast<uint32_t>(i) * 0x9e3779b1u; // Knuth's multiplicative hash, then mixed.
      hash = (hash ^ hash >> 15) * 0x85ebca77u;
      squares += double(row[i]) * row[i];
      sums[0] += hash >> 31 ? -row[i] : row[i];
      sums[1] += hash >> 30 & 1 ? -row[i] : row[i];
    }
    out[1 + 2 * segment] = static_cast<float>(sums[0]);
    out[2 + 2 * segment] = static_cast<float>(sums[1]);
  }
  out[0] = static_cast<float>(std::sqrt(squares));
}

/// How far apart two digests are, as a part of the golden row's length: a sum's share is that of its segment, or what
/// the sum itself is if that is more.
double differenceOf(const float *golden, const float *found) {
  double length = std::max(double(golden[0]), 1e-20);
  double worst = std::abs(double(found[0]) - golden[0]) / length;
  for (size_t i = 1; i < digestSize; ++i) {
    double share = std::max(length / std::sqrt(double(segments)), std::abs(double(golden[i])));
    double difference = std::abs(double(found[i]) - golden[i]) / share;
    worst = difference > worst || std::isnan(difference) ? difference : worst;
  }
  return std::isnan(worst) ? INFINITY : worst;
}

/// Goes through a step's probes; what is golden is written, or read and compared.
class Examiner : public LaunchWatcher {
public:
  explicit Examiner(const proto::Manifest &manifest) : manifest(manifest) {
    for (int i = 0; i < manifest.probes_size(); ++i) {
      byLaunch.resize(std::max<size_t>(byLaunch.size(), manifest.probes(i).launch() + 1));
      byLaunch[manifest.probes(i).launch()].push_back(i);
    }
  }

  bool records = true;
  std::string goldens; ///< Written, or read from `place` on.
  size_t place = 0;
  SelfTestReport report;

  void beginStep() { excused.clear(); }

  Status launched(size_t launch, Program &program, const Dims &dims) override {
    for (int index : launch < byLaunch.size() ? byLaunch[launch] : std::vector<int>()) {
      ELAH_RETURN_IF_ERROR(examine(manifest.probes(index), program, dims));
    }
    return Status();
  }

private:
  Status examine(const proto::Probe &probe, Program &program, const Dims &dims) {
    const proto::Launch &launch = manifest.launches(static_cast<int>(probe.launch()));
    const uint32_t index = launch.buffers(static_cast<int>(probe.operand()));
    const proto::Buffer &buffer = manifest.buffers(static_cast<int>(index));
    const uint64_t element = elementBytesOf(probe.type()), columns = probe.columns();
    const __int128_t rowCount = evaluate(probe.rows(), dims);
    const __int128_t end = buffer.byte_offset() + (rowCount - 1) * probe.row_bytes() + columns * element;
    if (rowCount < 0 || end > bytesOf(manifest.slots(static_cast<int>(buffer.slot())), dims)) {
      return failure(ELAH_INVALID_DATA, "a probe of launch '%s' lies outside its buffer", launch.name().c_str());
    }
    if (rowCount == 0) {
      return Status();
    }
    std::vector<uint8_t> bytes(static_cast<size_t>(end) - buffer.byte_offset());
    ELAH_RETURN_IF_ERROR(program.read(index, bytes));
    const size_t rows = static_cast<size_t>(rowCount);
    std::vector<float> values(rows * columns), digests(rows * digestSize);
    for (size_t row = 0; row < rows; ++row) {
      std::span<float> of(values.data() + row * columns, columns);
      widen(formatOf(probe.type()), bytes.data() + row * probe.row_bytes(), of);
      digest(of, digests.data() + row * digestSize);
    }
    if (records) {
      for (float value : digests) {
        if (!std::isfinite(value)) {
          return failure(ELAH_INVALID_DATA, "'%s' gives numbers that are none: there is nothing to record",
                         launch.name().c_str());
        }
      }
      goldens.append(reinterpret_cast<const char *>(digests.data()), digests.size() * sizeof(float));
    } else {
      ELAH_RETURN_IF_ERROR(compare(probe, digests, rows, static_cast<size_t>(dims[ELAH_DIM_TOKENS])));
    }
    return probe.restores() && report.operation.empty() ? restore(index, probe, values, bytes, program) : Status();
  }

  Result<const char *> take(size_t bytes) {
    if (bytes > goldens.size() - place) {
      return failure(ELAH_INVALID_DATA, "the golden digests are not those of this program");
    }
    place += bytes;
    return goldens.data() + place - bytes;
  }

  Status compare(const proto::Probe &probe, const std::vector<float> &digests, size_t rows, size_t tokens) {
    Result<const char *> stored = take(digests.size() * sizeof(float));
    if (!stored.ok()) {
      return stored.status();
    }
    std::vector<float> golden(digests.size());
    std::memcpy(golden.data(), *stored, digests.size() * sizeof(float));
    excused.resize(std::max(excused.size(), rows));
    ++report.compared;
    const double tolerance = probe.type() == proto::ELEMENT_TYPE_F8E4M3 ? selfTestF8Tolerance : selfTestTolerance;
    size_t off = 0;
    double worst = 0;
    for (size_t row = 0; row < rows; ++row) {
      double difference = differenceOf(golden.data() + row * digestSize, digests.data() + row * digestSize);
      if (difference <= tolerance) {
        report.largest = excused[row] ? report.largest : std::max(report.largest, difference);
      } else if (!excused[row]) {
        ++off;
        worst = std::max(worst, difference);
        excused[row] = probe.chooses();
      }
    }
    if (off == 0) {
      return Status();
    }
    if (probe.chooses() && 2 * off < rows) {
      report.otherExperts += off;
      return Status();
    }
    const proto::Launch &launch = manifest.launches(static_cast<int>(probe.launch()));
    report.operation = launch.name();
    report.tokens = tokens;
    report.difference = worst;
    const proto::Variant *variant = nullptr;
    for (const proto::Variant &candidate : launch.variants()) {
      variant = variant || candidate.max_tokens() < tokens ? variant : &candidate;
    }
    if (!variant) { // On a CPU.
      report.kernels = manifest.kernels(static_cast<int>(launch.kernel())).symbol();
    } else {
      for (const proto::Step &step : variant->steps()) {
        report.kernels +=
            (report.kernels.empty() ? "" : ", ") + manifest.kernels(static_cast<int>(step.kernel())).symbol();
      }
    }
    return failure(ELAH_CANCELLED, "an operation is off");
  }

  /// Puts the golden stream in the place of this one.
  Status restore(uint32_t buffer, const proto::Probe &probe, std::vector<float> &values, std::vector<uint8_t> &bytes,
                 Program &program) {
    const size_t size = values.size() * 2;
    std::vector<uint8_t> rounded(size);
    if (records) {
      narrow(proto::ELEMENT_FORMAT_BF16, values, rounded.data());
      goldens.append(reinterpret_cast<const char *>(rounded.data()), size);
    } else {
      Result<const char *> stored = take(size);
      if (!stored.ok()) {
        return stored.status();
      }
      std::memcpy(rounded.data(), *stored, size);
    }
    widen(proto::ELEMENT_FORMAT_BF16, rounded.data(), values);
    const size_t columns = probe.columns();
    for (size_t row = 0; row * columns < values.size(); ++row) {
      std::memcpy(bytes.data() + row * probe.row_bytes(), values.data() + row * columns, columns * sizeof(float));
    }
    std::fill(excused.begin(), excused.end(), false);
    return program.write(buffer, bytes);
  }

  const proto::Manifest &manifest;
  std::vector<std::vector<int>> byLaunch;
  std::vector<bool> excused; ///< Rows whose experts are others, until the stream is golden again.
};

/// A prompt of a few tokens, then a token more: kernels for several and for one.
Status runSteps(Session &session, Examiner &examiner) {
  const proto::Manifest &manifest = session.artifact().manifest();
  const proto::Limits &limits = manifest.limits();
  if (manifest.probes().empty()) {
    return failure(ELAH_NOT_FOUND, "the artifact has no probes: only artifacts for GPUs can be tested so");
  }
  Result<uint32_t> sequence = session.createSequence();
  if (!sequence.ok()) {
    return sequence.status();
  }
  const uint32_t length = std::min({promptTokens, limits.max_tokens(), limits.max_context()});
  std::vector<uint32_t> tokens(length + 1);
  for (uint32_t i = 0; i <= length; ++i) {
    tokens[i] = static_cast<uint32_t>((uint64_t(i) * 7919 + 17) % manifest.vocabulary());
  }
  const elah_chunk chunks[] = {{*sequence, tokens.data(), length, ELAH_LOGITS_LAST},
                               {*sequence, tokens.data() + length, 1, ELAH_LOGITS_LAST}};
  Status status;
  for (const elah_chunk &chunk : chunks) {
    if (status.ok() && (&chunk == chunks || length < limits.max_context())) {
      examiner.beginStep();
      status = session.step({&chunk, 1}, &examiner);
    }
  }
  ELAH_RETURN_IF_ERROR(session.freeSequence(*sequence));
  return status;
}

} // namespace

Status checkProbes(const proto::Manifest &manifest) {
  for (int i = 0; i < manifest.probes_size(); ++i) {
    const proto::Probe &probe = manifest.probes(i);
    bool fits = probe.launch() < static_cast<uint32_t>(manifest.launches_size()) && elementBytesOf(probe.type()) > 0 &&
                probe.columns() > 0 && probe.columns() <= (1u << 24) &&
                probe.row_bytes() >= probe.columns() * elementBytesOf(probe.type()) &&
                probe.row_bytes() <= (uint64_t(1) << 32) &&
                (!probe.restores() || probe.type() == proto::ELEMENT_TYPE_F32);
    if (fits) {
      const proto::Launch &launch = manifest.launches(static_cast<int>(probe.launch()));
      fits = probe.operand() < static_cast<uint32_t>(launch.buffers_size()) &&
             manifest.buffers(static_cast<int>(launch.buffers(static_cast<int>(probe.operand())))).has_slot();
    }
    if (!fits) {
      return failure(ELAH_INVALID_DATA, "manifest: probe %d leads nowhere", i);
    }
    ELAH_RETURN_IF_ERROR(checkExtent(probe.rows(), "probe", i));
  }
  return Status();
}

Result<std::string> recordSelfTest(Session &session) {
  Examiner examiner(session.artifact().manifest());
  ELAH_RETURN_IF_ERROR(runSteps(session, examiner));
  return std::move(examiner.goldens);
}

Result<SelfTestReport> runSelfTest(Session &session) {
  std::string_view goldens = session.artifact().section(ELAH_SECTION_SELF_TEST);
  if (goldens.empty()) {
    return failure(ELAH_NOT_FOUND, "the artifact has no golden digests: `selftest FILE --record --device emulator` "
                                   "puts those of a device that is known to be right into the file");
  }
  Examiner examiner(session.artifact().manifest());
  examiner.records = false;
  examiner.goldens = std::string(goldens);
  Status status = runSteps(session, examiner);
  if (!status.ok() && examiner.report.operation.empty()) {
    return status;
  }
  return std::move(examiner.report);
}

} // namespace elah
