"""Judges samples by models that are not ours, human text beside them: perplexity, entropy, repetition, copying."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import console
from gemma import Gemma
from measure import Judge, measure
from report import markdown
from texts import InputError, TextSet, read_human, read_sets
from trigram import Trigram

CACHE = Path("~/.cache/drdiff/gemma")
JUDGES = ("trigram", "gemma")
# Sets whose mean lengths differ by more than this share get a warning.
UNEQUAL = 0.1


def progress(message: str) -> None:
    """Standard error, as standard output holds the report."""
    print(f"judge: {message}", file=sys.stderr, flush=True)


def unhurried(report: Callable[[str], None], seconds: float) -> Callable[[str], None]:
    """Passes on at most one message in so many seconds."""
    last = -float("inf")

    def say(message: str) -> None:
        """Drops what comes too soon."""
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            report(message)

    return say


def chosen(names: str) -> list[str]:
    """The judges named, in our order; "none" leaves the figures that need no judge."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise InputError(f"--judges: none given; there are {', '.join(JUDGES)}, or none")
    if wanted == ["none"]:
        return []
    for name in wanted:
        if name not in JUDGES:
            raise InputError(f"--judges: unknown judge {name}; there are {', '.join(JUDGES)}, or none")
    return [name for name in JUDGES if name in wanted]


def load(name: str, options: argparse.Namespace) -> Judge:
    """A judge ready to score."""
    progress(f"{name}: loading")
    return Gemma(options.cache.expanduser(), options.threads) if name == "gemma" else Trigram()


def check_lengths(sets: list[TextSet]) -> None:
    """Every figure depends on the length of the texts."""
    means = {one.name: sum(map(len, one.texts)) / len(one.texts) for one in sets}
    if max(means.values()) > (1 + UNEQUAL) * min(means.values()):
        lengths = ", ".join(f"{name} {mean:.0f}" for name, mean in means.items())
        progress(f"warning: unequal lengths, which the figures depend on (mean characters: {lengths})")


def run(options: argparse.Namespace) -> None:
    """Everything after the command line is read."""
    names = chosen(options.judges)
    if not options.samples:
        raise InputError("--samples: none given")
    for name, least in (("slice", 0), ("words", 0), ("human_limit", 0), ("threads", 1), ("seed", 0)):
        if getattr(options, name) < least:
            raise InputError(f"--{name.replace('_', '-')}: must be at least {least}")
    if options.json:
        console.check_file(options.json, "--json")
    if options.train and not options.train.is_file():
        raise InputError(f"--train: {options.train}: no such file")
    sets = read_sets(options.samples)
    sets = [read_human(options.human, sets, options.human_limit), *sets]
    check_lengths(sets)
    judges = [load(name, options) for name in names]
    report = unhurried(progress, 5.0)
    results = measure(sets, judges, options.train, options.slice, options.words, options.seed, report)
    console.show(markdown(results))
    if options.json:
        console.write(options.json, "--json", results, allow_nan=False)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--human", type=Path, required=True, help="held-out text, one document per line")
    parser.add_argument("--samples", type=Path, nargs="*", default=[], help="sets: .txt, .json, .jsonl or a folder")
    parser.add_argument("--judges", default=",".join(JUDGES), help="comma-separated; none: only the other figures")
    parser.add_argument("--train", type=Path, help="training text, for real words and copied n-grams")
    parser.add_argument("--slice", type=int, default=0, help="words per slice of long texts; 384 is about 512 tokens")
    parser.add_argument("--words", type=int, default=0, help="words per text for entropy and distinct n-grams; 0: fit")
    parser.add_argument("--human-limit", type=int, default=64, help="most pieces of human text; 0: all")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"folder for the model of gemma, default {CACHE}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for all figures")
    options = parser.parse_args()
    return console.exit_code("judge", lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
