"""Writes a model directory from a checkpoint: rounded weights, calibrated budgets, a fixture."""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save

from batch import load_tokens, read_tokenizer
from calibration import calibrate, calibration_inputs
from files import InputError, replace_file
from fixture import write_fixture
from model import Config, Denoiser
from run import load_checkpoint
from schedule import KNOTS
from validate import evaluate, unigram


def write_model(folder: Path, config: Config, model: Denoiser, tokenizer: Path) -> None:
    """config.json, tokenizer.json and f16 weights, the embedding's rows normalised first."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
        weights["embedding"] = model.table().half().contiguous()
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{name}: not finite in f16")
    replace_file(folder / "model.safetensors", save(weights, metadata={"format": config["format"]}))
    replace_file(folder / "config.json", (json.dumps(config, indent=1) + "\n").encode())
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


def export(options: argparse.Namespace) -> None:
    """Checkpoint to model directory and fixture."""
    state = load_checkpoint(options.checkpoint)
    config = state["config"]
    config["schedule"] = {"gamma": [round(float(value), 6) for value in state["warp"]["gamma"]]}
    if len(config["schedule"]["gamma"]) != KNOTS or not (np.diff(config["schedule"]["gamma"]) > 0).all():
        raise InputError("the gamma table is not strictly increasing")
    model = Denoiser(config)
    model.load_state_dict(state["average"])
    write_model(options.out, config, model, options.tokenizer)
    rounded = read_model(options.out, torch.float32)
    tokenizer = read_tokenizer(options.tokenizer)
    held_out = load_tokens(options.corpus / "validation.txt", tokenizer)
    if options.temperature != 1.0:
        config["temperature"] = options.temperature
    config["budget"] = calibrate(rounded, calibration_inputs(rounded, config, held_out, options.calibration))
    write_model(options.out, config, model, options.tokenizer)
    numbers = evaluate(rounded, held_out)
    train = load_tokens(options.corpus / "train.txt", tokenizer)
    numbers |= unigram(train, held_out, config["vocab_size"]) | {"step": state["step"], "budget": config["budget"]}
    print(json.dumps(numbers, indent=1))
    if options.fixture:
        write_fixture(options.fixture, read_model(options.out, torch.float64), level_index=0, text=24, seed=5)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="model directory to write")
    parser.add_argument("--fixture", type=Path, help="safetensors file to write")
    parser.add_argument("--calibration", type=int, default=64, help="sequences for the budgets")
    parser.add_argument("--temperature", type=float, default=1.0, help="what sampling divides the logits by")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        export(options)
    except (InputError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
