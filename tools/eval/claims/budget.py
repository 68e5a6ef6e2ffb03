"""Likelihood, quality and experts' work by budget, and how much of a step the experts are."""

import argparse
from typing import Any

from claims import flops
from claims import options as read
from claims.binary import Drdiff
from claims.judging import QUALITY, Jury, legend, quality
from claims.tables import gather, percent, scientific, shown, spread, table
from texts import InputError

LENGTHS = (256, 512, 2048, 4096, 8192, 16384, 131072)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this claim."""
    read.texts(parser, length=256, count=4)
    read.human(parser)
    parser.add_argument("--budgets", default="0.3,0.4,0.5,0.6,0.7,0.8,0.9,1.0", help="comma-separated")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--window", type=int, default=512, help="tokens of a window of the likelihood")
    parser.add_argument("--windows", type=int, default=16, help="windows of it")
    parser.add_argument("--draws", type=int, default=4, help="noise levels a window")


def run(options: argparse.Namespace, drdiff: Drdiff) -> dict[str, Any]:
    """All figures."""
    read.check(options, length=1, count=1, steps=1, window=1, windows=1, draws=1)
    seeds = read.counts(options, "seeds", least=0)
    budgets = sorted(read.listed(options.budgets, "--budgets", lambda part: read.share(part, "--budgets")))
    jury = Jury(options.human)
    row = flops.dearest(drdiff.config)
    found: dict[float, dict[str, Any]] = {}
    for budget in budgets:
        bounds, judged = [], []
        for seed in seeds:
            bounds.append(drdiff.bound(options.human, seed, budget, options.window, options.windows, options.draws))
            made = drdiff.generate(
                seed, options.length, options.steps, options.count, budget=budget, prompt=options.prompt, routing=True
            )
            share = made.record["expert_share"]
            judged.append(jury.judge(made.samples) | {"expert_share": share, "expert_flops": share * row})
            made.record["figures"] = judged[-1]
        found[budget] = {"likelihood": gather(bounds), "samples": gather(judged)}
    most = found[budgets[-1]]["likelihood"]["nats_per_token"]["each"]
    for one in found.values():
        own = one["likelihood"]["nats_per_token"]["each"]
        # The same seed draws the same windows and noise, so most of the noise goes out of the difference.
        one["likelihood"]["over_most"] = spread([a - b for a, b in zip(own, most, strict=True)])
    longest = drdiff.config["levels"][-1]["max_length"]
    parts = {
        length: {str(share): flops.step(drdiff.config, length, share) for share in budgets}
        for length in LENGTHS
        if length <= longest
    }
    if not parts:
        raise InputError(f"the model takes at most {longest} tokens, {LENGTHS[0]} are needed")
    return {"budgets": found, "dearest": row, "flops": parts, "legend": legend(jury)}


def markdown(figures: dict[str, Any]) -> list[str]:
    """Likelihood and work, quality, then the experts' share of a step."""
    likelihood, samples = [], []
    for budget, one in figures["budgets"].items():
        bound, texts = one["likelihood"], one["samples"]
        error = spread(bound["error"]["each"])["mean"]
        row = [shown(bound["nats_per_token"]), "-" if error is None else f"{error:.3f}", shown(bound["over_most"])]
        row += [shown(bound["bits_per_byte"]), percent(bound["expert_share"]["mean"])]
        row += [percent(texts["expert_share"]["mean"]), scientific(texts["expert_flops"]["mean"])]
        likelihood.append([str(budget), *row])
        samples.append([str(budget), *quality(texts)])
    heads = ["budget", "bound, nats per token", "standard error", "over the largest budget", "bits per byte"]
    heads += ["share used, bound", "share used, samples", "expert FLOPs per token and step"]
    budgets = list(next(iter(figures["flops"].values())))
    parts = [
        [f"{length:,}", scientific(flops.total(one[budgets[-1]]))]
        + [percent(one[budget]["experts"] / flops.total(one[budget])) for budget in budgets]
        for length, one in figures["flops"].items()
    ]
    return [
        *table(heads, likelihood),
        "",
        "± is the standard deviation over seeds; the standard error is what `eval` says of one seed, their mean. The shares",
        f"are of the most expensive choice, {scientific(figures['dearest'])} FLOPs per row; that of samples is of the first",
        "text of each seed.",
        "",
        *table(["budget", *QUALITY], samples),
        *figures["legend"],
        "",
        *table(["tokens", f"FLOPs per step at {budgets[-1]}", *(f"experts at {budget}" for budget in budgets)], parts),
        "",
        "FLOPs by formula, the experts taking just their budget.",
    ]
