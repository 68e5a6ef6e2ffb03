"""Writes books of stories, checks them, and turns them into text to train on."""

import argparse
import signal
import sys
from pathlib import Path

import grid
import package
from assemble import assemble
from check import check
from files import InputError
from publish import publish
from store import Store
from work import work


def write(options: argparse.Namespace) -> None:
    """The writer at work."""
    try:
        import torch

        from writer import Writer, load
    except ImportError as error:
        raise InputError(f"{error}; pip install -r requirements.txt") from error

    torch.set_num_threads(options.threads)
    stop: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _: stop.append(number))
    identity = {"grid": grid.version(), "package": f"{package.NAME}=={package.VERSION}", "wheel_sha256": package.SHA256}
    store = Store(options.state, options.seed, identity)
    llama, tokenizer = load(package.weights(options.cache or options.state / "package"), options.device)
    work(store, Writer(llama, tokenizer), options.batch, options.minutes * 60, lambda: bool(stop))
    print("books: stopped; the same command goes on", file=sys.stderr)


def run_publish(options: argparse.Namespace) -> None:
    """Out of the state, into a folder to keep."""
    manifest = publish(options.state, options.out)
    tell({name: sum(entry[name] for entry in manifest["shards"]) for name in ("books", "chapters", "words", "pieces")})


def run_check(options: argparse.Namespace) -> None:
    """All shards of a folder."""
    tell(check(options.text))


def run_assemble(options: argparse.Namespace) -> None:
    """Shards to text."""
    for entry in assemble(options.text, options.out, options.keep, options.tokenizer)["files"]:
        print(", ".join(f"{name} {value}" for name, value in entry.items() if name != "sha256"))


def tell(counts: dict[str, int]) -> None:
    """Counts, for a person."""
    print(", ".join(f"{count} {name}" for name, count in counts.items()))


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("write", help="write until the time is over or Ctrl-C; goes on where it was")
    command.add_argument("--state", type=Path, required=True, help="folder of the shards and of what is unfinished")
    command.add_argument("--seed", type=int, required=True)
    command.add_argument("--minutes", type=float, required=True)
    command.add_argument("--batch", type=int, default=96, help="chapters at a time")
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--device", default="cpu")
    command.add_argument("--cache", type=Path, help="folder of the writer's package (default: in the state)")
    command.set_defaults(run=write)
    command = commands.add_parser("publish", help="copy what is written into a folder to keep; safe beside a writer")
    command.add_argument("--state", type=Path, required=True)
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(run=run_publish)
    command = commands.add_parser("check", help="hold shards against manifest, grid and filter")
    command.add_argument("--text", type=Path, required=True, help="folder that publish wrote")
    command.set_defaults(run=run_check)
    command = commands.add_parser("assemble", help="turn shards into train.txt, validation.txt and test.txt")
    command.add_argument("--text", type=Path, required=True, action="append", help="folder of shards; may be repeated")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--keep", type=float, default=0.9, help="share of chapters, those the writer was surest of")
    command.add_argument("--tokenizer", type=Path, help="tokenizer.json to count tokens with")
    command.set_defaults(run=run_assemble)
    options = parser.parse_args()
    if options.command == "write" and not (options.minutes > 0 and options.batch > 0 and options.threads > 0):
        parser.error("--minutes, --batch, --threads: expected more than 0")
    if options.command == "assemble" and not 0 < options.keep <= 1:
        parser.error("--keep: expected more than 0 and at most 1")
    return options


def main() -> int:
    """Command line."""
    options = parse()
    try:
        options.run(options)
    except (InputError, OSError) as error:
        print(f"books: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
