"""Who sees whom: the attention pattern as a boolean matrix, straight from its definition."""

from typing import Any

import torch
from torch import Tensor

Level = dict[str, Any]


def visible(level: Level, text: int) -> Tensor:
    """[R, R] of bool, R = anchors + text, rows are queries."""
    if level["pattern"] == "dense":
        return torch.ones(level["anchors"] + text, level["anchors"] + text, dtype=torch.bool)
    if level["pattern"] != "hsa":
        raise ValueError(f"pattern {level['pattern']!r}: expected 'dense' or 'hsa'")
    anchors = level["anchors"]
    row = torch.arange(anchors + text)
    distance = (row[:, None] - row[None, :]).abs()
    seen = distance <= level["window"]
    for stride, reach in level["dilations"]:
        seen |= (distance % stride == 0) & (distance >= stride) & (distance <= stride * reach)
    is_global = row < anchors
    return seen | is_global[:, None] | is_global[None, :]


def segments(text: int, anchors: int) -> Tensor:
    """The segment of each text position: floor(i * A / n)."""
    return torch.arange(text) * anchors // text


def fractions(text: int, anchors: int) -> Tensor:
    """The place of each row: anchors first, f64."""
    parts = [(torch.arange(count, dtype=torch.float64) + 0.5) / max(count, 1) for count in (anchors, text)]
    return torch.cat(parts)
