"""Judges the texts of one seed as one set: trigram perplexity, word entropy and distinct pairs, human text beside them."""

from collections.abc import Sequence
from pathlib import Path

from claims.binary import Sample
from claims.tables import Figure, percent, shown
from figures import Score, diversity, total
from report import number
from texts import InputError, read, words
from trigram import Trigram

DRAWS = 16
FIGURES = ("entropy", "distinct_2")


class Human:
    """Held-out text as one stream of words."""

    def __init__(self, path: Path) -> None:
        """Reads it whole."""
        self.path = path
        self.words = words(read(path))
        self.known: dict[tuple[int, ...], dict[str, float]] = {}

    def draws(self, counts: Sequence[int]) -> list[list[list[str]]]:
        """Sets of pieces with these numbers of words, each set spread over the whole stream; no two pieces overlap."""
        number = min(DRAWS, len(self.words) // (len(counts) * max(counts)))
        if number == 0:
            needed = len(counts) * max(counts)
            raise InputError(f"--human: {self.path}: {len(self.words)} words, {needed} are needed beside the samples")
        room = len(self.words) // (number * len(counts))
        return [
            [self.words[(at := (i + j * number) * room) : at + count] for j, count in enumerate(counts)]
            for i in range(number)
        ]

    def like(self, counts: Sequence[int]) -> dict[str, float]:
        """Mean figures of human texts with these numbers of words."""
        key = tuple(counts)
        if key not in self.known:
            found = [diversity(draw) for draw in self.draws(key)]
            self.known[key] = {name: sum(one[name] or 0.0 for one in found) / len(found) for name in FIGURES}
        return self.known[key]


class Jury:
    """The trigram model and human text."""

    def __init__(self, human: Path) -> None:
        """Loads both."""
        self.human = Human(human)
        self.trigram = Trigram()

    def of_human(self) -> Score:
        """The whole human text."""
        return self.trigram.score_words(self.human.words)

    def judge(self, samples: Sequence[Sample]) -> dict[str, float | None]:
        """Of one seed's texts together; entropy and distinct pairs also over those of as many human words. Texts
        without a word count only among those cut short."""
        sequences = [sequence for one in samples if (sequence := words(one.text))]
        score = total([self.trigram.score_words(sequence) for sequence in sequences])
        own = diversity(sequences)
        figures: dict[str, float | None] = {
            "perplexity": score.perplexity(),
            "skipped": score.skipped / max(1, score.units + score.skipped),
            "words": sum(map(len, sequences)),
            "cut": sum(one.cut for one in samples) / len(samples),
        }
        human = self.human.like([len(sequence) for sequence in sequences]) if sequences else {}
        for name in FIGURES:
            value, other = own[name], human.get(name)
            figures[name] = value
            figures[f"{name}_human"] = other
            figures[f"{name}_ratio"] = value / other if value is not None and other else None
        return figures


QUALITY = ["trigram perplexity", "skipped", "entropy", "over human", "distinct-2", "over human", "words", "cut"]


def quality(figures: dict[str, Figure]) -> list[str]:
    """The cells under `QUALITY`."""
    spreads = [shown(figures[name]) for name in ("entropy", "entropy_ratio", "distinct_2", "distinct_2_ratio")]
    skipped, cut = (percent(figures[name]["mean"]) for name in ("skipped", "cut"))
    return [shown(figures["perplexity"]), skipped, *spreads, f"{figures['words']['mean']:.0f}", cut]


def legend(jury: Jury) -> list[str]:
    """What the columns are."""
    human = jury.of_human()
    return [
        "",
        "Mean ± standard deviation over seeds; the texts of one seed are judged as one set. Entropy (nats) and distinct-2",
        "are of words, over human: of human texts with as many words. Skipped: words the trigram model does not know. Cut:",
        f"texts that end before their last token. All human text: trigram perplexity {number(human.perplexity())},",
        f"{percent(human.skipped / max(1, human.units + human.skipped))} skipped.",
    ]
