"""Copies what is written out of a state folder, whether or not a writer is at work in it: only reads there."""

import hashlib
import json
from pathlib import Path
from typing import Any

from files import InputError, replace_file
from store import Try, describe, pack, read_bytes, read_journal, read_manifest, read_shard, record


def tail(seed: int, tries: list[Try]) -> list[dict[str, Any]]:
    """The books that are in no shard yet, as far as they have got."""
    books: dict[int, list[Try]] = {}
    for t in tries:
        books.setdefault(t.book, []).append(t)
    found = (record(seed, number, books[number]) for number in sorted(books))
    return [book for book in found if book["chapters"]]


def publish(state: Path, out: Path) -> dict[str, Any]:
    """Shards, and one more of what is in none, beside a manifest that is written last; returns the manifest."""
    if state.resolve() == out.resolve():
        raise InputError(f"{out}: is the state folder itself")
    # The journal first: what leaves it in the meantime is in a shard by then.
    tries = read_journal(state / "journal.jsonl")
    manifest = read_manifest(state)
    out.mkdir(parents=True, exist_ok=True)
    done: set[int] = set()
    for entry in manifest["shards"]:
        done |= {book["book"] for book in read_shard(state, entry)}
        target = out / entry["file"]
        data = read_bytes(state / entry["file"])
        if not target.exists() or target.read_bytes() != data:
            replace_file(target, data)
    rest = tail(manifest["seed"], [t for t in tries if t.book not in done])
    if rest:
        data = pack(rest)
        # Named by what is in it, so that the manifest before this one stays true until it is replaced.
        name = f"tail-{hashlib.sha256(data).hexdigest()[:8]}.jsonl.xz"
        replace_file(out / name, data)
        manifest["shards"].append(describe(name, data, rest))
    replace_file(out / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
    named = {entry["file"] for entry in manifest["shards"]}
    for path in out.glob("*.jsonl.xz"):
        if path.name not in named:
            path.unlink()
    return manifest
