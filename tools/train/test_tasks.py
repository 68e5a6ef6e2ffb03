"""Checks of the long-range tasks: `python -m pytest` in this folder."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from config import level_of
from files import InputError
from initial import begin, match
from model import Denoiser
from puzzles import ASK, FILLER, MAKERS, VALUES, VOCAB, Puzzle
from tasks import begun, config, measure


@pytest.mark.parametrize("task", list(MAKERS))
@pytest.mark.parametrize("length", [64, 512, 1024])
def test_every_answer_stands_at_its_distance(task: str, length: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        puzzle: Puzzle = MAKERS[task](length, rng)
        assert puzzle.text.shape == (length,) and length // 64 <= puzzle.hidden.sum() <= length // 4
        assert (puzzle.distance[~puzzle.hidden] == 0).all()
        for place in np.flatnonzero(puzzle.hidden):
            there = {place - puzzle.distance[place], place + puzzle.distance[place]} & set(range(length))
            answers = {int(puzzle.text[p]) for p in there if not puzzle.hidden[p]}
            assert int(puzzle.text[place]) in answers


@pytest.mark.parametrize(("task", "least"), [("recall", 96), ("copy", 216), ("infill", 384)])
def test_places_do_not_overlap(task: str, least: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        text = MAKERS[task](512 if task != "infill" else 1024, rng).text
        assert least <= (text < FILLER).sum()


def test_a_distance_is_of_any_residue() -> None:
    rng = np.random.default_rng(3)
    for make in MAKERS.values():
        puzzles = [make(1024, rng) for _ in range(20)]
        residues = np.concatenate([p.distance[p.hidden] % 16 for p in puzzles])
        assert set(residues) == set(range(16)), "a dilation of 16 must not meet the answers by the way they are placed"


def test_a_question_has_one_pair() -> None:
    puzzle = MAKERS["recall"](512, np.random.default_rng(1))
    asked = [int(puzzle.text[p - 1]) for p in np.flatnonzero(puzzle.hidden)]
    assert len(asked) == 32 and len(set(asked)) == 16 and max(asked) < VALUES
    assert all(puzzle.text[p - 2] == ASK for p in np.flatnonzero(puzzle.hidden))


def test_patterns_have_as_many_keys() -> None:
    for length in (1024, 8192, 16384):
        dilated, local = (level_of(kind, length) for kind in ("hsa", "longformer"))
        keys = dilated["window"] + sum(reach for _, reach in dilated["dilations"])
        assert keys == local["window"] and local["anchors"] == dilated["anchors"] and not local["dilations"]


def test_matching_heads_find_and_pass_on_what_is_alike() -> None:
    torch.manual_seed(0)
    model = Denoiser(config())
    begin(model)
    match(model)
    with torch.no_grad():
        rows = model.table() @ model.input.z.weight.T
        assert ((rows @ model.output.unembed.T).argmax(1) == torch.arange(VOCAB)).float().mean() > 0.95
        attention = model.layers[0].attention
        content = slice(3 * 16 + 8, 4 * 16)
        query, key = (rows @ weight.weight[content].T for weight in (attention.query, attention.key))
        assert ((query @ key.T).argmax(1) == torch.arange(VOCAB)).float().mean() > 0.1, "guessing: 0.004"
        head = slice(3 * 16, 4 * 16)
        passed = rows @ attention.value.weight[head].T @ attention.output.weight[:, head].T
        assert ((passed * rows).sum(1) > 0).all()


def test_an_untrained_model_is_measured_as_guessing() -> None:
    torch.manual_seed(0)
    rows = measure(Denoiser(config()), partial(level_of, "hsa"), [256], 4, 0)
    assert {row["task"] for row in rows} == {"recall", "copy", "infill"}
    assert all(float(str(row["accuracy"])) < 0.2 for row in rows)
    assert sum(int(str(row["count"])) for row in rows if row["task"] == "recall") == 4 * 32


def test_the_common_start_is_trained_once(tmp_path: Path) -> None:
    path = tmp_path / "start.pt"
    first = begun(path, 2, 0, compiled=False)
    again = begun(path, 2, 0, compiled=False)
    assert again.step == first.step == 2
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True))
    with pytest.raises(InputError, match="2 steps, expected 3"):
        begun(path, 3, 0, compiled=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--lengths", "64,x"], "'x': expected lengths"),
        (["--lengths", "32"], "expected 64 to 131072"),
        (["--level-from", "0"], "expected 1 to 131072"),
        (["--patterns", "hsa,wide"], "'wide': expected some of dense, longformer, hsa"),
        (["--out", "absent/out.json"], "absent/out.json: its folder does not exist"),
    ],
)
def test_wrong_arguments_are_named(given: list[str], said: str, tmp_path: Path) -> None:
    usual = ["--out", str(tmp_path / "out.json"), "--start", str(tmp_path / "start.pt")]
    command = [sys.executable, str(Path(__file__).with_name("tasks.py")), *usual, *given]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode in (1, 2) and said in answer.stderr and "Traceback" not in answer.stderr
    assert not list(tmp_path.iterdir())
