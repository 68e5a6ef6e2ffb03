"""A training run: its state, one step of it, its checkpoint."""

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attention import Sparse
from batch import Noise, draw_clean, draw_mask, draw_noise, draw_shape, draw_text
from config import Recipe
from distributed import rank, ranks, share_gradients, share_table
from files import InputError
from initial import begin
from losses import predict, start, step_loss
from model import Config, Denoiser
from muon import Muon
from schedule import HIGH, Warp

WARMUP = 200
COOLDOWN = 0.4
# Hidden matrices; the rest goes to AdamW.
HIDDEN = ("attention", "experts")
# A table's row is seen only now and then, and takes steps several times as large as a matrix that every token uses.
TABLES = ("embedding", "output.unembed")
TABLE_FACTOR = 5.0
# A usual gradient has norm 1 to 20. One in thousands is far larger and is left out; several in a row are no accident.
OUTLIER = 200.0
OUTLIERS = 3


def learning_rate(step: int, progress: float) -> float:
    """Factor on the peak: warm-up by steps, constant, then down to zero over the last part of the budget."""
    return min(1.0, (step + 1) / WARMUP, max(0.0, (1 - progress) / COOLDOWN))


@dataclass
class Draw:
    """A batch: text, its noise, each sequence's weight, the pattern, and which sequences the time warp may learn from."""

    text: Tensor
    noise: Noise
    weight: Tensor
    pattern: Tensor | Sparse
    anchors: int
    usual: np.ndarray

    def to(self, device: str) -> "Draw":
        """On a device."""
        pattern = self.pattern if isinstance(self.pattern, Sparse) else self.pattern.to(device)
        noise = Noise(*(getattr(self.noise, field.name).to(device) for field in fields(Noise)))
        return replace(self, text=self.text.to(device), noise=noise, weight=self.weight.to(device), pattern=pattern)


