"""Time, memory and FLOPs of a step as texts grow."""

import argparse
from typing import Any

from claims import flops
from claims import options as read
from claims.binary import Drdiff
from claims.tables import gather, over, scientific, shown, spread, table
from claims.timing import time_steps
from report import number
from texts import InputError

LENGTHS = ",".join(str(2**power) for power in range(9, 18))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this claim."""
    parser.add_argument("--lengths", default=LENGTHS, help="tokens, comma-separated")
    parser.add_argument("--measured-steps", type=int, default=2, help="timed; short texts get more")
    parser.add_argument("--steps", type=int, default=20, help="steps of the texts that tokens a second are of")
    parser.add_argument("--prompt", help="the texts' beginning; that of generate where none is given")


def run(options: argparse.Namespace, drdiff: Drdiff) -> dict[str, Any]:
    """All figures."""
    read.check(options, measured_steps=1, steps=1)
    seeds = read.counts(options, "seeds", least=0)
    lengths = sorted(read.counts(options, "lengths"))
    config = drdiff.config
    share = config["budget"]["default"]
    longest = config["levels"][-1]["max_length"]
    if lengths[-1] > longest:
        raise InputError(f"--lengths: {lengths[-1]} is more than the {longest} tokens the model takes")
    rows: dict[int, Any] = {}
    for length in lengths:
        timings = [time_steps(drdiff, seed, length, options.measured_steps, prompt=options.prompt) for seed in seeds]
        work = flops.step(config, length, share)
        whole = [timing.whole(options.steps) for timing in timings]
        rows[length] = {
            **gather([timing.figures() for timing in timings]),
            "microseconds_a_token": spread([t.step and 1e6 * t.step / length for t in timings]),
            "tokens_a_second": spread([seconds and length / seconds for seconds in whole]),
            "gflops_a_second": spread([t.step and flops.total(work) / t.step / 1e9 for t in timings]),
            "flops": work,
            "level": flops.level(config, length)["max_length"],
        }
    return {"lengths": rows, "levels": growth(rows), "steps": options.steps}


def growth(rows: dict[int, Any]) -> dict[int, Any]:
    """In each level, time and FLOPs per token of the longest text over those of the shortest: 1 is linear."""
    levels: dict[int, list[int]] = {}
    for length, row in rows.items():
        levels.setdefault(row["level"], []).append(length)
    found: dict[int, Any] = {}
    for level, lengths in levels.items():
        if len(lengths) < 2:
            continue
        first, last = (rows[length] for length in (lengths[0], lengths[-1]))
        late, early = (row["microseconds_a_token"]["each"] for row in (last, first))
        work = flops.total(last["flops"]) / lengths[-1] / (flops.total(first["flops"]) / lengths[0])
        found[level] = {"from": lengths[0], "to": lengths[-1], "time": over(late, early), "flops": work}
    return found


def markdown(figures: dict[str, Any]) -> list[str]:
    """A row a length, then a row a level."""
    rows = []
    for length, row in figures["lengths"].items():
        work = flops.total(row["flops"])
        timed = [shown(row[name]) for name in ("step", "microseconds_a_token", "tokens_a_second", "gflops_a_second")]
        share = f"{100 * row['flops']['attention'] / work:.0f}%"
        rows.append([f"{length:,}", *timed, number(row["peak_mib"]["mean"]), scientific(work), share])
    heads = ["tokens", "s per step", "us per token and step", f"tokens/s at {figures['steps']} steps", "GFLOP/s"]
    levels = [
        [f"up to {level:,}", f"{one['from']:,} to {one['to']:,}", shown(one["time"]), number(one["flops"])]
        for level, one in figures["levels"].items()
    ]
    return [
        *table([*heads, "peak MiB", "FLOPs per step", "attention's"], rows),
        "",
        *table(["level", "tokens", "time per token, last over first", "FLOPs per token, last over first"], levels),
        "",
        "Mean ± standard deviation over runs. A step: the difference between a run of one step and one of more, over the",
        "steps more. Tokens/s: with loading and setting up. FLOPs: by formula, at the default budget. Peak: resident, of",
        "the process.",
    ]
