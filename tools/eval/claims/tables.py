"""Aggregation over seeds and Markdown tables."""

import math
from collections.abc import Sequence
from typing import Any

from figures import summary
from report import cell, number

Figure = dict[str, Any]


def spread(values: Sequence[float | None]) -> Figure:
    """The values, one a seed, with their mean and standard deviation (n - 1)."""
    whole = summary(values)
    return {"each": list(values), "mean": whole["mean"], "sd": whole["sd"]}


def over(values: Sequence[float | None], others: Sequence[float | None]) -> Figure:
    """The values over the others, seed by seed; none where either is missing or 0."""
    return spread([a / b if a and b else None for a, b in zip(values, others, strict=True)])


def gather(rows: Sequence[dict[str, float | None]]) -> dict[str, Figure]:
    """Each figure over the seeds."""
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


def shown(figure: Figure) -> str:
    """Mean and standard deviation."""
    return cell(figure["mean"], figure["sd"])


def mean_shown(figure: Figure) -> str:
    """Mean and its standard error."""
    whole = summary(figure["each"])
    return cell(whole["mean"], None if whole["sd"] is None else whole["sd"] / math.sqrt(whole["texts"]))


def percent(value: float | None) -> str:
    """A share."""
    return number(None) if value is None else f"{100 * value:.1f}%"


def scientific(value: float) -> str:
    """Three digits and the power of ten."""
    return f"{value:.2e}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column is text, the others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "--:|" * (len(header) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
