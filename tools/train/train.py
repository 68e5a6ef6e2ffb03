"""Trains the denoiser on the processor until a wall-clock budget is used up."""

import argparse
import copy
import json
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from batch import draw_clean, draw_noise, draw_shape, draw_text, load_tokens
from config import base
from losses import evaluate, step_loss, unigram
from model import Config, Denoiser
from schedule import HIGH, Warp

LEARNING_RATE = 2e-3
WARMUP = 200


def learning_rate(step: int, progress: float, peak: float) -> float:
    """Warm-up by steps, then a cosine to zero by the share of the budget used."""
    return peak * min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


class Run:
    """Everything that a checkpoint holds."""

    def __init__(self, config: Config, seed: int) -> None:
        torch.manual_seed(seed)
        self.config = config
        self.model = Denoiser(config)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.warp = Warp()
        self.rng = np.random.default_rng(seed)
        self.step, self.elapsed = 0, 0.0
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), foreach=True)

    def save(self, path: Path) -> None:
        """Writes beside the target, then renames."""
        state = {
            "config": self.config,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "warp": self.warp.state(),
            "rng": self.rng.bit_generator.state,
            "step": self.step,
            "elapsed": self.elapsed,
        }
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, path)

    def restore(self, path: Path) -> None:
        """Resumes; another configuration is refused."""
        state = torch.load(path, weights_only=True)
        if state["config"] != self.config:
            raise SystemExit(f"train: {path}: made with another configuration; choose another --out")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.warp.restore(state["warp"])
        self.rng.bit_generator.state = state["rng"]
        self.step, self.elapsed = state["step"], state["elapsed"]

    def start_from(self, path: Path) -> None:
        """Weights and time warp of another run; the absorbing state, the optimizer and the schedule start anew."""
        state = torch.load(path, weights_only=True)
        if state["config"] != self.config:
            raise SystemExit(f"train: {path}: made with another configuration")
        for model, weights in ((self.model, state["model"]), (self.average, state["average"])):
            model.load_state_dict(weights | {"absorb": self.model.absorb.detach().clone()})
        self.warp.restore(state["warp"])

    def advance(self, tokens: np.ndarray, rate: float) -> dict[str, float]:
        """One optimizer step."""
        rng = self.rng
        count, length, level = draw_shape(rng)
        text = draw_text(tokens, count, length, rng)
        clean, scattered = draw_clean(count, length, rng)
        gamma = self.warp.at((np.arange(count) + rng.random()) / count)
        rng.shuffle(gamma)
        # Some of the scattered rows see pure noise: plain masked prediction.
        masked = scattered & (rng.random(count) < 0.25)
        gamma = np.where(masked, HIGH, gamma)
        noise = draw_noise(gamma, clean, self.config["embedding_dim"], rng)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total, numbers, losses = step_loss(self.model, text, noise, level, rng)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        numbers["norm"] = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0))
        if not math.isfinite(numbers["norm"]):
            raise SystemExit(f"train: step {self.step}: the gradient is not finite; resume from the checkpoint")
        self.optimizer.step()
        self.warp.record(gamma[~masked], losses[~masked])
        self.step += 1
        decay = min(0.999, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        if self.step >= 300 and self.step % 300 == 0:
            self.warp.update()
        return numbers


def loop(run: Run, tokens: np.ndarray, held_out: np.ndarray, options: argparse.Namespace) -> None:
    """Trains, logs, validates, saves; a signal stops it cleanly."""
    stop: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _: stop.append(number))
    log = (options.out / "log.jsonl").open("a", buffering=1)
    checkpoint = options.out / "checkpoint.pt"

    def write(entry: dict[str, Any]) -> None:
        log.write(json.dumps(entry) + "\n")

    def validate() -> None:
        numbers = evaluate(run.average, held_out)
        write({"step": run.step, "minutes": round(run.elapsed / 60, 1), "validation": numbers})

    write({"event": "start", "step": run.step, **unigram(tokens, held_out, run.config["vocab_size"])})
    budget, sums, seen = options.minutes * 60, {}, {}
    last_save = last_check = run.elapsed
    begun, before = time.monotonic(), run.elapsed
    while run.elapsed < budget and not stop and (not options.steps or run.step < options.steps):
        rate = learning_rate(run.step, run.elapsed / budget, options.lr)
        for name, value in run.advance(tokens, rate).items():
            sums[name] = sums.get(name, 0.0) + value
            seen[name] = seen.get(name, 0) + 1
        run.elapsed = before + time.monotonic() - begun
        if run.step % 50 == 0:
            means = {name: round(value / seen[name], 4) for name, value in sums.items()}
            write({"step": run.step, "minutes": round(run.elapsed / 60, 2), "lr": round(rate, 6), **means})
            sums, seen = {}, {}
        if run.elapsed - last_check > options.validate_every * 60:
            last_check = run.elapsed
            validate()
        if run.elapsed - last_save > 180:
            last_save = run.elapsed
            run.save(checkpoint)
    run.save(checkpoint)
    validate()
    write({"event": "signal" if stop else "done", "step": run.step, "gamma": run.warp.gamma.round(3).tolist()})


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder that corpus.py wrote")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="run folder; an existing checkpoint is resumed")
    parser.add_argument("--minutes", type=float, required=True, help="wall-clock budget, earlier parts included")
    parser.add_argument("--steps", type=int, default=0, help="also stop after this many steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lr", type=float, default=LEARNING_RATE)
    parser.add_argument("--validate-every", type=float, default=5.0, help="minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start-from", type=Path, help="checkpoint of another run whose weights a new run starts with")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    tokens = load_tokens(options.corpus / "train.txt", tokenizer)
    held_out = load_tokens(options.corpus / "validation.txt", tokenizer)
    config = base()
    if tokenizer.get_vocab_size() != config["vocab_size"]:
        raise SystemExit(f"train: the tokenizer has {tokenizer.get_vocab_size()} pieces, not {config['vocab_size']}")
    run = Run(config, options.seed)
    if (options.out / "checkpoint.pt").exists():
        run.restore(options.out / "checkpoint.pt")
    elif options.start_from:
        run.start_from(options.start_from)
    loop(run, tokens, held_out, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
