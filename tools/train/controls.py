"""Trains every variant on as many tokens, bounds the likelihood of held-out text under each, prints a table.

Finished parts are kept: the same command goes on where it was stopped.
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from config import VARIANTS
from files import InputError, replace_file

HERE = Path(__file__).resolve().parent
# (length, windows, draws): about as many tokens at each length.
LENGTHS = ((128, 96, 16), (1024, 12, 16), (2048, 6, 16), (4096, 3, 16))
LONG_VARIANTS = ("drdiff", "dense", "longformer")


@dataclass(frozen=True)
class Job:
    """What is common to all variants."""

    corpus: Path
    tokenizer: Path
    out: Path
    tokens: float
    size: str
    threads: int
    seed: int


def call(script: str, *arguments: str) -> str:
    """Runs one of this folder's programs; its output."""
    command = [sys.executable, str(HERE / script), *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise InputError(f"{script} {' '.join(arguments)}: {answer.stderr.strip()[-800:]}")
    return answer.stdout


def train(job: Job, name: str) -> Path:
    """A variant's model directory."""
    folder = job.out / name
    if (folder / "model" / "model.safetensors").exists():
        return folder / "model"
    shared = ["--corpus", str(job.corpus), "--tokenizer", str(job.tokenizer), "--threads", str(job.threads)]
    options = ["--variant", name, "--size", job.size, "--tokens", str(job.tokens), "--seed", str(job.seed)]
    call("train.py", *shared, *options, "--out", str(folder), "--eager", "--validate-every", "1e9")
    checkpoint = ["--checkpoint", str(folder / "checkpoint.pt"), "--out", str(folder / "model")]
    call("export.py", *shared, *checkpoint, "--calibration", "32")
    print(f"{name}: trained", file=sys.stderr)
    return folder / "model"


def measure(job: Job, name: str, text: Path) -> list[dict[str, Any]]:
    """Bounds of one variant, by length."""
    model, rows = train(job, name), []
    for length, windows, draws in LENGTHS:
        if length > 1024 and name not in LONG_VARIANTS:
            continue
        where = ["--model", str(model), "--text", str(text), "--length", str(length), "--threads", str(job.threads)]
        how = ["--windows", str(windows), "--draws", str(draws)] + ["--masked"] * (name == "masked")
        found = json.loads(call("bound.py", *where, *how))
        rows.append({"variant": name, "length": length, **found})
    return rows


def ratio(found: list[float], reference: list[float]) -> str:
    """Of two means over the same windows, with the standard error of the paired difference."""
    a, b = np.array(found), np.array(reference)
    error = (a - b).std(ddof=1) / np.sqrt(len(a)) / b.mean() if len(a) > 1 else np.nan
    return f"{a.mean() / b.mean():.4f} ± {error:.4f}"


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row per variant; by length, nats per token and the ratio to `drdiff` on the same windows."""
    lengths = sorted({row["length"] for row in rows})
    heads = [f"{length} | ratio" for length in lengths]
    lines = ["| variant | " + " | ".join(heads) + " |", "|---" * (1 + 2 * len(lengths)) + "|"]
    reference = {row["length"]: row["windows"] for row in rows if row["variant"] == "drdiff"}
    for name in dict.fromkeys(row["variant"] for row in rows):
        found = {row["length"]: row for row in rows if row["variant"] == name}
        cells = []
        for n in lengths:
            cells.append(f"{found[n]['nats']:.3f} ± {found[n]['error']:.3f}" if n in found else "")
            cells.append(ratio(found[n]["windows"], reference[n]) if n in found and n in reference else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for runs, models and bounds.json")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--tokens", type=float, default=2e6, help="that each is trained on")
    parser.add_argument("--size", default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="variants at a time, each on --threads")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    names = options.variants.split(",")
    if unknown := set(names) - set(VARIANTS):
        parser.error(f"--variants: {', '.join(sorted(unknown))}: expected some of {', '.join(VARIANTS)}")
    shared = options.out, options.tokens, options.size, options.threads, options.seed
    job = Job(options.corpus, options.tokenizer, *shared)
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            found = pool.map(lambda name: measure(job, name, options.corpus / f"{options.split}.txt"), names)
            rows = [row for of_variant in found for row in of_variant]
        replace_file(options.out / "bounds.json", (json.dumps(rows, indent=1) + "\n").encode())
    except (InputError, OSError) as error:
        print(f"controls: {error}", file=sys.stderr)
        return 1
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
