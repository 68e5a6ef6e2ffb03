#!/usr/bin/env bash
# Prepares three software drivers in one folder: Mesa's llvmpipe 26.1, which has cooperative matrices, for Vulkan and for
# OpenGL, and SwiftShader, a Vulkan driver that shares no code with it. The Khronos validation layer, vulkaninfo and
# spirv-val are beside them. It is a small Debian of its own, used from outside by scripts/with-vulkan.sh: nothing is
# mounted, and the machine's own drivers stay as they are.
#
#   scripts/software-vulkan.sh        prints the folder; a finished one is left alone
#
# The folder is $DRDIFF_VULKAN, else drdiff/vulkan under $XDG_CACHE_HOME or ~/.cache. About 600 MB, a minute.
# Needs Debian, x86-64 and root the first time. DRDIFF_VULKAN=system means the machine's own driver: nothing to do.
set -euo pipefail

suite=trixie
packages=(mesa-vulkan-drivers libvulkan1 vulkan-validationlayers vulkan-tools spirv-tools libegl1 libegl-mesa0)
# Debian has SwiftShader as a part of Chromium alone. Of this package two files are taken, without installing it.
swiftshader_in=chromium-common
swiftshader_files=(usr/lib/chromium/{libvk_swiftshader.so,vk_swiftshader_icd.json})
recipe="$suite ${packages[*]} $swiftshader_in"

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

# apt checks what it downloads against Debian's signed lists, so this is the file that Debian has published.
step chroot "$partial" sh -c \
    "cd /tmp && apt-get --option APT::Sandbox::User=root --option Acquire::Retries=3 download $swiftshader_in"
step dpkg-deb --extract "$partial/tmp/$swiftshader_in"_*.deb "$partial/tmp/unpacked"
step install -D --mode=644 --target-directory="$partial/usr/lib/swiftshader" "${swiftshader_files[@]/#/$partial/tmp/unpacked/}"

step chroot "$partial" apt-get clean
rm -rf "$partial"/var/lib/apt/lists/* "$partial"/usr/share/doc/* "$partial"/tmp/*

# Each driver must show itself, and the validation layer must load.
shows() { # DRIVER NAME [VALIDATION-LOG]
    DRDIFF_VULKAN=$partial DRDIFF_DRIVER=$1 DRDIFF_VALIDATION=${3:-} \
        "$scripts/with-vulkan.sh" vulkaninfo --summary >"$log.vulkaninfo" 2>>"$log" 9>&- ||
        die "vulkaninfo failed on $1; the log is $log"
    grep --quiet "deviceName *= $2" "$log.vulkaninfo" || die "$1 shows no '$2'; see $log.vulkaninfo"
    cat "$log.vulkaninfo" >>"$log"
}
: >"$log.validation"
shows swiftshader 'SwiftShader Device'
shows llvmpipe llvmpipe
shows llvmpipe llvmpipe "$log.validation"
grep --quiet 'Khronos Validation Layer Active' "$log.validation" || die "the validation layer did not load; see $log"
rm "$log.vulkaninfo" "$log.validation"

rm -rf "$folder"
echo "$recipe" >"$partial/$stamp"
mv "$partial" "$folder"
sed -n 's/^[[:space:]]*driverInfo *= *\([^ ].*\)/\1/p' "$log" | sort --unique >&2
echo "$folder"
