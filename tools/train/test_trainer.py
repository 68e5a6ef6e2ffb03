"""Checks of the trainer: `python -m pytest` in this folder."""

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import tiny
from batch import draw_clean
from calibration import Random, calibrate, lambda_at
from export import read_model, unigram_direction, write_model
from fixture import write_fixture
from model import Denoiser, Inputs
from pattern import segments, visible
from schedule import HIGH, LOW, Warp, monotone
from tokenizer import EOS, train


@pytest.mark.parametrize("text", [1, 7, 40])
@pytest.mark.parametrize("dilations", [[], [[4, 3]], [[4, 3], [6, 5]]])
def test_pattern_is_its_definition(text: int, dilations: list[list[int]]) -> None:
    level = {"pattern": "hsa", "window": 3, "dilations": dilations, "anchors": 4}
    mask = visible(level, text)
    rows = 4 + text
    for i in range(rows):
        keys = {j for j in range(rows) if abs(i - j) <= 3} | set(range(4))
        keys |= {i + sign * r * m for r, k in dilations for m in range(1, k + 1) for sign in (-1, 1)}
        wanted = set(range(rows)) if i < 4 else {j for j in keys if 0 <= j < rows}
        assert {j for j in range(rows) if mask[i, j]} == wanted


def test_segments_cover_the_text() -> None:
    assert segments(10, 4).tolist() == [i * 4 // 10 for i in range(10)]


def test_table_is_strictly_increasing_and_dense_where_loss_falls() -> None:
    warp, rng = Warp(), np.random.default_rng(0)
    for _ in range(200):
        gamma = warp.at(rng.random(32))
        warp.record(gamma, 6 / (1 + np.exp(-3 * (gamma - 2))) + 0.1 * rng.standard_normal(32))
        warp.update()
        assert (np.diff(warp.gamma) > 0).all()
        assert warp.gamma[0] == LOW and warp.gamma[-1] == HIGH
    inside = ((warp.gamma > 1) & (warp.gamma < 3)).mean()
    assert inside > 0.5


def test_table_survives_missing_and_flat_losses() -> None:
    warp = Warp()
    warp.update()
    warp.record(np.array([0.0, 1.0]), np.array([2.0, 2.0]))
    warp.update()
    assert (np.diff(warp.gamma) > 0).all()


def test_monotone_pools_violators() -> None:
    assert monotone(np.array([1.0, 3.0, 2.0, 4.0]), np.ones(4)).tolist() == [1.0, 2.5, 2.5, 4.0]


def test_some_position_is_always_noisy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        clean, _ = draw_clean(8, 5, rng)
        assert not clean.all(1).any()


def test_tokenizer_keeps_text_and_eos() -> None:
    tokenizer = train([tiny.PARAGRAPH], 280)
    assert tokenizer.token_to_id(EOS) == 0
    text = " naïve — \n tabs\tand more"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny model directory."""
    train([tiny.PARAGRAPH], tiny.VOCAB).save(str(tmp_path / "tokenizer.json"))
    config = tiny.config([LOW + (HIGH - LOW) * i / 32 for i in range(33)])
    model = Denoiser(config)
    tiny.randomize(model, 1)
    write_model(tmp_path, config, model, tmp_path / "tokenizer.json")
    return tmp_path


def test_export_round_trip(folder: Path) -> None:
    tiny_model = Denoiser(json.loads((folder / "config.json").read_text()))
    tiny.randomize(tiny_model, 1)
    stored = load_file(folder / "model.safetensors")
    assert set(stored) == set(tiny_model.state_dict()) and all(v.dtype == torch.float16 for v in stored.values())
    norms = stored["embedding"].float().norm(dim=1)
    assert torch.allclose(norms, torch.full_like(norms, math.sqrt(16)), rtol=1e-3)
    write_fixture(folder / "a.safetensors", read_model(folder, torch.float64), 1, 40, 3)
    write_fixture(folder / "b.safetensors", read_model(folder, torch.float64), 1, 40, 3)
    assert (folder / "a.safetensors").read_bytes() == (folder / "b.safetensors").read_bytes()


def test_the_unigram_direction_gives_the_frequencies() -> None:
    generator = torch.Generator().manual_seed(2)
    unembed, direction = torch.randn(60, 7, generator=generator), torch.randn(7, generator=generator) * 0.3
    share = torch.softmax(unembed @ direction, 0)
    tokens = np.repeat(np.arange(60), (share * 1e6).round().long().numpy())
    assert torch.allclose(unigram_direction(unembed, tokens), direction, atol=1e-3)


def plain_forward(weights: dict[str, np.ndarray], config: dict, data: dict[str, np.ndarray], b: int) -> np.ndarray:
    """The logits of one sequence, written from the formulas, row by row."""
    level = config["levels"][int(data["level"][0])]
    z, previous, flag, gamma = data["z"][b], data["self"][b], data["flag"][b], float(data["gamma"][0])
    rows, anchors, d, heads = len(z), level["anchors"], config["model_dim"], config["heads"]
    text, dh, rot, eps = rows - anchors, d // heads, config["rotary_dim"], config["norm_eps"]

    def silu(x):
        return x / (1 + np.exp(-x))

    w = weights
    x = np.zeros((rows, d))
    for i in range(rows):
        f = (i + 0.5) / anchors if i < anchors else (i - anchors + 0.5) / text
        js = range(config["place_dim"] // 2)
        place = [math.sin(math.pi * f * 2**j) for j in js] + [math.cos(math.pi * f * 2**j) for j in js]
        x[i] = w["input.flag"][flag[i]] + w["input.place.weight"] @ np.array(place)
        x[i] += w["input.z.weight"] @ z[i] + w["input.self.weight"] @ previous[i]
    half = config["time_dim"] // 2
    angle = [gamma * 4 * (1 / 64) ** (j / (half - 1)) for j in range(half)]
    c = silu(w["time.in.weight"] @ np.concatenate([np.cos(angle), np.sin(angle)]) + w["time.in.bias"])
    c = silu(w["time.out.weight"] @ c + w["time.out.bias"])
    mod = w["modulation.weight"] @ c + w["modulation.bias"]

    def norm(x, a, s):
        return x / np.sqrt((x**2).mean() + eps) * (1 + s) + a

    widths = config["expert_widths"]
    for n in range(config["layers"]):
        name = f"layers.{n}."
        shift1, scale1, gate1, shift2, scale2, gate2 = mod[6 * d * n : 6 * d * (n + 1)].reshape(6, d)
        h = np.array([norm(row, shift1, scale1) for row in x])
        q, k, v = (h @ w[f"{name}attention.{part}.weight"].T for part in ("query", "key", "value"))
        o = np.zeros_like(x)
        for head in range(heads):
            part = slice(head * dh, (head + 1) * dh)
            turned = [y[:, part].copy() for y in (q, k)]
            for y in turned:
                y[:anchors, :rot] = 0
                for p in range(text):
                    for j in range(rot // 2):
                        t = p * config["rope_base"] ** (-2 * j / rot)
                        a, e = y[anchors + p, 2 * j], y[anchors + p, 2 * j + 1]
                        y[anchors + p, 2 * j : 2 * j + 2] = (
                            a * math.cos(t) - e * math.sin(t),
                            a * math.sin(t) + e * math.cos(t),
                        )
            for i in range(rows):
                keys = set(range(rows))
                if level["pattern"] == "hsa" and i >= anchors:
                    steps = {r * m for r, reach in level["dilations"] for m in range(1, reach + 1)}
                    keys = {j for j in keys if j < anchors or abs(i - j) <= level["window"] or abs(i - j) in steps}
                order = sorted(keys)
                score = np.exp(turned[1][order] @ turned[0][i] / math.sqrt(dh))
                o[i, part] = score @ v[order][:, part] / score.sum()
        x = x + gate1 * (o @ w[f"{name}attention.output.weight"].T)
        for i in range(rows):
            h = norm(x[i], shift2, scale2)
            logits = w[f"{name}router.weight"] @ h + w[f"{name}router.bias"]
            logits = logits + data["difficulty"][b][i] * w[f"{name}router.difficulty"]
            chosen = sorted(range(len(widths)), key=lambda e: (-logits[e], e))[: config["top_k"]]
            gates = np.exp(logits[chosen]) / np.exp(logits[chosen]).sum()
            for e, gate in zip(chosen, gates, strict=True):
                own = slice(sum(widths[:e]), sum(widths[: e + 1]))
                inner = silu(w[f"{name}experts.gate"][own] @ h) * (w[f"{name}experts.up"][own] @ h)
                x[i] += gate2 * gate * (w[f"{name}experts.down"][:, own] @ inner)
    h = np.array([norm(row, mod[-2 * d : -d], mod[-d:]) for row in x])
    alpha, sigma2 = math.sqrt(1 / (1 + math.exp(gamma))), 1 / (1 + math.exp(-gamma))
    skip = alpha / sigma2 * (z - (1 - alpha) * w["absorb"])
    return h @ w["output.unembed"].T + skip @ w["embedding"].T


@pytest.mark.parametrize("level", [0, 1, 2])
def test_fixture_agrees_with_the_written_out_formulas(folder: Path, level: int) -> None:
    write_fixture(folder / "f.safetensors", read_model(folder, torch.float64), level, 30, 4)
    data = {name: value.numpy() for name, value in load_file(folder / "f.safetensors").items()}
    weights = {name: value.double().numpy() for name, value in load_file(folder / "model.safetensors").items()}
    config = json.loads((folder / "config.json").read_text())
    for b in (0, 1):
        logits = plain_forward(
            weights, config, {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in data.items()}, b
        )
        p = np.exp(logits - logits.max(1, keepdims=True))
        x0 = p / p.sum(1, keepdims=True) @ weights["embedding"]
        assert np.abs(x0 - data["x0"][b]).max() < 1e-5
        for (sequence, row), wanted in zip(data["rows"], data["logits"], strict=True):
            if sequence == b:
                assert np.abs(logits[row] - wanted).max() < 1e-5


def test_budgets_decrease(folder: Path) -> None:
    model = read_model(folder, torch.float32)
    flag = torch.zeros(1, 40, dtype=torch.int64)
    flag[:, :4] = 2
    z = torch.randn(1, 40, 16)
    everything = torch.ones(40, 40, dtype=torch.bool)
    budget = calibrate(model, [Inputs(z, 0 * z, flag, torch.ones(1, 40), torch.ones(1), 4, everything)])
    lambdas = [pair[1] for pair in budget["lambda"]]
    assert all(a > b for a, b in pairwise(lambdas)) and all(map(math.isfinite, lambdas))
    assert lambda_at(budget, 0.1) == lambdas[0] and lambda_at(budget, 0.15) == pytest.approx(sum(lambdas[:2]) / 2)


def test_routing_at_random_meets_the_budget(folder: Path) -> None:
    model, lam = Random.of(read_model(folder, torch.float32), 0.6, 1)
    chosen = model.choose(torch.zeros(5000, 3), lam)
    assert float(model.costs[chosen].sum(1).mean()) == pytest.approx(0.6, abs=0.02)
    assert (chosen[:, 0] != chosen[:, 1]).all()
