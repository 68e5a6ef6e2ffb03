"""Inputs and f64 outputs of one evaluation, for other implementations to agree with."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from model import Denoiser, Inputs, expectation
from pattern import visible

CHOSEN = 12


@torch.no_grad()
def evaluate_fixture(model: Denoiser, inputs: Inputs) -> dict[str, torch.Tensor]:
    """All logits, x0, entropy and the anchors' predictions."""
    table = model.table()
    hidden = model(inputs)
    logits = model.logits(hidden.h, hidden.skip, table)
    x0, entropy = expectation(logits, table)
    return {"logits": logits, "x0": x0, "entropy": entropy, "anchor": hidden.anchor}


@torch.no_grad()
def write_fixture(path: Path, model: Denoiser, level_index: int, text: int, seed: int) -> None:
    """Two sequences of the same length: noisy, clean and anchor rows, with a previous prediction.

    The first sequence has anchor states, the second none. Inputs are rounded to f32 before use.
    """
    config = model.config
    level = config["levels"][level_index]
    if text > level["max_length"]:
        raise ValueError(f"{text} positions: level {level_index} ends at {level['max_length']}")
    anchors, dim, vocab = level["anchors"], config["embedding_dim"], config["vocab_size"]
    rows = anchors + text
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float32).double()

    gamma = torch.tensor([1.25])
    table = model.table()
    ids = torch.randint(vocab, (2, text), generator=generator)
    clean = torch.rand(2, text, generator=generator) < 0.3
    alpha, sigma = torch.sigmoid(-gamma.double()).sqrt(), torch.sigmoid(gamma.double()).sqrt()
    noisy = model.absorb + alpha * (table[ids] - model.absorb) + sigma * normal(2, text, dim)
    state = 0.4 * normal(2, anchors, dim)
    state[1] = 0
    z = torch.cat([state, torch.where(clean[..., None], table[ids], noisy)], 1).float()
    previous = (0.7 * normal(2, rows, dim)).float()
    difficulty = (torch.rand(2, rows, generator=generator) * torch.log(torch.tensor(float(vocab)))).float()
    flag = torch.full((2, rows), 2)
    flag[:, anchors:] = clean.long()
    inputs = Inputs(
        z=z.double(),
        self_x0=previous.double(),
        flag=flag,
        difficulty=difficulty.double(),
        gamma=gamma.double().expand(2),
        anchors=anchors,
        pattern=visible(level, text),
    )
    out = evaluate_fixture(model, inputs)
    flat = torch.randperm(2 * rows, generator=generator)[: CHOSEN - 2]
    flat = torch.cat([torch.tensor([0, rows]), flat[(flat != 0) & (flat != rows)]])
    chosen = torch.stack([flat // rows, flat % rows], 1)
    tensors = {
        "z": z,
        "self": previous,
        "flag": flag.to(torch.uint32),
        "difficulty": difficulty,
        "gamma": gamma.float(),
        "level": torch.tensor([level_index]).to(torch.uint32),
        "rows": chosen.to(torch.uint32),
        "logits": out["logits"][chosen[:, 0], chosen[:, 1]].float(),
        "x0": out["x0"].float(),
        "entropy": out["entropy"].float(),
        "anchor": out["anchor"].float(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
