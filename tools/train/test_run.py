"""Checks of attention, optimizer, checkpoints and bounds: `python -m pytest` in this folder."""

import errno
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import run as run_module
import tiny
from attention import Sparse, masked, sparse
from batch import DENSE, Shape
from bound import bound
from config import VARIANTS, Recipe, base, variant
from files import InputError
from initial import OFFSETS, begin
from losses import Weights
from model import Config, Denoiser
from muon import Muon, orthogonal
from pattern import Level, visible
from run import Run, learning_rate
from schedule import HIGH, LOW

LONG: Level = {"pattern": "hsa", "window": 8, "dilations": [[4, 8], [16, 8]], "anchors": 5}


@pytest.mark.parametrize("text", [40, 256, 301])
@pytest.mark.parametrize("dilations", [[], [[4, 8]], [[4, 8], [16, 8]], [[3, 5], [7, 4]]])
def test_blocks_give_what_the_mask_gives(text: int, dilations: list[list[int]]) -> None:
    level = LONG | {"dilations": dilations}
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, text + 5, 8, dtype=torch.float64, requires_grad=True) for _ in range(3))
    wanted, found = masked(q, k, v, visible(level, text)), sparse(q, k, v, Sparse.of(level))
    assert torch.allclose(wanted, found, atol=1e-12)
    towards = torch.randn_like(wanted)
    for a, b in zip(
        torch.autograd.grad(wanted, (q, k, v), towards), torch.autograd.grad(found, (q, k, v), towards), strict=True
    ):
        assert torch.allclose(a, b, atol=1e-12)


def test_blocks_pay_where_they_hold_fewer_scores() -> None:
    wide = Sparse(128, ((16, 32), (64, 32), (256, 32)), 64)
    assert wide.padded(1024) == 8192  # whole blocks of 32 at a stride of 256
    assert [wide.pays(text) for text in (1024, 2048, 4096, 8192)] == [False, False, True, True]
    assert Sparse(128, ((16, 32),), 16).pays(1024)


@pytest.mark.parametrize("shape", [(30, 60), (20, 60)])
def test_orthogonal_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    singular = torch.linalg.svdvals(orthogonal(torch.randn(3, *shape)).float())
    assert singular.min() > 0.5 and singular.max() < 1.4


def test_muon_steps_by_the_same_amount_whatever_the_gradient() -> None:
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((60, 20), (20, 60), (20, 20))]
    for weight, size in zip(weights, (1e-4, 1.0, 1e3), strict=True):
        weight.grad = size * torch.randn_like(weight)
    Muon(weights, lr=0.1).step()
    for weight in weights:
        rows, columns = weight.shape
        wanted = 0.1 * max(1.0, rows / columns) ** 0.5
        assert float(torch.linalg.matrix_norm(weight.detach(), 2)) == pytest.approx(wanted, rel=0.35)


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    assert learning_rate(0, 0.0) < 0.01 and learning_rate(5000, 0.5) == 1.0 and learning_rate(5000, 1.0) == 0.0


def tiny_config(**changes: object) -> Config:
    """Small enough for a step in milliseconds."""
    sizes = {"model_dim": 48, "heads": 2, "layers": 1, "time_dim": 16, "expert_widths": [0, 8, 16]}
    return base("small", 64) | sizes | changes


RECIPE = Recipe((Shape(0.5, 4, 40, (DENSE,)), Shape(0.5, 1, 80, (LONG,), blocks=True)), Weights())
TOKENS = np.random.default_rng(0).integers(0, 64, 3000)


def make(seed: int = 0, recipe: Recipe = RECIPE, muon: float = 0.02, **changes: object) -> Run:
    """A run of the tiny model."""
    return Run(tiny_config(**changes), recipe, seed, (1e-3, muon), "cpu", compiled=False)


