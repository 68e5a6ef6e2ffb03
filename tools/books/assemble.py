"""Turns shards into text to train on: a book a line, a file a split."""

import hashlib
import json
from pathlib import Path
from typing import Any

from files import InputError, replace_file
from grid import SPLITS
from keep import sentences
from store import read_manifest, read_shard

# A sentence of this many characters that stands in a held-out text is no coincidence.
LONG_SENTENCE = 80


def threshold(books: list[dict[str, Any]], share: float) -> float:
    """The loss that so large a share of the training chapters stays under."""
    losses = sorted(c["loss"] for book in books if book["split"] == "train" for c in book["chapters"])
    return losses[max(0, round(share * len(losses)) - 1)] if losses and share < 1 else float("inf")


def held_out(books: list[dict[str, Any]]) -> set[str]:
    """The long sentences of validation and test."""
    texts = (c["text"] for book in books if book["split"] != "train" for c in book["chapters"])
    return {s for text in texts for s in sentences(text) if len(s) >= LONG_SENTENCE}


def choose(book: dict[str, Any], limit: float, barred: set[str]) -> list[dict[str, Any]]:
    """The chapters that stay; one that speaks of an earlier one needs it, and all need the first."""
    found: dict[int, dict[str, Any]] = {}
    for chapter in book["chapters"]:
        if book["split"] == "train" and any(s in barred for s in sentences(chapter["text"])):
            continue
        if chapter["number"] > 1 and (chapter["loss"] > limit or chapter["after"] not in (None, *found)):
            continue
        found[chapter["number"]] = chapter
    # The first introduces the hero: it stays for the others' sake, not for its own.
    if 1 not in found or (len(found) == 1 and found[1]["loss"] > limit):
        return []
    return list(found.values())


def line(title: str, chapters: list[dict[str, Any]]) -> str:
    """A book as one line; chapters are numbered anew."""
    parts = [title]
    for number, chapter in enumerate(chapters, 1):
        heading = chapter["title"][0].upper() + chapter["title"][1:]
        parts.append(f"Chapter {number}. {heading}. {chapter['text']}")
    return " ".join(parts)


def read_tokenizer(path: Path) -> Any:
    """To count with."""
    try:
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(path))
    except Exception as error:  # The library raises plain exceptions.
        raise InputError(f"{path}: not a tokenizer: {error}") from error


def assemble(folders: list[Path], out: Path, share: float, tokenizer: Path | None = None) -> dict[str, Any]:
    """Writes the splits and a manifest, which it returns."""
    count = read_tokenizer(tokenizer) if tokenizer else None
    sources, books = [], []
    for folder in folders:
        manifest = read_manifest(folder)
        sources.append({name: value for name, value in manifest.items() if name != "shards"})
        books += [book for entry in manifest["shards"] for book in read_shard(folder, entry)]
    keys = [(source["seed"], source.get("grid")) for source in sources]
    if len(set(keys)) < len(keys):
        raise InputError(f"{folders[-1]}: the same seed as another folder, so the same books")
    limit, barred = threshold(books, share), held_out(books)
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for split in SPLITS:
        chosen = [(book["title"], choose(book, limit, barred)) for book in books if book["split"] == split]
        lines = [line(title, chapters) for title, chapters in chosen if chapters]
        data = "".join(text + "\n" for text in lines).encode()
        replace_file(out / f"{split}.txt", data)
        entry = {
            "file": f"{split}.txt",
            "books": len(lines),
            "chapters": sum(len(chapters) for _, chapters in chosen),
            "words": sum(len(text.split()) for text in lines),
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        if count:
            lengths = sorted(len(found.ids) for found in count.encode_batch(lines))
            entry["tokens"] = sum(lengths)
            entry["deciles"] = [lengths[len(lengths) * i // 10] for i in range(1, 10)] if lengths else []
        files.append(entry)
    result = {
        "sources": sources,
        "share": share,
        "loss_at_most": None if limit == float("inf") else limit,
        "files": files,
    }
    replace_file(out / "manifest.json", (json.dumps(result, indent=1) + "\n").encode())
    return result
