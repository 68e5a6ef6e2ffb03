#!/usr/bin/env bash
# Measures drdiff and other libraries in turn and writes docs/PERFORMANCE.md: the machine, versions, ratios, how to repeat.
#
#   scripts/performance.sh                 what is not measured yet; 15 minutes on two cores, on a quiet machine
#   scripts/performance.sh --again PART..  those parts anew (`all`: every one)
#   scripts/performance.sh --only PART..   those parts alone, of what is not measured yet
#   scripts/performance.sh --list          the parts
#
# Each part leaves a file under target/performance, so a run that was ended goes on where it was. DRDIFF_THREADS (2) is how
# many threads each side has on the CPU, DRDIFF_DEVICE (llvmpipe) the GPU; on a GPU's own driver set DRDIFF_VULKAN=system.
# PARTS=DIR keeps the parts elsewhere, OUT=FILE the page.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

threads=${DRDIFF_THREADS:-2}
device=${DRDIFF_DEVICE:-llvmpipe}
parts=${PARTS:-target/performance}
out=${OUT:-docs/PERFORMANCE.md}
on_driver=scripts/with-vulkan.sh
drdiff=target/release/drdiff
peers=benches/peers/target/release
python=target/peers-python/bin/python
langflow=target/performance/langflow-checkpoint
export RAYON_NUM_THREADS=$threads OMP_NUM_THREADS=$threads

die() {
    echo "error: $*" >&2
    exit 1
}

build() {
    cargo build --quiet --release -p drdiff-cli
    cargo build --quiet --release --manifest-path benches/peers/Cargo.toml -p "$1"
}

python_ready() {
    [[ -x $python ]] || python3 -m venv target/peers-python
    "$python" -m pip install --quiet --disable-pip-version-check -r benches/peers/pytorch/requirements.txt
}

