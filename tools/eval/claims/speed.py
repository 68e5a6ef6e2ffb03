"""End to end: multistep, sparse attention and scheduled experts against first order, dense attention and all experts."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from claims import flops
from claims import options as read
from claims.binary import Drdiff
from claims.tables import gather, over, scientific, shown, spread, table
from claims.timing import Timing, time_steps
from texts import InputError

FULL = 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this claim."""
    parser.add_argument("--lengths", default="2048,4096,16384", help="tokens, comma-separated")
    parser.add_argument("--steps", type=int, default=25, help="steps of DrDiff")
    parser.add_argument("--dense-steps", type=int, default=100, help="steps of the other")
    parser.add_argument("--measured-steps", type=int, default=2, help="timed of each and scaled; short texts get more")
    parser.add_argument("--prompt", help="the texts' beginning; that of generate where none is given")


def dense(config: dict[str, Any], length: int) -> dict[str, Any]:
    """The configuration with dense attention at all lengths and as many anchors as this length has."""
    longest = config["levels"][-1]["max_length"]
    anchors = flops.level(config, length)["anchors"]
    return {**config, "levels": [{"max_length": longest, "pattern": "dense", "anchors": anchors}]}


def copy(model: Path, config: dict[str, Any], folder: Path) -> None:
    """A model folder with another configuration; the other files are links."""
    for file in model.iterdir():
        if file.name != "config.json":
            (folder / file.name).symlink_to(file.resolve())
    (folder / "config.json").write_text(json.dumps(config) + "\n")


def compare(
    drdiff: Drdiff, other: Drdiff, seeds: list[int], length: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Both in turn, once a seed."""
    ours: list[Timing] = []
    theirs: list[Timing] = []
    for seed in seeds:
        ours.append(time_steps(drdiff, seed, length, options.measured_steps, prompt=options.prompt))
        theirs.append(
            time_steps(other, seed, length, options.measured_steps, "first-order", FULL, prompt=options.prompt)
        )
    total, dense_total = [one.whole(options.steps) for one in ours], [one.whole(options.dense_steps) for one in theirs]
    own = flops.step(drdiff.config, length, drdiff.config["budget"]["default"])
    full = flops.step(other.config, length, FULL)
    return {
        "drdiff": {**gather([one.figures() for one in ours]), "total": spread(total), "flops": own},
        "dense": {**gather([one.figures() for one in theirs]), "total": spread(dense_total), "flops": full},
        "ratio": over(dense_total, total),
        "step_ratio": over([one.step for one in theirs], [one.step for one in ours]),
        "flops_ratio": options.dense_steps * flops.total(full) / (options.steps * flops.total(own)),
        "step_flops_ratio": flops.total(full) / flops.total(own),
    }


def run(options: argparse.Namespace, drdiff: Drdiff) -> dict[str, Any]:
    """All figures."""
    read.check(options, steps=1, dense_steps=1, measured_steps=1)
    seeds = read.counts(options, "seeds", least=0)
    lengths = sorted(read.counts(options, "lengths"))
    longest = drdiff.config["levels"][-1]["max_length"]
    if lengths[-1] > longest:
        raise InputError(f"--lengths: {lengths[-1]} is more than the {longest} tokens the model takes")
    rows: dict[int, Any] = {}
    for length in lengths:
        with tempfile.TemporaryDirectory() as folder:
            config = dense(drdiff.config, length)
            copy(drdiff.model, config, Path(folder))
            rows[length] = compare(drdiff, drdiff.at(Path(folder), config), seeds, length, options)
    return {"lengths": rows, "steps": options.steps, "dense_steps": options.dense_steps}


def ranged(figure: dict[str, Any]) -> str:
    """Mean, deviation, least and most."""
    known = [value for value in figure["each"] if value is not None]
    return f"{shown(figure)} ({min(known):.2f} to {max(known):.2f})" if known else shown(figure)


def markdown(figures: dict[str, Any]) -> list[str]:
    """A row a length."""
    rows = []
    for length, one in figures["lengths"].items():
        sides = [one["drdiff"], one["dense"]]
        timed = [shown(side[name]) for name in ("step", "total") for side in sides]
        work = [scientific(flops.total(side["flops"])) for side in sides]
        ratios = [ranged(one["ratio"]), f"{one['flops_ratio']:.2f}", shown(one["step_ratio"])]
        rows.append([f"{length:,}", *timed, *ratios, f"{one['step_flops_ratio']:.2f}", *work])
    heads = [
        "tokens",
        "s per step",
        "dense",
        f"s in all, {figures['steps']} steps",
        f"dense, {figures['dense_steps']} steps",
    ]
    heads += ["time ratio (range)", "FLOPs ratio", "of a step: time", "FLOPs", "FLOPs per step", "dense"]
    return [
        *table(heads, rows),
        "",
        "Dense: the same weights, dense attention, first order, budget 1, as many anchors. Few steps were timed of each, in",
        "turn, and scaled: all = loading + setting up + steps x a step. Mean ± standard deviation over repeats; ratios are",
        "taken repeat by repeat. FLOPs: by formula, ours at the default budget.",
    ]
