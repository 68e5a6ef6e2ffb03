"""Writes a model directory from a checkpoint: rounded weights, calibrated budgets, a fixture."""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from batch import load_tokens, read_tokenizer
from calibration import calibrate, calibration_inputs
from files import InputError, replace_file
from fixture import write_fixture
from model import Config, Denoiser
from run import load_checkpoint
from schedule import KNOTS
from validate import evaluate
from validate import unigram as frequencies


def unigram_direction(unembed: Tensor, tokens: np.ndarray) -> Tensor:
    """[D]: the direction whose product with `unembed` is nearest to the log-frequencies of the tokens, but for a
    constant; squared errors count by the root of the frequency."""
    counts = np.bincount(tokens, minlength=len(unembed)) + 0.5
    share = torch.from_numpy(counts / counts.sum())
    weight = share.pow(0.25)[:, None]
    terms = torch.cat([unembed.double(), torch.ones(len(unembed), 1, dtype=torch.float64)], 1)
    found = torch.linalg.lstsq(terms * weight, share.log()[:, None] * weight, driver="gelsd").solution
    return found[:-1, 0].float()


def write_model(folder: Path, config: Config, model: Denoiser, tokenizer: Path, unigram: Tensor | None = None) -> None:
    """config.json, tokenizer.json and f16 weights, the embedding's rows normalised first."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
        weights["embedding"] = model.table().half().contiguous()
    if unigram is not None:
        weights["output.unigram"] = unigram.half().contiguous()
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{name}: not finite in f16")
    replace_file(folder / "model.safetensors", save(weights, metadata={"format": config["format"]}))
    replace_file(folder / "config.json", (json.dumps(config, indent=1) + "\n").encode())
    if tokenizer.resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer, folder / "tokenizer.json")


class Rounded(Denoiser):
    """A denoiser over stored weights: the embedding's rows are used as they are."""

    def table(self) -> Tensor:
        """The stored rows."""
        return self.embedding


def read_model(folder: Path, dtype: torch.dtype) -> Rounded:
    """The model of a directory, computing in `dtype`."""
    config = json.loads((folder / "config.json").read_text())
    model = Rounded(config)
    weights = load_file(folder / "model.safetensors")
    # For sampling alone.
    weights.pop("output.unigram", None)
    model.load_state_dict(weights)
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
    tokenizer = read_tokenizer(options.tokenizer)
    train = load_tokens(options.corpus / "train.txt", tokenizer)
    unigram = unigram_direction(model.output.unembed.detach(), train)
    write_model(options.out, config, model, options.tokenizer, unigram)
    rounded = read_model(options.out, torch.float32)
    held_out = load_tokens(options.corpus / "validation.txt", tokenizer)
    config |= {"temperature": options.temperature, "emphasis": options.emphasis}
    if options.sharpen_below is not None:
        config["sharpen_below"] = options.sharpen_below
    config["budget"] = calibrate(rounded, calibration_inputs(rounded, config, held_out, options.calibration))
    write_model(options.out, config, model, options.tokenizer, unigram)
    numbers = evaluate(rounded, held_out)
    numbers |= frequencies(train, held_out, config["vocab_size"]) | {"step": state["step"], "budget": config["budget"]}
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
    parser.add_argument("--emphasis", type=float, default=0.0, help="how far sampling stresses the context")
    parser.add_argument("--sharpen-below", type=float, help="largest gamma at which both act; every one unless given")
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
