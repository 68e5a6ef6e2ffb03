"""Measures what is claimed of drdiff with its binary: a Markdown table, and a JSON file with every call and figure."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from claims import budget, long, sample, scaling, speed, steps
from claims.binary import ROOT, Drdiff, found, read_config, short
from texts import InputError

CLAIMS = {"steps": steps, "budget": budget, "scaling": scaling, "speed": speed, "long": long, "sample": sample}


def progress(message: str) -> None:
    """Standard error, as standard output holds the table."""
    print(f"claim: {message}", file=sys.stderr, flush=True)


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """The command line, with paths as seen from here."""
    given = {name: value for name, value in vars(options).items() if name != "claim"}
    return {name: short(str(value)) if isinstance(value, Path) else value for name, value in given.items()}


def run(options: argparse.Namespace) -> None:
    """Everything after the command line is read. Calls that were made are kept, whatever happens to later ones."""
    if options.out.is_dir() or not options.out.parent.is_dir():
        raise InputError(f"--out: {options.out}: not a file in an existing folder")
    claim = CLAIMS[options.claim]
    config = read_config(options.model)
    drdiff = Drdiff(found(options.drdiff), options.model, options.device, progress, config)
    version, _ = drdiff.call("--version")
    results = {"claim": options.claim, "version": version.strip(), "settings": settings(options), "complete": False}
    try:
        figures = claim.run(options, drdiff)
        results |= {"complete": True, "figures": figures}
    finally:
        write(options.out, {**results, "runs": drdiff.runs})
    try:
        print("\n".join(claim.markdown(figures)), flush=True)
    except BrokenPipeError:
        # The reader has seen enough; nothing more may be flushed into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write(path: Path, results: dict[str, Any]) -> None:
    """All there is to know."""
    try:
        path.write_text(json.dumps(results, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"--out: {path}: {error.strerror}") from error


def command_line() -> argparse.ArgumentParser:
    """One subcommand a claim."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="claim", required=True)
    for name, claim in CLAIMS.items():
        one = commands.add_parser(name, help=claim.__doc__, description=claim.__doc__)
        one.add_argument("--drdiff", type=Path, default=ROOT / "target/release/drdiff", help="the program")
        one.add_argument("--model", type=Path, default=ROOT / "models", help="model directory")
        one.add_argument("--device", default="cpu")
        one.add_argument("--seeds", default="1,2,3", help="sampling seeds, comma-separated")
        one.add_argument("--out", type=Path, required=True, help="JSON file for all calls and figures")
        claim.arguments(one)
    return parser


def main() -> int:
    """Command line."""
    options = command_line().parse_args()
    try:
        run(options)
    except InputError as error:
        print(f"claim: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
