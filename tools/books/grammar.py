"""Which pieces may follow: capitals where a sentence begins, speech opened and closed, no word glued to a name."""

from words import CAPITALS

MARK, GLUE, LOWER, CAPITAL, SPACED_CAPITAL, NAME, SPACED_NAME, OPEN, CLOSE, END = range(10)
# What is behind: a word, a whole word, a comma, a sentence's end, a speech's start, its end with a comma, its end.
WORD, WHOLE, COMMA, STOP, OPENED, SAID, CLOSED = range(7)
MAY = {
    WORD: {MARK, GLUE, LOWER, SPACED_NAME, OPEN, CLOSE},
    WHOLE: {MARK, LOWER, SPACED_NAME, OPEN, CLOSE},
    COMMA: {LOWER, SPACED_NAME, OPEN},
    STOP: {SPACED_CAPITAL, SPACED_NAME, OPEN, CLOSE},
    OPENED: {CAPITAL, NAME},
    SAID: {LOWER, SPACED_NAME},
    CLOSED: {LOWER, SPACED_CAPITAL, SPACED_NAME, OPEN},
}


def kind_of(piece: str) -> int:
    """The class of a piece that is allowed at all."""
    word = piece.strip()
    if piece == "<|im_end|>":
        return END
    if piece == ' "':
        return OPEN
    if piece.endswith('"'):
        return CLOSE
    if word[0].islower():
        return LOWER if piece[0] == " " else GLUE
    if word[0].isupper():
        kinds = (CAPITAL, SPACED_CAPITAL) if word in CAPITALS and word != "I" else (NAME, SPACED_NAME)
        return kinds[piece[0] == " "]
    return MARK


def state_of(text: str) -> tuple[int, bool]:
    """What is behind, and whether a speech is open."""
    speaking = text.count('"') % 2 == 1
    last = text[-1]
    if last == '"':
        return (OPENED if speaking else SAID if text[-2:-1] == "," else CLOSED), speaking
    if last in ".!?":
        return STOP, speaking
    if last in ",;:":
        return COMMA, speaking
    word = text.rsplit(" ", 1)[-1].lstrip('"')
    return (WHOLE if word[:1].isupper() or "'" in word[:-1] else WORD), speaking


def forbidden(state: int, speaking: bool, kind: int) -> bool:
    """Whether a piece of that kind would be a mistake there; ending is decided elsewhere."""
    return kind != END and (kind not in MAY[state] or kind == (OPEN if speaking else CLOSE))
