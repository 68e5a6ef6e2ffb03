"""Reads the texts to judge and cuts human text to match them."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

SUFFIXES = (".txt", ".json", ".jsonl")
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
SPACE = re.compile(r"\s")
# A last piece of human text shorter than this share of the others is left out.
WHOLE = 0.9


class InputError(Exception):
    """Something given on the command line that cannot be used."""


@dataclass(frozen=True)
class TextSet:
    """Texts judged together; those without a single word are only counted."""

    name: str
    texts: list[str]
    empty: int = 0


def words(text: str) -> list[str]:
    """Lower-cased runs of letters and digits; an apostrophe inside a word stays, all else separates."""
    return [word.lower().replace("’", "'") for word in WORD.findall(text)]


def read(path: Path) -> str:
    """The content of a file that must be UTF-8 and hold more than white space."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from error
    if not text.strip():
        raise InputError(f"{path}: empty")
    return text


def texts_of(value: object, where: str) -> list[str]:
    """The texts of an object with a field "text", or of what `drdiff generate --json` prints."""
    if not isinstance(value, dict) or not ("text" in value or "texts" in value):
        raise InputError(f'{where}: expected an object with "text" or "texts"')
    if "texts" in value:
        if not isinstance(value["texts"], list):
            raise InputError(f'{where}: "texts" is not a list')
        return [text for one in value["texts"] for text in texts_of(one, where)]
    text = value["text"]
    if not isinstance(text, str):
        raise InputError(f'{where}: "text" is not a string')
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f'{where}: "text" holds half a surrogate pair') from error
    return [text]


def parse(source: str, where: str) -> object:
    """One JSON value."""
    try:
        return json.loads(source)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON that can be read: {error}") from error


def read_texts(path: Path) -> list[str]:
    """A plain file is one text; .json holds one object; .jsonl one object, or one on each line."""
    source = read(path)
    if path.suffix not in (".json", ".jsonl"):
        return [source]
    lines = [(number, line) for number, line in enumerate(source.split("\n"), 1) if line.strip()]
    # An object spread over lines, as `drdiff generate --json` prints it, opens on a line of its own.
    if path.suffix == ".jsonl" and lines[0][1].strip() != "{":
        named = [(f"{path}: line {number}", line) for number, line in lines]
        return [text for where, line in named for text in texts_of(parse(line, where), where)]
    return texts_of(parse(source, str(path)), str(path))


def read_set(path: Path, name: str) -> TextSet:
    """All texts of a file, or of the text and JSON files of a folder in order of their names."""
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
        if not files:
            raise InputError(f"{path}: no {', '.join(SUFFIXES)} file in this folder")
    found = [text for file in files for text in read_texts(file)]
    texts = [text for text in found if WORD.search(text)]
    if not texts:
        raise InputError(f"{path}: no text with a word in it")
    return TextSet(name, texts, len(found) - len(texts))


def read_sets(paths: Sequence[Path]) -> list[TextSet]:
    """One set per path, named by its stem; a name that is taken gets a number."""
    sets: list[TextSet] = []
    taken = {"human"}
    for path in paths:
        stem = path.resolve().stem
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        sets.append(read_set(path, name))
    return sets


def cut(text: str, length: int) -> list[str]:
    """Consecutive pieces of about `length` characters that end at white space. A short last one is dropped,
    unless it is the only one."""
    pieces: list[str] = []
    start = 0
    while start < len(text):
        space = SPACE.search(text, start + length)
        end = space.start() if space else len(text)
        piece = text[start:end].strip()
        if len(piece) >= WHOLE * length or (piece and not pieces):
            pieces.append(piece)
        start = end
    return pieces


def read_human(path: Path, sets: Sequence[TextSet], limit: int) -> TextSet:
    """Documents, one a line, as one stream cut to the mean length of all samples; at most `limit` pieces
    (0: all), spread evenly over the stream."""
    documents = [line.strip() for line in read(path).splitlines() if line.strip()]
    lengths = [len(text) for one in sets for text in one.texts]
    pieces = [piece for piece in cut("\n".join(documents), max(1, sum(lengths) // len(lengths))) if WORD.search(piece)]
    if not pieces:
        raise InputError(f"{path}: no text with a word in it")
    if 0 < limit < len(pieces):
        pieces = [pieces[i * len(pieces) // limit] for i in range(limit)]
    return TextSet("human", pieces)


def split(text: str, size: int) -> list[str]:
    """Consecutive slices of `size` words; what is left over comes last, as a shorter one."""
    starts = [match.start() for match in WORD.finditer(text)]
    bounds = [0, *starts[size::size], len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]
