"""Checks of the claims, with a program that only prints what drdiff would."""

import argparse
import json
import math
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import claim
from claims import flops, judging, scaling, speed, steps
from claims.binary import Drdiff, found, read_config
from claims.long import summed
from claims.options import counts
from claims.tables import gather, mean_shown, shown, spread, table
from claims.timing import Timing
from texts import InputError

MODEL = claim.ROOT / "models"
SMALL = {
    "format": "drdiff-1",
    "vocab_size": 10,
    "embedding_dim": 2,
    "model_dim": 4,
    "heads": 2,
    "layers": 3,
    "time_dim": 8,
    "place_dim": 6,
    "expert_widths": [0, 5, 7],
    "top_k": 2,
    "eos_token": 0,
    "levels": [
        {"max_length": 8, "pattern": "dense", "anchors": 2},
        {"max_length": 64, "pattern": "hsa", "window": 3, "dilations": [[2, 3], [5, 4]], "anchors": 4},
    ],
    "budget": {"default": 0.5, "lambda": [[0.1, 1.0], [1.0, -1.0]]},
}
# Words by seed; every fourth text ends early. Steps take 10 ms and setting up 5.
FAKE = """#!{python}
import json, random, sys
if sys.argv[1] == "--version":
    sys.exit(print("drdiff 0"))
given = dict(zip(sys.argv[2::2], sys.argv[3::2]))
if sys.argv[1] == "eval":
    seed, budget = int(given["--seed"]), float(given["--budget"])
    bound = {{"nats_per_token": seed - budget, "error": 0.1, "bits_per_byte": 1.0}}
    sys.exit(print(json.dumps({{"device": "fake", "likelihood": {{"bound": bound, "expert_share": budget}}}})))
texts = []
for seed in range(int(given["--seed"]), int(given["--seed"]) + int(given["--count"])):
    draw = random.Random(seed)
    tokens = [draw.randrange(100, 999) for _ in range(int(given["--length"]))]
    if seed % 4 == 3:
        tokens[-5] = {eos}
    words = [draw.choice("the of and to a in he that was it his".split()) for _ in tokens]
    texts.append({{"text": " ".join(words), "tokens": tokens, "seed": seed}})
if "--routing" in given:
    json.dump({{"share": [0.25, 0.75]}}, open(given["--routing"], "w"))
seconds = 0.005 + 0.01 * int(given["--steps"])
print(json.dumps({{"device": "fake", "steps": int(given["--steps"]), "seconds": seconds, "texts": texts}}))
"""


def program(folder: Path, source: str) -> Path:
    """An executable file."""
    path = folder / "drdiff"
    path.write_text(source)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """Prints texts at once."""
    eos = read_config(MODEL)["eos_token"]
    # --json is the last option but for --routing, so pairs of name and value stay in step.
    source = FAKE.format(python=sys.executable, eos=eos).replace(
        "given =", 'sys.argv = [one for one in sys.argv if one != "--json"]\ngiven ='
    )
    return program(tmp_path, source)


@pytest.fixture
def human(tmp_path: Path) -> Path:
    """Some human text."""
    path = tmp_path / "human.txt"
    path.write_text("It was the best of times and it was the worst of times, he said to his friend in a hurry.\n" * 80)
    return path


