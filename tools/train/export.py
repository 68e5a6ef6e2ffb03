"""Writes a model directory from a checkpoint: rounded weights, calibrated budgets, a fixture."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from batch import DENSE, corrupt, draw_clean, draw_noise, draw_text, first_inputs, load_tokens
from fixture import write_fixture
from losses import evaluate, second_inputs, unigram
from model import Config, Denoiser, Inputs
from schedule import KNOTS

BUDGETS = [round(0.1 * i, 1) for i in range(1, 11)]
LARGEST = 64.0
GAP = 1e-3


def write_model(folder: Path, config: Config, model: Denoiser, tokenizer: Path) -> None:
    """config.json, tokenizer.json and f16 weights, the embedding's rows normalised first."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
        weights["embedding"] = model.table().half().contiguous()
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise SystemExit(f"export: {name}: not finite in f16")
    save_file(weights, folder / "model.safetensors", metadata={"format": config["format"]})
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    if tokenizer.resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer, folder / "tokenizer.json")


class Rounded(Denoiser):
    """A denoiser over stored weights: the embedding's rows are used as they are."""

    def table(self) -> torch.Tensor:
        """The stored rows."""
        return self.embedding


def read_model(folder: Path, dtype: torch.dtype) -> Rounded:
    """The model of a directory, computing in `dtype`."""
    config = json.loads((folder / "config.json").read_text())
    model = Rounded(config)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.to(dtype).requires_grad_(False).eval()


@torch.no_grad()
def calibration_inputs(model: Denoiser, config: Config, tokens: np.ndarray, count: int) -> list[Inputs]:
    """Batches at t spread evenly, conditioned on a first prediction."""
    rng = np.random.default_rng(3)
    knots = np.array(config["schedule"]["gamma"])
    batches = []
    for first in range(0, count, 8):
        text = draw_text(tokens, 8, 128, rng)
        clean, _ = draw_clean(8, 128, rng)
        t = (np.arange(first, first + 8) + 0.5) / count
        noise = draw_noise(np.interp(t, np.linspace(0, 1, len(knots)), knots), clean, config["embedding_dim"], rng)
        noise.absorbed[:] = False
        inputs = first_inputs(corrupt(model.table(), model.absorb, text, noise), noise, DENSE, config["vocab_size"])
        batches.append(second_inputs(model, inputs, model.table(), False))
    return batches


def calibrate(model: Denoiser, batches: list[Inputs]) -> dict[str, object]:
    """lambda for each budget, by bisection on the mean share of the dearest choice's cost."""

    @torch.no_grad()
    def share(lam: float) -> float:
        return float(np.mean([model(inputs, lam).share.item() for inputs in batches]))

    pairs: list[list[float]] = []
    for budget in BUDGETS:
        low, high = -LARGEST, LARGEST
        if share(high) >= budget:
            found = LARGEST
        elif share(low) <= budget:
            found = -LARGEST
        else:
            for _ in range(14):
                middle = (low + high) / 2
                low, high = (middle, high) if share(middle) > budget else (low, middle)
            found = (low + high) / 2
        if pairs:
            found = min(found, pairs[-1][1] - GAP)
        pairs.append([budget, round(found, 4)])
    return {"default": round(share(0.0), 4), "lambda": pairs}


def export(options: argparse.Namespace) -> None:
    """Checkpoint to model directory and fixture."""
    state = torch.load(options.checkpoint, weights_only=True)
    config = state["config"]
    config["schedule"] = {"gamma": [round(float(value), 6) for value in state["warp"]["gamma"]]}
    if len(config["schedule"]["gamma"]) != KNOTS or not (np.diff(config["schedule"]["gamma"]) > 0).all():
        raise SystemExit("export: the gamma table is not strictly increasing")
    model = Denoiser(config)
    model.load_state_dict(state["average"])
    write_model(options.out, config, model, options.tokenizer)
    rounded = read_model(options.out, torch.float32)
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    held_out = load_tokens(options.corpus / "validation.txt", tokenizer)
    config["budget"] = calibrate(rounded, calibration_inputs(rounded, config, held_out, options.calibration))
    write_model(options.out, config, model, options.tokenizer)
    numbers = evaluate(rounded, held_out)
    train = load_tokens(options.corpus / "train.txt", tokenizer)
    numbers |= unigram(train, held_out, config["vocab_size"]) | {"step": state["step"], "budget": config["budget"]}
    print(json.dumps(numbers, indent=1))
    if options.fixture:
        write_fixture(options.fixture, read_model(options.out, torch.float64), level_index=0, text=24, seed=5)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="model directory to write")
    parser.add_argument("--fixture", type=Path, help="safetensors file to write")
    parser.add_argument("--calibration", type=int, default=64, help="sequences for the budgets")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    export(options)


if __name__ == "__main__":
    main()
