"""Trains the denoiser until a budget of minutes or tokens is used up; stops and resumes at any time.

`torchrun --nproc-per-node K train.py ..` trains on K devices: each draws its own batches, gradients are averaged.
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from batch import load_tokens, read_tokenizer
from config import SIZES, VARIANTS, variant
from distributed import agree, join, leave, rank
from files import InputError
from run import Run
from validate import evaluate, unigram

SAVE_EVERY = 180.0


class Log:
    """`log.jsonl`, and the same news for a person on standard error."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a", buffering=1)

    def write(self, entry: dict[str, Any]) -> None:
        """One line of JSON."""
        if rank() != 0:
            return
        try:
            self.file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise InputError(f"{self.file.name}: {error.strerror}") from error

    def tell(self, run: Run, numbers: dict[str, float], progress: float, speed: float, left: float) -> None:
        """A line of progress."""
        if rank() != 0:
            return
        eta = f"{int(left // 3600)}:{int(left % 3600 // 60):02}:{int(left % 60):02} left"
        parts = [
            f"step {run.step}",
            f"{100 * progress:.1f}%",
            f"loss {numbers['loss']:.3f}",
            f"{speed:.0f} tokens/s",
            eta,
        ]
        print("  ".join(parts), file=sys.stderr, flush=True)


def loop(run: Run, tokens: np.ndarray, held_out: np.ndarray, options: argparse.Namespace) -> bool:
    """Trains, logs, validates, saves; a signal stops it cleanly. Says whether the budget was used up."""
    stop: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _: stop.append(number))
    log, checkpoint = Log(options.out / "log.jsonl"), options.out / "checkpoint.pt"

    def progress() -> float:
        return run.elapsed / (options.minutes * 60) if options.minutes else run.tokens / options.tokens

    def validate() -> None:
        log.write(
            {"step": run.step, "minutes": round(run.elapsed / 60, 1), "validation": evaluate(run.average, held_out)}
        )

    log.write({"event": "start", "step": run.step, **unigram(tokens, held_out, run.config["vocab_size"])})
    sums: dict[str, list[float]] = {}
    last_save = last_check = run.elapsed
    mark = begun = time.monotonic()
    marked, before, at = run.tokens, run.elapsed, progress()
    while not agree(progress() >= 1 or bool(stop)):
        for name, value in run.advance(tokens, progress()).items():
            sums.setdefault(name, []).append(value)
        now = time.monotonic()
        run.elapsed = before + now - begun
        if run.step % 50 == 0:
            means = {name: round(float(np.mean(values)), 4) for name, values in sums.items()}
            log.write({"step": run.step, "minutes": round(run.elapsed / 60, 2), "tokens": run.tokens, **means})
            rest = (now - begun) * (1 - progress()) / max(progress() - at, 1e-9)
            log.tell(run, means, progress(), (run.tokens - marked) / (now - mark), rest)
            sums, mark, marked = {}, now, run.tokens
        if rank() == 0 and run.elapsed - last_check > options.validate_every * 60:
            last_check = run.elapsed
            validate()
        if run.elapsed - last_save > SAVE_EVERY:
            last_save = run.elapsed
            run.save(checkpoint)
    run.save(checkpoint)
    if not stop and rank() == 0:
        validate()
    gamma = run.warp.gamma.round(3).tolist()
    log.write({"event": "signal" if stop else "done", "step": run.step, "tokens": run.tokens, "gamma": gamma})
    return not stop


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder that corpus.py wrote")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="run folder; an existing checkpoint is resumed")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, default=0.0, help="training time, earlier parts included")
    budget.add_argument("--tokens", type=float, default=0.0, help="text positions trained on, earlier parts included")
    parser.add_argument("--variant", choices=VARIANTS, default="drdiff")
    parser.add_argument("--size", choices=list(SIZES), default="base")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--eager", action="store_true", help="do not compile: starts at once, slower steps")
    parser.add_argument("--lr", type=float, default=3e-3, help="peak of AdamW; tables five times that")
    parser.add_argument("--muon", type=float, default=0.02, help="peak of Muon; 0 gives all to AdamW")
    parser.add_argument("--validate-every", type=float, default=10.0, help="minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start-from", type=Path, help="checkpoint of another run whose weights a new run starts with")
    options = parser.parse_args()
    if options.minutes <= 0 and options.tokens <= 0:
        parser.error("--minutes or --tokens: expected more than 0")
    return options


def main() -> int:
    """Command line."""
    options = parse()
    torch.set_num_threads(options.threads)
    try:
        join(options.device)
        options.out.mkdir(parents=True, exist_ok=True)
        tokenizer = read_tokenizer(options.tokenizer)
        tokens = load_tokens(options.corpus / "train.txt", tokenizer)
        held_out = load_tokens(options.corpus / "validation.txt", tokenizer)
        config, recipe = variant(options.variant, options.size, tokenizer.get_vocab_size())
        run = Run(config, recipe, options.seed, (options.lr, options.muon), options.device, not options.eager)
        if (options.out / "checkpoint.pt").exists():
            run.restore(options.out / "checkpoint.pt")
        elif options.start_from:
            run.start_from(options.start_from)
        finished = loop(run, tokens, held_out, options)
    except (InputError, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    finally:
        leave()
    if not finished:
        print(f"train: stopped on request after step {run.step}; the same command resumes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
