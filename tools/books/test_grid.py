"""Checks of the grid: `python -m pytest` in this folder."""

import itertools
import re
from dataclasses import asdict

import grid
import words


def test_everything_follows_from_the_numbers() -> None:
    one, other = grid.book(3, 17), grid.book(3, 17)
    assert one == other and grid.book(3, 18) != one and grid.book(4, 17) != one
    assert grid.task(3, one, 1, 0) == grid.task(3, other, 1, 0) != grid.task(3, one, 1, 1)
    assert len({grid.task(3, one, 1, attempt).stream for attempt in range(50)}) == 50


def test_the_split_never_changes() -> None:
    assert grid.split_of("fox", "owl") == grid.split_of("owl", "fox") == "train"
    pairs = {pair: grid.split_of(*pair) for pair in itertools.combinations(words.KINDS, 2)}
    held = {split: sorted(pair for pair, found in pairs.items() if found == split) for split in ("validation", "test")}
    assert [len(found) for found in held.values()] == [23, 31]
    assert held["validation"][0] == ("bear", "hedgehog") and held["test"][0] == ("bear", "farmer")


def test_no_pair_of_kinds_is_in_two_splits() -> None:
    found: dict[frozenset[str], set[str]] = {}
    for number in range(2000):
        book = grid.book(1, number)
        found.setdefault(frozenset((book.hero.kind, book.friend.kind)), set()).add(book.split)
    assert all(len(splits) == 1 for splits in found.values())
    assert {split for splits in found.values() for split in splits} == set(grid.SPLITS)


def test_books_are_of_all_lengths_and_have_different_objects() -> None:
    books = [grid.book(1, number) for number in range(1500)]
    assert {len(book.things) for book in books} == set(range(1, grid.CHAPTERS + 1))
    for book in books:
        assert book.hero.name != book.friend.name and book.hero.kind != book.friend.kind
        assert len({thing.noun for thing in book.things}) == len(book.things)


def test_openings_are_whole_and_speak_of_earlier_chapters_only() -> None:
    for number in range(300):
        book = grid.book(2, number)
        for chapter in range(1, len(book.things) + 1):
            task = grid.task(2, book, chapter, 0)
            assert not re.search(r"[{}]|  |\s$|\ba [aeiou]", f"{task.opening} {task.request}"), task
            assert task.after is None or 1 <= task.after < chapter
            assert (task.after is None) or book.things[task.after - 1].title in task.opening
            assert book.hero.name in task.opening and book.title.startswith(f"The book of {book.hero}")


def test_the_version_sees_a_changed_word(monkeypatch) -> None:
    before = grid.version()
    assert before == grid.version() and len(before) == 64
    monkeypatch.setattr(words, "TURNS", [*words.TURNS, "{h} sings."])
    assert grid.version() != before


def test_a_task_is_plain_data() -> None:
    assert all(
        isinstance(value, (int, str, tuple)) or value is None
        for value in asdict(grid.task(1, grid.book(1, 1), 1, 0)).values()
    )
