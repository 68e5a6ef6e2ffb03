"""Plants single mistakes in the kernels and counts how many `drdiff verify` finds.

    python3 tools/mutants/mutants.py --drdiff "scripts/with-vulkan.sh target/debug/drdiff"

Each entry of mutants.toml is one mistake: a text that occurs exactly once in a WGSL file, what replaces it, the op
that must notice and what breaks. For each, a copy of `shaders/` gets that one change and `verify` runs the op on that
copy, up to the first failure. The table goes to standard output as Markdown. It fails where a mistake survives, where
an entry no longer fits its file, where the changed kernel is refused (no mistake, then, but nonsense), or where an op
fails without any change.
"""

import argparse
import concurrent.futures
import dataclasses
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
SHADERS = HERE.parent.parent / "shaders"


class Unfit(Exception):
    """An entry that cannot be tried, or an op that fails by itself."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    op: str
    file: str
    breaks: str
    old: str
    new: str

    def plant(self, folder: pathlib.Path) -> None:
        path = folder / self.file
        text = path.read_text(encoding="utf-8")
        found = text.count(self.old)
        if found != 1:
            raise Unfit(f"{self.file}: the text of `{self.breaks}` occurs {found} times, expected once")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def read(path: pathlib.Path) -> list[Mutant]:
    with path.open("rb") as file:
        return [Mutant(**entry) for entry in tomllib.load(file)["mutant"]]


def verify(command: list[str], device: str, op: str, shaders: pathlib.Path, *more: str) -> tuple[int, str]:
    """Exit code and standard output of `drdiff verify` with these shaders."""
    arguments = ["verify", "--device", device, "--op", op, "--shaders", str(shaders), *more]
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        return 1, "  failed: no end within ten minutes"
    if done.returncode not in (0, 1):
        raise Unfit(f"verify of {op} ended with {done.returncode}: {done.stderr.strip()}")
    return done.returncode, done.stdout


def first_failure(output: str) -> str | None:
    lines = (line.strip() for line in output.splitlines())
    return next((line.removeprefix("failed: ") for line in lines if line.startswith("failed: ")), None)


def killer(mutant: Mutant, command: list[str], device: str) -> str | None:
    """The first case or relation that fails with the mistake; None where it survives."""
    with tempfile.TemporaryDirectory() as scratch:
        shaders = pathlib.Path(scratch) / "shaders"
        shutil.copytree(SHADERS, shaders)
        mutant.plant(shaders)
        code, output = verify(command, device, mutant.op, shaders, "--fail-fast")
    failure = first_failure(output)
    if failure is not None and "refused the kernel" in failure:
        raise Unfit(f"{mutant.file}: `{mutant.breaks}` does not compile: {failure}")
    if code != 0 and failure is None:
        raise Unfit(f"{mutant.file}: `{mutant.breaks}`: verify failed without a case: {output.strip()}")
    return failure


def table(rows: list[tuple[Mutant, str | None]]) -> str:
    lines = ["| file | mistake | op | found by |", "|---|---|---|---|"]
    for mutant, failure in rows:
        by = "**survives**" if failure is None else shorten(failure)
        lines.append(f"| `{mutant.file}` | {mutant.breaks} | `{mutant.op}` | {by} |")
    killed = sum(failure is not None for _, failure in rows)
    return "\n".join([*lines, "", f"{killed} of {len(rows)} mistakes found."])


def shorten(failure: str, most: int = 90) -> str:
    label = failure.replace("|", "/")
    return label if len(label) <= most else label[: most - 3].rstrip() + "..."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drdiff", default="target/debug/drdiff", help="the program, with what it is started by")
    parser.add_argument("--device", default="llvmpipe", help="as drdiff's --device")
    parser.add_argument("--only", default="", help="mistakes whose file, op or description holds this text")
    parser.add_argument("--jobs", type=int, default=2, help="at a time")
    arguments = parser.parse_args()
    command = shlex.split(arguments.drdiff)
    mutants = [m for m in read(HERE / "mutants.toml") if arguments.only in f"{m.file} {m.op} {m.breaks}"]
    try:
        for op in sorted({mutant.op for mutant in mutants}):
            code, output = verify(command, arguments.device, op, SHADERS, "--quick", "--fail-fast")
            if code != 0:
                raise Unfit(f"{op} fails without any mistake: {first_failure(output) or output.strip()}")
        rows = []
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            found = pool.map(lambda mutant: killer(mutant, command, arguments.device), mutants)
            for mutant, failure in zip(mutants, found, strict=True):
                rows.append((mutant, failure))
                outcome = "survives" if failure is None else "found"
                place = f"{len(rows)}/{len(mutants)} {mutant.file}"
                print(f"{place}: {mutant.breaks}: {outcome}", file=sys.stderr, flush=True)
    except Unfit as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(rows))
    return 0 if rows and all(failure is not None for _, failure in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
