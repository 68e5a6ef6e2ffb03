"""The training loss of one batch, and the held-out numbers."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from batch import DENSE, Noise, corrupt, draw_noise, draw_text, first_inputs
from model import Denoiser, Hidden, Inputs, expectation
from pattern import Level, segments
from schedule import HIGH, LOW

TARGET_SHARE = 0.5


def second_inputs(model: Denoiser, inputs: Inputs, table: Tensor, feed_anchors: bool) -> Inputs:
    """Inputs conditioned on a first prediction (no gradient through it)."""
    with torch.no_grad():
        hidden = model(inputs)
        x0, entropy = expectation(model.logits(hidden.h, hidden.skip, table), table)
        z = inputs.z
    if feed_anchors:
        z = torch.cat([hidden.anchor.detach(), z[:, inputs.anchors :]], 1)
    return replace(inputs, z=z, self_x0=x0, difficulty=entropy)


def token_loss(model: Denoiser, hidden: Hidden, table: Tensor, text: Tensor, clean: Tensor) -> Tensor:
    """Cross-entropy [count, length] of the noisy text positions, 0 at clean ones."""
    anchors = hidden.anchor.shape[1]
    noisy = ~clean
    logits = model.logits(hidden.h[:, anchors:][noisy], hidden.skip[:, anchors:][noisy], table)
    loss = torch.zeros(text.shape, dtype=logits.dtype)
    return loss.masked_scatter(noisy, F.cross_entropy(logits, text[noisy], reduction="none"))


def anchor_loss(hidden: Hidden, table: Tensor, text: Tensor) -> Tensor:
    """Squared error to the mean clean embedding of each segment, which gets no gradient."""
    anchors = hidden.anchor.shape[1]
    member = F.one_hot(segments(text.shape[1], anchors), anchors).to(table.dtype)
    mean = torch.einsum("na,bne->bae", member / member.sum(0), table.detach()[text])
    return F.mse_loss(hidden.anchor, mean)


def step_loss(
    model: Denoiser, text: Tensor, noise: Noise, level: Level, rng: np.random.Generator
) -> tuple[Tensor, dict[str, float], np.ndarray]:
    """(loss, numbers for the log, mean loss per sequence)."""
    table = model.table()
    inputs = first_inputs(corrupt(table, model.absorb, text, noise), noise, level, model.config["vocab_size"])
    if rng.random() < 0.5:
        inputs = second_inputs(model, inputs, table, rng.random() < 0.5)
    # A share of steps runs at another budget, so that no routing is strange to the model.
    shifted = rng.random() < 0.2
    hidden = model(inputs, float(rng.uniform(-2, 2)) if shifted else 0.0)
    per_token = token_loss(model, hidden, table, text, noise.clean)
    noisy = (~noise.clean).sum()
    text_loss = per_token.sum() / noisy
    guide = anchor_loss(hidden, table, text)
    # No penalty on ||absorb||: its gradient keeps its size however small the loss asks m to be, so Adam takes m to 0.
    total = text_loss + 0.1 * guide
    if not shifted:
        total = total + 0.01 * hidden.balance + (hidden.share - TARGET_SHARE).square()
    numbers = {"loss": text_loss.item(), "anchor": guide.item()}
    if not shifted:
        numbers["share"] = hidden.share.item()
    per_sequence = per_token.detach().sum(1) / (~noise.clean).sum(1)
    return total, numbers, per_sequence.numpy()


def unigram(train: np.ndarray, held_out: np.ndarray, vocab: int) -> dict[str, float]:
    """Held-out cross-entropy under training frequencies, and the held-out text's own entropy."""
    counts = np.bincount(train, minlength=vocab) + 0.5
    own = np.bincount(held_out, minlength=vocab)
    p, q = counts / counts.sum(), own / own.sum()
    entropy = -(q[q > 0] * np.log(q[q > 0])).sum()
    return {"unigram_cross_entropy": float(-(q * np.log(p)).sum()), "unigram_entropy": float(entropy)}


@torch.no_grad()
def evaluate(model: Denoiser, held_out: np.ndarray, sequences: int = 96, length: int = 128) -> dict[str, object]:
    """Loss by gamma without any clean position, and the loss of 30% at pure noise among 70% clean."""
    texts = draw_text(held_out, sequences, length, np.random.default_rng(1))
    table = model.table()

    def mean(gamma: np.ndarray, clean: np.ndarray, text: Tensor, conditioned: bool, rng: np.random.Generator) -> float:
        noise = draw_noise(gamma, clean, model.config["embedding_dim"], rng)
        noise.absorbed[:] = False
        inputs = first_inputs(corrupt(table, model.absorb, text, noise), noise, DENSE, len(table))
        if conditioned:
            inputs = second_inputs(model, inputs, table, False)
        loss = token_loss(model, model(inputs), table, text, noise.clean)
        return float(loss.sum() / (~noise.clean).sum())

    def chunked(share: float, gamma: float, count: int, conditioned: bool) -> float:
        parts: list[float] = []
        rng = np.random.default_rng(2)  # the same noise for each, so that numbers compare
        for first in range(0, count, 16):
            text = texts[first : first + 16]
            clean = rng.random(tuple(text.shape)) < share
            parts.append(mean(np.full(len(text), gamma), clean, text, conditioned, rng))
        return round(float(np.mean(parts)), 4)

    grid: Callable[[bool], dict[str, float]] = lambda conditioned: {  # noqa: E731
        f"{gamma:g}": chunked(0.0, gamma, 32, conditioned) for gamma in np.arange(LOW + 0.5, HIGH, 1.0)
    }
    return {
        "by_gamma": grid(False),
        "by_gamma_self": grid(True),
        "masked": chunked(0.7, HIGH, sequences, False),
        "masked_self": chunked(0.7, HIGH, sequences, True),
    }
