"""A writer for the tests: plain chapters that pass the filter, and now and then one that does not."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from grid import Task

PLACES = "hill river garden forest village market bridge shop kitchen harbour field tower stable orchard".split()
ACTIONS = "walked ran went hurried wandered strolled climbed marched danced crept".split()
FEELINGS = "glad calm proud tired hungry warm quiet eager".split()


@dataclass
class Page:
    """A draft."""

    text: str
    loss: float
    pieces: int


@dataclass
class Fake:
    """Writes the same for the same task, whatever stands beside it; remembers what it was asked."""

    asked: list[tuple[int, int, int]] = field(default_factory=list)
    batches: int = 0

    def page(self, task: Task) -> Page:
        """A chapter."""
        draw = random.Random(task.stream)
        hero, friend = task.names
        # Every opening is continued in a way that fits it, which a fixed text cannot do: so it ends it first.
        lines = [f" {draw.choice(ACTIONS)} away." if task.opening[-1] not in '."' else ""]
        lines += [f" {hero} looked at the {task.noun} with {friend}."]
        for place in draw.sample(PLACES, 6):
            lines.append(f" They {draw.choice(ACTIONS)} to the {place} and were {draw.choice(FEELINGS)} there.")
        if draw.random() < 0.2:
            lines.append(" Then Zorro came.")
        return Page(task.opening + "".join(lines), draw.uniform(1, 2), 60)

    def write(self, tasks: list[Task], stopped: Callable[[], bool]) -> list[Page] | None:
        """A batch."""
        self.batches += 1
        self.asked += [(task.book, task.chapter, task.attempt) for task in tasks]
        return None if stopped() else [self.page(task) for task in tasks]
