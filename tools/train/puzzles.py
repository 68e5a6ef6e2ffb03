"""Texts that hold their own answers, far away.

* recall: pairs (key, value) among filler, and questions whose value is hidden;
* copy: marked runs of symbols that stand again, every other one hidden;
* infill: short documents that stand again with holes, as later versions of one document would.
"""

from dataclasses import dataclass

import numpy as np

VOCAB = 256
ASK, MARK = 1, 8  # symbols 1..7 are asked with, 8..15 mark runs
KEYS, VALUES, FILLER = 16, 80, 144  # first symbol of each kind
PAIRS, RUNS, DOCUMENTS = 16, 8, 8  # at most, in a long text
RUN, DOCUMENT = 8, 16  # symbols
HOLES = 0.3
SHORTEST = 64


@dataclass
class Puzzle:
    """Symbols [N], which are hidden, and how far the nearest copy of each answer is."""

    text: np.ndarray
    hidden: np.ndarray
    distance: np.ndarray


def spread(length: int, size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Starts of `count` places of `size` symbols that do not overlap, anywhere, in random order."""
    starts = np.sort(rng.choice(length - count * (size - 1), count, replace=False)) + np.arange(count) * (size - 1)
    return rng.permutation(starts)


def filler(length: int, rng: np.random.Generator) -> Puzzle:
    """A text that says nothing and asks nothing."""
    return Puzzle(rng.integers(FILLER, VOCAB, length), np.zeros(length, bool), np.zeros(length, int))


def recall(length: int, rng: np.random.Generator) -> Puzzle:
    """Pairs, and two questions for each."""
    puzzle, count = filler(length, rng), min(PAIRS, length // 16)
    keys = KEYS + rng.permutation(VALUES - KEYS)[:count]
    values = rng.integers(VALUES, FILLER, count)
    for key, value, (told, *questions) in zip(
        keys, values, spread(length, 3, 3 * count, rng).reshape(-1, 3), strict=True
    ):
        puzzle.text[told : told + 3] = ASK + 1, key, value
        for asked in questions:
            puzzle.text[asked : asked + 3] = ASK, key, value
            puzzle.hidden[asked + 2], puzzle.distance[asked + 2] = True, abs(asked - told)
    return puzzle


def again(puzzle: Puzzle, symbols: np.ndarray, holes: np.ndarray, places: np.ndarray) -> None:
    """Symbols [S] at places [P], hidden at holes [P, S]; answers are at the nearest place that shows them."""
    for place, row in zip(places, holes, strict=True):
        here = slice(place, place + len(symbols))
        away = np.where(holes, len(puzzle.text), np.abs(places - place)[:, None]).min(0)
        puzzle.text[here], puzzle.hidden[here], puzzle.distance[here] = symbols, row, np.where(row, away, 0)


def copy(length: int, rng: np.random.Generator) -> Puzzle:
    """Marked runs, each two times more, every other symbol hidden."""
    puzzle, count = filler(length, rng), min(RUNS, length // 32)
    holes = np.zeros((3, RUN), bool)
    holes[1:, 1::2] = True
    places = spread(length, RUN + 1, 3 * count, rng).reshape(-1, 3)
    for mark, three in zip(MARK + rng.permutation(RUNS), places, strict=False):
        puzzle.text[three] = mark
        again(puzzle, rng.integers(KEYS, FILLER, RUN), holes, three + 1)
    return puzzle


def infill(length: int, rng: np.random.Generator) -> Puzzle:
    """Documents, each two times more with holes."""
    puzzle, count = filler(length, rng), min(DOCUMENTS, length // 64)
    for three in spread(length, DOCUMENT, 3 * count, rng).reshape(-1, 3):
        holes = rng.random((3, DOCUMENT)) < HOLES
        holes[0] = False
        again(puzzle, rng.integers(KEYS, FILLER, DOCUMENT), holes, three)
    return puzzle


MAKERS = {"recall": recall, "copy": copy, "infill": infill}
