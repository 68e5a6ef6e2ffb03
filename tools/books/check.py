"""Holds shards against their manifest, against the grid and against the filter."""

from pathlib import Path
from typing import Any

import grid
from files import InputError
from keep import flaw
from store import read_manifest, read_shard


def check_book(path: Path, seed: int, found: dict[str, Any]) -> None:
    """A book is what its number says, and each chapter passes the filter."""
    book = grid.book(seed, found["book"])
    where = f"{path}: book {found['book']}"
    if (found["title"], found["split"]) != (book.title, book.split):
        raise InputError(f"{where}: {found['title']!r} in {found['split']}, expected {book.title!r} in {book.split}")
    for chapter in found["chapters"]:
        number = chapter["number"]
        at = f"{where}, chapter {number}"
        if not 1 <= number <= len(book.things):
            raise InputError(f"{at}: the book has {len(book.things)}")
        thing = book.things[number - 1]
        task = grid.task(seed, book, number, chapter["attempt"])
        if (chapter["title"], chapter["after"]) != (thing.title, task.after):
            raise InputError(f"{at}: {chapter['title']!r} after {chapter['after']}, expected {thing.title!r}")
        wrong = flaw(chapter["text"], task.opening, book, thing)
        if wrong:
            raise InputError(f"{at}: does not pass the filter: {wrong}")


def check(folder: Path) -> dict[str, int]:
    """Raises at the first thing that is wrong; returns counts."""
    manifest = read_manifest(folder)
    if manifest.get("grid") != grid.version():
        raise InputError(f"{folder}: written with the grid {manifest.get('grid')}, this one is {grid.version()}")
    named = {entry["file"] for entry in manifest["shards"]}
    for path in sorted(folder.glob("*.jsonl.xz")):
        if path.name not in named:
            raise InputError(f"{path}: not in the manifest")
    seen: set[int] = set()
    for entry in manifest["shards"]:
        for book in read_shard(folder, entry):
            if book["book"] in seen:
                raise InputError(f"{folder / entry['file']}: book {book['book']} is there twice")
            seen.add(book["book"])
            check_book(folder / entry["file"], manifest["seed"], book)
    return {name: sum(entry[name] for entry in manifest["shards"]) for name in ("books", "chapters", "words", "pieces")}
