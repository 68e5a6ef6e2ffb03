"""The models that are trained: sizes, and the variants that are compared."""

import argparse
from dataclasses import dataclass, field

from batch import DENSE, Shape
from losses import Weights
from model import Config
from pattern import Level
from schedule import HIGH, KNOTS, LOW

LEVELS: list[Level] = [
    {"max_length": 512, "pattern": "dense", "anchors": 8},
    {"max_length": 4096, "pattern": "hsa", "window": 128, "dilations": [[16, 32]], "anchors": 16},
    {"max_length": 8192, "pattern": "hsa", "window": 128, "dilations": [[16, 32], [64, 32]], "anchors": 32},
    {
        "max_length": 131072,
        "pattern": "hsa",
        "window": 128,
        "dilations": [[16, 32], [64, 32], [256, 32]],
        "anchors": 64,
    },
]
SIZES: dict[str, dict[str, int | list[int]]] = {
    "base": {"model_dim": 192, "heads": 6, "layers": 4, "time_dim": 128, "expert_widths": [0, 96, 192, 384]},
    "small": {"model_dim": 96, "heads": 3, "layers": 4, "time_dim": 64, "expert_widths": [0, 48, 96, 192]},
}


@dataclass(frozen=True)
class Recipe:
    """How a model is trained, beside its configuration."""

    shapes: tuple[Shape, ...]
    weights: Weights = field(default_factory=Weights)
    masked: bool = False
    sas: bool = True


PATTERNS = ("dense", "longformer", "hsa")


def parse_patterns(text: str) -> list[str]:
    """Names of patterns, as an argument."""
    for name in text.split(","):
        if name not in PATTERNS:
            raise argparse.ArgumentTypeError(f"{name!r}: expected some of {', '.join(PATTERNS)}")
    return text.split(",")


def parse_lengths(text: str) -> list[int]:
    """Lengths of texts, as an argument."""
    for part in text.split(","):
        if not part.isascii() or not part.isdigit() or int(part) == 0:
            raise argparse.ArgumentTypeError(f"{part!r}: expected lengths in tokens, such as 1024,2048")
    return [int(part) for part in text.split(",")]


def level_of(pattern: str, length: int) -> Level:
    """The level beyond dense texts that the table has at a length, or its rival with as many anchors; the local one
    has as many keys a query as the dilated one."""
    level = next(one for one in LEVELS[1:] if length <= one["max_length"])
    if pattern == "dense":
        return {"max_length": level["max_length"], "pattern": "dense", "anchors": level["anchors"]}
    keys = sum(reach for _, reach in level["dilations"])
    return level if pattern == "hsa" else level | {"window": level["window"] + keys, "dilations": []}


def short(window: int, *dilations: list[int]) -> Level:
    """A sparse level scaled down to a short text."""
    return {"pattern": "hsa", "window": window, "dilations": list(dilations), "anchors": 8}


def shipped_shapes() -> tuple[Shape, ...]:
    """Short texts for most of the work; each level of the table at its own pattern on texts shorter than its own."""
    _, second, third, fourth = LEVELS
    return (
        Shape(0.68, 12, 128, (DENSE, DENSE, DENSE, short(16, [8, 4]), short(32, [16, 4]))),
        Shape(0.08, 24, 64, (DENSE,)),
        Shape(0.14, 2, 640, (second, second | {"window": 32, "dilations": [[4, 16], [16, 16]]})),
        Shape(0.04, 1, 2048, (second,), blocks=True),
        Shape(0.03, 1, 2048, (third,), blocks=True),
        Shape(0.03, 1, 1024, (fourth,)),
    )


def control_shapes(long: Level) -> tuple[Shape, ...]:
    """Controls see 128 positions, dense, and 1,024 under the level that is compared."""
    return Shape(0.6, 12, 128, (DENSE,)), Shape(0.4, 2, 1024, (long,), blocks=True)


VARIANTS = ("drdiff", "dense", "longformer", "one-width", "dense-ffn", "no-sas", "masked")


def even_schedule() -> list[float]:
    """The table before any warp."""
    return [LOW + (HIGH - LOW) * i / (KNOTS - 1) for i in range(KNOTS)]


def base(size: str = "base", vocab: int = 4096) -> Config:
    """Everything but what training and calibration decide."""
    return {
        "format": "drdiff-1",
        "vocab_size": vocab,
        "embedding_dim": 32,
        "rotary_dim": 16,
        "rope_base": 10000.0,
        "place_dim": 16,
        "norm_eps": 1e-6,
        "top_k": 2,
        "eos_token": 0,
        "schedule": {"gamma": even_schedule()},
        "levels": LEVELS,
        "budget": {"default": 0.5, "lambda": []},
        "anchor_times": [0.75, 0.5, 0.25],
        **SIZES[size],
    }


def variant(name: str, size: str, vocab: int = 4096) -> tuple[Config, Recipe]:
    """A configuration and its recipe; expert FLOPs per token are the same in all of them."""
    config = base(size, vocab)
    if size == "base" and name == "drdiff":
        return config, Recipe(shipped_shapes())
    long = level_of("hsa", 1024)
    free = Weights(balance=0.0, share=0.0)
    widths = config["expert_widths"]
    spent = sum(sorted(widths)[-2:]) // 2
    if name == "dense":
        long = level_of("dense", 1024) | {"max_length": 131072}
        config["levels"] = [LEVELS[0], long]
    elif name == "longformer":
        long = level_of("longformer", 1024)
        config["levels"] = [LEVELS[0], long | {"max_length": 131072}]
    elif name == "one-width":
        config["expert_widths"] = [spent // 2] * len(widths)
        return config, Recipe(control_shapes(long), Weights(share=0.0))
    elif name == "dense-ffn":
        config |= {"expert_widths": [spent], "top_k": 1}
        return config, Recipe(control_shapes(long), free)
    elif name == "no-sas":
        return config, Recipe(control_shapes(long), Weights(anchor=0.0), sas=False)
    elif name == "masked":
        return config, Recipe(control_shapes(long), Weights(anchor=0.0), masked=True, sas=False)
    elif name != "drdiff":
        raise ValueError(f"variant {name!r}: expected one of {', '.join(VARIANTS)}")
    return config, Recipe(control_shapes(long))
