"""Tasks that need reach, by `puzzles.py`: accuracy by distance, for three patterns.

The model is the denoiser at pure noise: hidden positions to be filled, the rest clean. One small model a pattern learns
all three tasks, on 64 symbols at first and on up to 2,048 in the end; longer texts are new to it.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attention import Sparse
from batch import Noise
from bound import pattern_of
from config import LEVELS, PATTERNS, Recipe, base, level_of, parse_lengths, parse_patterns
from files import InputError, replace_file
from initial import match
from losses import Weights, start
from model import Config, Denoiser
from pattern import Level
from puzzles import MAKERS, SHORTEST, VOCAB, Puzzle
from run import Draw, Run
from schedule import HIGH

BINS = (0, 128, 512, 1024, 2048, 4096, 8192, 16385)
Row = dict[str, Any]
TOKENS = 3072  # a step
RATES = 0.004, 0.01  # of AdamW and Muon


def config() -> Config:
    """0.3 million parameters; no routing, which is not the question here."""
    sizes = {"model_dim": 64, "heads": 4, "layers": 4, "time_dim": 16, "expert_widths": [128], "top_k": 1}
    return base("small", VOCAB) | sizes | {"rotary_dim": 8}


def draw(puzzles: list[Puzzle], anchors: int, pattern: Tensor | Sparse, dim: int) -> Draw:
    """A batch: hidden rows are the absorbing state."""
    text, hidden = (torch.from_numpy(np.stack([getattr(p, name) for p in puzzles])) for name in ("text", "hidden"))
    count, length = text.shape
    noise = Noise(torch.full((count,), HIGH), torch.zeros(count, length, dim), ~hidden, hidden)
    weight = 1.0 / (count * hidden.sum(1))
    return Draw(text, noise, weight, pattern, anchors, np.zeros(count, dtype=bool))


def seen(level: Callable[[int], Level], length: int) -> tuple[int, Tensor | Sparse]:
    """Anchors and pattern at a length: expensive to build as a matrix, the same for every text."""
    here = level(length)
    return here["anchors"], pattern_of(here, length)


def stage(progress: float) -> tuple[int, ...]:
    """Lengths by progress of the later part: each pattern meets longer texts little by little."""
    stages = ((128, 256), (256, 512), (512, 1024), (512, 1024, 2048))
    return stages[int(np.searchsorted((0.2, 0.45, 0.7), progress, "right"))]


def train(
    run: Run, level: Callable[[int], Level], lengths: Callable[[float], tuple[int, ...]], steps: int, cool: bool
) -> None:
    """Steps of one pattern, all tasks mixed; the same texts whatever the pattern."""
    rng = np.random.default_rng(run.step)
    makers = list(MAKERS.values())
    view = cache(partial(seen, level))
    since, losses = time.monotonic(), []
    for step in range(steps):
        now = lengths(step / steps)
        length = now[step % len(now)]
        which = rng.integers(len(makers), size=max(TOKENS // length, 2))
        puzzles = [makers[i](length, rng) for i in which]
        batch = draw(puzzles, *view(length), run.model.config["embedding_dim"])
        losses.append(run.apply(batch, cool * step / steps)["loss"])
        if (step + 1) % 100 == 0:
            spent = time.monotonic() - since
            print(f"step {step + 1}, loss {np.mean(losses[-100:]):.3f}, {spent:.0f} s", file=sys.stderr)


def begun(path: Path, steps: int, seed: int, compiled: bool) -> Run:
    """The common start: on 64 and 128 symbols every pattern is dense, so it is trained once and kept."""
    recipe = Recipe((), Weights(anchor=0.0, balance=0.0, share=0.0), masked=True, sas=False)
    run = Run(config(), recipe, seed, RATES, "cpu", compiled)
    match(run.model)
    if path.exists():
        run.restore(path)
        if run.step != steps:
            raise InputError(f"{path}: {run.step} steps, expected {steps} (--start-steps), or another --start")
    else:
        short = partial(level_of, "dense")
        train(run, short, lambda progress: (64,) if progress < 0.8 else (64, 128), steps, cool=False)
        run.save(path)
    return run


def forced(kind: str, least: int, length: int) -> Level:
    """A pattern's level at a length, or at the least that is allowed."""
    return level_of(kind, max(length, least))


