"""The writer: SmolLM2-135M-Instruct, sampled so that a chapter depends on its own task and on nothing beside it."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import words
from examples import EXAMPLES, example
from files import InputError
from grid import Task, things
from guard import Guard
from keep import is_end
from llama import Llama, Sizes

TEMPERATURE = 0.4
TOP_K = 40
PENALTY = 1.1
# Rarer pieces than this are not for small children; they also cost time.
PIECES = 24_000
MARKS = [*".,!?\"';:-", '."', ',"', '?"', '!"', ' "', "'s", "'t", "'re", "'ll", "'ve", "'m", "'d"]
SYSTEM = "You write stories for small children. You use simple words and short sentences."
# Until the object, the hero and the friend are named the writer is reminded, more so when half is written.
REMINDER = (2.0, 5.0)
NAME_REMINDER = (0.5, 2.5)
# Said once, a name has to compete with its pronoun.
ENOUGH = -0.7
PRONOUNS = {"he": "he him his himself".split(), "she": "she her hers herself".split()}
# Words after which a chapter may end by itself, and words too many after which it is given up.
EARLIEST, TOO_LONG = 50, 60
# Its events are better than its talk.
SPEECH = -1.5
BARRED = -1e9


@dataclass
class Draft:
    """What came of a task: the text with its opening, the mean loss of what was sampled, pieces written."""

    text: str
    loss: float
    pieces: int


@dataclass
class Row:
    """A chapter in the making."""

    task: Task
    draws: np.random.Generator
    text: str
    forced: list[int] = field(default_factory=list)
    closing: bool = False
    done: bool = False
    loss: float = 0.0
    sampled: int = 0
    pieces: int = 0

    @property
    def words(self) -> int:
        """So far."""
        return self.text.count(" ") + 1

    def draft(self) -> Draft:
        """The result."""
        return Draft(self.text, self.loss / max(1, self.sampled), self.pieces)


def load(path: Path, device: str) -> tuple[Llama, Any]:
    """The network and its tokenizer out of a GGUF file."""
    # Nothing else is ever looked up.
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise InputError(f"transformers: {error}; see requirements.txt") from error
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    except Exception as error:  # The libraries raise whatever they like.
        raise InputError(f"{path}: cannot be read: {error}") from error
    c = model.config
    theta = c.rope_parameters["rope_theta"]
    head = c.hidden_size // c.num_attention_heads
    sizes = Sizes(c.num_attention_heads, c.num_key_value_heads, head, theta, c.rms_norm_eps)
    return Llama(model.state_dict(), sizes, torch.bfloat16, device), tokenizer


class Writer:
    """Weights, the pieces that may be used, and the beginnings that requests share."""

    def __init__(self, llama: Llama, tokenizer: Any) -> None:
        self.llama, self.tokenizer, self.device = llama, tokenizer, llama.table.device
        names = words.WOMEN + words.MEN
        texts = [tokenizer.decode([i]) for i in range(len(tokenizer))]
        self.end = tokenizer.convert_tokens_to_ids("<|im_end|>")
        spoken = [*words.KINDS, *(word for t in things() for word in (t.noun, t.before)), *words.YOUNG]
        extra = {piece for text in [*spoken, *words.closing_words()] for piece in self.encode(" " + text)}
        marks = {*MARKS, *(c for word in [*words.CAPITALS, *names] for c in (word, " " + word))}
        allowed = [
            i
            for i, text in enumerate(texts)
            if i == self.end or i in extra or text in marks or (i < PIECES and re.fullmatch(r" ?[a-z]+", text))
        ]
        self.texts = [texts[i] for i in allowed]
        self.pieces = torch.tensor(allowed, device=self.device)
        self.place = {piece: i for i, piece in enumerate(allowed)}
        llama.restrict(self.pieces)
        self.names = {name: [i for i, text in enumerate(self.texts) if text.strip() == name] for name in names}
        self.all_names = torch.tensor(sorted(i for found in self.names.values() for i in found), device=self.device)
        self.guard = Guard(self.texts, self.device)
        self.pronouns = {
            name: [i for i, text in enumerate(self.texts) if text.strip().lower() in found]
            for name, found in PRONOUNS.items()
        }
        with torch.inference_mode():
            self.beginnings = [llama.share(self.encode(self.beginning(i))) for i in range(len(EXAMPLES))]

    def beginning(self, index: int) -> str:
        """What stands before a request."""
        return f"<|im_start|>system\n{SYSTEM}<|im_end|>\n{example(index)}<|im_start|>user\n"

    def encode(self, text: str) -> list[int]:
        """Pieces of a text."""
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def places(self, text: str) -> list[int]:
        """Pieces of a text, as places among the allowed."""
        return [self.place[piece] for piece in self.encode(text)]

    @torch.inference_mode()
    def write(self, tasks: list[Task], stopped: Callable[[], bool]) -> list[Draft] | None:
        """A draft for each task, which must all have the same example; None if it was told to stop on the way."""
        rows = [Row(task, np.random.Generator(np.random.Philox(key=task.stream)), task.opening) for task in tasks]
        everyone, device = rows, self.device
        begun = self.beginnings[tasks[0].example]
        starts = [self.encode(f"{t.request}<|im_end|>\n<|im_start|>assistant\n{t.opening}") for t in tasks]
        longest = max(map(len, starts))
        ids = torch.tensor([[self.end] * (longest - len(start)) + start for start in starts], device=device)
        real = torch.tensor([[False] * (longest - len(start)) + [True] * len(start) for start in starts], device=device)
        seen = torch.zeros(len(rows), len(self.texts), dtype=torch.bool)
        bias = torch.zeros(len(rows), len(self.texts))
        bias[:, self.guard.opens] = SPEECH
        bias[:, self.all_names] = BARRED
        bias[:, self.place[self.end]] = BARRED
        for i, (row, start) in enumerate(zip(rows, starts, strict=True)):
            seen[i, [self.place[piece] for piece in start if piece in self.place]] = True
            for name in row.task.names:
                bias[i, self.names[name]] = NAME_REMINDER[0]
            bias[i, self.places(" " + row.task.noun)[0]] = REMINDER[0]
            # Two of one kind of pronoun: the other kind would be a mistake.
            for pronoun, found in self.pronouns.items():
                if pronoun not in row.task.pronouns:
                    bias[i, found] = BARRED
        seen, bias = seen.to(device), bias.to(device)
        # Neither the names nor the object are ever said too often.
        free = torch.zeros_like(seen)
        free[:, self.all_names] = True
        for i, row in enumerate(rows):
            free[i, self.places(" " + row.task.noun)] = True
        seen &= ~free
        cache = self.llama.cache(len(rows), begun)
        at = begun.length + (real.cumsum(1) - 1).clamp(min=0)
        logits = self.llama.advance(ids, real, at, cache)
        at = at[:, -1:]
        while True:
            chosen, losses = self.choose(logits, bias, seen, rows)
            for i, (row, piece, loss) in enumerate(zip(rows, chosen[:, 0].tolist(), losses, strict=True)):
                if not row.done:
                    self.extend(row, piece, loss, bias[i])
            alive = [i for i, row in enumerate(rows) if not row.done]
            if not alive:
                return [row.draft() for row in everyone]
            if stopped():
                return None
            seen.scatter_(1, chosen, True)
            seen &= ~free
            at = at + 1
            # Rows that are done still cost; shrinking costs a copy of the cache.
            if len(alive) < 0.85 * len(rows):
                index = torch.tensor(alive, device=device)
                cache.keep(index)
                at, seen, free, bias, chosen = at[index], seen[index], free[index], bias[index], chosen[index]
                rows = [rows[i] for i in alive]
            real = torch.ones(len(rows), 1, dtype=torch.bool, device=device)
            logits = self.llama.advance(self.pieces[chosen], real, at, cache)

    def choose(
        self, logits: torch.Tensor, bias: torch.Tensor, seen: torch.Tensor, rows: list[Row]
    ) -> tuple[torch.Tensor, list[float]]:
        """The next piece of each row by its own random numbers, and its loss at temperature 1, unbiased."""
        barred = (bias < BARRED / 2) | self.guard.forbidden([row.text for row in rows])
        total = logits.logsumexp(-1)
        scores = torch.where(seen, torch.where(logits > 0, logits / PENALTY, logits * PENALTY), logits) + bias
        scores = scores.masked_fill(barred, BARRED)
        top, index = scores.topk(TOP_K, -1)
        mass = (top / TEMPERATURE).softmax(-1).cumsum(-1)
        draws = torch.tensor([[row.draws.random()] for row in rows], dtype=torch.float32, device=logits.device)
        place = (mass < draws * mass[:, -1:]).sum(-1, keepdim=True).clamp(max=TOP_K - 1)
        chosen = index.gather(1, place)
        for i, row in enumerate(rows):
            if row.forced:
                chosen[i, 0] = row.forced[0]
        return chosen, (total - logits.gather(1, chosen)[:, 0]).tolist()

    def extend(self, row: Row, piece: int, loss: float, bias: torch.Tensor) -> None:
        """Adds a piece to a row, and decides whether it is time to close."""
        if self.texts[piece] == "<|im_end|>":
            row.done = True
            return
        row.text += self.texts[piece]
        row.pieces += 1
        if row.forced:
            row.forced.pop(0)
        else:
            row.loss += loss
            row.sampled += 1
        task = row.task
        own = row.text[len(task.opening) :]
        late = 2 * row.words > task.words + len(task.opening.split())
        bias[self.places(" " + task.noun)[0]] = 0.0 if task.noun in own else REMINDER[late]
        for name in task.names:
            bias[self.names[name]] = ENOUGH if name in own else NAME_REMINDER[late]
        ended = not row.forced and is_end(row.text)
        bias[self.place[self.end]] = 0.0 if ended and row.words > EARLIEST else BARRED
        if ended and row.closing:
            row.done = True
        elif ended and row.words >= task.words:
            row.closing = True
            row.forced = self.places(task.closing)
            row.done = not row.forced
        elif row.words > task.words + TOO_LONG:
            row.done = True
