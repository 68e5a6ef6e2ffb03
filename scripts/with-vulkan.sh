#!/usr/bin/env bash
# Runs a program on a software driver that scripts/software-vulkan.sh prepared.
#
#   scripts/with-vulkan.sh target/debug/drdiff info
#   scripts/with-vulkan.sh cargo nextest run              cargo itself runs as usual, what it starts on the driver
#   scripts/with-vulkan.sh vulkaninfo --summary           a bare name is looked up beside the driver first
#
# The driver needs a newer C library than the machine may have, so the program is started by the driver's own dynamic
# loader, with the driver's libraries ahead of the machine's. This ends with the program: its children are started by
# the machine's loader again and find no Vulkan. A program that starts one that needs Vulkan puts $DRDIFF_RUNNER, the
# path of this script, in front of it. In the program itself, /proc/self/exe and std::env::current_exe() are the
# loader; its first argument is as usual.
#
# DRDIFF_VULKAN      the drivers' folder (as in software-vulkan.sh), or `system`: run on what the machine has
# DRDIFF_DRIVER      which one: `llvmpipe` (where this is not set), `swiftshader`, or `opengl`, which is llvmpipe through
#                    OpenGL. No other driver is seen, through either interface.
# DRDIFF_VALIDATION  a file: turn on the Khronos validation layer, which overwrites that file with what it finds
set -euo pipefail

die() {
    echo "error: $*" >&2
    exit 127
}

[ "$#" -gt 0 ] || die "usage: with-vulkan.sh PROGRAM [ARGUMENT]..."

self=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$(basename "${BASH_SOURCE[0]}")
folder=${DRDIFF_VULKAN:-${XDG_CACHE_HOME:-$HOME/.cache}/drdiff/vulkan}

export DRDIFF_RUNNER=$self
# Layers that the machine turns on by itself are no part of what is tested.
export VK_LOADER_LAYERS_DISABLE='~implicit~'

if [ -n "${DRDIFF_VALIDATION:-}" ]; then
    export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
    # To the file even where the program collects messages itself; the info says that the layer was there.
    export VK_KHRONOS_VALIDATION_DEBUG_ACTION=VK_DBG_LAYER_ACTION_LOG_MSG
    export VK_KHRONOS_VALIDATION_LOG_FILENAME=$DRDIFF_VALIDATION
    export VK_KHRONOS_VALIDATION_REPORT_FLAGS=${VK_KHRONOS_VALIDATION_REPORT_FLAGS:-error,info}
    export VK_KHRONOS_VALIDATION_VALIDATE_SYNC=true
fi

case ${1##*/} in
    cargo | cargo-*)
        case $self in
            *[[:space:]]*) die "cargo takes no runner with a space in its path: $self" ;;
        esac
        export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$self
        exec "$@"
        ;;
esac

[ "$folder" != system ] || exec "$@"

libraries=$folder/usr/lib/x86_64-linux-gnu
loader=$libraries/ld-linux-x86-64.so.2
[ -x "$loader" ] || die "no software Vulkan in $folder: run scripts/software-vulkan.sh (as root) first"

export WGPU_BACKEND=vulkan
case ${DRDIFF_DRIVER:-llvmpipe} in
    llvmpipe) export VK_DRIVER_FILES=$folder/usr/share/vulkan/icd.d/lvp_icd.json ;;
    swiftshader) export VK_DRIVER_FILES=$folder/usr/lib/swiftshader/vk_swiftshader_icd.json ;;
    opengl)
        export WGPU_BACKEND=gl
        export __EGL_VENDOR_LIBRARY_FILENAMES=$folder/usr/share/glvnd/egl_vendor.d/50_mesa.json
        export LIBGL_ALWAYS_SOFTWARE=1
        ;;
    *) die "no driver '$DRDIFF_DRIVER': DRDIFF_DRIVER is llvmpipe, swiftshader or opengl" ;;
esac
[ -z "${DRDIFF_VALIDATION:-}" ] || export VK_ADD_LAYER_PATH=$folder/usr/share/vulkan/explicit_layer.d

case $1 in
    */*) program=$1 ;;
    *)
        program=$folder/usr/bin/$1
        [ -x "$program" ] || program=$(type -P "$1") || die "$1: no such program"
        ;;
esac

exec "$loader" --argv0 "$1" --library-path "$libraries" "$program" "${@:2}"
