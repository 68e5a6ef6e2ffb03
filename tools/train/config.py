"""The shipped model's configuration."""

from model import Config
from schedule import HIGH, KNOTS, LOW

LEVELS = [
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


def even_schedule() -> list[float]:
    """The table before any warp."""
    return [LOW + (HIGH - LOW) * i / (KNOTS - 1) for i in range(KNOTS)]


def base() -> Config:
    """Everything but what training and calibration decide."""
    return {
        "format": "drdiff-1",
        "vocab_size": 4096,
        "embedding_dim": 32,
        "model_dim": 192,
        "heads": 6,
        "layers": 4,
        "rotary_dim": 16,
        "rope_base": 10000.0,
        "time_dim": 128,
        "place_dim": 16,
        "norm_eps": 1e-6,
        "expert_widths": [0, 96, 192, 384],
        "top_k": 2,
        "eos_token": 0,
        "schedule": {"gamma": even_schedule()},
        "levels": LEVELS,
        "budget": {"default": 0.5, "lambda": []},
        "anchor_times": [0.75, 0.5, 0.25],
    }
