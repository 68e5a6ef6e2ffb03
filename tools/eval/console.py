"""What the two command lines share: messages, the report, the file of figures, the exit code."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from texts import InputError


def check_file(path: Path, option: str) -> None:
    """Checks before the work that the file can be created."""
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"{option}: {path}: not a file in an existing folder")


def show(report: str) -> None:
    """Standard output."""
    try:
        print(report, flush=True)
    except BrokenPipeError:
        # The reader has seen enough; nothing more may be flushed into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write(path: Path, option: str, results: dict[str, Any], allow_nan: bool = True) -> None:
    """All figures, as JSON."""
    try:
        path.write_text(json.dumps(results, indent=1, allow_nan=allow_nan) + "\n")
    except OSError as error:
        raise InputError(f"{option}: {path}: {error.strerror}") from error


def exit_code(name: str, run: Callable[[], None]) -> int:
    """0, 1 with the error on standard error, or 130 where it was interrupted."""
    try:
        run()
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
