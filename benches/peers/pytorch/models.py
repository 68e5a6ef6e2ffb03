"""One evaluation of whole models, drdiff against PyTorch, in turn: a table.

    python models.py [FILTER] [--device cpu] [--lengths 256,512,2048,8192] [--langflow DIR]

The shipped model is the trainer's own (`tools/train`): dense texts by attention written out and by SDPA, sparse ones in
blocks. LangFlow's is `tools/langflow/twin.py` on a checkpoint that `tools/langflow/checkpoint.py` wrote. drdiff's side is a
step of a run, which has the solver's update besides.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from turns import HEADING, Side, add_arguments, bench, compare, repository, set_threads, torch_side

for folder in ("train", "langflow"):
    sys.path.append(str(repository() / "tools" / folder))
import model as trainer  # noqa: E402
import twin  # noqa: E402
from attention import Sparse, masked  # noqa: E402
from export import read_model  # noqa: E402
from pattern import visible  # noqa: E402

LANGFLOW_LENGTH = 256


def fused(query: Tensor, key: Tensor, value: Tensor, _seen: Tensor) -> Tensor:
    """Attention of a dense text, where every key is seen."""
    return F.scaled_dot_product_attention(query, key, value)


def evaluation(model: trainer.Denoiser, text: int, device: str) -> tuple[Callable[[], Any], bool]:
    """One evaluation at noise, of all text rows; and whether it is dense."""
    config = model.config
    level = next(one for one in config["levels"] if text <= one["max_length"])
    anchors, dense = level["anchors"], level["pattern"] == "dense"
    rows, de = anchors + text, config["embedding_dim"]
    flag = torch.cat([torch.full((anchors,), 2), torch.zeros(text, dtype=torch.long)])[None].to(device)
    inputs = trainer.Inputs(
        z=torch.randn(1, rows, de, device=device),
        self_x0=torch.zeros(1, rows, de, device=device),
        flag=flag,
        difficulty=torch.full((1, rows), math.log(config["vocab_size"]), device=device),
        gamma=torch.tensor([2.0], device=device),
        anchors=anchors,
        pattern=visible(level, text).to(device) if dense else Sparse.of(level),
    )

    def call() -> tuple[Tensor, Tensor, Tensor]:
        hidden = model(inputs)
        table = model.table()
        logits = model.logits(hidden.h[:, anchors:], hidden.skip[:, anchors:], table)
        x0, entropy = trainer.expectation(logits, table)
        return x0, entropy, logits.argmax(-1)

    return call, dense


def with_attention(way: Callable[..., Tensor], call: Callable[[], Any]) -> Callable[[], Any]:
    """The same evaluation with another attention over masks."""

    def changed() -> Any:
        trainer.masked = way
        return call()

    return changed


Sides = tuple[Side, list[Side]]


def shipped(options: argparse.Namespace, text: int) -> Sides:
    """The shipped model at a length."""
    device = options.torch_device
    model = read_model(repository() / "models", torch.float32).to(device)
    call, dense = evaluation(model, text, device)
    ways = {"written out": masked, "SDPA": fused} if dense else {"blocks": masked}
    peers = [torch_side(name, device, with_attention(way, call)) for name, way in ways.items()]
    arguments = ["--step", str(text), "--runs", "1", "--model", str(repository() / "models")]
    return bench(options, arguments), peers


def langflow(options: argparse.Namespace, text: int) -> Sides:
    """LangFlow's size."""
    folder, device = options.langflow, options.torch_device
    weights = {name: x.to(device) for name, x in load_file(folder / "model.safetensors").items()}
    config = json.loads((folder / "config.json").read_text())
    z = torch.randn(1, text, config["hidden_size"], device=device)
    gamma = torch.tensor([2.0], device=device)

    def call() -> Any:
        return twin.evaluate(weights, config["n_heads"], z, torch.zeros_like(z), gamma)

    arguments = ["--step", str(text), "--runs", "1", "--model", str(folder)]
    return bench(options, arguments), [torch_side("twin", device, call)]


def lengths(text: str) -> list[int]:
    """Lengths with commas between."""
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--lengths", type=lengths, default=[256, 512, 2048, 8192])
    parser.add_argument("--langflow", type=Path, help="a checkpoint's folder")
    options = parser.parse_args()
    set_threads(options)
    print(HEADING, flush=True)
    models = [(f"shipped, N={text}", shipped, text) for text in options.lengths]
    if options.langflow:
        models.append((f"LangFlow, L={LANGFLOW_LENGTH}", langflow, LANGFLOW_LENGTH))
    for name, sides, text in models:
        if options.filter in name:
            ours, peers = sides(options, text)
            print("\n".join(compare(name, ours, peers, options.pairs)), flush=True)


if __name__ == "__main__":
    main()
