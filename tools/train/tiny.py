"""Writes a tiny model with random weights, its tokenizer and a fixture for each level."""

import argparse
import math
from pathlib import Path

import torch
from torch import nn

from export import read_model, write_model
from fixture import write_fixture
from model import Config, Denoiser
from tokenizer import train

VOCAB = 288
TEXTS = (27, 70, 150)
PARAGRAPH = (
    "In the beginning there was the word, and the word was short. The night came over the hills, "
    "and the men of the city went out to the fields. They said to one another: what is this that we "
    "have seen? And the people gave an answer and said, It is the light of the morning on the water."
)


def config(gamma: list[float]) -> Config:
    """Three levels, so that each pattern is met on short texts."""
    local = {"pattern": "hsa", "window": 4}
    return {
        "format": "drdiff-1",
        "vocab_size": VOCAB,
        "embedding_dim": 16,
        "model_dim": 32,
        "heads": 2,
        "layers": 2,
        "rotary_dim": 8,
        "rope_base": 10000.0,
        "time_dim": 32,
        "place_dim": 8,
        "norm_eps": 1e-6,
        "expert_widths": [0, 16, 32],
        "top_k": 2,
        "eos_token": 0,
        "schedule": {"gamma": gamma},
        "levels": [
            {"max_length": 32, "pattern": "dense", "anchors": 4},
            {"max_length": 128, **local, "dilations": [[4, 3]], "anchors": 4},
            {"max_length": 512, **local, "dilations": [[4, 3], [8, 2]], "anchors": 8},
        ],
        "budget": {"default": 0.6, "lambda": [[0.2, 3.0], [0.5, 0.5], [0.8, -1.0], [1.0, -6.0]]},
        "anchor_times": [0.75, 0.5, 0.25],
    }


def randomize(model: Denoiser, seed: int) -> None:
    """Every weight random, at a scale that keeps activations near one."""
    generator = torch.Generator().manual_seed(seed)

    def fill(parameter: nn.Parameter, std: float) -> None:
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)

    gains = {"modulation.weight": 0.5, "output.unembed": 1.0, "router.weight": 1.0}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            gain = next((value for key, value in gains.items() if name.endswith(key)), 1.0)
            if name == "embedding":
                fill(parameter, 1.0)
            elif name.endswith("router.difficulty") or name == "absorb":
                fill(parameter, 0.3)
            elif name == "modulation.bias":
                fill(parameter, 0.5)
            elif name.endswith("experts.down"):
                fill(parameter, 1 / math.sqrt(16))
            elif parameter.ndim > 1:
                fill(parameter, gain / math.sqrt(parameter.shape[1]))
            else:
                fill(parameter, 0.2)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="model directory to write")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    tokenizer = train([PARAGRAPH], VOCAB)
    if tokenizer.get_vocab_size() != VOCAB:
        raise SystemExit(f"tiny: {tokenizer.get_vocab_size()} pieces, expected {VOCAB}")
    tokenizer.save(str(options.out / "tokenizer.json"))
    # Uneven on purpose: steps of the table differ.
    gamma = [round(-1.5 + 10 * (i / 32) ** 1.3, 6) for i in range(33)]
    torch.manual_seed(0)
    model = Denoiser(config(gamma))
    randomize(model, 11)
    unigram = torch.randn(model.config["model_dim"], generator=torch.Generator().manual_seed(12)) * 0.5
    write_model(options.out, config(gamma), model, options.out / "tokenizer.json", unigram)
    exact = read_model(options.out, torch.float64)
    for level, text in enumerate(TEXTS):
        write_fixture(options.out / f"logits-{level}.safetensors", exact, level, text, 20 + level)


if __name__ == "__main__":
    main()
