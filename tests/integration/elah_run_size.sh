#!/usr/bin/env bash
# elah-run as users get it: two megabytes at most, and nothing beside it but the C and C++ libraries.
# long: builds the runtime once more, for release
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ -f build/release/build.ninja ] || cmake --preset release >"$work/configure.log" || { cat "$work/configure.log"; exit 1; }
cmake --build --preset release --target elah-run -- -j "$(nproc)" >"$work/build.log" || { tail -n 40 "$work/build.log"; exit 1; }
strip -o "$work/elah-run" build/release/bin/elah-run
size=$(stat -c %s "$work/elah-run")
echo "elah-run: $size bytes"
[ "$size" -le 2000000 ]
others=$(readelf -d "$work/elah-run" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(lib(c|m|stdc\+\+|gcc_s)\.so\.[0-9]+|ld-linux.*)$' || true)
[ -z "$others" ] || { echo "expected no other libraries, found $others"; exit 1; }
