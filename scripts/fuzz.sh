#!/usr/bin/env bash
# Fuzzes what reads strangers' input, each target for the same time: its seeds first, then new input. Ends at the first
# finding, which it leaves in fuzz/artifacts/; `scripts/fuzz.sh --repeat TARGET FILE` runs one input again.
#
#   scripts/fuzz.sh                    a minute in all
#   scripts/fuzz.sh --seconds 600      ten minutes in all
#   scripts/fuzz.sh --runs 1000000 ops weights         so many runs of each of these targets, however long it takes
#
# Needs only stable Rust and a C++ compiler: the counters that libFuzzer follows are an LLVM pass of rustc. What it finds
# worth keeping grows in fuzz/corpus/, which is not in the repository; fuzz/seeds/ is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

all=(config imports ops tokenizer weights)
seconds=60
runs=
targets=()
repeat=
while [ "$#" -gt 0 ]; do
    case $1 in
        --seconds) seconds=$2 && shift 2 ;;
        --runs) runs=$2 && shift 2 ;;
        --repeat) repeat=$3 && targets=("$2") && shift 3 ;;
        -*) echo "error: $1: expected --seconds, --runs or --repeat" >&2 && exit 2 ;;
        *) targets+=("$1") && shift ;;
    esac
done
[ "${#targets[@]}" -gt 0 ] || targets=("${all[@]}")

counters=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares)
# Named, so that the flags are for the programs alone and not for what runs while they are built.
triple=$(rustc --version --verbose | sed -n 's/^host: //p')
RUSTFLAGS=${counters[*]} "${CARGO:-cargo}" build --release --manifest-path fuzz/Cargo.toml --target "$triple" \
    --target-dir fuzz/target
programs=fuzz/target/$triple/release
artifacts=fuzz/artifacts
mkdir -p "$artifacts"
# Longer than any run should take, and far more memory: what exceeds these is a finding too.
limits=(-timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1)

# Targets write small files, thousands a second: into memory, where there is such a folder.
scratch=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log=$scratch/log
export TMPDIR=$scratch

if [ -n "$repeat" ]; then
    "$programs/${targets[0]}" "${limits[@]}" "$repeat"
    exit
fi

each=$((seconds / ${#targets[@]}))
total=0
for target in "${targets[@]}"; do
    corpus=fuzz/corpus/$target
    mkdir -p "$corpus"
    if [ -n "$runs" ]; then length=-runs=$runs; else length=-max_total_time=$each; fi
    begin=$SECONDS
    if ! "$programs/$target" "${limits[@]}" "$length" "-artifact_prefix=$artifacts/$target-" \
        "$corpus" "fuzz/seeds/$target" >"$log" 2>&1; then
        grep --invert-match '^stat::' "$log" | tail -n 60 >&2
        echo "error: $target: a finding; run it again with scripts/fuzz.sh --repeat $target FILE" >&2
        exit 1
    fi
    done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    total=$((total + done))
    printf '%-10s %9d runs in %4d s, no finding\n' "$target" "$done" "$((SECONDS - begin))"
done
echo "$total runs of ${#targets[@]} targets, no finding"
