#!/usr/bin/env bash
# Compares every tenth case of every op with the reference through OpenGL, on Mesa's llvmpipe: about a minute. Not a part of
# scripts/test.sh, as it needs a release build.
#
#   scripts/verify-opengl.sh [ARGUMENT OF drdiff verify]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/software-vulkan.sh >/dev/null
cargo build --release --package drdiff-cli
target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
DRDIFF_DRIVER=opengl exec scripts/with-vulkan.sh "$target/release/drdiff" verify --quick --device llvmpipe "$@"
