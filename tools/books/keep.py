"""Which chapters are kept: rules that a machine can check, each with a word for what is wrong."""

import re

import words
from grid import Book, Person, Thing

WORDS = (40, 200)
REPETITION = 0.15
PLAIN = re.compile(r"[A-Za-z ,.!?'\";:-]+")
QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\xa0": " "})
# Talk about the text instead of the text, and what is not for small children.
META = re.compile(
    r"\b(this story|the story|short story|moral of|chapters?|titles?|authors?|readers?|assistant|prompt|once upon a time)\b"
)
HARSH = re.compile(
    r"\b(kill\w*|dead|die|died|dying|blood\w*|knife|knives|guns?|sex\w*|wine|beer|drunk|god|gods|jesus|hell|damn\w*|"
    r"suicid\w*|married|marry|wedding|murder\w*|corpse\w*|rape\w*|naked|drugs?|cigarette\w*|war|hate[ds]?|stupid|slave\w*)\b"
)
BROKEN = re.compile(r"\b(theres|dont|didnt|cant|wont|im|youre|thats|isnt|wasnt|couldnt|doesnt|ol)\b")
TWICE = re.compile(r"\b(\w+) \1\b", re.IGNORECASE)
MAY_DOUBLE = {"had", "that", "very", "no", "so", "ha", "bye", "tick", "knock", "her"}
SPACING = re.compile(
    r"[.!?] [a-z]|[.!?,;:][A-Za-z]|[.!?,]\"[A-Za-z]| [.,!?;:]|\"\"|[.,;:!?-]{2}|--|  |(?<![a-z]) ?'(?=[A-Z])"
)
SAID = "said|asked|replied|added|continued|explained|told"
# He said, "Yes," he added.
SAID_TWICE = re.compile(rf'\b({SAID})\b[^."]*[,:] "[^"]*(," (\w+ )?|[.?!]" (he |she |they ))({SAID})\b')
KINDS = "|".join(words.KINDS)


def tidy(text: str) -> str:
    """One kind of quote, one kind of space."""
    return " ".join(text.translate(QUOTES).split())


def is_end(text: str) -> bool:
    """Whether a text may stop here: a sentence is over, and no speech is open."""
    return text.rstrip('"').endswith((".", "!", "?")) and not text.endswith('""') and text.count('"') % 2 == 0


def sentences(text: str) -> list[str]:
    """Sentences, with what is said in them."""
    return re.split(r"(?<=[.?!]) (?=[A-Z\"])|(?<=[.?!]\") (?=[A-Z\"])", text)


def repetition(text: str) -> float:
    """Share of the 4-grams that occurred before."""
    found = re.findall(r"[a-z']+", text.lower())
    grams = [tuple(found[i : i + 4]) for i in range(len(found) - 3)]
    return 1 - len(set(grams)) / max(1, len(grams))


def strangers(text: str, names: set[str]) -> list[str]:
    """Capitalised words that are neither names of the book nor the start of a sentence or speech that begins so."""
    found = []
    for match in re.finditer(r"[A-Z][A-Za-z]*", text):
        word, before = match[0], text[: match.start()].rstrip(" ")
        starts = not before or before.endswith((".", "!", "?", '"'))
        if word not in names and word != "I" and not (starts and word in words.CAPITALS):
            found.append(word)
    return found


def wrong_pronoun(text: str, people: tuple[Person, Person]) -> bool:
    """Whether someone is called by the other's pronoun, as far as that can be seen."""
    said = re.sub(r'"[^"]*"', '"', text)
    if people[0].forms == people[1].forms:
        other = r"\b(he|him|his|himself)\b" if people[0].forms[0] == "she" else r"\b(she|her|hers|herself)\b"
        if re.search(other, said, re.IGNORECASE):
            return True
    alone: Person | None = None
    for sentence in sentences(said):
        start = re.match(r"(He|She)\b", sentence)
        if start and alone and start[1].lower() != alone.forms[0]:
            return True
        named = [person for person in people if re.search(rf"\b{person.name}\b", sentence)]
        if len(named) == 1:
            own = "himself" if named[0].forms[0] == "he" else "herself"
            if re.search(r"\b(himself|herself)\b", sentence) and not re.search(rf"\b{own}\b", sentence):
                return True
        alone = named[0] if len(named) == 1 else None
    return False


def wrong_kind(text: str, person: Person) -> bool:
    """Whether someone is said to be of another kind."""
    pattern = rf"\b{person.name}(?: the| was an?| is an?) (?:\w+ )?({KINDS})\b"
    return any(kind != person.kind for kind in re.findall(pattern, text))


def flaw(text: str, opening: str, book: Book, thing: Thing) -> str | None:
    """What is wrong with a chapter; None if it is kept."""
    hero, friend = book.hero, book.friend
    names = {hero.name, friend.name}
    own = text[len(opening) :]
    lower = own.lower()
    count = len(text.split())
    if not PLAIN.fullmatch(text) or not text.startswith(opening):
        return "characters"
    if not WORDS[0] <= count <= WORDS[1]:
        return "length"
    if not is_end(text):
        return "end"
    if len(re.findall(rf"\b{hero.name}\b", text)) < 2 or not re.search(rf"\b{hero.name}\b", own):
        return "hero"
    if not re.search(rf"\b{friend.name}\b", text):
        return "friend"
    if not re.search(rf"\b{thing.noun}(s|es)?\b", lower):
        return "object"
    if strangers(text, names | set(re.findall(r"[A-Z]\w*", opening))):
        return "stranger"
    if re.search(rf"\b({hero.name}|{friend.name})(?: \w+)? \1\b|\b(named|called) ({hero.name}|{friend.name})\b", own):
        return "double"
    if wrong_kind(own, hero) or wrong_kind(own, friend):
        return "kind"
    if wrong_pronoun(text, (hero, friend)):
        return "pronoun"
    if META.search(lower):
        return "meta"
    if HARSH.search(lower):
        return "harsh"
    if SAID_TWICE.search(own) or BROKEN.search(lower) or SPACING.search(own):
        return "broken"
    if any(match[1].lower() not in MAY_DOUBLE for match in TWICE.finditer(own)):
        return "stutter"
    long = [s.lower() for s in sentences(text) if len(s.split()) > 2]
    if len(set(long)) < len(long) or repetition(text) >= REPETITION:
        return "repetition"
    return None