# A part is a function that prints Markdown: its heading, what was done, the command, the table.
part_cpu_ops() {
    cargo build --quiet --release -p drdiff-cli
    python_ready
    cat <<END
## Ops on the CPU, against PyTorch

\`benches/peers/pytorch/ops.py\`, f32, $threads threads each, after both have computed each case from the same inputs.

END
    "$python" benches/peers/pytorch/ops.py --threads "$threads" --drdiff "$drdiff"
}

part_cpu_models() {
    cargo build --quiet --release -p drdiff-cli
    python_ready
    if [[ ! -f $langflow/config.json ]]; then
        "$python" tools/langflow/checkpoint.py --output "$langflow" >&2
    fi
    cat <<END
## Whole models on the CPU, against PyTorch

\`benches/peers/pytorch/models.py\`: one evaluation, f32, $threads threads each. drdiff's is a step of a run, the solver's
update included. LangFlow's size is 12 layers of 768, vocabulary 50,257, with random weights.

END
    "$python" benches/peers/pytorch/models.py --threads "$threads" --drdiff "$drdiff" --langflow "$langflow"
}

part_cpu_candle() {
    build peer-candle
    cat <<END
## Ops on the CPU, against candle

\`peer-candle\`, f32, $threads threads each, one process, equal results.

END
    "$peers/peer-candle"
}

part_gpu_burn() {
    build peer-burn
    cat <<END
## Ops on the GPU $device, against burn

\`peer-burn --device $device\`: burn through Vulkan with autotune and fusion, on the same adapter, one process, equal
results. A first call is from inputs in memory; making of pipelines and tuning are a part of it.

END
    "$on_driver" "$peers/peer-burn" --device "$device"
}

# From the begin of the first to the end of the last op of a step, over the sum of its ops: the median, least, greatest.
step_share() {
    python3 - "$1" <<'END'
import json, statistics, sys

steps = {}
for event in json.load(open(sys.argv[1]))["traceEvents"]:
    steps.setdefault(event["args"]["step"], []).append((event["ts"], event["ts"] + event["dur"]))
shares = sorted(
    (max(end for _, end in ops) - min(begin for begin, _ in ops)) / sum(end - begin for begin, end in ops)
    for ops in steps.values()
)
print(f"{statistics.median(shares):.3f} [{shares[0]:.3f} to {shares[-1]:.3f}]")
END
}

part_step() {
    cargo build --quiet --release -p drdiff-cli
    cat <<END
## A step, and the sum of its kernels

\`drdiff generate --trace\`, $device: from the begin of the first to the end of the last op of a step, over the time of its
ops, by the GPU's timestamps.

| tokens | median of the steps |
|--:|--:|
END
    local length steps trace=$parts/trace.json
    for length in 256:12 2048:4; do
        steps=${length#*:} length=${length%:*}
        "$on_driver" "$drdiff" generate the --device "$device" --length "$length" --steps "$steps" --trace "$trace" \
            >/dev/null 2>&1 || die "generate failed on $device"
        printf '| %s | %s |\n' "$length" "$(step_share "$trace")"
    done
    rm "$trace"
}

part_gpu_bench() {
    cargo build --quiet --release -p drdiff-cli
    cat <<END
## Every op on $device

\`drdiff bench --device $device --taken --runs 3 --output md\`.

END
    "$on_driver" "$drdiff" bench --device "$device" --taken --runs 3 --output md
}

part_cpu_bench() {
    cargo build --quiet --release -p drdiff-cli
    cat <<END
## Every op on the CPU

\`drdiff bench --device cpu --runs 5 --output md\`, $threads threads.

END
    "$drdiff" bench --device cpu --runs 5 --output md
}

all=(cpu_ops cpu_models cpu_candle gpu_burn step cpu_bench gpu_bench)

machine() {
    local model
    model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
    echo "${model:-$(uname -m)}, $(getconf _NPROCESSORS_ONLN) threads"
}

# The date is that of the source, so that a page made again differs in what was measured alone.
version() {
    sed -n 's/^torch==/PyTorch /p' benches/peers/pytorch/requirements.txt
    sed -n 's/^burn = .*"=\([0-9.]*\)".*/burn \1/p' benches/peers/burn/Cargo.toml
    sed -n '/^name = "candle-core"/{n;s/version = "\(.*\)"/candle \1/p}' benches/peers/Cargo.lock
    rustc --version | cut -d ' ' -f 1-2
}

write_page() {
    {
        cat <<END
# Performance

Written by \`scripts/performance.sh\`, which measures it again: $(git rev-parse --short=10 HEAD 2>/dev/null || echo "no commit").

* Machine: $(machine).
* Versions: $(version | paste -s -d ',' | sed 's/,/, /g').

Both sides of a row ran in turn on this machine. "Times as fast" is the rival's time over drdiff's in the same turn: the
median of the turns, and the least and the greatest; above 1 drdiff is faster. "At best" divides the least times.
[benches/peers](../benches/peers/README.md) says how each side is run.
END
        local name
        for name in "${all[@]}"; do
            if [[ -f $parts/$name.md ]]; then
                echo
                cat "$parts/$name.md"
            fi
        done
    } >"$out.new"
    mv "$out.new" "$out"
}

chosen=("${all[@]}") again=()
case ${1:-} in
    '') ;;
    --list) printf '%s\n' "${all[@]}"; exit ;;
    --only) chosen=("${@:2}") ;;
    --again) again=("${@:2}") ;;
    *) die "usage: scripts/performance.sh [--list | --only PART.. | --again PART..]" ;;
esac
for name in "${chosen[@]}" "${again[@]}"; do
    [[ " ${all[*]} all " == *" $name "* ]] || die "no part '$name': the parts are ${all[*]}"
done

mkdir -p "$parts"
for name in "${again[@]}"; do
    if [[ $name == all ]]; then rm -f "$parts"/*.md; else rm -f "$parts/$name.md"; fi
done
failed=()
for name in "${chosen[@]}"; do
    if [[ -f $parts/$name.md ]]; then
        echo "$name: measured already (--again $name)" >&2
        continue
    fi
    echo "$name .." >&2
    begin=$SECONDS
    if "part_$name" >"$parts/$name.partial"; then
        mv "$parts/$name.partial" "$parts/$name.md"
        echo "$name: $((SECONDS - begin)) s" >&2
    else
        failed+=("$name")
        echo "$name: failed" >&2
    fi
    write_page
done
write_page
[[ ${#failed[@]} -eq 0 ]] || die "failed: ${failed[*]}"
