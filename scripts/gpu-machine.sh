#!/usr/bin/env bash
# All that a borrowed machine with a GPU is for, in one command, from programs that were built elsewhere.
#
#   scripts/gpu-machine.sh pack                  here: builds the programs into target/gpu-machine/bin.tar.gz, about 30 MB
#   scripts/gpu-machine.sh run [PART..]          there: every part, or these, into target/gpu-machine/results
#   scripts/gpu-machine.sh list                  the parts
#
# Carry the repository and that file over. Nothing is built there and nothing has to be installed but the GPU's
# Vulkan driver; PyTorch is used where `python3` (or $PYTHON) has it with CUDA, and is left out, by name, where it does not.
# A part that fails, hangs or cannot run stops no other. What is done already is left alone, so that a run that was ended goes
# on; remove its file for another try. At the end stands what passed, what failed, and what the machine cannot do.
#
# DEVICE    the GPU as `drdiff --device` names it (gpu: the first). DEVICE=llvmpipe tries it all on the software driver.
# RESULTS   where results go
# QUICK=1   a tenth of the cases and the smallest benches: what a trial needs
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

device=${DEVICE:-gpu}
bin=target/gpu-machine/bin
results=${RESULTS:-target/gpu-machine/results}
python=${PYTHON:-python3}
quick=${QUICK:-}
case $device in
    llvmpipe | swiftshader) export DRDIFF_DRIVER=$device ;;
    *) export DRDIFF_VULKAN=${DRDIFF_VULKAN:-system} ;;
esac

die() {
    echo "error: $*" >&2
    exit 1
}

on_gpu() {
    scripts/with-vulkan.sh "$@"
}

drdiff() { # COMMAND [ARGUMENT]..
    on_gpu "$bin/drdiff" "$1" --device "$device" "${@:2}"
}

# Says why a part does not suit this machine; that is no failure.
unsuited() {
    echo "cannot run here: $*"
    return 77
}

pack() {
    set -e
    cargo build --release -p drdiff-cli
    cargo build --release --manifest-path benches/peers/Cargo.toml -p peer-burn
    mkdir -p "$bin"
    strip -o "$bin/drdiff" target/release/drdiff
    strip -o "$bin/peer-burn" benches/peers/target/release/peer-burn
    tar -czf "$bin.tar.gz" -C "$(dirname "$bin")" bin
    du -sh "$bin.tar.gz"
}

part_info() {
    on_gpu "$bin/drdiff" info
    command -v nvidia-smi >/dev/null && nvidia-smi
    uname -a
}

# Verifies in a tier, unless the device cannot run it, which is an error of usage (2) before any case.
verify_tier() { # TIER
    local said code=0
    said=$(drdiff bench --op norm --size rows=1,D=4 --runs 1 --taken --no-peaks --tier "$1" 2>&1) || code=$?
    if [[ $code -eq 2 ]]; then
        unsuited "${said##*error: }" || return
    fi
    drdiff verify --tier "$1" ${quick:+--quick}
}
part_verify_core() { verify_tier core; }
part_verify_subgroup() { verify_tier subgroup; }
part_verify_coop() { verify_tier coop; }
part_verify_unchecked() { drdiff verify --bounds-checks off ${quick:+--quick}; }

# The same text twice: a device that computes wrongly now and then shows here.
part_generate() {
    local folder steps=40
    [[ -z $quick ]] || steps=2
    folder=$(mktemp -d)
    for name in first second; do
        drdiff generate "The history of" --seed 7 --length 512 --steps "$steps" >"$folder/$name" || return
    done
    cat "$folder/first"
    cmp "$folder/first" "$folder/second"
}

bench_arguments() {
    [[ -z $quick ]] || echo --op norm --runs 3
}

part_bench() {
    # shellcheck disable=SC2046
    drdiff bench --output json --plot "$results/bench.png" $(bench_arguments) >"$results/bench.json.partial" || return
    mv "$results/bench.json.partial" "$results/bench.json"
    echo "see bench.json and bench.png"
}