Call = Callable[..., tuple[int, dict, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command line; the exit code, the JSON file, standard output and standard error."""

    def run(name: str, drdiff: Path, *rest: object) -> tuple[int, dict, str, str]:
        """One claim."""
        out = tmp_path / "results.json"
        line = ["claim.py", name, "--drdiff", str(drdiff), "--out", str(out), *map(str, rest)]
        monkeypatch.setattr(sys, "argv", line)
        code = claim.main()
        said = capsys.readouterr()
        return code, json.loads(out.read_text()) if out.exists() else {}, said.out, said.err

    return run


def seen(pattern: dict, length: int) -> int:
    """Pairs, one by one."""
    anchors, rows = pattern["anchors"], pattern["anchors"] + length
    near = {0, *range(pattern["window"] + 1), *(r * m for r, k in pattern["dilations"] for m in range(1, k + 1))}
    return sum(min(i, j) < anchors or abs(i - j) in near for i in range(rows) for j in range(rows))


@pytest.mark.parametrize("length", [1, 2, 7, 9, 16, 33])
@pytest.mark.parametrize("dilations", [[], [[2, 3], [5, 4]], [[1, 9], [3, 3]]])
@pytest.mark.parametrize("window", [0, 3, 40])
def test_pairs_are_those_of_the_pattern(length: int, dilations: list, window: int) -> None:
    pattern = {"pattern": "hsa", "window": window, "dilations": dilations, "anchors": 3}
    assert flops.pairs(pattern, length) == seen(pattern, length)
    assert flops.pairs({"pattern": "dense", "anchors": 3}, length) == (length + 3) ** 2


def test_flops_by_hand() -> None:
    parts = flops.step(SMALL, 8, 0.5)
    assert parts == {
        "input": 2 * 10 * 4 * (6 + 2 + 2),
        "modulation": 2 * (8 * 8 + 8 * 8 + 8 * (3 * 6 * 4 + 2 * 4)),
        "projections": 3 * 4 * 2 * 10 * 4 * 4,
        "attention": 3 * (2 + 2) * 4 * 100,
        "router": 3 * 2 * 10 * 3 * 5,
        "experts": 0.5 * 10 * 3 * 2 * 3 * 4 * 12,
        "vocabulary": 2 * 10 * 10 * (4 + 2 + 2),
        "anchors": 2 * 10 * 4 * 2,
    }
    assert flops.total(parts) == sum(parts.values())
    assert flops.step(SMALL, 8, 1.0)["experts"] == 2 * parts["experts"] == 10 * flops.dearest(SMALL)


def test_flops_take_the_level_of_the_length() -> None:
    assert flops.level(SMALL, 8)["anchors"] == 2 and flops.level(SMALL, 9)["anchors"] == 4
    assert flops.step(SMALL, 64, 0.5)["attention"] == 3 * 4 * 4 * seen(SMALL["levels"][1], 64)
    assert flops.step(SMALL, 64, 0.5, SMALL["levels"][0])["attention"] == 3 * 4 * 4 * 66**2
    with pytest.raises(ValueError, match="65 tokens"):
        flops.level(SMALL, 65)


def test_aggregation() -> None:
    figures = gather([{"a": 1.0, "b": None}, {"a": 3.0, "b": 5.0}])
    assert figures["a"] == {"each": [1.0, 3.0], "mean": 2.0, "sd": pytest.approx(math.sqrt(2))}
    assert figures["b"] == {"each": [None, 5.0], "mean": 5.0, "sd": None}
    assert shown(spread([None])) == "-" and shown(spread([1.0, 3.0])) == "2.00 ± 1.41"
    assert table(["a", "b"], [["x", "1"]]) == ["| a | b |", "|---|--:|", "| x | 1 |"]


def cell(perplexity: list, ratio: list) -> dict:
    """A cell of the grid."""
    return {"perplexity": spread(perplexity), "entropy": spread(ratio), "entropy_ratio": spread(ratio)}


def test_fewest_steps() -> None:
    reference = cell([90.0, 110.0], [0.9, 1.0])
    above = 100 + math.sqrt(200)
    below = 0.95 - math.sqrt(0.005)
    good, odd = cell([above - 0.1], [below + 0.001]), cell([above + 0.1], [1.0])
    repeats, empty = cell([20.0], [below - 0.001]), cell([None], [None])
    found = steps.smallest({30: good, 5: odd, 10: good, 20: repeats, 50: good}, reference)
    assert found == {"reached": 10, "kept": 30}
    assert steps.smallest({5: odd, 10: repeats, 20: empty}, reference) == {"reached": None, "kept": None}
    assert steps.smallest({5: good}, empty) == {"reached": None, "kept": None}
    assert steps.smallest({5: odd, 10: repeats, 20: good}, reference, True) == {"reached": 20, "kept": 20}
    salad = cell([100.0], [1.2])
    assert steps.smallest({5: cell([99.0], [1.1])}, salad, False)["reached"] is None
    assert steps.smallest({5: cell([99.0], [1.1])}, salad, True)["reached"] == 5
    assert steps.smallest({5: cell([99.0], [0.9])}, salad, True)["reached"] is None
    assert steps.smallest({5: cell([100.0], [0.95])}, cell([100.0], [0.95])) == {"reached": 5, "kept": 5}


def test_human_text_has_the_same_numbers_of_words(human: Path) -> None:
    text = judging.Human(human)
    text.words = [str(i) for i in range(100)]
    draws = text.draws([7, 3])
    assert [[len(piece) for piece in draw] for draw in draws] == [[7, 3]] * 7
    words = [word for draw in draws for piece in draw for word in piece]
    assert len(set(words)) == len(words) == 70
    assert text.like([7, 3]) == {"entropy": pytest.approx(math.log(10)), "distinct_2": 1.0}
    with pytest.raises(InputError, match="102 are needed"):
        text.like([51, 1])


def test_time_of_a_text() -> None:
    assert Timing(0.5, 1.0, 2.0, 0.0, 2).whole(4) == 5.0
    assert Timing(None, 1.0, 2.0, 0.0, 2).whole(4) is None


def test_growth_is_within_a_level() -> None:
    row = {"level": 8, "microseconds_a_token": spread([2.0, 4.0]), "flops": {"a": 4}}
    last = {"level": 8, "microseconds_a_token": spread([3.0, None]), "flops": {"a": 12}}
    found = scaling.growth({2: row, 4: last, 16: row | {"level": 64}})
    assert list(found) == [8] and found[8]["time"]["each"] == [1.5, None] and found[8]["flops"] == 1.5


def test_dense_copy_of_a_model(tmp_path: Path) -> None:
    config = speed.dense(SMALL, 30)
    assert config["levels"] == [{"max_length": 64, "pattern": "dense", "anchors": 4}] and config["layers"] == 3
    speed.copy(MODEL, config, tmp_path)
    assert read_config(tmp_path) == config
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in MODEL.iterdir()}
    assert (tmp_path / "model.safetensors").samefile(MODEL / "model.safetensors")


def test_curves_of_texts_that_end_early() -> None:
    one = {"entropy": 2.0, "perplexity": 10.0, "distinct_2": 0.5}
    found = summed([[one, one, one | {"entropy": 1.0}], [one], []])
    assert found["slices"] == [3, 1, 0]
    assert [len(point["each"]) for point in found["entropy"]["curve"]] == [2, 1, 1]
    assert found["entropy"]["trend"]["ratio"]["mean"] == 0.5 and found["entropy"]["trend"]["texts"] == 1
    assert summed([[]])["perplexity"]["trend"]["slope"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="the quirk is Linux's")
def test_peak_memory_is_the_child_s_own() -> None:
    ballast = bytearray(os.urandom(4096) * 40_000)
    drdiff = Drdiff("/bin/true", MODEL, "cpu", lambda _: None, {})
    _, record = drdiff.call()
    assert record["peak_bytes"] < 40 * 2**20 < len(ballast)
    assert 0 <= record["wall_seconds"] < 10 and drdiff.runs == [record]


def test_seeds_share_no_text_and_cut_texts_are_told(call: Call, fake: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    code, results, out, _ = call("sample", fake, "--texts", texts, "--length", 32, "--seeds", "0,1,5", "--count", 2)
    assert code == 0
    rows = [json.loads(line) for line in texts.read_text().splitlines()]
    assert [row["seed"] for row in rows] == [0, 1, 2, 3, 10, 11]
    assert [(row["cut"], row["tokens"]) for row in rows][2:4] == [(False, 32), (True, 27)]
    assert "| 1 | 59 | 64 | 50.0% |" in out
    runs = results["runs"]
    assert results["complete"] and len(runs) == 4 and "--seed 10 --count 2" in runs[3]["command"]
    assert runs[2]["texts"][1] == {"seed": 3, "tokens": 27, "cut": True}


def test_steps(call: Call, fake: Path, human: Path) -> None:
    code, results, out, _ = call("steps", fake, "--human", human, "--steps", "1,2", "--reference", 2, "--length", 64)
    assert code == 0
    assert "| multistep+anchors, 2 |" in out and "| first-order | 1 | 1 | 1 | 1 |" in out
    assert len(results["runs"]) == 1 + 2 * 4 * 3 and "--guidance 0.5" in results["runs"][-1]["command"]
    figures = results["figures"]["grid"]["ancestral"]["1"]
    assert len(figures["perplexity"]["each"]) == 3 and figures["cut"]["mean"] == 0.25
    assert figures["entropy_ratio"]["each"][0] == pytest.approx(
        figures["entropy"]["each"][0] / figures["entropy_human"]["each"][0]
    )


def test_steps_of_one_method(call: Call, fake: Path, human: Path) -> None:
    code, results, _, _ = call(
        "steps", fake, "--human", human, "--methods", "multistep", "--steps", "1", "--length", 64
    )
    assert code == 0 and list(results["figures"]["grid"]) == ["first-order", "multistep"]


def test_seed_by_seed() -> None:
    def cell(*values: float | None) -> dict[str, dict[str, object]]:
        """The same values for every figure."""
        return {name: spread(values) for name in steps.PAIRED}

    over = steps.paired(cell(110.0, 99.0, None), cell(100.0, 90.0, 80.0))
    assert over["entropy_ratio"]["each"] == [pytest.approx(1.1), pytest.approx(1.1), None]
    assert mean_shown(spread([0.9, 1.1, None])) == "1.00 ± 0.100"
    assert mean_shown(spread([2.0])) == "2.00"


def test_budget(call: Call, fake: Path, human: Path) -> None:
    code, results, out, _ = call("budget", fake, "--human", human, "--budgets", "0.5,1", "--seeds", "1,2")
    assert code == 0 and "experts at 0.5" in out
    one = results["figures"]["budgets"]["0.5"]
    assert one["likelihood"]["nats_per_token"]["each"] == [0.5, 1.5]
    assert one["likelihood"]["over_most"] == {"each": [0.5, 0.5], "mean": 0.5, "sd": 0.0}
    assert one["samples"]["expert_flops"]["mean"] == 0.5 * results["figures"]["dearest"]


def test_scaling_and_speed(call: Call, fake: Path) -> None:
    code, results, out, _ = call("scaling", fake, "--lengths", "512,1024,2048", "--seeds", "1,2")
    assert code == 0 and "1,024 to 2,048" in out
    row = results["figures"]["lengths"]["1024"]
    assert row["step"]["mean"] == pytest.approx(0.01) and row["setup"]["mean"] == pytest.approx(0.005)
    assert row["measured_steps"]["mean"] == 16
    code, results, out, _ = call("speed", fake, "--lengths", "2048", "--seeds", "1,2")
    assert code == 0 and "time ratio" in out
    row = results["figures"]["lengths"]["2048"]
    assert row["step_ratio"]["mean"] == pytest.approx(1.0)
    totals = [row[side]["total"]["each"] for side in ("dense", "drdiff")]
    assert row["ratio"]["each"] == pytest.approx([a / b for a, b in zip(*totals, strict=True)])
    assert row["flops_ratio"] == pytest.approx(4 * row["step_flops_ratio"]) and row["step_flops_ratio"] > 1
    methods = ["first-order" in run["command"] for run in results["runs"][1:]]
    assert methods == [False, False, True, True] * 2


def test_long(call: Call, fake: Path, human: Path, tmp_path: Path) -> None:
    texts = tmp_path / "long.jsonl"
    rest = ["--human", human, "--texts", texts, "--length", 128, "--slice", 32, "--seeds", "1,3"]
    code, results, out, _ = call("long", fake, *rest)
    assert code == 0 and "slice of 32 tokens" in out and "Whole slices" in out
    assert results["figures"]["samples"]["slices"] == [4, 3] and results["figures"]["cut"] == 0.5
    assert len(texts.read_text().splitlines()) == 2
    # An end at the 124th of 128 tokens: what lies behind it makes the second slice whole.
    for more, slices in (["--slice", 63], [2, 1]), (["--slice", 63, "--past-ends"], [2, 2]):
        _, results, _, _ = call("long", fake, *rest, *more)
        assert results["figures"]["samples"]["slices"] == slices
        lengths = [json.loads(line)["tokens"] for line in texts.read_text().splitlines()]
        assert [length // 63 for length in lengths] == slices, "the texts are those that were sliced"


def test_a_program_that_fails_is_quoted(call: Call, tmp_path: Path) -> None:
    source = '#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "error: no such level" >&2\nexit 3\n'
    failing = program(tmp_path, source)
    code, results, out, err = call("scaling", failing)
    assert (code, out) == (1, "") and err.count("claim: ") == 3
    assert "exit code 3: error: no such level" in err
    assert results["complete"] is False and len(results["runs"]) == 1
    code, _, _, err = call("scaling", program(tmp_path, "#!/bin/sh\nkill -9 $$\n"))
    assert code == 1 and "signal 9: nothing on standard error" in err
    code, _, _, err = call("scaling", program(tmp_path, "#!/bin/sh\necho text\n"))
    assert code == 1 and "not JSON" in err
    code, _, _, err = call("scaling", program(tmp_path, "#!/bin/sh\necho '{}'\n"))
    assert code == 1 and 'no "texts"' in err
    code, _, _, err = call("scaling", program(tmp_path, "#!/no/such/interpreter\n"))
    assert code == 1 and "cannot be started" in err


def test_what_cannot_be_used_is_refused(call: Call, fake: Path, human: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "config.json").write_text('{"format": "drdiff-1", "levels": []}')
    cases = [
        ("scaling", tmp_path / "none", [], "no such program"),
        ("scaling", fake, ["--model", tmp_path], "No such file"),
        ("scaling", fake, ["--model", bad], "lacks vocab_size"),
        ("scaling", fake, ["--seeds", "1,x"], "'x' is not a whole number"),
        ("scaling", fake, ["--seeds", "1,1"], "given twice"),
        ("scaling", fake, ["--seeds", ","], "none given"),
        ("scaling", fake, ["--lengths", "9999999"], "more than the"),
        ("speed", fake, ["--steps", "0"], "--steps: 0 is less than 1"),
        ("steps", fake, ["--human", tmp_path / "none"], "No such file"),
        ("steps", fake, ["--human", human, "--guidance", "0"], "--guidance: 0.0"),
        ("steps", fake, ["--human", human, "--methods", "euler"], "--methods: 'euler' is none of ancestral"),
        ("steps", fake, ["--human", human, "--length", "9999", "--steps", "1"], "are needed beside the samples"),
        ("budget", fake, ["--human", human, "--budgets", "0,1"], "--budgets: 0 is not above 0"),
        ("long", fake, ["--human", human, "--texts", tmp_path / "a.txt"], "not a .jsonl file"),
        ("long", fake, ["--human", human, "--texts", tmp_path / "a.jsonl", "--length", "9"], "not two slices"),
        ("sample", fake, ["--texts", tmp_path / "a.jsonl", "--budget", "2"], "--budget: 2 is not above 0"),
        ("sample", fake, ["--texts", tmp_path / "a.jsonl", "--out", tmp_path], "--out: "),
    ]
    for name, drdiff, rest, expected in cases:
        code, _, out, err = call(name, drdiff, *rest)
        assert (code, out) == (1, ""), (name, rest)
        assert expected in err.splitlines()[-1] and "Traceback" not in err, (name, rest, err)


def test_lists() -> None:
    assert counts(argparse.Namespace(seeds=" 3, 1 "), "seeds") == [3, 1]
    assert Path(found(Path("/bin/sh"))).is_file()
