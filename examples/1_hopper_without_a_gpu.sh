#!/usr/bin/env bash
# Compiles Tiny-R1 for an H800 and lets the emulator answer one question: the same binaries' PTX that a GPU would run,
# under the checker. Needs nothing before it, and no GPU.
#   examples/1_hopper_without_a_gpu.sh ["What is 12 + 7?"]
set -euo pipefail
cd "$(dirname "$0")/.."

question=${1:-What is 12 + 7?}
preset=${ELAH_PRESET:-dev}
build=build/$preset

./setup.sh
[ -f "$build/build.ninja" ] || cmake --preset "$preset" >&2
cmake --build --preset "$preset" --target elah elah-run elah_emulator_driver >&2

echo "\$ elah compile examples/tiny_r1/model -o tiny-r1-h800.elah --target h800" >&2
"$build/bin/elah" compile examples/tiny_r1/model -o "$build/tiny-r1-h800.elah" --target h800
echo "\$ ELAH_EMULATOR_CHECK=1 elah run tiny-r1-h800.elah --device emulator --prompt \"$question\" --greedy" >&2
ELAH_EMULATOR_CHECK=1 exec "$build/bin/elah" run "$build/tiny-r1-h800.elah" --device emulator --prompt "$question" --greedy
