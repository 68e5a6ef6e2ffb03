"""Texts, clean positions, noise: everything that a training step draws."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from attention import Sparse
from files import InputError, read_documents
from model import Inputs, alpha_sigma2
from pattern import Level, visible
from schedule import HIGH

DENSE: Level = {"pattern": "dense", "anchors": 8}


def read_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer file."""
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise InputError(f"{path}: not a tokenizer file: {error}") from error


def load_tokens(path: Path, tokenizer: Tokenizer) -> np.ndarray:
    """All documents in order, `<eos>` (0) after each."""
    parts = [np.array([*encoding.ids, 0], dtype=np.int64) for encoding in tokenizer.encode_batch(read_documents(path))]
    return np.concatenate(parts)


@dataclass(frozen=True)
class Shape:
    """One kind of step: how often, how many sequences of how many tokens, under which levels."""

    share: float
    count: int
    length: int
    levels: tuple[Level, ...]
    blocks: bool = False

    def pattern(self, level: Level) -> Tensor | Sparse:
        """In blocks where that is said and the level is sparse, else as a matrix."""
        if self.blocks and level["pattern"] == "hsa":
            return Sparse.of(level)
        return visible(level, self.length)


def draw_shape(shapes: tuple[Shape, ...], rng: np.random.Generator) -> tuple[Shape, Level]:
    """A kind of step and one of its levels."""
    shares = np.array([shape.share for shape in shapes])
    shape = shapes[rng.choice(len(shapes), p=shares / shares.sum())]
    return shape, shape.levels[rng.integers(len(shape.levels))]


def draw_text(tokens: np.ndarray, count: int, length: int, rng: np.random.Generator) -> Tensor:
    """[count, length] windows of consecutive tokens."""
    if len(tokens) <= length:
        raise InputError(f"the text has {len(tokens)} tokens: expected more than {length}")
    start = rng.integers(0, len(tokens) - length, size=count)
    return torch.from_numpy(tokens[start[:, None] + np.arange(length)])


def draw_clean(count: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(clean [count, length], which rows hold clean positions at random); at least one stays noisy.

    Half of the sequences have some: of these three in five at random, one a prefix, one all but a gap.
    """
    clean = np.zeros((count, length), dtype=bool)
    scattered = np.zeros(count, dtype=bool)
    for row in np.flatnonzero(rng.random(count) < 0.5):
        kind = rng.random()
        if kind < 0.6:
            clean[row] = rng.random(length) < rng.uniform(0.4, 0.95)
            scattered[row] = True
        elif kind < 0.8:
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

    def part(self, rows: slice) -> "Noise":
        """Of some sequences."""
        return Noise(self.gamma[rows], self.eps[rows], self.clean[rows], self.absorbed[rows])


def draw_noise(gamma: np.ndarray, clean: np.ndarray, dim: int, rng: np.random.Generator, absorb: bool = False) -> Noise:
    """Normal noise; with `absorb`, half of the sequences have rows that give way to the absorbing state."""
    count, length = clean.shape
    eps = torch.from_numpy(rng.standard_normal((count, length, dim), dtype=np.float32))
    sigma = 1 / np.sqrt(1 + np.exp(-gamma))
    rate = 0.15 * sigma * (rng.random(count) < 0.5) * absorb
    absorbed = rng.random((count, length)) < rate[:, None]
    return Noise(torch.from_numpy(gamma.astype(np.float32)), eps, torch.from_numpy(clean), torch.from_numpy(absorbed))


def draw_mask(count: int, length: int, dim: int, rng: np.random.Generator) -> tuple[Noise, np.ndarray]:
    """A masked language model's input: hidden rows are the absorbing state; also the share hidden, per sequence."""
    share = np.maximum((np.arange(count) + rng.random()) / count, 1 / length)
    rng.shuffle(share)
    hidden = rng.random((count, length)) < share[:, None]
    hidden[np.arange(count), rng.integers(length, size=count)] |= ~hidden.any(1)
    noise = draw_noise(np.full(count, HIGH), ~hidden, dim, rng)
    noise.absorbed[:] = True
    return noise, share


def corrupt(table: Tensor, absorb: Tensor, text: Tensor, noise: Noise) -> Tensor:
    """Text rows of z."""
    e = table[text]
    alpha, sigma2 = (value[:, None, None] for value in alpha_sigma2(noise.gamma))
    z = absorb + alpha * (e - absorb) + sigma2.sqrt() * noise.eps
    z = torch.where(noise.absorbed[..., None], absorb, z)
    return torch.where(noise.clean[..., None], e, z)


def first_inputs(z: Tensor, noise: Noise, anchors: int, pattern: Tensor | Sparse, vocab: int) -> Inputs:
    """Inputs with nothing to condition on: no previous prediction, no anchor state."""
    count, length, dim = z.shape
    rows = anchors + length
    flag = torch.full((count, rows), 2, dtype=torch.int64, device=z.device)
    flag[:, anchors:] = noise.clean.long()
    return Inputs(
        z=torch.cat([z.new_zeros(count, anchors, dim), z], 1),
        self_x0=z.new_zeros(count, rows, dim),
        flag=flag,
        difficulty=z.new_full((count, rows), float(np.log(vocab))),
        gamma=noise.gamma.to(z.dtype),
        anchors=anchors,
        pattern=pattern,
    )