class Run:
    """Everything that a checkpoint holds."""

    def __init__(
        self, config: Config, recipe: Recipe, seed: int, rates: tuple[float, float], device: str, compiled: bool
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.recipe, self.device = config, recipe, device
        self.model = Denoiser(config)
        begin(self.model)
        self.model.to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.warp = Warp()
        self.rng = np.random.default_rng([seed, rank()] if ranks() > 1 else seed)
        self.step, self.elapsed, self.tokens = 0, 0.0, 0
        self.outliers = 0
        named = dict(self.model.named_parameters())
        hidden = [p for name, p in named.items() if p.ndim > 1 and any(h in name for h in HIDDEN)]
        chosen = {id(p) for p in hidden}
        rest = [p for name, p in named.items() if id(p) not in chosen and name not in TABLES]
        groups = [
            {"params": [named[name] for name in TABLES], "peak": rates[0] * TABLE_FACTOR},
            {"params": rest, "peak": rates[0]},
        ]
        if rates[1] <= 0:
            groups.append({"params": hidden, "peak": rates[0]})
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0, foreach=True)
        ]
        if rates[1] > 0:
            self.optimizers.append(Muon([{"params": hidden, "peak": rates[1]}], lr=rates[1]))
        torch._dynamo.config.recompile_limit = 4 * max(len(recipe.shapes), 2)
        wrap: Callable[..., Any] = torch.compile(dynamic=False) if compiled else lambda f: f
        self.predict, self.step_loss = wrap(predict), wrap(step_loss)

    def state(self) -> dict[str, Any]:
        """For `torch.save`."""
        return {
            "config": self.config,
            "recipe": repr(self.recipe),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "warp": self.warp.state(),
            "rng": self.rng.bit_generator.state,
            "step": self.step,
            "elapsed": self.elapsed,
            "tokens": self.tokens,
        }

    def save(self, path: Path) -> None:
        """Writes beside the target, then renames: an interrupted or failed write leaves the last checkpoint."""
        if rank() != 0:
            return
        temporary = path.with_name(path.name + ".tmp")
        try:
            torch.save(self.state(), temporary)
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            raise InputError(f"{path}: cannot be written ({error}); the last checkpoint is as it was") from error
        os.replace(temporary, path)

    def restore(self, path: Path) -> None:
        """Resumes; another configuration or recipe is refused."""
        state = load_checkpoint(path)
        if state["config"] != self.config or state["recipe"] != repr(self.recipe):
            raise InputError(f"{path}: made with another configuration; expected the one given, or another --out")
        if len(state["optimizers"]) != len(self.optimizers):
            raise InputError(f"{path}: made with another optimizer; expected the one given, or another --out")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.warp.restore(state["warp"])
        if ranks() == 1:
            self.rng.bit_generator.state = state["rng"]
        else:
            self.rng = np.random.default_rng([state["step"], rank()])
        self.step, self.elapsed, self.tokens = state["step"], state["elapsed"], state["tokens"]

    def start_from(self, path: Path) -> None:
        """Weights and time warp of another run; optimizer and schedule start anew."""
        state = load_checkpoint(path)
        if state["config"] != self.config:
            raise InputError(f"{path}: made with another configuration")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.warp.restore(state["warp"])

    def draw(self, tokens: np.ndarray) -> Draw:
        """The random part of a step."""
        rng, recipe, dim = self.rng, self.recipe, self.config["embedding_dim"]
        shape, level = draw_shape(recipe.shapes, rng)
        count, length = shape.count, shape.length
        text = draw_text(tokens, count, length, rng)
        if recipe.masked:
            noise, share = draw_mask(count, length, dim, rng)
            weight = torch.from_numpy(1 / (share * length * count)).float()
            return Draw(text, noise, weight, shape.pattern(level), level["anchors"], np.zeros(count, dtype=bool))
        clean, scattered = draw_clean(count, length, rng)
        gamma = self.warp.at((np.arange(count) + rng.random()) / count)
        rng.shuffle(gamma)
        # Some of the scattered rows see pure noise: plain masked prediction.
        usual = ~(scattered & (rng.random(count) < 0.35))
        noise = draw_noise(np.where(usual, gamma, HIGH), clean, dim, rng, recipe.sas)
        weight = torch.full((count,), 1.0) / (~noise.clean).sum()
        return Draw(text, noise, weight, shape.pattern(level), level["anchors"], usual)

    def advance(self, tokens: np.ndarray, progress: float) -> dict[str, float]:
        """One optimizer step on windows of `tokens`."""
        return self.apply(self.draw(tokens), progress)

    def apply(self, draw: Draw, progress: float) -> dict[str, float]:
        """One optimizer step."""
        rng, recipe, draw = self.rng, self.recipe, draw.to(self.device)
        with torch.no_grad():
            inputs = start(self.model, draw.text, draw.noise, draw.anchors, draw.pattern)
        # One memory layout whatever is given, or the step is compiled twice.
        given = inputs.self_x0, inputs.difficulty, inputs.z[:, : draw.anchors].contiguous()
        if not recipe.masked and rng.random() < 0.5:
            x0, entropy, anchor = self.predict(self.model, inputs)
            given = x0, entropy, anchor if recipe.sas and rng.random() < 0.5 else given[2]
        # A share of steps runs at another budget, so that no routing is strange to the model.
        routed = len(set(self.config["expert_widths"])) > 1
        lam = torch.tensor(float(rng.uniform(-2, 2)) if routed and rng.random() < 0.2 else 0.0, device=self.device)
        total, losses, guide, spent = self.step_loss(
            self.model, draw.text, draw.noise, draw.weight, draw.pattern, given, lam, draw.anchors, recipe.weights
        )
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        total.backward()
        share_gradients(self.model)
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), 1.0))
        self.outliers = 0 if norm < OUTLIER else self.outliers + 1
        if self.outliers == OUTLIERS:
            raise InputError(f"step {self.step}: gradient of norm {norm:.3g}: training diverged; lower the rates")
        if not self.outliers:
            self.update(learning_rate(self.step, progress))
        noisy = ~draw.noise.clean
        if draw.usual.any() and not self.outliers:
            mean = (losses.sum(1) / noisy.sum(1)).cpu().numpy()
            self.warp.record(draw.noise.gamma.cpu().numpy()[draw.usual].astype(float), mean[draw.usual])
        self.step += 1
        self.tokens += draw.text.numel() * ranks()
        if self.step % 300 == 0:
            self.warp.update()
            share_table(self.warp)
        numbers = {"loss": float(losses.sum() / noisy.sum()), "anchor": float(guide), "norm": norm}
        return numbers if float(lam) else numbers | {"share": float(spent)}

    def update(self, factor: float) -> None:
        """Optimizers, then the moving average."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            optimizer.step()
        decay = min(0.999, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's state; a file that is none gets a clear refusal."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except Exception as error:
        raise InputError(f"{path}: not a checkpoint of this trainer: {error}") from error
    if not isinstance(state, dict) or "recipe" not in state:
        raise InputError(f"{path}: not a checkpoint of this trainer")
    return state
