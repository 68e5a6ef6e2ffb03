"""Texts for judge.py."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claims import options as read
from claims.binary import Drdiff, Sample
from claims.tables import percent, spread, table
from report import number
from texts import InputError, words


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this claim."""
    read.texts(parser, length=256, count=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--method", default="multistep", help="ancestral, first-order or multistep")
    parser.add_argument("--guidance", type=float, default=0.0, help="strength of the anchors")
    parser.add_argument("--budget", help="that of the model where none is given")
    parser.add_argument("--texts", type=Path, required=True, help=".jsonl for the texts")


def check_texts(path: Path) -> None:
    """A name that judge.py takes, in a folder that is there."""
    if path.suffix != ".jsonl" or path.is_dir() or not path.parent.is_dir():
        raise InputError(f"--texts: {path}: not a .jsonl file in an existing folder")


def write(path: Path, samples: Sequence[Sample]) -> None:
    """An object a line."""
    rows = [{"text": one.text, "seed": one.seed, "tokens": len(one.tokens), "cut": one.cut} for one in samples]
    try:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    except OSError as error:
        raise InputError(f"--texts: {path}: {error.strerror}") from error


def run(options: argparse.Namespace, drdiff: Drdiff) -> dict[str, Any]:
    """Texts to their file, numbers returned."""
    read.check(options, length=1, count=1, steps=1)
    read.check_guidance(options, above=-1e-9)
    check_texts(options.texts)
    budget = None if options.budget is None else read.share(options.budget, "--budget")
    seeds = read.counts(options, "seeds", least=0)
    made = [
        drdiff.generate(
            seed, options.length, options.steps, options.count, options.method, options.guidance, budget, options.prompt
        )
        for seed in seeds
    ]
    write(options.texts, [sample for one in made for sample in one.samples])
    rows = [
        {
            "seconds": one.seconds,
            "tokens": sum(len(sample.tokens) for sample in one.samples),
            "words": sum(len(words(sample.text)) for sample in one.samples),
            "cut": sum(sample.cut for sample in one.samples) / len(one.samples),
        }
        for one in made
    ]
    return {"seeds": dict(zip(seeds, rows, strict=True)), "cut": spread([row["cut"] for row in rows])}


def markdown(figures: dict[str, Any]) -> list[str]:
    """A row a seed."""
    rows = [
        [str(seed), str(row["tokens"]), str(row["words"]), percent(row["cut"]), number(row["seconds"])]
        for seed, row in figures["seeds"].items()
    ]
    return table(["seed", "tokens", "words", "texts cut short", "s"], rows)
