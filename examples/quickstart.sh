#!/usr/bin/env bash
# From nothing to an answer: installs what is missing, builds, compiles Tiny-R1 into one file, and asks it a question.
#   examples/quickstart.sh ["What is 347 + 589?"]
set -euo pipefail
cd "$(dirname "$0")/.."

question=${1:-What is 347 + 589?}
preset=${ELAH_PRESET:-dev}
build=build/$preset

./setup.sh
[ -f "$build/build.ninja" ] || cmake --preset "$preset" >&2
cmake --build --preset "$preset" --target elah elah-run >&2

echo "\$ elah compile examples/tiny_r1/model -o tiny-r1.elah --target cpu" >&2
"$build/bin/elah" compile examples/tiny_r1/model -o "$build/tiny-r1.elah" --target cpu
echo "\$ elah run tiny-r1.elah --prompt \"$question\" --greedy" >&2
exec "$build/bin/elah" run "$build/tiny-r1.elah" --prompt "$question" --greedy
