"""The figures: perplexity with its error, entropy, distinct n-grams, spread, trend."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ORDERS = (1, 2, 3, 4)
RESAMPLES = 1000


@dataclass(frozen=True)
class Score:
    """What a judge says of a text: nats in all, the units they are spread over, the units it could not score."""

    nats: float
    units: int
    skipped: int = 0

    def perplexity(self) -> float | None:
        """None where nothing was scored."""
        return math.exp(self.nats / self.units) if self.units else None


def total(scores: Sequence[Score]) -> Score:
    """Several texts as one."""
    nats = math.fsum(score.nats for score in scores)
    return Score(nats, sum(score.units for score in scores), sum(score.skipped for score in scores))


def summary(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean, standard deviation (n - 1) and number of the values that there are."""
    known = [value for value in values if value is not None]
    mean = math.fsum(known) / len(known) if known else None
    spread = math.fsum((value - mean) ** 2 for value in known) if mean is not None else 0.0
    return {"mean": mean, "sd": math.sqrt(spread / (len(known) - 1)) if len(known) > 1 else None, "texts": len(known)}


def perplexity(scores: Sequence[Score], seed: int) -> dict[str, Any]:
    """exp(nats / units) over all texts, with a standard error by drawing texts again with replacement."""
    error = None
    whole = total(scores)
    scored = [score for score in scores if score.units]
    if len(scored) > 1:
        drawn = np.random.default_rng(seed).integers(len(scored), size=(RESAMPLES, len(scored)))
        nats = np.array([score.nats for score in scored])[drawn].sum(axis=1)
        units = np.array([score.units for score in scored])[drawn].sum(axis=1)
        error = float(np.exp(nats / units).std(ddof=1))
    return {
        "value": whole.perplexity(),
        "error": error,
        "units": whole.units,
        "skipped": whole.skipped,
        "skipped_share": whole.skipped / max(whole.units + whole.skipped, 1),
        "each": summary([score.perplexity() for score in scores]),
    }


def ngrams(words: Sequence[str], order: int) -> Iterator[tuple[str, ...]]:
    """All runs of `order` words."""
    return zip(*(words[i:] for i in range(order)), strict=False)


def entropy(counts: Sequence[int]) -> float:
    """Of the distribution with these counts, in nats."""
    whole = sum(counts)
    return max(0.0, -math.fsum(count / whole * math.log(count / whole) for count in counts))


def diversity(texts: Sequence[Sequence[str]]) -> dict[str, float | None]:
    """Unigram entropy and the share of distinct n-grams; no n-gram crosses from one text into the next."""
    figures: dict[str, float | None] = {}
    for order in ORDERS:
        counts = Counter(ngram for words in texts for ngram in ngrams(words, order))
        if order == 1:
            figures["entropy"] = entropy(list(counts.values())) if counts else None
        figures[f"distinct_{order}"] = len(counts) / counts.total() if counts else None
    return figures


def common_words(sets: Sequence[Sequence[Sequence[str]]]) -> int:
    """The largest number of words that nine in ten texts of every set have."""
    return min(sorted(len(words) for words in texts)[len(texts) // 10] for texts in sets)


def line(values: Sequence[float]) -> tuple[float, float | None]:
    """Least-squares slope over 0, 1, 2, .. and its standard error (from three values on)."""
    x = np.arange(len(values)) - (len(values) - 1) / 2
    y = np.asarray(values) - np.mean(values)
    slope = float(x @ y / (x @ x))
    if len(values) < 3:
        return slope, None
    rest = y - slope * x
    return slope, math.sqrt(float(rest @ rest) / (len(values) - 2) / float(x @ x))


def trend(curves: Sequence[Sequence[float | None]], logarithm: bool) -> dict[str, Any]:
    """Last over first value, and the slope per slice (of the logarithm, if asked), of each curve that is whole.
    The slope's error is sd / sqrt(n) over curves, or that of the line where there is one curve."""
    whole = [[value for value in curve if value is not None] for curve in curves if None not in curve]
    fits = [line(np.log(curve).tolist() if logarithm else curve) for curve in whole]
    slope = summary([fit[0] for fit in fits])
    error = fits[0][1] if len(fits) == 1 else None
    if slope["sd"] is not None:
        error = slope["sd"] / math.sqrt(slope["texts"])
    ratio = summary([curve[-1] / curve[0] if curve[0] else None for curve in whole])
    return {"ratio": ratio, "slope": slope["mean"], "slope_error": error, "texts": len(whole)}
