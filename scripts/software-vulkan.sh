#!/usr/bin/env bash
# Prepares a software Vulkan driver that has cooperative matrices: Mesa's llvmpipe 26.1, with the Khronos
# validation layer, vulkaninfo and spirv-val beside it. It is a small Debian of its own in one folder, used
# from outside by scripts/with-vulkan.sh: nothing is mounted, and the machine's own drivers stay as they are.
#
#   scripts/software-vulkan.sh        prints the folder; a finished one is left alone
#
# The folder is $DRDIFF_VULKAN, else drdiff/vulkan under $XDG_CACHE_HOME or ~/.cache. About 500 MB, half a minute.
# Needs Debian, x86-64 and root the first time. DRDIFF_VULKAN=system means the machine's own driver: nothing to do.
set -euo pipefail

suite=trixie
packages=(mesa-vulkan-drivers libvulkan1 vulkan-validationlayers vulkan-tools spirv-tools)
recipe="$suite ${packages[*]}"

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${DRDIFF_VULKAN:-${XDG_CACHE_HOME:-$HOME/.cache}/drdiff/vulkan}
stamp=.drdiff-vulkan

die() {
    echo "error: $*" >&2
    exit 1
}

case $folder in
    system)
        echo "$folder"
        exit
        ;;
    /*) ;;
    *) die "the driver's folder must be an absolute path, not '$folder' (DRDIFF_VULKAN)" ;;
esac

finished() {
    [ -f "$folder/$stamp" ] && [ "$(cat "$folder/$stamp")" = "$recipe" ]
}

if finished; then
    echo "$folder"
    exit
fi

# shellcheck source=/dev/null
id=$(. /etc/os-release 2>/dev/null && echo "$ID") || id=unknown
machine="$id on $(uname -m)"
[ "$machine" = "debian on x86_64" ] ||
    die "this script needs Debian on x86_64 (here: $machine). Install Mesa 26.1 or newer with llvmpipe, the Khronos" \
        "validation layer and spirv-val in your system's way, then set DRDIFF_VULKAN=system"
[ "$(id -u)" -eq 0 ] ||
    die "preparing $folder needs root: run 'sudo DRDIFF_VULKAN=$folder scripts/software-vulkan.sh' once"

mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
if finished; then # by another run, while this one waited
    echo "$folder"
    exit
fi

if [ -e "$folder" ] && [ ! -f "$folder/$stamp" ] && [ -n "$(ls -A "$folder")" ]; then
    die "$folder is not empty and was not made by this script: move it away, or set DRDIFF_VULKAN to another folder"
fi

"$scripts/apt-install.sh" debootstrap debian-archive-keyring

# Made beside its place and moved there when it has passed its checks, so what stands there is whole.
partial=$folder.partial
log=$folder.log
rm -rf "$partial"
echo "preparing software Vulkan in $folder (log: $log)" >&2
: >"$log"

step() {
    "$@" >>"$log" 2>&1 9>&- && return
    tail -n 20 "$log" >&2
    die "'$*' failed; the whole log is $log"
}

step debootstrap --variant=minbase --force-check-gpg --extra-suites="$suite-backports" "$suite" "$partial"
step chroot "$partial" apt-get --option Acquire::Retries=3 --option Acquire::Languages=none update
step chroot "$partial" env DEBIAN_FRONTEND=noninteractive apt-get --yes --no-install-recommends \
    --option Acquire::Retries=3 --target-release "$suite-backports" install "${packages[@]}"
step chroot "$partial" apt-get clean
rm -rf "$partial"/var/lib/apt/lists/* "$partial"/usr/share/doc/*

for validation in "" "$log.validation"; do
    : >"$log.validation"
    DRDIFF_VULKAN=$partial DRDIFF_VALIDATION=$validation \
        "$scripts/with-vulkan.sh" vulkaninfo --summary >"$log.vulkaninfo" 2>>"$log" 9>&- ||
        die "vulkaninfo failed on the new driver; the log is $log"
    grep --quiet 'deviceName *= llvmpipe' "$log.vulkaninfo" ||
        die "the new driver shows no llvmpipe; see $log.vulkaninfo"
done
grep --quiet 'Khronos Validation Layer Active' "$log.validation" || die "the validation layer did not load; see $log"
cat "$log.vulkaninfo" >>"$log"
rm "$log.vulkaninfo" "$log.validation"

rm -rf "$folder"
echo "$recipe" >"$partial/$stamp"
mv "$partial" "$folder"
sed -n 's/^[[:space:]]*driverInfo *= *//p' "$log" >&2
echo "$folder"
