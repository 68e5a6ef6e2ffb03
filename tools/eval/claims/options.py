"""Reads what the command line gives: lists of numbers, and the options that claims share."""

import argparse
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from texts import InputError

T = TypeVar("T", int, float, str)


def whole(source: str, name: str, least: int) -> int:
    """An integer of at least so much."""
    try:
        value = int(source)
    except ValueError as error:
        raise InputError(f"{name}: {source!r} is not a whole number") from error
    if value < least:
        raise InputError(f"{name}: {value} is less than {least}")
    return value


def share(source: str, name: str) -> float:
    """A number above 0 and at most 1."""
    try:
        value = float(source)
    except ValueError as error:
        raise InputError(f"{name}: {source!r} is not a number") from error
    if not 0 < value <= 1:
        raise InputError(f"{name}: {source} is not above 0 and at most 1")
    return value


def listed(source: str, name: str, one: Callable[[str], T]) -> list[T]:
    """Comma-separated values, none twice, in their order."""
    values = [one(part.strip()) for part in source.split(",") if part.strip()]
    if not values:
        raise InputError(f"{name}: none given")
    if len(set(values)) < len(values):
        raise InputError(f"{name}: {source}: one is given twice")
    return values


def flagged(name: str) -> str:
    """An option as it is typed."""
    return f"--{name.replace('_', '-')}"


def counts(options: argparse.Namespace, name: str, least: int = 1) -> list[int]:
    """Whole numbers under an option."""
    flag = flagged(name)
    return listed(getattr(options, name), flag, lambda part: whole(part, flag, least))


def chosen(options: argparse.Namespace, name: str, known: Collection[str]) -> list[str]:
    """Some of the names that are known."""
    flag = flagged(name)

    def one(part: str) -> str:
        """A known name."""
        if part not in known:
            raise InputError(f"{flag}: {part!r} is none of {', '.join(known)}")
        return part

    return listed(getattr(options, name), flag, one)


def check(options: argparse.Namespace, **least: int) -> None:
    """Options that argparse took for whole numbers are at least so large."""
    for name, bound in least.items():
        whole(str(getattr(options, name)), flagged(name), bound)


def check_guidance(options: argparse.Namespace, above: float) -> None:
    """Above `above`, at most 1; 0 where `above` is below it."""
    if not math.isfinite(options.guidance) or not above < options.guidance <= 1:
        raise InputError(f"--guidance: {options.guidance} is outside what is accepted, at most 1")


def texts(parser: argparse.ArgumentParser, length: int, count: int | None) -> None:
    """Of texts to sample."""
    parser.add_argument("--length", type=int, default=length, help="tokens per text, prompt included")
    if count is not None:
        parser.add_argument("--count", type=int, default=count, help="texts per seed")
    parser.add_argument("--prompt", help="their beginning; that of generate where none is given")


def human(parser: argparse.ArgumentParser) -> None:
    """Text to compare with."""
    parser.add_argument("--human", type=Path, required=True, help="held-out text, one document per line")
