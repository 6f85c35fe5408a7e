#!/usr/bin/env bash
# Installs what building and testing Elah need on Debian 12, and nothing twice. Run as root or with sudo at hand.
set -euo pipefail

packages=(
  # keep-sorted start
  binutils
  ccache
  clang-22
  clang-format-22
  clang-tidy-22
  cmake
  git
  libabsl-dev
  libbenchmark-dev
  libclang-rt-22-dev
  libcli11-dev
  libfmt-dev
  libfuzzer-22-dev
  libgmock-dev
  libgtest-dev
  liblld-22-dev
  liblz4-dev
  libmlir-22-dev
  libonnx-dev
  libonnx-testdata
  libpcre2-dev
  libprotobuf-dev
  libutf8proc-dev
  libxxhash-dev
  libzstd-dev
  lld-22
  llvm-22-dev
  llvm-22-tools
  mlir-22-tools
  ninja-build
  nlohmann-json3-dev
  pkg-config
  protobuf-compiler
  python3
  zlib1g-dev
  # keep-sorted end
)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: everything is installed" >&2
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: ${missing[*]} are missing; run this as root" >&2; exit 1; }
  sudo=(sudo)
fi
echo "setup: installing ${missing[*]}" >&2
"${sudo[@]}" apt-get update -qq >&2
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
