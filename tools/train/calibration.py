"""lambda(budget): the price of an expert's cost that brings the mean share to a budget; and routing at random."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from batch import DENSE, draw_clean, draw_noise, draw_text
from losses import start
from model import Config, Denoiser, Inputs
from pattern import visible
from validate import second_inputs

BUDGETS = [round(0.1 * i, 1) for i in range(1, 11)]
LARGEST = 64.0
GAP = 1e-3


@torch.no_grad()
def calibration_inputs(model: Denoiser, config: Config, tokens: np.ndarray, count: int) -> list[Inputs]:
    """Batches at t spread evenly, conditioned on a first prediction."""
    rng = np.random.default_rng(3)
    knots = np.array(config["schedule"]["gamma"])
    batches = []
    for first in range(0, count, 8):
        text = draw_text(tokens, 8, 128, rng)
        clean, _ = draw_clean(8, 128, rng)
        t = (np.arange(first, first + 8) + 0.5) / count
        noise = draw_noise(np.interp(t, np.linspace(0, 1, len(knots)), knots), clean, config["embedding_dim"], rng)
        inputs = start(model, text, noise, DENSE["anchors"], visible(DENSE, 128))
        batches.append(second_inputs(model, inputs))
    return batches


def solve(share: Callable[[float], float], budget: float) -> float:
    """lambda at which a falling share meets the budget, within +-LARGEST."""
    low, high = -LARGEST, LARGEST
    if share(high) >= budget:
        return LARGEST
    if share(low) <= budget:
        return -LARGEST
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) > budget else (low, middle)
    return (low + high) / 2


def calibrate(model: Denoiser, batches: list[Inputs]) -> dict[str, object]:
    """lambda for each budget."""

    @torch.no_grad()
    def share(lam: float) -> float:
        return float(np.mean([model(inputs, lam).share.item() for inputs in batches]))

    pairs: list[list[float]] = []
    for budget in BUDGETS:
        found = solve(share, budget)
        if pairs:
            found = min(found, pairs[-1][1] - GAP)
        pairs.append([budget, round(found, 4)])
    return {"default": round(share(0.0), 4), "lambda": pairs}


def lambda_at(budget: dict[str, list[list[float]]], wanted: float) -> float:
    """Linear between the calibrated pairs, held at the ends, as the library does it."""
    shares, lambdas = zip(*budget["lambda"], strict=True)
    return float(np.interp(wanted, shares, lambdas))


class Random(Denoiser):
    """Draws the experts at random instead of asking the router; gates are the router's."""

    generator: torch.Generator

    def choose(self, logits: Tensor, lam: float | Tensor) -> Tensor:
        """The top k of Gumbel noise, shifted by cost."""
        noise = torch.rand(logits.shape, generator=self.generator, dtype=logits.dtype)
        return super().choose(-torch.log(-torch.log(noise.clamp(1e-9, 1 - 1e-7))), lam)

    @staticmethod
    def of(model: Denoiser, budget: float, seed: int) -> tuple["Random", float]:
        """The same weights, and the lambda that brings the mean share to `budget`."""
        drawn = Random(model.config)
        drawn.load_state_dict(model.state_dict())
        drawn.requires_grad_(False)
        drawn.table = model.table  # type: ignore[method-assign]
        drawn.generator = torch.Generator().manual_seed(seed)

        def share(lam: float) -> float:
            chosen = drawn.choose(torch.zeros(20000, len(drawn.widths)), lam)
            return float(drawn.costs[chosen].sum(1).mean())

        return drawn, solve(share, budget)
