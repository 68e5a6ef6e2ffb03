"""Texts, clean positions, noise: everything that a training step draws."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from model import Inputs, alpha_sigma2
from pattern import Level, visible

DENSE: Level = {"pattern": "dense", "anchors": 8}
LONG: Level = {"pattern": "hsa", "window": 128, "dilations": [[16, 32]], "anchors": 16}


def load_tokens(path: Path, tokenizer: Tokenizer) -> np.ndarray:
    """All documents in order, `<eos>` (0) after each."""
    lines = path.read_text(encoding="utf-8").splitlines()
    parts = [np.array([*encoding.ids, 0], dtype=np.int64) for encoding in tokenizer.encode_batch(lines)]
    return np.concatenate(parts)


def draw_shape(rng: np.random.Generator) -> tuple[int, int, Level]:
    """(sequences, text tokens, level) of one step."""
    kind = rng.random()
    if kind < 0.2:
        return 2, 640, LONG
    if kind < 0.28:
        return 20, int(rng.integers(40, 81)), DENSE
    length = int(rng.integers(128, 161))
    if rng.random() < 0.7:
        return 10, length, DENSE
    window, stride, reach = [(16, 8, 4), (32, 16, 4)][rng.integers(2)]
    anchors = int(rng.choice([8, 16]))
    return 10, length, {"pattern": "hsa", "window": window, "dilations": [[stride, reach]], "anchors": anchors}


def draw_text(tokens: np.ndarray, count: int, length: int, rng: np.random.Generator) -> Tensor:
    """[count, length] windows of consecutive tokens."""
    start = rng.integers(0, len(tokens) - length, size=count)
    return torch.from_numpy(tokens[start[:, None] + np.arange(length)])


def draw_clean(count: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(clean [count, length], which rows hold clean positions at random); at least one stays noisy."""
    clean = np.zeros((count, length), dtype=bool)
    scattered = np.zeros(count, dtype=bool)
    for row in rng.permutation(count)[: count // 2]:
        kind = rng.random()
        if kind < 0.5:
            clean[row] = rng.random(length) < rng.random()
            scattered[row] = True
        elif kind < 0.75:
            clean[row, : rng.integers(1, length)] = True
        else:
            first, last = sorted(rng.choice(length + 1, size=2, replace=False))
            clean[row] = True
            clean[row, first:last] = False
        if clean[row].all():
            clean[row, rng.integers(length)] = False
    return clean, scattered


@dataclass
class Noise:
    """The random part of z, so that z can be rebuilt with gradients."""

    gamma: Tensor
    eps: Tensor
    clean: Tensor
    absorbed: Tensor


def draw_noise(gamma: np.ndarray, clean: np.ndarray, dim: int, rng: np.random.Generator) -> Noise:
    """Normal noise, and on half of the sequences rows that give way to the absorbing state."""
    count, length = clean.shape
    eps = torch.from_numpy(rng.standard_normal((count, length, dim), dtype=np.float32))
    sigma = 1 / np.sqrt(1 + np.exp(-gamma))
    rate = 0.15 * sigma * (rng.random(count) < 0.5)
    absorbed = rng.random((count, length)) < rate[:, None]
    return Noise(torch.from_numpy(gamma.astype(np.float32)), eps, torch.from_numpy(clean), torch.from_numpy(absorbed))


def corrupt(table: Tensor, absorb: Tensor, text: Tensor, noise: Noise) -> Tensor:
    """Text rows of z."""
    e = table[text]
    alpha, sigma2 = (value[:, None, None] for value in alpha_sigma2(noise.gamma))
    z = absorb + alpha * (e - absorb) + sigma2.sqrt() * noise.eps
    z = torch.where(noise.absorbed[..., None], absorb, z)
    return torch.where(noise.clean[..., None], e, z)


def first_inputs(z: Tensor, noise: Noise, level: Level, vocab: int) -> Inputs:
    """Inputs with nothing to condition on: no previous prediction, no anchor state."""
    count, length, dim = z.shape
    anchors = level["anchors"]
    rows = anchors + length
    flag = torch.full((count, rows), 2, dtype=torch.int64)
    flag[:, anchors:] = noise.clean.long()
    return Inputs(
        z=torch.cat([z.new_zeros(count, anchors, dim), z], 1),
        self_x0=z.new_zeros(count, rows, dim),
        flag=flag,
        difficulty=z.new_full((count, rows), float(np.log(vocab))),
        gamma=noise.gamma.to(z.dtype),
        anchors=anchors,
        mask=visible(level, length),
    )
