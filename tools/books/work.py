"""The loop that writes: batches of chapters out of the open books, filtered and stored."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import grid
from grid import Task
from keep import flaw, tidy
from store import Store, Try

# Chapters to choose a batch from, as multiples of the batch: like lengths end together.
CHOICE = 5


class Draft(Protocol):
    """What a writer returns for a task."""

    text: str
    loss: float
    pieces: int


class Author(Protocol):
    """Whoever turns tasks into drafts, or gives up when told to stop."""

    def write(self, tasks: list[Task], stopped: Callable[[], bool]) -> list[Draft] | None: ...


class Desk:
    """The open books of a store, and the next batch out of them."""

    def __init__(self, store: Store, batch: int) -> None:
        self.store, self.batch = store, batch
        self.following = 0
        self.open: dict[int, list[Task]] = {}

    def tasks(self, number: int) -> list[Task]:
        """What a book still needs."""
        book = grid.book(self.store.seed, number)
        return [grid.task(self.store.seed, book, *needed) for needed in self.store.pending(number)]

    def fill(self) -> None:
        """Opens books until there is a choice."""
        while sum(map(len, self.open.values())) < CHOICE * self.batch:
            number, self.following = self.following, self.following + 1
            if number not in self.store.done:
                tasks = self.tasks(number)
                if tasks:
                    self.open[number] = tasks

    def take(self) -> list[Task]:
        """The oldest task with those that are most like it: the same example, and about as long."""
        self.fill()
        waiting = [task for number in sorted(self.open) for task in self.open[number]]
        first = waiting[0]
        alike = [task for task in waiting if task.example == first.example]
        return sorted(alike, key=lambda task: abs(task.words - first.words))[: self.batch]

    def give(self, tries: list[Try]) -> None:
        """Stores a batch."""
        self.store.add(tries)
        for number in {t.book for t in tries}:
            self.open[number] = self.tasks(number)
            if not self.open[number]:
                del self.open[number]


def judge(seed: int, task: Task, draft: Draft) -> Try:
    """A draft with what is wrong with it; the text of one that is not kept is of no use."""
    book = grid.book(seed, task.book)
    text = tidy(draft.text)
    found = flaw(text, task.opening, book, book.things[task.chapter - 1])
    kept = text if found is None else ""
    return Try(task.book, task.chapter, task.attempt, found, round(draft.loss, 4), draft.pieces, kept)


def work(store: Store, author: Author, batch: int, seconds: float, stopped: Callable[[], bool]) -> None:
    """Writes until the time is over or it is told to stop."""
    desk, begun, kept, tried, words = Desk(store, batch), time.monotonic(), 0, 0, 0
    flaws: Counter[str] = Counter()
    while time.monotonic() - begun < seconds and not stopped():
        tasks = desk.take()
        before = time.process_time()
        drafts = author.write(tasks, stopped)
        if drafts is None:
            return
        spent = time.process_time() - before
        tries = [judge(store.seed, task, draft) for task, draft in zip(tasks, drafts, strict=True)]
        desk.give(tries)
        tried += len(tries)
        kept += sum(t.flaw is None for t in tries)
        words += sum(len(t.text.split()) for t in tries)
        flaws.update(t.flaw for t in tries if t.flaw)
        minutes = (time.monotonic() - begun) / 60
        speed = sum(t.pieces for t in tries) / max(spent, 1e-9)
        common = ", ".join(f"{name} {count}" for name, count in flaws.most_common(4))
        print(
            f"{minutes:.1f} min  {kept} of {tried} kept  {words} words  {words / max(minutes, 1e-9):.0f} words/min  "
            f"{speed:.0f} pieces/cpu s  ({common})",
            file=sys.stderr,
            flush=True,
        )
        name = store.seal()
        if name:
            print(f"{name} is whole", file=sys.stderr, flush=True)
