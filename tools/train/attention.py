"""Attention of the trainer: dense with a mask, and the sparse pattern in blocks, which costs O(N).

The blocks hold the pattern's keys and some more; a mask keeps each key once, by the owner that the library gives it:
global, else local, else the first dilation that holds it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pattern import Level


@dataclass(frozen=True)
class Sparse:
    """A pattern to be computed in blocks; `anchors` rows ahead of the text are the globals."""

    window: int
    dilations: tuple[tuple[int, int], ...]
    anchors: int

    @staticmethod
    def of(level: Level) -> "Sparse":
        """The pattern of an `hsa` level."""
        return Sparse(level["window"], tuple((r, k) for r, k in level["dilations"]), level["anchors"])

    def parts(self) -> list[tuple[int, int]]:
        """(stride, block) of the local part and of each dilation."""
        return [(1, max(self.window, 1)), *self.dilations]

    def padded(self, text: int) -> int:
        """Positions that the blocks cover: whole ones of every part."""
        return text + -text % math.lcm(*(stride * block for stride, block in self.parts()))

    def pays(self, text: int) -> bool:
        """Whether the blocks hold fewer scores than the whole matrix."""
        return self.padded(text) * (self.anchors + sum(3 * block for _, block in self.parts())) < text**2


def widen(x: Tensor) -> Tensor:
    """At least f32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def masked(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    """[B, H, R, Dh] over the keys that `seen` [R, R] allows.

    Written out: on a processor, the fused kernel is slower than this at the lengths that training uses.
    """
    scores = widen(query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
    return torch.softmax(scores.masked_fill(~seen, float("-inf")), -1).to(value.dtype) @ value


def fold(x: Tensor, stride: int, block: int) -> Tensor:
    """[B, H, N, Dh] to [B, H, stride, blocks, block, Dh], by residue class; N is a multiple of stride * block."""
    b, h, n, d = x.shape
    return x.view(b, h, n // (stride * block), block, stride, d).permute(0, 1, 4, 2, 3, 5)


def unfold(x: Tensor) -> Tensor:
    """The inverse of `fold`."""
    b, h, stride, blocks, block, d = x.shape
    return x.permute(0, 1, 3, 4, 2, 5).reshape(b, h, blocks * block * stride, d)


def around(x: Tensor) -> Tensor:
    """Each block with its two neighbours: [B, H, stride, blocks, 3 block, Dh], zeros beyond the ends."""
    wide = F.pad(x, (0, 0, 0, 0, 1, 1))
    return torch.cat([wide[..., :-2, :, :], wide[..., 1:-1, :, :], wide[..., 2:, :, :]], -2)


def owned(pattern: Sparse, part: int, stride: int, block: int, blocks: int, text: int, device: torch.device) -> Tensor:
    """[stride, blocks, block, 3 block]: the keys of `around` that belong to part 0 (local) or to dilation part - 1."""
    residue = torch.arange(stride, device=device)[:, None, None, None]
    first = torch.arange(blocks, device=device)[None, :, None, None] * block
    query = first + torch.arange(block, device=device)[None, None, :, None]
    key = first - block + torch.arange(3 * block, device=device)[None, None, None, :]
    distance = (query - key).abs() * stride
    inside = (key >= 0) & (key * stride + residue < text)
    if part == 0:
        return inside & (distance <= pattern.window)
    reach = pattern.dilations[part - 1][1]
    mine = inside & (distance <= stride * reach) & (distance > pattern.window)
    for r, k in pattern.dilations[: part - 1]:
        mine &= (distance % r != 0) | (distance > r * k)
    return mine


def sparse(query: Tensor, key: Tensor, value: Tensor, pattern: Sparse) -> Tensor:
    """[B, H, R, Dh]: the same result as `masked` with the pattern's matrix."""
    anchors, text = pattern.anchors, query.shape[2] - pattern.anchors
    scale = query.shape[-1] ** -0.5
    top = torch.softmax(widen(query[:, :, :anchors] @ key.transpose(-1, -2)) * scale, -1).to(value.dtype) @ value
    parts, padding = pattern.parts(), pattern.padded(text) - text
    q, k, v = (F.pad(x[:, :, anchors:], (0, 0, 0, padding)) for x in (query, key, value))
    scores = [widen(q @ key[:, :, :anchors].transpose(-1, -2)) * scale]
    for part, (stride, block) in enumerate(parts):
        folded = fold(q, stride, block)
        s = widen(folded @ around(fold(k, stride, block)).transpose(-1, -2)) * scale
        mine = owned(pattern, part, stride, block, folded.shape[3], text, q.device)
        scores.append(unfold(s.masked_fill(~mine, float("-inf"))))
    widths = [s.shape[-1] for s in scores]
    probability = torch.softmax(torch.cat(scores, -1), -1).to(value.dtype).split(widths, -1)
    out = probability[0] @ value[:, :, :anchors]
    for (stride, block), p in zip(parts, probability[1:], strict=True):
        out = out + unfold(fold(p, stride, block) @ around(fold(v, stride, block)))
    return torch.cat([top, out[:, :, :text]], 2)