# A second run, against the first: how far the machine's own times can be trusted.
part_bench_again() {
    [[ -f $results/bench.json ]] || unsuited "there is no bench.json to compare with" || return
    # shellcheck disable=SC2046
    drdiff bench --compare "$results/bench.json" $(bench_arguments)
}

part_steps() {
    local lengths=256,2048,16384
    [[ -z $quick ]] || lengths=64
    drdiff bench --step "$lengths" --runs 3
}

part_burn() {
    local more=(--device "$device")
    [[ -z $quick ]] || more+=("product 256")
    on_gpu "$bin/peer-burn" "${more[@]}"
}

part_torch() {
    "$python" -c 'import torch, safetensors; assert torch.cuda.is_available()' 2>/dev/null ||
        unsuited "$python has no PyTorch with CUDA and safetensors" || return
    "$python" -c 'import torch; print(torch.__version__, torch.cuda.get_device_name())'
    "$python" benches/peers/pytorch/ops.py --torch-device cuda --device "$device" \
        --drdiff "scripts/with-vulkan.sh $bin/drdiff"
    cat <<'END'

NATTEN's yardstick, as published: a sparse kernel is measured as the share of the speed-up over its own dense kernel that
its FLOPs promise. GNA on a B200 reached all of it where tiles are dense, 1.3 PFLOP/s in f16 (arXiv 2504.16922).
END
}

all=(info verify_core verify_subgroup verify_coop verify_unchecked generate bench bench_again steps burn torch)

# Runs a part within its time, shows what it says, and keeps it as a file named for what came of it.
attempt() { # PART
    local part=$1 file=$results/$1 begin=$SECONDS code
    if [[ -f $file.passed || -f $file.unsuited ]]; then
        echo "== $part: done already"
        return
    fi
    rm -f "$file".*
    echo "== $part"
    # As a program of its own, for `timeout`.
    timeout --kill-after=10 "${PART_SECONDS:-540}" "$0" part "$part" > >(tee "$file.running") 2>&1
    code=$?
    wait
    echo "== $part: $((SECONDS - begin)) s" | tee -a "$file.running"
    case $code in
        0) mv "$file.running" "$file.passed" ;;
        77) mv "$file.running" "$file.unsuited" ;;
        124 | 137) echo "ended after ${PART_SECONDS:-540} s" >>"$file.running"; mv "$file.running" "$file.failed" ;;
        *) mv "$file.running" "$file.failed" ;;
    esac
}

summary() {
    local part state
    echo
    for part in "${all[@]}"; do
        for state in passed unsuited failed; do
            [[ ! -f $results/$part.$state ]] || printf '%-18s %s\n' "$part" "$state"
        done
    done | tee "$results/summary"
    ! ls "$results"/*.failed >/dev/null 2>&1
}

case ${1:-} in
    pack) pack ;;
    list) printf '%s\n' "${all[@]}" ;;
    part) "part_$2" ;;
    run)
        parts=("${@:2}")
        [[ ${#parts[@]} -gt 0 ]] || parts=("${all[@]}")
        for part in "${parts[@]}"; do
            [[ " ${all[*]} " == *" $part "* ]] || die "no part '$part': the parts are ${all[*]}"
        done
        [[ -d $bin || ! -f $bin.tar.gz ]] || tar -xzf "$bin.tar.gz" -C "$(dirname "$bin")"
        for program in drdiff peer-burn; do
            [[ -x $bin/$program ]] || die "no $bin/$program: run 'scripts/gpu-machine.sh pack' where programs are built"
        done
        mkdir -p "$results"
        for part in "${parts[@]}"; do
            attempt "$part"
        done
        summary
        ;;
    *) die "usage: scripts/gpu-machine.sh pack | run [PART..] | list" ;;
esac
