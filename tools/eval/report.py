"""Writes the figures as Markdown."""

from collections.abc import Sequence
from typing import Any

Cell = tuple[float | None, float | None]
Row = tuple[str, list[Cell]]
NONE = "-"


def number(value: float | None) -> str:
    """Counts as they are, measures with three digits or more."""
    if value is None:
        return NONE
    if isinstance(value, int):
        return str(value)
    if value == 0 or abs(value) >= 99.95:
        return f"{value:.0f}"
    return f"{value:.{2 if abs(value) < 9.995 else 1}f}" if abs(value) >= 0.995 else f"{value:.3f}"


def cell(value: float | None, spread: float | None) -> str:
    """A value and its spread."""
    return number(value) if value is None or spread is None else f"{number(value)} ± {number(spread)}"


def ratio(value: float | None, human: float | None) -> str:
    """Over the human value; none of counts."""
    return f"{value / human:.2f}" if isinstance(value, float) and human else NONE


def table(first: str, names: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Human text in the first column, then every other set with its ratio to it."""
    lines = [f"| {first} | {names[0]} |" + "".join(f" {name} | ratio |" for name in names[1:])]
    lines.append("|---|" + "---:|" * (2 * len(names) - 1))
    for label, cells in rows:
        others = "".join(f" {cell(*one)} | {ratio(one[0], cells[0][0])} |" for one in cells[1:])
        lines.append(f"| {label} | {cell(*cells[0])} |{others}")
    return lines


def spread(figure: dict[str, Any]) -> Cell:
    """Mean and standard deviation."""
    return figure["mean"], figure["sd"]


def figures(sets: Sequence[dict[str, Any]]) -> list[Row]:
    """One row per figure."""
    rows: list[Row] = [("texts", [(one["texts"], None) for one in sets])]
    if any(one["empty"] for one in sets):
        rows.append(("texts without a word", [(one["empty"], None) for one in sets]))
    rows.append(("words per text", [spread(one["words"]) for one in sets]))
    for judge, first in sets[0]["perplexity"].items():
        scores = [one["perplexity"][judge] for one in sets]
        rows.append((f"perplexity a {first['unit']}, {judge}", [(score["value"], score["error"]) for score in scores]))
        rows.append((f"the same, by text, {judge}", [spread(score["each"]) for score in scores]))
        if any(score["skipped"] for score in scores):
            rows.append((f"share skipped, {judge}", [(score["skipped_share"], None) for score in scores]))
    for name in sets[0]["diversity"]:
        rows.append((name.replace("_", "-"), [spread(one["diversity"][name]) for one in sets]))
    for name in ("entropy", "distinct_4"):
        rows.append((f"{name.replace('_', '-')}, texts together", [(one["together"][name], None) for one in sets]))
    for name in sets[0].get("training", {}):
        label = "real words" if name == "known_words" else f"{name.removeprefix('seen_')}-grams in the training text"
        rows.append((label, [spread(one["training"][name]) for one in sets]))
    return rows


def slices(names: Sequence[str], sets: Sequence[dict[str, Any]]) -> list[str]:
    """A table per figure: slice by slice, then last over first; the slopes are a table of their own."""
    lines: list[str] = []
    for figure in sets[0]["slices"]:
        curves = [one["slices"][figure]["curve"] for one in sets]
        rows: list[Row] = []
        for i in range(max(map(len, curves))):
            points = [curve[i] if i < len(curve) else {"value": None, "texts": 0} for curve in curves]
            counted = "/".join(str(point["texts"]) for point in points)
            rows.append((f"{i + 1} ({counted})", [(point["value"], None) for point in points]))
        rows.append(("last / first", [spread(one["slices"][figure]["ratio"]) for one in sets]))
        lines += ["", f"## By slice: {figure}", "", *table("slice (texts)", names, rows)]
    lines += ["", "## Change a slice", "", "| figure | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for figure in sets[0]["slices"]:
        slopes = [one["slices"][figure] for one in sets]
        label = figure if figure == "entropy" else f"ln perplexity, {figure}"
        lines.append(f"| {label} | " + " | ".join(cell(one["slope"], one["slope_error"]) for one in slopes) + " |")
    return lines


def markdown(results: dict[str, Any]) -> str:
    """The whole report; human text is the first set."""
    names, sets = list(results["sets"]), list(results["sets"].values())
    settings = results["settings"]
    lines = table("figure", names, figures(sets))
    lines += [
        "",
        "Perplexity: over all texts as one, ± standard error (bootstrap over texts). Else: mean ± standard deviation over",
        f"texts. Entropy (nats) and distinct n-grams: the first {settings['first_words']} words of each text that has as",
        f'many; "together": {settings["texts_together"]} such texts of each set as one. Ratio: to the human text.',
    ]
    size = settings["slice_words"]
    if size and not any(one["slices"]["entropy"]["curve"] for one in sets):
        lines += ["", f"No text has two slices of {size} words."]
    elif size:
        lines += slices(names, sets)
        lines += [
            "",
            f"Slices of {size} words, each scored on its own, of texts that have two or more. Change a slice:",
            "least-squares slope, ± standard error.",
        ]
    return "\n".join(lines)
