"""Checks of the network and of sampling against transformers, on made-up weights; left out where it is not there."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from guard import Guard
from llama import Llama, Sizes


@pytest.fixture(scope="module")
def pair():
    """The same small random weights in both."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = transformers.LlamaConfig(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    theta = config.rope_parameters["rope_theta"]
    return model, Llama(model.state_dict(), Sizes(6, 2, 8, theta, 1e-5), torch.float32, "cpu")


@torch.inference_mode()
def test_rows_behind_a_shared_beginning_are_as_if_alone(pair) -> None:
    model, llama = pair
    beginning, rows = list(range(5, 12)), [[20, 21, 22, 23, 24], [30, 31], [40, 41, 42, 43]]
    begun = llama.share(beginning)
    cache = llama.cache(3, begun)
    ids = torch.tensor([[0] * (5 - len(row)) + row for row in rows])
    real = torch.tensor([[False] * (5 - len(row)) + [True] * len(row) for row in rows])
    at = begun.length + (real.cumsum(1) - 1).clamp(min=0)
    found = llama.advance(ids, real, at, cache)
    at = at[:, -1:]
    # Past the step by which a cache grows, and with a row that ends on the way.
    for step in range(60):
        for row, logits in zip(rows, found, strict=True):
            if step in (0, 1, 27, 28, 29, 59):
                expected = model(torch.tensor([beginning + row])).logits[0, -1]
                assert (logits - expected).abs().max() < 1e-4
        if step == 30:
            keep = torch.tensor([0, 2])
            cache.keep(keep)
            rows, at = [rows[0], rows[2]], at[keep]
        rows = [[*row, 3 + (7 * step + len(row)) % 90] for row in rows]
        at = at + 1
        following = torch.tensor([[row[-1]] for row in rows])
        found = llama.advance(following, torch.ones_like(following, dtype=torch.bool), at, cache)


def test_the_guard_masks_what_the_grammar_forbids() -> None:
    pieces = [" home", " The", "The", ' "', '."', "ing", "<|im_end|>"]
    masks = Guard(pieces, torch.device("cpu")).forbidden(["He went", "He went.", 'He said, "', '"Go on'])
    allowed = [[piece for piece, barred in zip(pieces, mask, strict=True) if not barred] for mask in masks.tolist()]
    assert allowed == [
        [" home", ' "', "ing", "<|im_end|>"],
        [" The", ' "', "<|im_end|>"],
        ["The", "<|im_end|>"],
        [" home", '."', "ing", "<|im_end|>"],
    ]


def test_the_weights_are_loaded_from_the_named_file_alone(tmp_path: Path) -> None:
    from files import InputError
    from writer import load

    (tmp_path / "weights.gguf").write_bytes(b"none")
    with pytest.raises(InputError, match="weights.gguf: cannot be read"):
        load(tmp_path / "weights.gguf", "cpu")
