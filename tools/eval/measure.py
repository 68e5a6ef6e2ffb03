"""Puts sets of texts before the judges and gathers every figure."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import overlap
from figures import Score, common_words, diversity, perplexity, summary, total, trend
from texts import TextSet, split, words

Report = Callable[[str], None]


class Judge(Protocol):
    """Anything that says how surprising texts are."""

    name: str
    unit: str

    def score(self, texts: Sequence[str], report: Report) -> list[Score]:
        """One score per text."""


def gather(rows: Sequence[dict[str, float | None]]) -> dict[str, Any]:
    """Mean, spread and number of each figure over the texts."""
    return {name: summary([row[name] for row in rows]) for name in rows[0]}


def cut_slices(texts: Sequence[str], size: int) -> list[list[str]]:
    """The slices of each text; the text itself where there are fewer than two whole ones or none are asked for."""
    return [split(text, size) if size and len(words(text)) >= 2 * size else [text] for text in texts]


def columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """All first entries, all second ones, ..; rows may end early."""
    return [[row[i] for row in rows if i < len(row)] for i in range(max(map(len, rows), default=0))]


def by_slice(scores: dict[str, list[list[Score]]], parts: Sequence[Sequence[str]], size: int) -> dict[str, Any]:
    """What each judge and the entropy say of the whole slices of the long texts, first to last."""
    whole = [(index, sum(len(words(part)) == size for part in one)) for index, one in enumerate(parts) if len(one) > 1]
    figures: dict[str, Any] = {}
    for name, of_text in scores.items():
        kept = [of_text[index][:count] for index, count in whole]
        curve = [{"value": total(column).perplexity(), "texts": len(column)} for column in columns(kept)]
        values = [[score.perplexity() for score in one] for one in kept]
        figures[name] = {"curve": curve, **trend(values, logarithm=True)}
    entropies = [[diversity([words(part)])["entropy"] for part in parts[index][:count]] for index, count in whole]
    curve = [{"value": summary(column)["mean"], "texts": len(column)} for column in columns(entropies)]
    figures["entropy"] = {"curve": curve, **trend(entropies, logarithm=False)}
    return figures


def said(report: Report, judge: Judge, one: TextSet) -> Report:
    """Progress that names the judge and the set."""
    return lambda message: report(f"{judge.name}: {one.name}: {message}")


def measure(
    sets: Sequence[TextSet],
    judges: Sequence[Judge],
    training: Path | None,
    slice_words: int,
    first_words: int,
    seed: int,
    report: Report,
) -> dict[str, Any]:
    """All figures of all sets. `first_words` is how many words of each text entropy and distinct n-grams look at;
    0 takes what nine in ten texts of every set have."""
    sequences = [[words(text) for text in one.texts] for one in sets]
    parts = [cut_slices(one.texts, slice_words) for one in sets]
    count = first_words or common_words(sequences)
    equal = [[sequence[:count] for sequence in one if len(sequence) >= count] for one in sequences]
    together = min(map(len, equal))
    found = None
    if training:
        report(f"training text: {training}")
        found = overlap.search(training, [sequence for one in sequences for sequence in one])
    results: dict[str, Any] = {}
    for one, own, slices, same in zip(sets, sequences, parts, equal, strict=True):
        result: dict[str, Any] = {"texts": len(one.texts), "empty": one.empty}
        result["words"] = summary([len(sequence) for sequence in own])
        result["characters"] = summary([len(text) for text in one.texts])
        scores: dict[str, list[list[Score]]] = {}
        for judge in judges:
            flat = iter(judge.score([part for cut in slices for part in cut], said(report, judge, one)))
            scores[judge.name] = [[next(flat) for _ in cut] for cut in slices]
        result["perplexity"] = {
            judge.name: {"unit": judge.unit, **perplexity([total(s) for s in scores[judge.name]], seed)}
            for judge in judges
        }
        result["diversity"] = gather([diversity([sequence]) for sequence in same] or [diversity([])])
        result["together"] = diversity(same[:together])
        if found is not None:
            result["training"] = gather([overlap.shares(sequence, found) for sequence in own])
        if slice_words:
            result["slices"] = by_slice(scores, slices, slice_words)
        results[one.name] = result
    settings = {"slice_words": slice_words, "first_words": count, "texts_together": together, "seed": seed}
    return {"settings": settings, "sets": results}
