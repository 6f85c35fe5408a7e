#!/usr/bin/env bash
# What the emulator has proven, on a real Hopper GPU: the self-test of Tiny-R1, its answers word for word as on a CPU, and
# tokens a second. Skipped with a word where there is no GPU.
#   tests/gpu/run.sh [TARGET]      h100 by default: a target file of elah compile --target
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${1:-h100}
export ELAH_BUILD=${ELAH_BUILD:-$PWD/build/dev}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! nvidia-smi -L 2>/dev/null | grep -q GPU; then
  echo "skipped: there is no NVIDIA GPU"
  exit 0
fi
nvidia-smi -L
"$ELAH_BUILD/bin/elah" compile examples/tiny_r1/model --target "$target" -o "$work/tiny.elah"
"$ELAH_BUILD/bin/elah" selftest "$work/tiny.elah" --record --device emulator
"$ELAH_BUILD/bin/elah" selftest "$work/tiny.elah" --device cuda
tests/integration/hopper_answers.sh 50 cuda "$target"
"$ELAH_BUILD/bin/elah-run" bench "$work/tiny.elah" --device cuda --prompt-tokens 256 --generate-tokens 64
