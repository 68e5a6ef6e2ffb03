"""What a training step costs, sparse against dense: time and peak memory by length, each case in a process of its own."""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from batch import Shape
from config import PATTERNS, level_of, parse_lengths, parse_patterns, variant
from files import replace_file
from run import Run


def case(pattern: str, length: int, size: str, steps: int, compiled: bool) -> dict[str, float]:
    """Seconds of each step after two to warm up, and the process's peak memory in MiB."""
    config, recipe = variant("drdiff", size)
    shape = Shape(1.0, 1, length, (level_of(pattern, length),), blocks=True)
    run = Run(config, replace(recipe, shapes=(shape,)), 0, (1e-3, 0.02), "cpu", compiled)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tokens = np.random.default_rng(0).integers(0, config["vocab_size"], 4 * length)
    times = []
    for step in range(steps + 2):
        begun = time.monotonic()
        run.apply(run.draw(tokens), 0.5)
        if step >= 2:
            times.append(time.monotonic() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": float(np.median(times)), "least": min(times), "most": max(times), "peak": peak, "idle": before}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--lengths", type=parse_lengths, default="1024,2048,4096,8192")
    parser.add_argument("--patterns", type=parse_patterns, default=",".join(PATTERNS))
    parser.add_argument("--size", default="base")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--one", nargs=2, metavar=("PATTERN", "LENGTH"), help="measure one case and print it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(case(options.one[0], int(options.one[1]), options.size, options.steps, options.compiled)))
        return 0
    rows = []
    print("| length | pattern | s per step (least .. most) | peak MiB |\n|---|---|---|---|")
    for length in options.lengths:
        for pattern in options.patterns:
            shared = ["--size", options.size, "--steps", str(options.steps), "--threads", str(options.threads)]
            command = [sys.executable, __file__, "--out", str(options.out), "--one", pattern, str(length), *shared]
            answer = subprocess.run(
                command + ["--compiled"] * options.compiled, capture_output=True, text=True, check=False
            )
            if answer.returncode != 0:
                print(f"cost: {pattern} at {length}: {answer.stderr.strip()[-500:]}", file=sys.stderr)
                return 1
            row = json.loads(answer.stdout) | {"pattern": pattern, "length": length}
            rows.append(row)
            span = f"{row['seconds']:.2f} ({row['least']:.2f} .. {row['most']:.2f})"
            print(f"| {length} | {pattern} | {span} | {row['peak']:.0f} |", flush=True)
            replace_file(options.out, (json.dumps(rows, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
