"""Time of a step, apart from loading and setting up."""

from dataclasses import asdict, dataclass

from claims.binary import Drdiff

# Short texts are given more steps, to last long enough for a clock on a busy machine.
TOKENS = 16384


@dataclass(frozen=True)
class Timing:
    """Seconds of a step (`None` where noise hid it), of setting up, of loading; peak resident memory."""

    step: float | None
    setup: float
    load: float
    peak_mib: float
    measured_steps: int

    def whole(self, steps: int) -> float | None:
        """Seconds of a text with so many steps, from start to end of the program."""
        return None if self.step is None else self.load + self.setup + steps * self.step

    def figures(self) -> dict[str, float | None]:
        """By name."""
        return asdict(self)


def time_steps(
    drdiff: Drdiff,
    seed: int,
    length: int,
    measured: int,
    method: str = "multistep",
    budget: float | None = None,
    prompt: str | None = None,
) -> Timing:
    """One step, then `measured` more than one: the difference is theirs."""
    more = max(measured, TOKENS // length)
    one, many = (
        drdiff.generate(seed, length, steps, method=method, budget=budget, prompt=prompt) for steps in (1, 1 + more)
    )
    step = (many.seconds - one.seconds) / more
    setup = max(0.0, one.seconds - step)
    load = max(0.0, min(made.record["wall_seconds"] - made.seconds for made in (one, many)))
    return Timing(step if step > 0 else None, setup, load, many.record["peak_bytes"] / 2**20, more)
