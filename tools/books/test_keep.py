"""Checks of the filter: `python -m pytest` in this folder."""

import pytest

import grammar
from grid import Book, Person, Thing
from keep import flaw, is_end, sentences, tidy

KITE = Thing("red", "kite", place=False)
BOOK = Book(0, Person("fox", "Tom"), Person("owl", "Anna"), "in an old mill", (KITE,))
OPENING = "One day, Tom the fox found a red kite."
GOOD = (
    f'{OPENING} He ran to the hill with it. Anna the owl was there already. "What is that?" she asked. "It is a '
    'kite," said Tom. He held the line, and the wind took it up into the sky. Anna flew beside the kite and sang a '
    "song. When the sun went down, they carried it home and put it on the wall above his bed."
)


def judge(text: str, book: Book = BOOK) -> str | None:
    """The flaw of a chapter about the kite."""
    return flaw(text, OPENING, book, KITE)


def test_a_good_chapter_is_kept() -> None:
    assert judge(GOOD) is None


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("He ran", "Tom **ran**", "characters"),
        ("the sky", "the caf\u00e9", "characters"),
        (" When the sun", "\n\nWhen the sun", "characters"),
        (" above his bed.", " above his", "end"),
        (" above his bed.", ' above his bed. "And', "end"),
        ("said Tom", "said the fox", "hero"),
        ("beside the kite", "beside the bird", None),
        ("Anna flew", "Lily flew", "stranger"),
        ("to the hill", "to Paris", "stranger"),
        ("There is", "Sure", None),
        ("He ran to the hill", "Sure! Here is a story. He ran to the hill", None),
        ("He ran to the hill", "This is the moral of it. He ran to the hill", "meta"),
        ("He ran to the hill", "In this story he ran to the hill", "meta"),
        ("He ran to the hill", "He had a gun. He ran to the hill", "harsh"),
        ("He ran to the hill", "Tom was a brave bear. He ran to the hill", "kind"),
        ("Anna the owl", "Anna the cow", "kind"),
        ("He ran to the hill", "Tom told Tom to run. He ran to the hill", "double"),
        ("He ran to the hill", "He met a boy named Tom and ran to the hill", "double"),
        ("He ran to the hill", "She ran to the hill", "pronoun"),
        ("He held the line", "Anna did it by himself. He held the line", "pronoun"),
        ("He held the line", "He held the the line", "stutter"),
        ("the sky. Anna", "the sky.Anna", "broken"),
        ("the sky. Anna", "the sky . Anna", "broken"),
        ("He ran", "He didnt run. He ran", "broken"),
        ("said Tom.", 'said Tom. He said, "I like it," he added.', "broken"),
    ],
)
def test_what_is_wrong_is_found(old: str, new: str, found: str | None) -> None:
    if found is not None:
        assert judge(GOOD.replace(old, new)) == found
    else:
        assert judge(GOOD.replace(old, new)) in (None, "meta")


def test_hero_friend_and_object_have_to_be_there() -> None:
    assert judge(GOOD.replace("Tom.", "the fox.")) == "hero"
    assert judge(GOOD.replace("Anna", "She").replace("She the owl", "The owl")) == "friend"
    assert judge(f"{OPENING}{GOOD[len(OPENING) :].replace('kite', 'thing')}") == "object"
    assert judge(GOOD[len(OPENING) :].strip()) == "characters"


def test_length_and_repetition() -> None:
    assert judge(f"{OPENING} Tom and Anna saw the kite.") == "length"
    assert judge(GOOD + " They ate and slept well." * 40) == "length"
    assert judge(GOOD.replace(" When", " The sun shone. The wind blew hard. The sun shone. When")) == "repetition"
    turns = " ".join(f"They went up to the top of the {place}." for place in ("hill", "tree", "tower", "house", "wall"))
    assert judge(f"{OPENING} Tom and Anna took the kite. {turns} They all went up to the top of the mountain too.") == (
        "repetition"
    )


def test_two_of_one_gender_have_no_other_pronoun() -> None:
    men = Book(0, Person("fox", "Tom"), Person("owl", "Max"), "", (KITE,))
    text = GOOD.replace("Anna", "Max").replace("she asked", "he asked")
    assert judge(text, men) is None
    assert judge(text.replace("Max flew", "She flew"), men) == "pronoun"


def test_quotes_and_spaces_become_plain() -> None:
    assert tidy("\u201cIt\u2019s  here,\u201d\n he said \u2013 twice.") == '"It\'s here," he said - twice.'


def test_ends_and_sentences() -> None:
    assert is_end("He went.") and is_end('"Go!"') and not is_end('"Go.') and not is_end("He") and not is_end('"Go""')
    assert sentences('He went. "Go!" She did. "Why?" he asked.') == [
        "He went.",
        '"Go!"',
        "She did.",
        '"Why?" he asked.',
    ]


@pytest.mark.parametrize(
    ("text", "piece", "allowed"),
    [
        ("He went", " home", True),
        ("He went", "ing", True),
        ("He went", " The", False),
        ("He went", " Tom", True),
        ("He met Tom", "my", False),
        ("He met Tom", "'s", True),
        ("He went.", " The", True),
        ("He went.", " home", False),
        ("He went.", ' "', True),
        ('He said, "', "Go", True),
        ('He said, "', " go", False),
        ('He said, "Go', ',"', True),
        ("He said", ',"', False),
        ('He said, "Go', ' "', False),
        ('"Go,"', " he", True),
        ('"Go,"', " The", False),
        ('"Go!"', " The", True),
        ("He went, ".strip(), "and", False),
    ],
)
def test_pieces_follow_the_grammar(text: str, piece: str, allowed: bool) -> None:
    state, speaking = grammar.state_of(text)
    assert grammar.forbidden(state, speaking, grammar.kind_of(piece)) is not allowed
