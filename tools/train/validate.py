"""Held-out numbers of a model."""

import numpy as np
import torch
from torch import Tensor

from batch import DENSE, Noise, draw_noise, draw_text
from losses import condition, predict, start, token_loss
from model import Denoiser, Inputs, expectation
from pattern import visible
from schedule import HIGH, LOW


def unigram(train: np.ndarray, held_out: np.ndarray, vocab: int) -> dict[str, float]:
    """Held-out cross-entropy under training frequencies, and the held-out text's own entropy."""
    counts = np.bincount(train, minlength=vocab) + 0.5
    own = np.bincount(held_out, minlength=vocab)
    p, q = counts / counts.sum(), own / own.sum()
    entropy = -(q[q > 0] * np.log(q[q > 0])).sum()
    return {"unigram_cross_entropy": float(-(q * np.log(p)).sum()), "unigram_entropy": float(entropy)}


@torch.no_grad()
def second_inputs(model: Denoiser, inputs: Inputs, lam: float = 0.0) -> Inputs:
    """Inputs conditioned on a first prediction, no anchor states; in the model's own precision."""
    table = model.table()
    hidden = model(inputs, lam)
    return condition(inputs, *expectation(model.logits(hidden.h, hidden.skip, table), table), None)


@torch.no_grad()
def mean_loss(model: Denoiser, text: Tensor, noise: Noise, conditioned: bool) -> float:
    """Cross-entropy of the noisy positions at the dense level."""
    inputs = start(model, text, noise, DENSE["anchors"], visible(DENSE, text.shape[1]))
    if conditioned:
        x0, entropy, _ = predict(model, inputs)
        inputs = condition(inputs, x0, entropy, None)
    loss = token_loss(model, model(inputs), model.table(), text, noise.clean)
    return float(loss.sum() / (~noise.clean).sum())


def evaluate(model: Denoiser, held_out: np.ndarray, sequences: int = 96, length: int = 128) -> dict[str, object]:
    """Loss by gamma without any clean position, conditioned on a first prediction; and the loss of 30% at pure noise
    among 70% clean."""
    texts = draw_text(held_out, sequences, length, np.random.default_rng(1))

    def chunked(share: float, gamma: float, count: int, conditioned: bool) -> float:
        parts: list[float] = []
        rng = np.random.default_rng(2)  # the same noise for each, so that numbers compare
        for first in range(0, count, 16):
            text = texts[first : first + 16]
            clean = rng.random(tuple(text.shape)) < share
            noise = draw_noise(np.full(len(text), gamma), clean, model.config["embedding_dim"], rng)
            parts.append(mean_loss(model, text, noise, conditioned))
        return round(float(np.mean(parts)), 4)

    by_gamma = {f"{gamma:g}": chunked(0.0, gamma, 32, True) for gamma in np.arange(LOW + 0.5, HIGH, 1.0)}
    return {"by_gamma": by_gamma, "masked": chunked(0.7, HIGH, sequences, False)}
