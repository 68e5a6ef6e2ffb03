"""What of a text stands verbatim in the training text: its words, its longer n-grams."""

from collections.abc import Sequence
from pathlib import Path

from figures import ngrams
from texts import InputError, words

ORDERS = (4, 8)
# One pass over the training text looks for single words too.
WANTED = (1, *ORDERS)

Found = dict[int, set[tuple[str, ...]]]


def search(path: Path, texts: Sequence[Sequence[str]]) -> Found:
    """Those n-grams of `texts` that the training text has; a document is a line, and none crosses a line."""
    wanted: Found = {order: {ngram for one in texts for ngram in ngrams(one, order)} for order in WANTED}
    found: Found = {order: set() for order in WANTED}
    empty = True
    try:
        with path.open(encoding="utf-8") as lines:
            for document in lines:
                sequence = words(document)
                empty = empty and not sequence
                for order in WANTED:
                    found[order].update(wanted[order].intersection(ngrams(sequence, order)))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8") from error
    if empty:
        raise InputError(f"{path}: empty")
    return found


def shares(sequence: Sequence[str], found: Found) -> dict[str, float | None]:
    """Share of a text's words and n-grams (each occurrence counts) that were found."""
    figures: dict[str, float | None] = {}
    for order in WANTED:
        hits = [ngram in found[order] for ngram in ngrams(sequence, order)]
        figures["known_words" if order == 1 else f"seen_{order}"] = sum(hits) / len(hits) if hits else None
    return figures
