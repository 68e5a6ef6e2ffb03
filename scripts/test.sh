#!/usr/bin/env bash
# Everything that must pass: formatting, lints, documentation, tests, every op against the reference on a software
# Vulkan driver, the last time under the Khronos validation layer, every kernel through Microsoft's two HLSL compilers
# under Wine, and the trainer's and the judges' own tests. No GPU is needed, and nothing is skipped but two tests of the
# largest judge, which is not downloaded for them.
#
#   scripts/test.sh
#
# The first run prepares the driver, which needs Debian and root; see scripts/software-vulkan.sh for other machines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

heading() {
    printf '\n=== %s (%d s so far)\n' "$*" "$SECONDS"
}

# Prints the command as the heading and runs it.
check() {
    heading "$*"
    "$@"
}

on_vulkan=scripts/with-vulkan.sh

check scripts/software-vulkan.sh
check cargo fmt --all --check
check cargo clippy --workspace --all-targets -- -D warnings
check env RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps
# One build for the tests and for the program that verifies below.
check cargo build --workspace --bins --tests --examples
check "$on_vulkan" cargo test --doc --workspace
if cargo nextest --version >/dev/null 2>&1; then
    check "$on_vulkan" cargo nextest run --workspace
else
    check "$on_vulkan" cargo test --workspace --lib --bins --tests --examples
fi

target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
drdiff=$target/debug/drdiff
check "$on_vulkan" "$drdiff" verify --device llvmpipe

export DRDIFF_VALIDATION=$scratch/validation.log
check "$on_vulkan" "$drdiff" verify --quick --device llvmpipe
heading "what the Khronos validation layer found"
if ! grep --quiet 'Khronos Validation Layer Active' "$DRDIFF_VALIDATION"; then
    echo "error: the validation layer did not load" >&2
    exit 1
fi
if grep --quiet --extended-regexp 'Validation Error|VUID-' "$DRDIFF_VALIDATION"; then
    cat "$DRDIFF_VALIDATION" >&2
    echo "error: the validation layer found errors" >&2
    exit 1
fi
echo "nothing"

check scripts/hlsl.sh
check scripts/test-python.sh

heading "all passed"
