"""The grid of books: who, where, which objects, how a chapter begins; everything follows from a seed and numbers."""

import hashlib
import random
from dataclasses import dataclass
from functools import cache, lru_cache

import words
from examples import EXAMPLES as EXAMPLE_TEXTS

SPLITS = ("train", "validation", "test")
CHAPTERS = 24
# Words after which a chapter is brought to its end.
WORDS = (55, 140)


@dataclass(frozen=True)
class Person:
    """A kind and a name; the name says the pronouns."""

    kind: str
    name: str

    @property
    def forms(self) -> tuple[str, str, str]:
        """he, him, his."""
        return ("she", "her", "her") if self.name in words.WOMEN else ("he", "him", "his")

    def __str__(self) -> str:
        return f"{self.name} the {self.kind}"


@dataclass(frozen=True)
class Thing:
    """What a chapter is about: the noun has to occur."""

    before: str
    noun: str
    place: bool

    @property
    def title(self) -> str:
        return f"the {self.before} {self.noun}"

    def __str__(self) -> str:
        return f"{article(self.before)} {self.before} {self.noun}"


@dataclass(frozen=True)
class Book:
    """What all chapters of one book have in common."""

    number: int
    hero: Person
    friend: Person
    home: str
    things: tuple[Thing, ...]

    @property
    def title(self) -> str:
        return f"The book of {self.hero} and {self.friend}."

    @property
    def split(self) -> str:
        return split_of(self.hero.kind, self.friend.kind)


@dataclass(frozen=True)
class Task:
    """One try at a chapter, all that the writer needs; `after` is the earlier chapter that the opening speaks of."""

    book: int
    chapter: int
    attempt: int
    noun: str
    names: tuple[str, str]
    pronouns: tuple[str, str]
    after: int | None
    example: int
    request: str
    opening: str
    closing: str
    words: int
    stream: int


def article(word: str) -> str:
    """a or an."""
    return "an" if word[0] in "aeiou" else "a"


@cache
def things() -> tuple[Thing, ...]:
    """All that chapters are about."""
    found = []
    for lines, place in ((words.THINGS, False), (words.PLACES, True)):
        for line in lines.strip().splitlines():
            noun, before = line.split(": ")
            found += [Thing(word, noun, place) for word in before.split(", ")]
    return tuple(found)


def split_of(one: str, other: str) -> str:
    """96 / 2 / 2 by the two kinds, in whichever order: every object with them is held out too."""
    pair = "/".join(sorted((one, other)))
    bucket = int.from_bytes(hashlib.sha256(pair.encode()).digest()[:8], "big") % 100
    return "validation" if bucket < 2 else "test" if bucket < 4 else "train"


def version() -> str:
    """Changes with anything that a book or a request is made of, and not with how this file is laid out."""
    parts = [
        repr(list(things())),
        repr(sorted((k, v) for k, v in vars(words).items() if k.isupper())),
        repr(EXAMPLE_TEXTS),
    ]
    for number in range(50):
        found = book(0, number)
        parts += [repr(found), *(repr(task(0, found, n + 1, n % 3)) for n in range(len(found.things)))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def length(draw: random.Random) -> int:
    """Chapters of a book: many short ones, a good share of long ones."""
    kind = draw.random()
    return draw.randint(1, 6) if kind < 0.6 else draw.randint(7, 12) if kind < 0.8 else draw.randint(13, CHAPTERS)


@lru_cache(maxsize=1024)
def book(seed: int, number: int) -> Book:
    """The book of that number."""
    draw = random.Random(f"{seed}/{number}")
    hero_kind, friend_kind = draw.sample(words.KINDS, 2)
    hero_name, friend_name = draw.sample(words.WOMEN + words.MEN, 2)
    hero, friend = Person(hero_kind, hero_name), Person(friend_kind, friend_name)
    home = draw.choice(words.HOMES)
    count = length(draw)
    chosen: list[Thing] = []
    for thing in draw.sample(things(), 80):
        taken = {t.noun for t in chosen} | {t.before for t in chosen[-3:]} | {hero_kind, friend_kind}
        if thing.noun not in taken and thing.before not in taken and len(chosen) < count:
            chosen.append(thing)
    return Book(number, hero, friend, home, tuple(chosen))


def task(seed: int, of: Book, number: int, attempt: int) -> Task:
    """A try at chapter `number` (from 1)."""
    key = f"{seed}/{of.number}/{number}/{attempt}"
    draw = random.Random(key)
    thing = of.things[number - 1]
    after = None
    if number == 1:
        event = draw.choice(words.FIRST_EVENT)
        template = f"{draw.choice(words.FIRST)} {event}".strip()
    else:
        kind = draw.random()
        if kind < 0.25:
            # Mostly the chapter before; now and then one further back.
            after = number - 1 if draw.random() < 0.6 else draw.randint(1, number - 1)
            template = draw.choice(words.WITH_EARLIER)
        elif kind < 0.5:
            template = draw.choice(words.WITH_NONE)
        elif kind < 0.65:
            template = draw.choice(words.WITH_ANY)
        else:
            template = draw.choice(words.WITH_PLACE if thing.place else words.WITH_THING)
    earlier = of.things[after - 1].title if after else ""
    hero, friend = of.hero, of.friend
    he, him, his = hero.forms
    fhe, fhim, _ = friend.forms
    young = draw.choice(words.YOUNG)
    fields = {
        "h": hero.name,
        "hk": hero.kind,
        "f": friend.name,
        "fk": friend.kind,
        "fa": article(friend.kind),
        "a": article(young if "{young}" in template else hero.kind),
        "young": young,
        "he": he,
        "He": he.capitalize(),
        "him": him,
        "his": his,
        "His": his.capitalize(),
        "fhe": fhe,
        "fhim": fhim,
        "home": of.home,
        "o": str(thing),
        "O": str(thing).capitalize(),
        "p": earlier,
        "when": draw.choice(words.WHEN),
    }
    opening = template.format(**fields)
    turn = draw.choice(words.TURNS).format(**fields)
    request = f"Write a short story about {thing}. In it are {hero} ({he}) and {his} friend {friend} ({fhe}). {turn}"
    return Task(
        book=of.number,
        chapter=number,
        attempt=attempt,
        noun=thing.noun,
        names=(hero.name, friend.name),
        pronouns=(he, fhe),
        after=after,
        # By chapter and not by book, so that a book is not all of one manner.
        example=draw.randrange(len(EXAMPLE_TEXTS)),
        request=request,
        opening=opening,
        closing=draw.choice(words.CLOSINGS).format(**fields, n=thing.noun),
        words=draw.randint(*WORDS),
        stream=int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"),
    )
