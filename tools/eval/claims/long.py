"""Whether a long text decays: entropy, perplexity and distinct pairs slice by slice, human text beside it."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from claims import options as read
from claims.binary import Drdiff, Sample
from claims.sample import check_texts, write
from claims.tables import percent, shown, spread, table
from figures import diversity, entropy, trend
from report import cell
from texts import InputError, words
from texts import read as read_text
from trigram import Trigram

# Whether the trend is one of the logarithm.
FIGURES = {"entropy": False, "perplexity": True, "distinct_2": False}
LABELS = {"entropy": "token entropy", "perplexity": "trigram perplexity", "distinct_2": "distinct-2"}

Curve = list[dict[str, float | None]]


class Slicer:
    """Cuts token ids into slices of one size and judges each."""

    def __init__(self, model: Path, size: int) -> None:
        """Loads the tokenizer and the trigram model."""
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise InputError(f"{error}; pip install -r requirements.txt") from error
        file = model / "tokenizer.json"
        try:
            self.tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the package raises nothing more specific
            raise InputError(f"{file}: {error}") from error
        self.trigram, self.size = Trigram(), size

    def human(self, path: Path, length: int, most: int) -> list[list[int]]:
        """At most so many runs of `length` tokens, spread over all documents one after another."""
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        stream = [token for line in lines for token in self.tokenizer.encode(line, add_special_tokens=False).ids]
        count = min(most, len(stream) // length)
        if count == 0:
            raise InputError(f"--human: {path}: {len(stream)} tokens, {length} are needed")
        return [stream[at : at + length] for at in (i * len(stream) // count for i in range(count))]

    def curve(self, tokens: Sequence[int]) -> Curve:
        """Figures of each whole slice. Entropy is of tokens; the others are of the words of the slice's text."""
        return [self.judge(tokens[at : at + self.size]) for at in range(0, len(tokens) - self.size + 1, self.size)]

    def past_ends(self, sample: Sample) -> Sample:
        """The sample with all its tokens for its text."""
        return replace(sample, tokens=sample.whole, text=self.tokenizer.decode(sample.whole))

    def judge(self, tokens: Sequence[int]) -> dict[str, float | None]:
        """One slice."""
        sequence = words(self.tokenizer.decode(list(tokens)))
        counts = [list(tokens).count(token) for token in set(tokens)]
        score = self.trigram.score_words(sequence)
        return {
            "entropy": entropy(counts),
            "perplexity": score.perplexity(),
            "distinct_2": diversity([sequence])["distinct_2"],
            "skipped": score.skipped / max(1, len(sequence)),
        }


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this claim."""
    read.texts(parser, length=10240, count=None)
    read.human(parser)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--slice", type=int, default=512, help="tokens per slice")
    parser.add_argument("--past-ends", action="store_true", help="slices of all tokens, past the end of the text too")
    parser.add_argument("--texts", type=Path, required=True, help=".jsonl for the texts, for judge.py --slice")


def summed(curves: Sequence[Curve]) -> dict[str, Any]:
    """Slice by slice over the texts that have it, and the trends of those that have two slices or more."""
    found: dict[str, Any] = {"slices": [len(curve) for curve in curves]}
    for name, logarithm in FIGURES.items():
        values = [[one[name] for one in curve] for curve in curves]
        columns = [[own[i] for own in values if i < len(own)] for i in range(max(map(len, values), default=0))]
        long = [own for own in values if len(own) > 1]
        found[name] = {"curve": [spread(column) for column in columns], "trend": trend(long, logarithm)}
    return found


def run(options: argparse.Namespace, drdiff: Drdiff) -> dict[str, Any]:
    """Texts to their file, figures returned."""
    read.check(options, length=1, steps=1, slice=2)
    check_texts(options.texts)
    if options.length < 2 * options.slice:
        raise InputError(f"--length: {options.length} tokens are not two slices of {options.slice}")
    seeds = read.counts(options, "seeds", least=0)
    slicer = Slicer(drdiff.model, options.slice)
    human = [slicer.curve(run) for run in slicer.human(options.human, options.length, len(seeds))]
    samples, curves = [], []
    for seed in seeds:
        made = drdiff.generate(seed, options.length, options.steps, prompt=options.prompt)
        sample = slicer.past_ends(made.samples[0]) if options.past_ends else made.samples[0]
        samples.append(sample)
        curves.append(slicer.curve(sample.tokens))
        made.record["slices"] = curves[-1]
        write(options.texts, samples)
    cut = sum(one.cut for one in samples) / len(samples)
    return {"samples": summed(curves), "human": summed(human), "cut": cut, "slice": options.slice}


def markdown(figures: dict[str, Any]) -> list[str]:
    """A row per slice, then the trends."""
    sides = [figures["samples"], figures["human"]]

    def at(side: dict[str, Any], name: str, index: int) -> str:
        """A cell of a curve that may have ended."""
        curve = side[name]["curve"]
        return shown(curve[index]) if index < len(curve) else "-"

    count = max(len(side["entropy"]["curve"]) for side in sides)
    rows = [[str(i + 1), *(at(side, name, i) for name in FIGURES for side in sides)] for i in range(count)]
    heads = [head for name in FIGURES for head in (LABELS[name], "human")]
    trends = []
    for name, logarithm in FIGURES.items():
        cells = []
        for side in sides:
            own = side[name]["trend"]
            cells += [cell(own["ratio"]["mean"], own["ratio"]["sd"]), slope(own)]
        trends.append([f"{LABELS[name]} (slope: of its ln)" if logarithm else LABELS[name], *cells])
    return [
        *table([f"slice of {figures['slice']} tokens", *heads], rows),
        "",
        *table(["figure", "last / first", "slope per slice", "human: last / first", "human: slope per slice"], trends),
        "",
        "Mean ± standard deviation over texts; slopes by least squares, ± standard error over texts (of the line where",
        "there is one). Token entropy in nats; perplexity and distinct-2 are of the words of a slice. Whole slices each",
        f"text has: {', '.join(map(str, sides[0]['slices']))}; texts cut short: {percent(figures['cut'])}.",
    ]


def slope(own: dict[str, Any]) -> str:
    """Four digits, as slopes are small."""
    if own["slope"] is None:
        return "-"
    error = own["slope_error"]
    return f"{own['slope']:+.4f}" + ("" if error is None else f" ± {error:.4f}")
