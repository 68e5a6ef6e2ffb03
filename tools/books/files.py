"""Files that are whole or not there, and stay so when the power goes.

A writer runs for weeks on machines that may be taken away, so that a rename is made to last and lines are added to one
file; whatever fails is an InputError, which ends it with a sentence. The trainer's files.py is another: its callers say
what a failure means for them, and it reads documents. The folders are scripts that run from where they lie, so what they
would share is less than it would take to share it.
"""

import contextlib
import os
from pathlib import Path


class InputError(Exception):
    """Something given from outside that cannot be used: what, where, what was expected."""


def replace_file(path: Path, data: bytes) -> None:
    """Writes beside the target and renames; what was there stays until the new file is whole."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: not written: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Makes a rename last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append(path: Path, data: bytes) -> None:
    """Adds whole lines at the end; if they do not fit, the file is as it was."""
    try:
        with path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(before)
                raise
    except OSError as error:
        raise InputError(f"{path}: not written: {error.strerror}") from error
