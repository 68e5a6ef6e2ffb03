"""Checks of the corpus tool: `python -m pytest` in this folder."""

import hashlib
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import corpus
from files import InputError, read_documents
from sources import CorpusError, Document, Part, book_split, tidy

HELD = "And this is a sentence of the held-out book that is long enough not to be met by chance."


def read(archive: zipfile.ZipFile) -> Iterator[Document]:
    """Two training documents, one of them twice, and a held-out one."""
    text = archive.read("a.txt").decode("utf-8")
    yield Document("a", f"{text} {HELD} The end.", "train")
    yield Document("a again", f"{text} {HELD} The end.", "train")
    yield Document("b", HELD, "test")
    yield Document("c", "Short.", "validation")


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Part:
    """A part whose wheel lies in the cache."""
    wheel = tmp_path / "cache" / "made_up-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a.txt", "One text.")
    made = Part("made-up", "1.0", hashlib.sha256(wheel.read_bytes()).hexdigest(), "A text", "none", read)
    monkeypatch.setitem(corpus.PARTS, "made", made)
    return made


def test_corpus_is_clean_and_repeats_byte_for_byte(part: Part, tmp_path: Path) -> None:
    first = corpus.build(["made"], tmp_path / "one", tmp_path / "cache")
    second = corpus.build(["made"], tmp_path / "two", tmp_path / "cache")
    assert first == second and first["sources"][0]["licence"] == "none"
    for name in ("train.txt", "validation.txt", "test.txt", "manifest.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (tmp_path / "one" / "train.txt").read_text() == "One text. The end.\n"
    assert (tmp_path / "one" / "test.txt").read_text() == HELD + "\n"


def test_a_changed_package_is_refused(part: Part, tmp_path: Path) -> None:
    wheel = tmp_path / "cache" / "made_up-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(CorpusError, match="has changed.*expected"):
        corpus.build(["made"], tmp_path / "out", tmp_path / "cache")
    assert not list((tmp_path / "out").iterdir())


def test_a_missing_package_is_reported_with_its_cause(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache" / "made_up-1.0-py3-none-any.whl").unlink()
    answer = subprocess.CompletedProcess([], 1, "", "no matching distribution")
    monkeypatch.setattr(corpus.subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(CorpusError, match="made-up==1.0.*no matching distribution"):
        corpus.build(["made"], tmp_path / "out", tmp_path / "cache")


def test_a_broken_wheel_is_refused(part: Part, tmp_path: Path) -> None:
    wheel = tmp_path / "broken.whl"
    wheel.write_bytes(b"no archive")
    with pytest.raises(CorpusError, match=r"broken.whl: cannot be read as A text"):
        corpus.documents(part, wheel)


def test_books_are_held_out_whole_and_text_is_tidy() -> None:
    splits = [book_split(book) for book in range(1, 67)]
    assert splits.count("validation") == splits.count("test") == 5
    assert tidy("He  said\\43:1\\ `Let [there] be , light`") == "He said 'Let there be, light'"


def test_documents_are_split_by_their_name() -> None:
    splits = [corpus.split_of(Document(f"text {i}", "x")) for i in range(1000)]
    assert 0.9 < splits.count("train") / 1000 < 0.99


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "empty"), (b"\n \n", "empty"), (b"ab\xff", "not UTF-8 at byte 2"), (None, "No such file")],
)
def test_a_text_that_cannot_be_used_is_refused(tmp_path: Path, data: bytes | None, message: str) -> None:
    path = tmp_path / "text.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_documents(path)
