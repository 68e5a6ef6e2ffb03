#!/usr/bin/env bash
# Installs the named Debian packages that are not installed yet. Needs root only when one is missing.
#
#   scripts/apt-install.sh PACKAGE...
set -euo pipefail

missing=()
for package in "$@"; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "error: not root, so these packages cannot be installed; run: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi

# A new machine is often still running its own apt at this point, and only dpkg's lock can be waited for.
try() {
    local attempt
    for attempt in 1 2 3 4 5 6; do
        "$@" >&2 && return
        [ "$attempt" -lt 6 ] || break
        echo "warning: '$*' failed (attempt $attempt of 6), again in 20 seconds" >&2
        sleep 20
    done
    echo "error: '$*' failed 6 times" >&2
    return 1
}

export DEBIAN_FRONTEND=noninteractive
try apt-get --quiet --option Acquire::Retries=3 update
try apt-get --quiet --yes --no-install-recommends \
    --option Acquire::Retries=3 --option DPkg::Lock::Timeout=300 install "${missing[@]}"
