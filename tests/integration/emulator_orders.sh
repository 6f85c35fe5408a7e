#!/usr/bin/env bash
# The emulator's CUDA C++ programs in 50 random orders each, every other one adversarial, with the checker on: right
# results and not one report.
# long: half a minute of processor time
set -euo pipefail
build=${ELAH_BUILD:-build/dev}

ELAH_PROGRAM_ORDERS=50 "$build/bin/unit/emulator_programs" --gtest_brief=1
