"""Trains the byte-level BPE tokenizer; `<eos>` is id 0 and the only special token."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

EOS = "<eos>"


def train(lines: Iterable[str], vocab_size: int) -> Tokenizer:
    """A tokenizer of at most `vocab_size` pieces (a small text may hold fewer)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    if tokenizer.token_to_id(EOS) != 0:
        raise RuntimeError(f"{EOS} has id {tokenizer.token_to_id(EOS)}, expected 0")
    return tokenizer


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder that corpus.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="tokenizer.json to write")
    parser.add_argument("--vocab", type=int, default=4096)
    arguments = parser.parse_args()
    lines = (arguments.corpus / "train.txt").read_text(encoding="utf-8").splitlines()
    tokenizer = train(lines, arguments.vocab)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(arguments.out))
    held_out = (arguments.corpus / "validation.txt").read_text(encoding="utf-8").splitlines()
    pieces = sum(len(tokenizer.encode(line).ids) for line in held_out)
    print(f"{tokenizer.get_vocab_size()} pieces, {sum(map(len, held_out)) / pieces:.2f} characters per piece")


if __name__ == "__main__":
    main()
