#!/usr/bin/env bash
# Everything that must pass: formatting, lints, documentation, tests, every op against the reference on two software
# Vulkan drivers and under the Khronos validation layer, every kernel through Microsoft's compilers, a minute of fuzzing,
# and the trainer's and the judges' own tests. No GPU is needed, and nothing is skipped but two tests of the largest
# judge, which is not downloaded for them.
#
#   scripts/test.sh
#
# The first run prepares the drivers, which needs Debian and root; see scripts/software-vulkan.sh for other machines.
# What fails fast comes first. A new check is a line of `check`; what uses one core for long is paired with another such
# in `together`. What takes longer than a few minutes is run by hand: scripts/verify-opengl.sh, scripts/verify-bounds.sh
# and all of tools/mutants, of which a sample is here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
# Children that still run are ended with this script.
trap 'jobs -p | xargs -r kill 2>/dev/null || true; rm -rf "$scratch"' EXIT

times=()

heading() {
    printf '\n=== %s (%d s so far)\n' "$*" "$SECONDS"
}

took() { # SECONDS WHAT
    times+=("$(printf '%5d s  %s' "$@")")
}

failed() {
    echo "error: failed: $*" >&2
    exit 1
}

# Prints the command as the heading and runs it.
check() {
    local begin=$SECONDS
    heading "$*"
    "$@" || failed "$*"
    took $((SECONDS - begin)) "$*"
}

# Runs functions side by side, and prints what each said once it has ended.
together() {
    local begin=$SECONDS name wrong=()
    local -A running
    for name in "$@"; do
        "$name" >"$scratch/$name" 2>&1 &
        running[$name]=$!
    done
    for name in "$@"; do
        wait "${running[$name]}" || wrong+=("$name")
        heading "$name"
        cat "$scratch/$name"
    done
    [ "${#wrong[@]}" -eq 0 ] || failed "${wrong[*]}"
    took $((SECONDS - begin)) "$(printf '%s, ' "$@" | sed 's/, $//')"
}

on_driver=scripts/with-vulkan.sh
target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
drdiff=$target/debug/drdiff

browser=wasm32-unknown-unknown

# The library's features but `default`, from its manifest.
features() {
    sed -n '/^\[features\]/,/^\[dependencies\]/s/^\([a-z]*\) = .*/\1/p' Cargo.toml | grep --invert-match '^default$'
}

# What the standard library of the browser's target needs: rustup fetches it once.
browser_target() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$browser" ] || rustup target add "$browser" || {
        echo "error: Rust's standard library for $browser is missing, and rustup cannot add it" >&2
        return 1
    }
}

# The fuzzer is a workspace of its own, so its lints are a copy.
same_lints() {
    lints() { sed -n '/^\[\(workspace\.\)\?lints\./,/^$/p' "$1" | sed 's/^\[workspace\./[/'; }
    diff <(lints Cargo.toml) <(lints fuzz/Cargo.toml)
}

check cargo fmt --all --check
check cargo fmt --all --check --manifest-path fuzz/Cargo.toml
check cargo fmt --all --check --manifest-path benches/peers/Cargo.toml
check browser_target
check same_lints
check scripts/software-vulkan.sh
check cargo clippy --workspace --all-targets -- -D warnings
# The library without its features, with each alone, and for a browser.
check cargo clippy -p drdiff --lib --no-default-features -- -D warnings
for feature in $(features); do
    check cargo clippy -p drdiff --lib --no-default-features --features "$feature" -- -D warnings
done
check cargo check -p drdiff --lib --no-default-features --target "$browser"
check cargo clippy --manifest-path fuzz/Cargo.toml --target-dir "$target/fuzz" -- -D warnings
check env RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps

# One build for the tests and for the program that verifies below.
check cargo build --workspace --bins --tests --examples
if cargo nextest --version >/dev/null 2>&1; then
    check "$on_driver" cargo nextest run --workspace
else
    check "$on_driver" cargo test --workspace --lib --bins --tests --examples
fi
check "$on_driver" cargo test --doc --workspace
check "$on_driver" "$drdiff" verify --device llvmpipe
check "$drdiff" verify --device cpu

swiftshader() {
    DRDIFF_DRIVER=swiftshader "$on_driver" "$drdiff" verify --quick --device swiftshader
}

validation_layer() {
    local log=$scratch/validation.log
    DRDIFF_VALIDATION=$log "$on_driver" "$drdiff" verify --quick --device llvmpipe
    if ! grep --quiet 'Khronos Validation Layer Active' "$log"; then
        echo "error: the validation layer did not load" >&2
        return 1
    fi
    if grep --quiet --extended-regexp 'Validation Error|VUID-' "$log"; then
        cat "$log" >&2
        echo "error: the validation layer found errors" >&2
        return 1
    fi
    echo "the validation layer found nothing"
}

together swiftshader validation_layer
check python3 tools/mutants/mutants.py --drdiff "$on_driver $drdiff" --only nn/
check scripts/hlsl.sh
check scripts/fuzz.sh --seconds 60
check scripts/test-python.sh

heading "all passed"
printf '%s\n' "${times[@]}"
