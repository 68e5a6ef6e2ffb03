"""A bound on the negative log-likelihood of held-out text, for every variant: nats per token.

Diffusion models: prior + 1/2 integral of exp(-gamma) E|e - x0|^2 d gamma + reconstruction (Kingma et al. 2021, as
`drdiff eval` computes it). Masked models: the expectation of cross-entropy over the share hidden, over that share.
"""

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attention import Sparse
from batch import draw_mask, draw_noise, load_tokens, read_tokenizer
from calibration import Random, lambda_at
from export import Rounded, read_model
from files import InputError
from losses import start, token_loss
from model import alpha_sigma2
from pattern import Level, visible
from validate import second_inputs

BATCH_ROWS = 2048


@dataclass(frozen=True)
class Bound:
    """Mean over windows, and its standard error."""

    nats: float
    error: float
    tokens: int
    share: float
    windows: list[float]


def windows(tokens: np.ndarray, length: int, count: int) -> Tensor:
    """[count, length], spread evenly over the text."""
    whole = len(tokens) // length
    if whole == 0:
        raise InputError(f"the text has {len(tokens)} tokens: expected at least {length}")
    chosen = np.unique(np.linspace(0, whole - 1, min(count, whole)).round().astype(int))
    return torch.from_numpy(tokens[: whole * length].reshape(whole, length)[chosen])


def pattern_of(level: Level, length: int) -> Tensor | Sparse:
    """Blocks where the pattern is sparse and the text long enough for them to pay."""
    sparse = Sparse.of(level) if level["pattern"] == "hsa" else None
    return sparse if sparse and sparse.pays(length) else visible(level, length)


@torch.no_grad()
def diffusion_window(
    model: Rounded, text: Tensor, level: Level, draws: int, lam: float, rng: np.random.Generator
) -> tuple[float, float]:
    """(bound of one window in nats per token, mean share of the dearest choice)."""
    knots = np.array(model.config["schedule"]["gamma"])
    dim, length = model.config["embedding_dim"], len(text)
    t = (np.arange(draws) + rng.random()) / draws
    place = np.linspace(0, 1, len(knots))
    gamma = np.interp(t, place, knots)
    slope = (np.diff(knots) * (len(knots) - 1))[np.minimum((t * (len(knots) - 1)).astype(int), len(knots) - 2)]
    noise = draw_noise(gamma, np.zeros((draws, length), dtype=bool), dim, rng)
    e = model.table()[text]
    total, shares = 0.0, []
    per = max(1, BATCH_ROWS // length)
    for first in range(0, draws, per):
        part = slice(first, first + per)
        inputs = start(model, text, noise.part(part), level["anchors"], pattern_of(level, length))
        inputs = second_inputs(model, inputs, lam)
        hidden = model(inputs, lam)
        x0 = torch.softmax(model.logits(hidden.h, hidden.skip, model.table()), -1) @ model.table()
        error = (x0[:, level["anchors"] :] - e).double().square().sum((1, 2)).numpy()
        total += float((0.5 * np.exp(-gamma[part]) * slope[part] * error).sum()) / draws
        shares.append(float(hidden.share))
    return total / length + ends(model, e, text, rng), float(np.mean(shares))


def ends(model: Rounded, e: Tensor, text: Tensor, rng: np.random.Generator) -> float:
    """Prior and reconstruction, nats per token."""
    knots = model.config["schedule"]["gamma"]
    dim = model.config["embedding_dim"]
    alpha, sigma2 = (float(v) for v in alpha_sigma2(torch.tensor(knots[-1], dtype=torch.float64)))
    offset = (e - model.absorb).double().square().sum(-1).mean().item()
    prior = 0.5 * (dim * sigma2 + alpha**2 * offset - dim - dim * math.log(sigma2))
    alpha, sigma2 = (float(v) for v in alpha_sigma2(torch.tensor(knots[0], dtype=torch.float64)))
    eps = torch.from_numpy(rng.standard_normal(tuple(e.shape), dtype=np.float32))
    z = model.absorb + alpha * (e - model.absorb) + math.sqrt(sigma2) * eps
    logits = alpha / sigma2 * (z - (1 - alpha) * model.absorb) @ model.table().T
    return prior + float(torch.nn.functional.cross_entropy(logits, text))


@torch.no_grad()
def masked_window(
    model: Rounded, text: Tensor, level: Level, draws: int, lam: float, rng: np.random.Generator
) -> tuple[float, float]:
    """The same for a masked model."""
    length = len(text)
    total, shares = 0.0, []
    noise, share = draw_mask(draws, length, model.config["embedding_dim"], rng)
    per = max(1, BATCH_ROWS // length)
    for first in range(0, draws, per):
        part = slice(first, first + per)
        piece = noise.part(part)
        hidden = model(start(model, text, piece, level["anchors"], pattern_of(level, length)), lam)
        loss = (
            token_loss(model, hidden, model.table(), text.expand(piece.clean.shape), piece.clean)
            .sum(1)
            .double()
            .numpy()
        )
        total += float((loss / share[part]).sum()) / draws
        shares.append(float(hidden.share))
    return total / length, float(np.mean(shares))


def bound(
    model: Rounded, text: Tensor, level: Level, draws: int, seed: int, masked: bool = False, lam: float = 0.0
) -> Bound:
    """Over the windows [count, length]."""
    rng = np.random.default_rng(seed)
    of = masked_window if masked else diffusion_window
    found = [of(model, window, level, draws, lam, rng) for window in text]
    nats = np.array([value for value, _ in found])
    error = nats.std(ddof=1) / math.sqrt(len(nats)) if len(nats) > 1 else math.nan
    share = float(np.mean([share for _, share in found]))
    return Bound(float(nats.mean()), float(error), text.numel(), share, nats.round(5).tolist())


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model directory")
    parser.add_argument("--text", type=Path, required=True, help="one document per line")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--masked", action="store_true", help="the model is the masked control")
    parser.add_argument("--budget", type=float, help="share of the dearest choice's expert FLOPs")
    parser.add_argument("--random", action="store_true", help="experts are drawn at random, at the same budget")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        model = read_model(options.model, torch.float32)
        tokens = load_tokens(options.text, read_tokenizer(options.model / "tokenizer.json"))
        text = windows(tokens, options.length, options.windows)
        level = next((one for one in model.config["levels"] if options.length <= one["max_length"]), None)
        if level is None:
            raise InputError(f"--length {options.length}: the model's levels end at {model.config['levels'][-1]}")
        lam = lambda_at(model.config["budget"], options.budget) if options.budget else 0.0
        if options.random:
            model, lam = Random.of(model, options.budget, options.seed)
        found = bound(model, text, level, options.draws, options.seed, options.masked, lam)
    except (InputError, OSError) as error:
        print(f"bound: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
