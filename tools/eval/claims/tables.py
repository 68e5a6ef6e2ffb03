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


def gather(rows: Sequence[dict[str, float | None]]) -> dict[str, Figure]:
    """Each figure over the seeds."""
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


def shown(figure: Figure) -> str:
    """Mean and standard deviation."""
    return cell(figure["mean"], figure["sd"])


def mean_shown(figure: Figure) -> str:
    """Mean and its standard error."""
    count = sum(value is not None for value in figure["each"])
    return cell(figure["mean"], None if figure["sd"] is None else figure["sd"] / math.sqrt(count))


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
