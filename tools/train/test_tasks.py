"""Checks of the long-range tasks: `python -m pytest` in this folder."""

import numpy as np
import pytest

from config import level_of
from tasks import ASK, MAKERS, VALUES, Puzzle


@pytest.mark.parametrize("task", list(MAKERS))
@pytest.mark.parametrize("length", [64, 512, 1024])
def test_every_answer_stands_at_its_distance(task: str, length: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        puzzle: Puzzle = MAKERS[task](length, rng)
        assert puzzle.text.shape == (length,) and length // 64 <= puzzle.hidden.sum() <= length // 4
        for place in np.flatnonzero(puzzle.hidden):
            there = {place - puzzle.distance[place], place + puzzle.distance[place]} & set(range(length))
            answers = {int(puzzle.text[p]) for p in there if not puzzle.hidden[p]}
            assert int(puzzle.text[place]) in answers


def test_a_question_has_one_pair() -> None:
    puzzle = MAKERS["recall"](512, np.random.default_rng(1))
    asked = [int(puzzle.text[p - 1]) for p in np.flatnonzero(puzzle.hidden)]
    assert len(set(asked)) == len(asked) == 16 and max(asked) < VALUES
    assert all(puzzle.text[p - 2] == ASK for p in np.flatnonzero(puzzle.hidden))


def test_patterns_have_as_many_keys() -> None:
    for length in (1024, 8192, 16384):
        dilated, local = (level_of(kind, length) for kind in ("hsa", "longformer"))
        keys = dilated["window"] + sum(reach for _, reach in dilated["dilations"])
        assert keys == local["window"] and local["anchors"] == dilated["anchors"] and not local["dilations"]
