"""Calls the `drdiff` binary and keeps a record of every call."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from texts import InputError, parse, read

ROOT = Path(__file__).resolve().parents[3]
LAUNCH = Path(__file__).with_name("launch.py")
Record = dict[str, Any]
# What FLOPs are counted from, and what ends a text.
NEEDED = ("vocab_size", "embedding_dim", "model_dim", "layers", "time_dim", "place_dim", "expert_widths", "top_k")
NEEDED += ("eos_token", "levels", "budget")


@dataclass(frozen=True)
class Sample:
    """A generated text, its tokens up to the first end, whether there was an end, and all tokens but ends."""

    seed: int
    text: str
    tokens: list[int]
    cut: bool
    whole: list[int]


@dataclass(frozen=True)
class Generation:
    """What one call of `generate` printed, and its record."""

    samples: list[Sample]
    seconds: float
    record: Record


def short(path: str) -> str:
    """As seen from the working directory, where it lies below it or in this repository."""
    absolute, relative = Path(path).absolute(), os.path.relpath(path)
    return relative if absolute.is_relative_to(ROOT) or not relative.startswith("..") else path


@dataclass(frozen=True)
class Drdiff:
    """A binary with a model on a device. `runs` gathers a record a call, also for copies with another model."""

    path: str
    model: Path
    device: str
    report: Callable[[str], None]
    config: dict[str, Any]
    runs: list[Record] = field(default_factory=list)

    def at(self, model: Path, config: dict[str, Any]) -> "Drdiff":
        """The same with another model."""
        return replace(self, model=model, config=config)

    def call(self, *arguments: str) -> tuple[str, Record]:
        """Standard output, and the record: command line, time, memory, last line on standard error."""
        command = [self.path, *arguments]
        line = shlex.join([short(self.path), *arguments])
        self.report(line)
        reading, writing = os.pipe()
        launch = [sys.executable, "-I", "-S", str(LAUNCH), str(writing), *command]
        try:
            done = subprocess.run(launch, capture_output=True, pass_fds=[writing], check=False)
        finally:
            os.close(writing)
            with os.fdopen(reading, "rb") as pipe:
                taken = pipe.read()
        said = done.stderr.decode(errors="replace").strip()
        if done.returncode != 0:
            how = f"signal {done.returncode - 128}" if done.returncode > 128 else f"exit code {done.returncode}"
            raise InputError(f"{line}: {how}: {said or 'nothing on standard error'}")
        record = {"command": line, **json.loads(taken), "stderr": said.splitlines()[-1:]}
        self.runs.append(record)
        return done.stdout.decode(errors="replace"), record

    def printed(self, *arguments: str) -> tuple[dict[str, Any], Record]:
        """The JSON object that a call prints."""
        output, record = self.call(*arguments)
        value = parse(output, record["command"])
        if not isinstance(value, dict):
            raise InputError(f"{record['command']}: expected a JSON object")
        return value, record

    def generate(
        self,
        seed: int,
        length: int,
        steps: int,
        count: int = 1,
        method: str = "multistep",
        guidance: float = 0.0,
        budget: float | None = None,
        prompt: str | None = None,
        routing: bool = False,
    ) -> Generation:
        """`count` texts. Each text of a call has the seed after the one before, so a call takes the seeds from
        `seed * count` on: no two calls with different `seed` share a text."""
        arguments = ["generate", *([prompt] if prompt is not None else [])]
        arguments += ["--length", str(length), "--steps", str(steps), "--method", method]
        arguments += ["--seed", str(seed * count), "--count", str(count)]
        arguments += ["--guidance", str(guidance)] if guidance else []
        arguments += ["--budget", str(budget)] if budget is not None else []
        arguments += ["--model", short(str(self.model)), "--device", self.device, "--json"]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "routing.json"
            arguments += ["--routing", str(file)] if routing else []
            value, record = self.printed(*arguments)
            record |= {"seed": seed, "device": value.get("device"), "steps": steps, "seconds": value.get("seconds")}
            if routing:
                # Of the first text of the call, its text positions, mean over layers, positions and steps.
                shares = field_of(parse(read(file), str(file)), "share", record)
                record["expert_share"] = sum(shares) / len(shares)
        samples = [self.sample(one, record) for one in field_of(value, "texts", record)]
        record["texts"] = [{"seed": one.seed, "tokens": len(one.tokens), "cut": one.cut} for one in samples]
        return Generation(samples, float(field_of(value, "seconds", record)), record)

    def sample(self, value: object, record: Record) -> Sample:
        """A text as `generate --json` prints it."""
        tokens = field_of(value, "tokens", record)
        end = self.config["eos_token"]
        cut = end in tokens
        kept = tokens[: tokens.index(end)] if cut else tokens
        whole = [token for token in tokens if token != end]
        return Sample(field_of(value, "seed", record), field_of(value, "text", record), kept, cut, whole)

    def bound(self, text: Path, seed: int, budget: float, length: int, windows: int, draws: int) -> dict[str, Any]:
        """What `eval` says of the likelihood of a text."""
        arguments = ["eval", "--text", short(str(text)), "--budget", str(budget), "--seed", str(seed)]
        arguments += ["--length", str(length), "--windows", str(windows), "--draws", str(draws)]
        arguments += ["--infill-windows", "0", "--model", short(str(self.model)), "--device", self.device, "--json"]
        value, record = self.printed(*arguments)
        likelihood = field_of(value, "likelihood", record)
        estimate = field_of(likelihood, "bound", record)
        figures = {
            "nats_per_token": field_of(estimate, "nats_per_token", record),
            "error": field_of(estimate, "error", record),
            "bits_per_byte": field_of(estimate, "bits_per_byte", record),
            "expert_share": field_of(likelihood, "expert_share", record),
        }
        record |= {"seed": seed, "device": value.get("device"), **figures}
        return figures


def field_of(value: object, name: str, record: Record) -> Any:
    """A field that the output of a call must have."""
    if not isinstance(value, dict) or name not in value:
        raise InputError(f'{record["command"]}: no "{name}" in what it wrote')
    return value[name]


def found(path: Path) -> str:
    """The binary's path, absolute."""
    place = shutil.which(path.expanduser().resolve())
    if place is None:
        raise InputError(f"--drdiff: {path}: no such program; build it: cargo build --release --workspace")
    return str(place)


def read_config(model: Path) -> dict[str, Any]:
    """config.json of a model."""
    file = model / "config.json"
    config = parse(read(file), str(file))
    if not isinstance(config, dict) or config.get("format") != "drdiff-1":
        raise InputError(f'{file}: not a model: "format" is not "drdiff-1"')
    lacking = [name for name in NEEDED if name not in config]
    if lacking or not config["levels"] or "default" not in config["budget"]:
        raise InputError(f"{file}: lacks {', '.join(lacking) or 'a level or the default budget'}")
    return config