@torch.no_grad()
def right(model: Denoiser, puzzle: Puzzle, anchors: int, pattern: Tensor | Sparse) -> Tensor:
    """Which hidden positions are filled rightly."""
    batch = draw([puzzle], anchors, pattern, model.config["embedding_dim"])
    hidden = model(start(model, batch.text, batch.noise, batch.anchors, batch.pattern))
    rows = batch.noise.absorbed[0]
    h, skip = (value[0, batch.anchors :][rows] for value in (hidden.h, hidden.skip))
    return model.logits(h, skip, model.table()).argmax(-1) == batch.text[0][rows]


def measure(model: Denoiser, level: Callable[[int], Level], lengths: list[int], count: int, seed: int) -> list[Row]:
    """Accuracy by task, length and distance, with its standard error over texts."""
    rows: list[Row] = []
    for length in lengths:
        view = seen(level, length)
        for task in MAKERS:
            rng = np.random.default_rng([seed, length])
            puzzles = [MAKERS[task](length, rng) for _ in range(count)]
            hits = [right(model, puzzle, *view).numpy() for puzzle in puzzles]
            for low, high in pairwise(BINS):
                far = [
                    (puzzle.distance[puzzle.hidden] >= low) & (puzzle.distance[puzzle.hidden] < high)
                    for puzzle in puzzles
                ]
                asked = np.array([some.sum() for some in far])
                if asked.sum():
                    found = np.array([hit[some].sum() for hit, some in zip(hits, far, strict=True)])
                    accuracy = found.sum() / asked.sum()
                    error = math.sqrt(np.square(found - accuracy * asked).sum()) / asked.sum()
                    row = {"task": task, "length": length, "from": low, "to": high}
                    rows.append(row | {"accuracy": accuracy, "error": error, "count": int(asked.sum())})
    return rows


def table(rows: list[Row]) -> str:
    """Markdown: percent right by pattern, length and distance, a table per task."""
    bins = list(pairwise(BINS))
    lines = []
    for task in MAKERS:
        heads = [f"{low:,} to {min(high, 16384):,}" for low, high in bins]
        lines += [f"| {task} | symbols | " + " | ".join(heads) + " |", "|---" * 2 + "|--:" * len(bins) + "|"]
        found: dict[tuple[str, int], dict[int, float]] = {}
        for row in rows:
            if row["task"] == task:
                found.setdefault((row["pattern"], row["length"]), {})[row["from"]] = row["accuracy"]
        for (kind, length), here in found.items():
            cells = [f"{100 * here[low]:.0f}" if low in here else "" for low, _ in bins]
            lines.append(f"| {kind} | {length:,} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--patterns", type=parse_patterns, default=",".join(PATTERNS))
    parser.add_argument("--start", type=Path, required=True, help="common start, trained and written if there is none")
    parser.add_argument("--start-steps", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--lengths", type=parse_lengths, default="1024,2048,4096,8192,16384")
    parser.add_argument(
        "--level-from", type=int, default=1, metavar="N", help="short texts too get the level of N tokens"
    )
    parser.add_argument("--dense-limit", type=int, default=4096, help="dense attention holds N x N numbers per head")
    parser.add_argument("--count", type=int, default=24, help="texts per task and length")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--eager", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows: list[Row] = []
    try:
        longest = LEVELS[-1]["max_length"]
        for length in options.lengths:
            if not SHORTEST <= length <= longest:
                raise InputError(f"--lengths: {length}: expected {SHORTEST} to {longest}")
        if not 1 <= options.level_from <= longest:
            raise InputError(f"--level-from: {options.level_from}: expected 1 to {longest}")
        for path in (options.start, options.out):
            if not path.absolute().parent.is_dir():
                raise InputError(f"{path}: its folder does not exist")
        for kind in options.patterns:
            run = begun(options.start, options.start_steps, options.seed, not options.eager)
            level = partial(forced, kind, options.level_from)
            print(f"{kind}: {options.steps} steps", file=sys.stderr)
            train(run, level, stage, options.steps, cool=True)
            within = [length for length in options.lengths if kind != "dense" or length <= options.dense_limit]
            found = measure(run.average, level, within, options.count, options.seed)
            rows += [{"pattern": kind} | row for row in found]
            replace_file(options.out, (json.dumps(rows, indent=1) + "\n").encode())
    except (InputError, OSError) as error:
        print(f"tasks: {error}", file=sys.stderr)
        return 1
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
