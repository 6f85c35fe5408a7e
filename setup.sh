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

sudo=()
if [ "$(id -u)" -ne 0 ]; then sudo=(sudo); fi

# install PACKAGE...: those of Debian's that are not there.
install_missing() {
  local missing=() package status
  for package in "$@"; do
    status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  if [ ${#sudo[@]} -ne 0 ] && ! command -v sudo >/dev/null; then
    echo "setup: ${missing[*]} are missing; run this as root" >&2
    exit 1
  fi
  echo "setup: installing ${missing[*]}" >&2
  "${sudo[@]}" apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}
install_missing "${packages[@]}"

# NVRTC compiles the kernels for Hopper. Where there is no CUDA toolkit, a Python package has it; the compiler looks there.
python_packages=$HOME/.local/lib/python3/site-packages
has_nvrtc() {
  local root
  for root in "${ELAH_NVRTC:-}" "${CUDA_PATH:-}" "${CUDA_HOME:-}" /usr/local/cuda; do
    if [ -n "$root" ] && { [ -f "$root" ] || compgen -G "$root/lib64/libnvrtc.so*" >/dev/null; }; then return 0; fi
  done
  compgen -G "$HOME/.local/lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so*" >/dev/null
}
if ! has_nvrtc; then
  echo "setup: installing NVRTC for Python into $python_packages" >&2
  python3 -m pip --version >/dev/null 2>&1 || install_missing python3-pip
  python3 -m pip install --quiet --no-deps --target "$python_packages" 'nvidia-cuda-nvrtc>=13.0,<14' >&2
fi
echo "setup: everything is installed" >&2
