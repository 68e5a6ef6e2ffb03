"""Two sides in turn, and the table of what came of it."""

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

# A sample of PyTorch's is as many calls as take about this many seconds.
SAMPLE_SECONDS = 0.3
MOST_CALLS = 200


@dataclass
class Side:
    """One who computes a case; `sample` gives milliseconds a call."""

    name: str
    sample: Callable[[], float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every comparison here takes."""
    parser.add_argument("filter", nargs="?", default="", help="only cases whose name holds this")
    parser.add_argument("--drdiff", default="target/release/drdiff", help="the command, a runner before it included")
    parser.add_argument("--device", default="cpu", help="drdiff's device")
    parser.add_argument("--tier", help="the highest tier of drdiff's kernels")
    parser.add_argument("--torch-device", default="cpu", help="PyTorch's: cpu or cuda")
    parser.add_argument("--threads", type=int, default=2, help="threads of either side on the CPU")
    parser.add_argument("--pairs", type=int, default=5, help="samples of either side, in turn")


def set_threads(options: argparse.Namespace) -> None:
    """The same number of threads for both."""
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    torch.set_num_threads(options.threads)


def run_drdiff(options: argparse.Namespace, arguments: Sequence[str]) -> str:
    """What the command prints; its own error ends the comparison."""
    command = [*options.drdiff.split(), *arguments, "--device", options.device]
    if options.tier:
        command += ["--tier", options.tier]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def bench(options: argparse.Namespace, arguments: Sequence[str]) -> Side:
    """drdiff's side: the one row of a `drdiff bench`."""

    def sample() -> float:
        text = run_drdiff(options, ["bench", "--taken", "--no-peaks", "--output", "json", *arguments])
        (row,) = json.loads(text)["rows"]
        return row["median"]

    return Side("drdiff", sample)


def torch_side(name: str, device: str, call: Callable[[], Any]) -> Side:
    """PyTorch's side; on a GPU the last call is waited for."""

    def timed(calls: int) -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        if device != "cpu":
            torch.cuda.synchronize()
        return (time.perf_counter() - begin) / calls

    with torch.inference_mode():
        timed(2)
        calls = min(max(int(SAMPLE_SECONDS / timed(1)), 1), MOST_CALLS)

    def sample() -> float:
        with torch.inference_mode():
            return timed(calls) * 1e3

    return Side(name, sample)


HEADING = "| case | drdiff ms | rival | ms | times as fast, median of pairs | at best |\n|---|--:|---|--:|--:|--:|"


def compare(case: str, ours: Side, peers: Sequence[Side], pairs: int) -> list[str]:
    """A row for each peer. `at best` divides the least times, for a machine that does other work too."""
    times: dict[str, list[float]] = {side.name: [] for side in (ours, *peers)}
    for turn in range(pairs):
        order = [ours, *peers]
        # Each begins a turn as often as the others.
        shift = turn % len(order)
        for side in order[shift:] + order[:shift]:
            times[side.name].append(side.sample())
    rows = []
    mine = times[ours.name]
    for peer in peers:
        theirs = times[peer.name]
        ratios = sorted(b / a for a, b in zip(mine, theirs, strict=True))
        median = statistics.median(ratios)
        rows.append(
            f"| {case} | {statistics.median(mine):.3f} | {peer.name} | {statistics.median(theirs):.3f} "
            f"| {median:.2f} [{ratios[0]:.2f} to {ratios[-1]:.2f}] | {min(theirs) / min(mine):.2f} |"
        )
    return rows


def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parents[3]
