"""Measures what is claimed of drdiff with its binary: a Markdown table, and a JSON file with every call and figure."""

import argparse
import sys
from pathlib import Path
from typing import Any

import console
from claims import budget, long, sample, scaling, speed, steps
from claims.binary import ROOT, Drdiff, found, read_config, short

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
    console.check_file(options.out, "--out")
    claim = CLAIMS[options.claim]
    config = read_config(options.model)
    drdiff = Drdiff(found(options.drdiff), options.model, options.device, progress, config)
    version, _ = drdiff.call("--version")
    results = {"claim": options.claim, "version": version.strip(), "settings": settings(options), "complete": False}
    try:
        figures = claim.run(options, drdiff)
        results |= {"complete": True, "figures": figures}
    finally:
        console.write(options.out, "--out", {**results, "runs": drdiff.runs})
    console.show("\n".join(claim.markdown(figures)))


def command_line() -> argparse.ArgumentParser:
    """One subcommand per claim."""
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
    return console.exit_code("claim", lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
