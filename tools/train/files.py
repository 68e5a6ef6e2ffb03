"""Files that are whole or not there, and documents.

A file that cannot be written is the caller's to explain: an OSError. tools/books/files.py says why it has its own.
"""

import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Writes beside the target and renames; what was there stays until the new file is whole."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    os.replace(temporary, path)


class InputError(Exception):
    """Something given from outside that cannot be used: what, where, what was expected."""


def read_documents(path: Path) -> list[str]:
    """The documents of a text file, one a line."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from error
    if not lines:
        raise InputError(f"{path}: empty, expected one document per line")
    return lines
