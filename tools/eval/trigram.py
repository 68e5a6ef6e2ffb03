"""Judge: the American English trigram model of pocketsphinx, a closed vocabulary of lower-cased words."""

from collections.abc import Callable, Sequence

from figures import Score
from texts import InputError, words

FILE = "en-us/en-us.lm.bin"


class Trigram:
    """Punctuation and case are not seen, and there are no sentence marks. A word outside the vocabulary is
    skipped, and the words after it do not see past it."""

    name = "trigram"
    unit = "word"

    def __init__(self) -> None:
        """Loads the model that the package ships."""
        try:
            from pocketsphinx import LogMath, NGramModel, get_model_path
        except (ImportError, OSError) as error:
            raise InputError(f"judge trigram: {error}; pip install -r requirements.txt") from error
        try:
            self.model = NGramModel.readfile(get_model_path(FILE))
        except ValueError as error:
            raise InputError(f"judge trigram: {error}") from error
        self.math = LogMath()
        self.zero = self.math.get_zero()
        self.known: dict[str, bool] = {}

    def knows(self, word: str) -> bool:
        """Whether the vocabulary has the word."""
        if word not in self.known:
            self.known[word] = self.model.prob([word]) > self.zero
        return self.known[word]

    def score_words(self, sequence: Sequence[str]) -> Score:
        """One text."""
        nats, units = 0.0, 0
        history: list[str] = []
        for word in sequence:
            if not self.knows(word):
                history = []
                continue
            # The package wants the word first, then its history, the nearest first.
            history = [word, *history[:2]]
            nats -= self.math.log_to_ln(self.model.prob(history))
            units += 1
        return Score(nats, units, len(sequence) - units)

    def score(self, texts: Sequence[str], report: Callable[[str], None]) -> list[Score]:
        """Each text on its own."""
        report(f"{len(texts)} texts")
        return [self.score_words(words(text)) for text in texts]
