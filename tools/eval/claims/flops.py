"""Floating-point operations of one step, by the formulas of docs/MODEL.md: 2 for a multiply-add, elementwise work left
out. Anchor rows count like text rows, as the network evaluates them all."""

from typing import Any

Config = dict[str, Any]


def level(config: Config, length: int) -> dict[str, Any]:
    """The attention level of a text of so many positions."""
    for one in config["levels"]:
        if length <= one["max_length"]:
            return one
    raise ValueError(f"{length} tokens: the model takes at most {config['levels'][-1]['max_length']}")


def distances(window: int, dilations: list[list[int]]) -> set[int]:
    """How far apart a query and a key may be that are neither global nor the same row."""
    return {*range(1, window + 1), *(r * m for r, k in dilations for m in range(1, k + 1))}


def pairs(pattern: dict[str, Any], length: int) -> int:
    """Pairs of a query and a key it sees, each once, over anchors and `length` text rows."""
    anchors = pattern["anchors"]
    rows = anchors + length
    if pattern["pattern"] == "dense":
        return rows * rows
    # Anchors see all rows and are seen by all; between text rows each distance counts in both directions.
    between = length + sum(2 * max(0, length - far) for far in distances(pattern["window"], pattern["dilations"]))
    return anchors * rows + length * anchors + between


def dearest(config: Config) -> int:
    """Expert FLOPs of one row in all layers, were the widest experts chosen: gate, up and down."""
    widest = sorted(config["expert_widths"])[-config["top_k"] :]
    return config["layers"] * 6 * config["model_dim"] * sum(widest)


def step(config: Config, length: int, share: float, pattern: dict[str, Any] | None = None) -> dict[str, float]:
    """FLOPs of one step of one text, part by part; `share` is that of the dearest choice that the experts take."""
    pattern = pattern or level(config, length)
    rows = pattern["anchors"] + length
    layers, dim, small = config["layers"], config["model_dim"], config["embedding_dim"]
    time = config["time_dim"]
    return {
        "input": 2 * rows * dim * (config["place_dim"] + 2 * small),
        "modulation": 2 * time * (2 * time + (6 * layers + 2) * dim),
        "projections": layers * 4 * 2 * rows * dim * dim,
        "attention": layers * 4 * dim * pairs(pattern, length),
        "router": layers * 2 * rows * len(config["expert_widths"]) * (dim + 1),
        "experts": share * rows * dearest(config),
        "vocabulary": 2 * rows * config["vocab_size"] * (dim + 2 * small),
        "anchors": 2 * rows * dim * small,
    }


def total(parts: dict[str, float]) -> float:
    """Of all parts."""
    return float(sum(parts.values()))
