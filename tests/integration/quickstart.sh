#!/usr/bin/env bash
# The README's first command gives the right answer, on stdout and alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ELAH_PRESET=$(basename "${ELAH_BUILD:?}") examples/quickstart.sh "What is 347 + 589?" >"$work/answer" 2>"$work/log" ||
  { cat "$work/log"; exit 1; }
cat "$work/answer"
[ "$(tail -n 1 "$work/answer")" = 936 ] || { echo "FAILED: expected the last line to be 936"; exit 1; }
