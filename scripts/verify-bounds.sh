#!/usr/bin/env bash
# No kernel reads or writes outside of its buffers by itself: `drdiff verify` with wgpu's bounds checks off and buffers
# that end where their values end, under the Khronos validation layer's GPU-assisted validation, which watches every
# access. First it sees that the layer would notice, by a kernel that reads far past the end.
#
#   scripts/verify-bounds.sh [DRDIFF [ARGUMENT]...]      target/debug/drdiff and --quick, unless named
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

drdiff=${1:-target/debug/drdiff}
if [ "$#" -gt 1 ]; then arguments=("${@:2}"); else arguments=(--quick); fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

export VK_KHRONOS_VALIDATION_GPUAV_ENABLE=true
# Robust accesses past the end are warnings to the layer.
export VK_KHRONOS_VALIDATION_REPORT_FLAGS=error,warn,info
beyond='access out of bounds|descriptor is out of bounds|VUID-vkCmdDispatch[A-Za-z]*-(storage|uniform)Buffers-'

# verify LOG ARGUMENT...: runs it and leaves what the layer said in LOG.
verify() {
    DRDIFF_VALIDATION=$1 scripts/with-vulkan.sh "$drdiff" verify --device llvmpipe --bounds-checks off --no-sentinels "${@:2}"
}

cp -r shaders "$scratch/shaders"
sed -i 's/x\[index + 1u\] \* turn.y/x[index + 1000000u] * turn.y/' "$scratch/shaders/nn/rope.wgsl"
verify "$scratch/planted.log" --op rope --quick --fail-fast --shaders "$scratch/shaders" >"$scratch/planted.txt" 2>&1 || true
if ! grep --quiet --extended-regexp "$beyond" "$scratch/planted.log"; then
    cat "$scratch/planted.txt" "$scratch/planted.log" >&2
    echo "error: the validation layer did not notice a kernel that reads past the end of its buffer" >&2
    exit 1
fi

verify "$scratch/kernels.log" "${arguments[@]}"
if grep --quiet --extended-regexp "Validation Error|$beyond" "$scratch/kernels.log"; then
    cat "$scratch/kernels.log" >&2
    echo "error: a kernel reads or writes outside of its buffers" >&2
    exit 1
fi
echo "no access outside of a buffer"
