"""Quality by number of steps, for each solver, and how few steps do as well as many of the first order."""

import argparse
from collections.abc import Mapping
from typing import Any

from claims import options as read
from claims.binary import Drdiff
from claims.judging import QUALITY, Jury, legend, quality
from claims.tables import Figure, gather, mean_shown, over, table

ANCHORED = "multistep+anchors"
# The solver, and whether anchors guide it.
METHODS = {
    "ancestral": ("ancestral", False),
    "first-order": ("first-order", False),
    "multistep": ("multistep", False),
    ANCHORED: ("multistep", True),
}
REFERENCE = "first-order"
# What entropy is compared.
ALONE, BESIDE = "entropy", "entropy over human"

# What is also compared seed by seed.
PAIRED = ("perplexity", "entropy_ratio", "distinct_2_ratio")

Cell = Mapping[str, Figure]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this claim."""
    read.texts(parser, length=256, count=4)
    read.human(parser)
    parser.add_argument("--methods", default=",".join(METHODS), help=f"comma-separated; {REFERENCE} comes in any case")
    parser.add_argument("--steps", default="5,10,15,20,30,50,100,200", help="numbers of steps, comma-separated")
    parser.add_argument("--reference", type=int, default=100, help=f"steps of {REFERENCE} to compare the others with")
    parser.add_argument("--guidance", type=float, default=0.5, help=f"strength in {ANCHORED}")


def good(cell: Cell, reference: Cell, beside_human: bool) -> bool:
    """Perplexity at most the reference's mean and deviation, entropy at least its mean less the deviation. Beside
    human: the entropy over that of as many human words, which texts that end early do not lower, and of which no more
    than 1 is asked, as more is no merit."""
    name = "entropy_ratio" if beside_human else "entropy"
    perplexity, varied = cell["perplexity"]["mean"], cell[name]["mean"]
    most, least = reference["perplexity"]["mean"], reference[name]["mean"]
    if None in (perplexity, varied, most, least):
        return False
    least = min(least, 1.0) if beside_human else least
    return perplexity <= most + (reference["perplexity"]["sd"] or 0.0) and varied >= least - (
        reference[name]["sd"] or 0.0
    )


def smallest(cells: Mapping[int, Cell], reference: Cell, beside_human: bool = False) -> dict[str, int | None]:
    """The smallest number of steps that is good, and the smallest from which on all are."""
    steps = sorted(cells)
    reached = [step for step in steps if good(cells[step], reference, beside_human)]
    kept = [step for step in steps if all(other in reached for other in steps if other >= step)]
    return {"reached": min(reached, default=None), "kept": min(kept, default=None)}


def paired(cell: Cell, reference: Cell) -> dict[str, Figure]:
    """Figures over the reference's, seed by seed: the same seed begins with the same noise."""
    return {name: over(cell[name]["each"], reference[name]["each"]) for name in PAIRED}


def run(options: argparse.Namespace, drdiff: Drdiff) -> dict[str, Any]:
    """All figures."""
    read.check(options, length=1, count=1, reference=1)
    read.check_guidance(options, above=0.0)
    steps = sorted({*read.counts(options, "steps"), options.reference})
    seeds = read.counts(options, "seeds", least=0)
    methods = {*read.chosen(options, "methods", METHODS), REFERENCE}
    jury = Jury(options.human)
    grid: dict[str, dict[int, Any]] = {}
    for name, (method, anchored) in METHODS.items():
        if name not in methods:
            continue
        grid[name] = {}
        for step in steps:
            judged = []
            for seed in seeds:
                guidance = options.guidance if anchored else 0.0
                made = drdiff.generate(
                    seed, options.length, step, options.count, method, guidance, prompt=options.prompt
                )
                judged.append(jury.judge(made.samples))
                made.record.update(name=name, figures=judged[-1])
            grid[name][step] = gather(judged)
    reference = grid[REFERENCE][options.reference]
    fewest = {
        name: {rule: smallest(cells, reference, rule == BESIDE) for rule in (ALONE, BESIDE)}
        for name, cells in grid.items()
    }
    ratios = {name: {step: paired(cell, reference) for step, cell in cells.items()} for name, cells in grid.items()}
    return {"grid": grid, "over": ratios, "fewest": fewest, "reference": options.reference, "legend": legend(jury)}


def markdown(figures: dict[str, Any]) -> list[str]:
    """The grid, then the fewest steps."""
    rows = [
        [f"{name}, {step}", *quality(cell)] for name, cells in figures["grid"].items() for step, cell in cells.items()
    ]

    def said(value: int | None) -> str:
        """A number of steps."""
        return "not reached" if value is None else str(value)

    fewest = [
        [name, *(said(one[rule][which]) for rule in (ALONE, BESIDE) for which in ("reached", "kept"))]
        for name, one in figures["fewest"].items()
    ]
    heads = ["fewest steps", "and at all more", f"by {BESIDE}: fewest", "and at all more"]
    beside = [
        [f"{name}, {step}", *(mean_shown(cell[figure]) for figure in PAIRED)]
        for name, cells in figures["over"].items()
        for step, cell in cells.items()
    ]
    reference = f"{REFERENCE} at {figures['reference']} steps"
    return [
        *table(["method, steps", *QUALITY], rows),
        *figures["legend"],
        "",
        *table(
            [f"over {reference}, seed by seed", "trigram perplexity", "entropy over human", "distinct-2 over human"],
            beside,
        ),
        "",
        "Mean over seeds ± its standard error.",
        "",
        *table([f"as good as {reference}", *heads], fewest),
        "",
        "As good: perplexity at most its mean + sd, and entropy at least its mean - sd, over seeds. By entropy over human:",
        "the same of that ratio, of which no more than 1 is asked: texts that end early do not lower it, and entropy above",
        "the human one is no merit.",
    ]
