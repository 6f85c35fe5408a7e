#ifndef TESTS_RUNTIME_CUDA_ECHO_CUDA_MODEL_H
#define TESTS_RUNTIME_CUDA_ECHO_CUDA_MODEL_H

#include "tests/runtime/artifact/small_artifact.h"

/// The echo model for an H800: the same answers as echoModel(), from echo_kernels.cu in buckets of 2 and 8 tokens. Not
/// an artifact, and `error` says why, where NVRTC is missing.
SmallArtifact echoCudaModel(std::string &error);

#endif
