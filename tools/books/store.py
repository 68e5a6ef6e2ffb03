"""What is written so far: shards that are whole, and a journal of what is not yet in one."""

import fcntl
import hashlib
import json
import lzma
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grid
from files import InputError, append, replace_file

# Tries at a chapter before the book goes without it.
ATTEMPTS = 4
# Characters of text in a shard, at least.
SHARD = 300_000


@dataclass(frozen=True)
class Try:
    """A try at a chapter: kept if nothing is wrong with it."""

    book: int
    chapter: int
    attempt: int
    flaw: str | None
    loss: float
    pieces: int
    text: str


def shard_name(index: int) -> str:
    """Of the file."""
    return f"shard-{index:05}.jsonl.xz"


def record(seed: int, number: int, tries: Iterable[Try]) -> dict[str, Any]:
    """A book as it stands in a shard; one without its first chapter has none."""
    book = grid.book(seed, number)
    kept = sorted((t for t in tries if t.flaw is None), key=lambda t: t.chapter)
    chapters = [
        {
            "number": t.chapter,
            "attempt": t.attempt,
            "title": book.things[t.chapter - 1].title,
            "after": grid.task(seed, book, t.chapter, t.attempt).after,
            "loss": round(t.loss, 4),
            "pieces": t.pieces,
            "text": t.text,
        }
        for t in kept
    ]
    if not kept or kept[0].chapter != 1:
        chapters = []
    return {"book": number, "split": book.split, "title": book.title, "chapters": chapters}


def pack(books: list[dict[str, Any]]) -> bytes:
    """The bytes of a shard. Higher presets only have more memory than a shard has bytes."""
    return lzma.compress("".join(json.dumps(book) + "\n" for book in books).encode(), preset=6 | lzma.PRESET_EXTREME)


def describe(name: str, data: bytes, books: list[dict[str, Any]]) -> dict[str, Any]:
    """A shard's line in the manifest."""
    chapters = [chapter for book in books for chapter in book["chapters"]]
    return {
        "file": name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "books": len(books),
        "chapters": len(chapters),
        "words": sum(len(chapter["text"].split()) for chapter in chapters),
        "pieces": sum(chapter["pieces"] for chapter in chapters),
    }


def unpack(path: Path, data: bytes) -> list[dict[str, Any]]:
    """The books of a shard."""
    try:
        books = [json.loads(line) for line in lzma.decompress(data).decode().splitlines()]
        if not all({"book", "split", "title", "chapters"} <= book.keys() for book in books):
            raise ValueError("a book without its fields")
    except (lzma.LZMAError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a shard of books: {error}") from error
    return books


def read_bytes(path: Path) -> bytes:
    """A file's bytes, or an error that names it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of shards."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(read_bytes(path))
        if not isinstance(manifest["seed"], int) or not all(isinstance(s["file"], str) for s in manifest["shards"]):
            raise TypeError("seed or shards")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a manifest of books: {error}") from error
    return manifest


def read_shard(folder: Path, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The books of a shard that is what the manifest says."""
    path = folder / entry["file"]
    data = read_bytes(path)
    digest = hashlib.sha256(data).hexdigest()
    if digest != entry.get("sha256"):
        raise InputError(f"{path}: sha256 {digest}, the manifest says {entry.get('sha256')}")
    books = unpack(path, data)
    if describe(entry["file"], data, books) != entry:
        raise InputError(f"{path}: {describe(entry['file'], data, books)}, the manifest says {entry}")
    return books


def read_journal(path: Path) -> list[Try]:
    """The tries of a journal; a last line that was cut off is not one."""
    if not path.exists():
        return []
    lines = read_bytes(path).split(b"\n")[:-1]
    try:
        return [Try(**json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a journal of tries: {error}") from error


def lines(tries: Iterable[Try]) -> bytes:
    """Tries as they stand in a journal."""
    return "".join(json.dumps(asdict(t)) + "\n" for t in tries).encode()


class Store:
    """A state folder that one writer works on."""

    def __init__(self, folder: Path, seed: int, identity: dict[str, Any]) -> None:
        self.folder, self.seed, self.shard = folder, seed, SHARD
        self.journal = folder / "journal.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.lock = (folder / "lock").open("w")
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another writer is at work here") from error
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}") from error
        for left in folder.glob("*.tmp"):
            left.unlink()
        wanted = {"seed": seed, **identity}
        if (folder / "manifest.json").exists():
            self.manifest = read_manifest(folder)
            for name, value in wanted.items():
                if self.manifest.get(name) != value:
                    raise InputError(f"{folder}: was begun with {name} {self.manifest.get(name)}, not {value}")
        else:
            self.manifest = {**wanted, "shards": []}
            self.save()
        self.done: set[int] = set()
        for entry in self.manifest["shards"]:
            self.done |= {book["book"] for book in read_shard(folder, entry)}
        self.adopt()
        self.tries: dict[int, list[Try]] = {}
        found = read_journal(self.journal)
        # Also drops what was cut off, so that the next line begins on its own.
        replace_file(self.journal, lines(t for t in found if t.book not in self.done))
        self.remember(t for t in found if t.book not in self.done)

    def save(self) -> None:
        """Writes the manifest."""
        replace_file(self.folder / "manifest.json", (json.dumps(self.manifest, indent=1) + "\n").encode())

    def adopt(self) -> None:
        """A shard that was finished just before its line in the manifest."""
        path = self.folder / shard_name(len(self.manifest["shards"]))
        if path.exists():
            data = read_bytes(path)
            books = unpack(path, data)
            self.done |= {book["book"] for book in books}
            self.manifest["shards"].append(describe(path.name, data, books))
            self.save()

    def remember(self, tries: Iterable[Try]) -> None:
        """In memory."""
        for t in tries:
            self.tries.setdefault(t.book, []).append(t)

    def add(self, tries: list[Try]) -> None:
        """Writes a batch of tries down."""
        append(self.journal, lines(tries))
        self.remember(tries)

    def pending(self, number: int) -> list[tuple[int, int]]:
        """(chapter, attempt) that a book still needs."""
        found = self.tries.get(number, [])
        kept = {t.chapter for t in found if t.flaw is None}
        needed = []
        for chapter in range(1, len(grid.book(self.seed, number).things) + 1):
            attempt = sum(t.chapter == chapter for t in found)
            if chapter not in kept and attempt < ATTEMPTS:
                needed.append((chapter, attempt))
        # Without its first chapter a book is nothing.
        if not any(chapter == 1 for chapter, _ in needed) and 1 not in kept:
            return []
        return needed

    def seal(self) -> str | None:
        """Writes the finished books as a shard once they are long enough; its name if so."""
        ready = [number for number in sorted(self.tries) if not self.pending(number)]
        kept = (t for number in ready for t in self.tries[number] if t.flaw is None)
        if sum(len(t.text) for t in kept) < self.shard:
            return None
        books = [record(self.seed, number, self.tries[number]) for number in ready]
        data, name = pack(books), shard_name(len(self.manifest["shards"]))
        replace_file(self.folder / name, data)
        self.manifest["shards"].append(describe(name, data, books))
        self.save()
        for number in ready:
            del self.tries[number]
        self.done |= set(ready)
        replace_file(self.journal, lines(t for found in self.tries.values() for t in found))
        return name
