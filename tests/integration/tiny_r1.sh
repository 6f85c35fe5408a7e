#!/usr/bin/env bash
# Tiny-R1, compiled, answers at least 95 % of the held-out problems exactly.
# long: compiles a model and answers 1,000 problems
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 examples/tiny_r1/evaluate.py --build "${ELAH_BUILD:-build/dev}"