def test_checkpoint_resumes_and_refuses_another_configuration(tmp_path: Path) -> None:
    first = make()
    first.advance(TOKENS, 0.1)
    first.save(tmp_path / "c.pt")
    wanted = first.advance(TOKENS, 0.1)
    second = make(seed=1)
    second.restore(tmp_path / "c.pt")
    assert second.advance(TOKENS, 0.1)["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    assert (second.step, second.tokens) == (first.step, first.tokens)
    for other in (make(layers=2), make(recipe=replace(RECIPE, sas=False))):
        with pytest.raises(InputError, match="another configuration"):
            other.restore(tmp_path / "c.pt")
    with pytest.raises(InputError, match="another optimizer"):
        make(muon=0.0).restore(tmp_path / "c.pt")


def test_a_run_that_diverges_stops() -> None:
    run = make()
    with torch.no_grad():
        run.model.output.unembed.normal_().mul_(1e4)
    with pytest.raises(InputError, match="diverged"):
        for _ in range(3):
            run.advance(TOKENS, 0.1)


def test_a_single_outlier_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    run.advance(TOKENS, 0.1)
    before = [p.clone() for p in run.model.parameters()]
    with monkeypatch.context() as patch:
        patch.setattr("run.OUTLIER", 0.0)
        run.advance(TOKENS, 0.1)
    assert run.step == 2 and all(torch.equal(p, q) for p, q in zip(run.model.parameters(), before, strict=True))
    run.advance(TOKENS, 0.1)
    assert not all(torch.equal(p, q) for p, q in zip(run.model.parameters(), before, strict=True))


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    run.save(tmp_path / "c.pt")
    before = (tmp_path / "c.pt").read_bytes()

    def full(_: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_module.torch, "save", full)
    with pytest.raises(InputError, match="No space left on device.*last checkpoint is as it was"):
        run.save(tmp_path / "c.pt")
    assert (tmp_path / "c.pt").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["c.pt"]


@pytest.mark.parametrize("data", [b"", b"no checkpoint", None])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / "c.pt").write_bytes(data)
    with pytest.raises(InputError, match=r"c\.pt"):
        make().restore(tmp_path / "c.pt")


def test_every_variant_spends_the_same_on_experts() -> None:
    for name in VARIANTS:
        config, recipe = variant(name, "small")
        widths = sorted(config["expert_widths"])
        share = recipe.weights.target_share if len(set(widths)) > 1 else 1.0
        assert share * sum(widths[-config["top_k"] :]) == pytest.approx(144)
    with pytest.raises(ValueError, match="expected one of"):
        variant("other", "small")


def test_a_masked_run_learns_from_hidden_positions_only() -> None:
    run = make(recipe=replace(RECIPE, masked=True, sas=False, weights=Weights(anchor=0.0)))
    first = np.mean([run.advance(TOKENS % 3, 0.1)["loss"] for _ in range(3)])
    last = np.mean([run.advance(TOKENS % 3, 0.1)["loss"] for _ in range(150)][-3:])
    assert last < first - 0.5


@pytest.mark.parametrize("is_masked", [False, True])
def test_the_bound_of_a_model_that_knows_nothing_is_ln_v(is_masked: bool) -> None:
    config = tiny.config([LOW + (HIGH - LOW) * i / 32 for i in range(33)])
    torch.manual_seed(0)
    model = Denoiser(config)
    with torch.no_grad():
        model.output.unembed.zero_()
        model.absorb.zero_()
    text = torch.randint(0, tiny.VOCAB, (24, 20), generator=torch.Generator().manual_seed(1))
    found = bound(model.requires_grad_(False), text, config["levels"][0], 16, 0, is_masked)
    wanted = math.log(tiny.VOCAB)
    assert abs(found.nats - wanted) < 4 * found.error + 0.02 * wanted


@pytest.mark.parametrize("offset", OFFSETS)
def test_heads_begin_at_a_neighbour(offset: int) -> None:
    torch.manual_seed(0)
    model = Denoiser(base("base", 64))
    begin(model)
    head, size = OFFSETS.index(offset), 32
    part = model.layers[1].attention
    shift = model.modulation.bias[6 * 192 : 7 * 192]
    h = torch.randn(1, 40, 192) + shift
    cos, sin = model.rotation(40, 0, h)

    def rotate(x: torch.Tensor) -> torch.Tensor:
        even, odd = x[..., 0:16:2], x[..., 1:16:2]
        turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
        return torch.cat([turned, x[..., 16:]], -1)

    rows = slice(head * size, (head + 1) * size)
    query, key = (rotate(h[0] @ getattr(part, name).weight[rows].T) for name in ("query", "key"))
    probability = torch.softmax(query @ key.T / math.sqrt(size), -1)
    at = torch.arange(4, 36)
    assert float(probability[at, at - offset].mean().detach()) > 0.5
