"""Tasks that need reach: each text holds its own answer, far away; accuracy by distance, for three patterns.

* recall: pairs (key, value) among filler, and questions whose value is hidden;
* copy: a marked run of symbols that stands a second time, hidden, behind its mark;
* infill: a text that stands twice, the second time with holes, as two versions of one document would.

The model is the denoiser at pure noise: hidden positions to be filled, the rest clean. One small model a pattern learns
all three tasks, on 64 symbols at first and on 512 and 1,024 in the end; longer texts are new to it.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from batch import Noise
from bound import pattern_of
from config import PATTERNS, Recipe, base, level_of
from files import InputError, replace_file
from losses import Weights, start
from model import Config, Denoiser
from pattern import Level
from run import Draw, Run
from schedule import HIGH

VOCAB = 256
ASK, MARK = 1, 8  # symbols 1..7 are asked with, 8..15 mark runs
KEYS, VALUES, FILLER = 16, 80, 144  # first symbol of each kind
TASKS = ("recall", "copy", "infill")
BINS = (0, 128, 512, 1024, 2048, 4096, 8192, 16385)
RUN = 16
DOCUMENT = 96


@dataclass
class Puzzle:
    """Symbols [N], which are hidden, and how far the nearest copy of each answer is."""

    text: np.ndarray
    hidden: np.ndarray
    distance: np.ndarray


def filler(length: int, rng: np.random.Generator) -> np.ndarray:
    """Symbols that say nothing."""
    return rng.integers(FILLER, VOCAB, length)


def slots(length: int, size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Starts of `count` places of `size` symbols that do not overlap, in random order."""
    return rng.permutation(length // size)[:count] * size


def recall(length: int, rng: np.random.Generator) -> Puzzle:
    """Sixteen pairs, fewer in a short text, and a question for each, all anywhere."""
    pairs = min(16, length // 16)
    text, hidden, distance = filler(length, rng), np.zeros(length, bool), np.zeros(length, int)
    places = slots(length, 4, 2 * pairs, rng)
    keys = KEYS + rng.permutation(VALUES - KEYS)[:pairs]
    values = rng.integers(VALUES, FILLER, pairs)
    for told, asked, key, value in zip(places[:pairs], places[pairs:], keys, values, strict=True):
        text[told : told + 3] = ASK + 1, key, value
        text[asked : asked + 3] = ASK, key, value
        hidden[asked + 2], distance[asked + 2] = True, abs(asked - told)
    return Puzzle(text, hidden, distance)


def copy(length: int, rng: np.random.Generator) -> Puzzle:
    """Four marked runs, shorter in a short text, each a second time anywhere."""
    text, hidden, distance = filler(length, rng), np.zeros(length, bool), np.zeros(length, int)
    size = min(RUN, length // 16)
    places = slots(length, size + 1, 8, rng)
    marks = MARK + rng.permutation(8)[:4]
    for told, asked, mark in zip(places[:4], places[4:], marks, strict=True):
        run = rng.integers(KEYS, FILLER, size)
        for place in (told, asked):
            text[place], text[place + 1 : place + 1 + size] = mark, run
        hidden[asked + 1 : asked + 1 + size], distance[asked + 1 : asked + 1 + size] = True, abs(asked - told)
    return Puzzle(text, hidden, distance)


def infill(length: int, rng: np.random.Generator) -> Puzzle:
    """A document twice, three tenths of the second one hidden."""
    text, hidden, distance = filler(length, rng), np.zeros(length, bool), np.zeros(length, int)
    size = min(DOCUMENT, length // 4)
    told, asked = slots(length, size, 2, rng)
    text[told : told + size] = text[asked : asked + size] = rng.integers(KEYS, FILLER, size)
    holes = asked + np.flatnonzero(rng.random(size) < 0.3)
    hidden[holes], distance[holes] = True, abs(asked - told)
    return Puzzle(text, hidden, distance)


MAKERS = {"recall": recall, "copy": copy, "infill": infill}


def config() -> Config:
    """0.3 million parameters; no routing, which is not what is asked here."""
    sizes = {"model_dim": 64, "heads": 2, "layers": 3, "time_dim": 16, "expert_widths": [128], "top_k": 1}
    return base("small", VOCAB) | sizes


def draw(puzzles: list[Puzzle], level: Level, dim: int) -> Draw:
    """A batch: hidden rows are the absorbing state."""
    text, hidden = (torch.from_numpy(np.stack([getattr(p, name) for p in puzzles])) for name in ("text", "hidden"))
    count, length = text.shape
    noise = Noise(torch.full((count,), HIGH), torch.zeros(count, length, dim), ~hidden, hidden)
    pattern = pattern_of(level, length)
    weight = torch.full((count,), 1.0) / hidden.sum()
    return Draw(text, noise, weight, pattern, level["anchors"], np.zeros(count, dtype=bool))


def stage(progress: float) -> tuple[int, ...]:
    """Lengths by progress: what is met at once on long texts is never found there, so short ones come first."""
    return (64, 64, 64) if progress < 0.5 else (128, 256, 256) if progress < 0.75 else (512, 512, 1024)


def learn(kind: str, steps: int, seed: int, compiled: bool) -> Denoiser:
    """A model of one pattern, all tasks mixed."""
    recipe = Recipe((), Weights(anchor=0.0, balance=0.0, share=0.0), masked=True, sas=False)
    run = Run(config(), recipe, seed, (2e-3, 0.02), "cpu", compiled)
    rng = np.random.default_rng(seed)
    begun, losses = time.monotonic(), []
    for step in range(steps):
        length = stage(step / steps)[step % 3]
        count = 3072 // length
        makers = [MAKERS[TASKS[(step + i) % 3]] for i in range(count)]
        puzzles = [make(length, rng) for make in makers]
        losses.append(run.apply(draw(puzzles, level_of(kind, length), 32), step / steps)["loss"])
        if (step + 1) % 100 == 0:
            spent = time.monotonic() - begun
            print(f"{kind}: step {step + 1}, loss {np.mean(losses[-100:]):.3f}, {spent:.0f} s", file=sys.stderr)
    return run.average


@torch.no_grad()
def right(model: Denoiser, puzzle: Puzzle, level: Level) -> Tensor:
    """Which hidden positions are filled rightly."""
    batch = draw([puzzle], level, model.config["embedding_dim"])
    hidden = model(start(model, batch.text, batch.noise, batch.anchors, batch.pattern))
    rows = batch.noise.absorbed[0]
    h, skip = (value[0, batch.anchors :][rows] for value in (hidden.h, hidden.skip))
    return model.logits(h, skip, model.table()).argmax(-1) == batch.text[0][rows]


def measure(kind: str, model: Denoiser, lengths: list[int], count: int, seed: int) -> list[dict[str, object]]:
    """Accuracy by task, length and distance, with its standard error."""
    rows: list[dict[str, object]] = []
    for length in lengths:
        for task in TASKS:
            rng = np.random.default_rng([seed, length])
            hits: list[list[float]] = [[] for _ in BINS[1:]]
            for _ in range(count):
                puzzle = MAKERS[task](length, rng)
                found = right(model, puzzle, level_of(kind, length))
                for distance, hit in zip(puzzle.distance[puzzle.hidden], found.tolist(), strict=True):
                    hits[np.searchsorted(BINS, distance, "right") - 1].append(hit)
            for (low, high), values in zip(pairwise(BINS), hits, strict=True):
                if values:
                    p = float(np.mean(values))
                    error = math.sqrt(p * (1 - p) / len(values))
                    row = {"pattern": kind, "task": task, "length": length, "from": low, "to": high}
                    rows.append(row | {"accuracy": round(p, 4), "error": round(error, 4), "count": len(values)})
    return rows


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--patterns", default=",".join(PATTERNS))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--lengths", default="1024,2048,4096,8192,16384")
    parser.add_argument("--dense-limit", type=int, default=4096, help="dense attention holds N x N numbers a head")
    parser.add_argument("--count", type=int, default=24, help="texts a task and length")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--eager", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lengths = [int(length) for length in options.lengths.split(",")]
    rows: list[dict[str, object]] = []
    try:
        for kind in options.patterns.split(","):
            if kind not in PATTERNS:
                raise InputError(f"--patterns: {kind!r}: expected {', '.join(PATTERNS)}")
            model = learn(kind, options.steps, options.seed, not options.eager)
            within = [length for length in lengths if kind != "dense" or length <= options.dense_limit]
            rows += measure(kind, model, within, options.count, options.seed)
            replace_file(options.out, (json.dumps(rows, indent=1) + "\n").encode())
    except (InputError, OSError) as error:
        print(f"tasks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
