"""The denoiser. Tensor names and formulas are those of the checkpoint format."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attention import Sparse, masked, sparse, widen
from pattern import fractions

Config = dict[str, Any]


@dataclass
class Inputs:
    """One evaluation's inputs; rows are anchors, then text."""

    z: Tensor
    self_x0: Tensor
    flag: Tensor
    difficulty: Tensor
    gamma: Tensor
    anchors: int
    pattern: Tensor | Sparse


@dataclass
class Hidden:
    """What the output head needs, and what the routers did."""

    h: Tensor
    skip: Tensor
    anchor: Tensor
    share: Tensor
    balance: Tensor
    load: Tensor


def linear(out: int, inputs: int, gain: float = 1.0) -> nn.Parameter:
    """An out x in weight with std gain / sqrt(in)."""
    return nn.Parameter(torch.randn(out, inputs) * gain / math.sqrt(inputs))


def zeros(*shape: int) -> nn.Parameter:
    """A parameter that starts at zero."""
    return nn.Parameter(torch.zeros(*shape))


class Holder(nn.Module):
    """A named group of parameters."""

    def __init__(self, /, **members: nn.Parameter | nn.Module) -> None:
        super().__init__()
        for name, member in members.items():
            setattr(self, name, member)


def weight(value: nn.Parameter) -> Holder:
    """A group with one member, `weight`."""
    return Holder(weight=value)


def alpha_sigma2(gamma: Tensor) -> tuple[Tensor, Tensor]:
    """alpha and sigma^2 of gamma = ln(sigma^2 / alpha^2)."""
    return torch.sigmoid(-gamma).sqrt(), torch.sigmoid(gamma)


class Denoiser(nn.Module):
    """Predicts logits (as `h` and the Bayes term's `skip`) and the anchors' segment means."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        v, de, d = config["vocab_size"], config["embedding_dim"], config["model_dim"]
        t, p, layers = config["time_dim"], config["place_dim"], config["layers"]
        self.widths: list[int] = config["expert_widths"]
        total, experts = sum(self.widths), len(self.widths)
        dearest = sum(sorted(self.widths)[-config["top_k"] :])
        owner = torch.repeat_interleave(torch.arange(experts), torch.tensor(self.widths))
        self.register_buffer("owner", owner, persistent=False)
        costs = torch.tensor([width / dearest for width in self.widths], dtype=torch.float64)
        self.register_buffer("costs", costs, persistent=False)
        self.embedding = nn.Parameter(torch.randn(v, de))
        self.absorb = nn.Parameter(torch.randn(de) / math.sqrt(de))
        self.input = Holder(
            z=weight(linear(d, de)), self=weight(zeros(d, de)), flag=linear(3, d), place=weight(linear(d, p))
        )
        self.time = Holder(
            **{"in": Holder(weight=linear(t, t), bias=zeros(t)), "out": Holder(weight=linear(t, t), bias=zeros(t))}
        )
        self.modulation = Holder(weight=zeros(layers * 6 * d + 2 * d, t), bias=zeros(layers * 6 * d + 2 * d))
        self.layers = nn.ModuleList()
        for _ in range(layers):
            names = ("query", "key", "value", "output")
            attention = Holder(**{name: weight(linear(d, d)) for name in names})
            router = Holder(weight=linear(experts, d, 0.1), bias=zeros(experts), difficulty=zeros(experts))
            down = linear(d, total)
            with torch.no_grad():
                for e, (a, b) in enumerate(self.slices()):
                    down[:, a:b] *= math.sqrt(total / max(self.widths[e], 1))
            group = Holder(gate=linear(total, d), up=linear(total, d), down=down)
            self.layers.append(Holder(attention=attention, router=router, experts=group))
        self.output = Holder(unembed=zeros(v, d))
        self.anchor = Holder(weight=linear(de, d, 0.1), bias=zeros(de))

    def slices(self) -> list[tuple[int, int]]:
        """Each expert's rows: its slice at the prefix sum of widths."""
        ends = [sum(self.widths[: e + 1]) for e in range(len(self.widths))]
        return [(end - width, end) for end, width in zip(ends, self.widths, strict=True)]

    def table(self) -> Tensor:
        """The embedding with every row at norm sqrt(De)."""
        return F.normalize(self.embedding, dim=-1) * math.sqrt(self.config["embedding_dim"])

    def time_state(self, gamma: Tensor) -> Tensor:
        """[B, T] from [B]."""
        half = self.config["time_dim"] // 2
        power = torch.arange(half, dtype=gamma.dtype) / (half - 1)
        angle = gamma[:, None] * (4.0 * (1.0 / 64.0) ** power)
        features = torch.cat([angle.cos(), angle.sin()], -1)
        first, second = getattr(self.time, "in"), self.time.out
        c = F.silu(F.linear(features, first.weight, first.bias))
        return F.silu(F.linear(c, second.weight, second.bias))

    def rotation(self, text: int, anchors: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin [R, rotary_dim / 2]; both zero on anchor rows, which drops those dimensions."""
        half = self.config["rotary_dim"] // 2
        power = torch.arange(half, dtype=torch.float64) / half
        angle = torch.arange(text, dtype=torch.float64)[:, None] * self.config["rope_base"] ** -power
        still = torch.zeros(anchors, half, dtype=torch.float64)
        return torch.cat([still, angle.cos()]).to(like.dtype), torch.cat([still, angle.sin()]).to(like.dtype)

    def norm(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """RMS norm with the time's shift and scale."""
        size = (x.square().mean(-1, keepdim=True) + self.config["norm_eps"]).sqrt()
        return x / size * (1 + scale) + shift

    def attend(self, part: Any, h: Tensor, pattern: Tensor | Sparse, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Multi-head attention over the pattern."""
        b, r, d = h.shape
        heads, rotary = self.config["heads"], self.config["rotary_dim"]

        def split(name: str) -> Tensor:
            return F.linear(h, getattr(part, name).weight).view(b, r, heads, d // heads).transpose(1, 2)

        def rotate(x: Tensor) -> Tensor:
            cos, sin = turn
            even, odd = x[..., 0:rotary:2], x[..., 1:rotary:2]
            turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
            return torch.cat([turned, x[..., rotary:]], -1)

        q, k, value = rotate(split("query")), rotate(split("key")), split("value")
        o = sparse(q, k, value, pattern) if isinstance(pattern, Sparse) else masked(q, k, value, pattern)
        return F.linear(o.transpose(1, 2).reshape(b, r, d), part.output.weight)

    def mix(
        self, layer: Any, h: Tensor, difficulty: Tensor, lam: float | Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Experts; also (mean cost share, balance term, share of tokens per expert).

        Every expert computes and the gates of those not chosen are zero: the sizes stay fixed, which pays on a processor.
        """
        flat, router = h.flatten(0, 1), layer.router
        logits = widen(F.linear(flat, router.weight, router.bias) + difficulty.flatten()[:, None] * router.difficulty)
        chosen = self.choose(logits.detach(), lam)
        gates = torch.zeros_like(logits).scatter(1, chosen, torch.softmax(logits.gather(1, chosen), -1))
        experts = layer.experts
        inner = F.silu(F.linear(flat, experts.gate)) * F.linear(flat, experts.up) * gates[:, self.owner]
        out = F.linear(inner, experts.down)
        load = torch.zeros_like(logits).scatter(1, chosen, 1.0).mean(0)
        mean = torch.softmax(logits, -1).mean(0)
        costs, top_k = self.costs.to(logits.dtype), self.config["top_k"]
        hard, soft = (load * costs).sum(), top_k * (mean * costs).sum()
        share = hard + soft - soft.detach()
        balance = len(costs) * (load / top_k * mean * (0.5 + costs)).sum()
        return out.view_as(h), share, balance, load

    def choose(self, logits: Tensor, lam: float | Tensor) -> Tensor:
        """The top k of the shifted logits [rows, k]; a stable sort keeps the lower index first among equals."""
        order = torch.sort(logits - lam * self.costs.to(logits.dtype), dim=-1, descending=True, stable=True).indices
        return order[:, : self.config["top_k"]]

    def forward(self, inputs: Inputs, lam: float | Tensor = 0.0) -> Hidden:
        """The trunk; `logits` turns rows of it into predictions."""
        z, anchors, d = inputs.z, inputs.anchors, self.config["model_dim"]
        text = z.shape[1] - anchors
        power = 2.0 ** torch.arange(self.config["place_dim"] // 2, dtype=torch.float64)
        angle = math.pi * fractions(text, anchors)[:, None] * power
        place = torch.cat([angle.sin(), angle.cos()], -1).to(z.dtype)
        x = F.linear(z, self.input.z.weight) + F.linear(inputs.self_x0, self.input.self.weight)
        x = x + self.input.flag[inputs.flag.long()] + F.linear(place, self.input.place.weight)
        c = self.time_state(inputs.gamma)
        mod = F.linear(c, self.modulation.weight, self.modulation.bias)[:, None, :].split(d, -1)
        turn = self.rotation(text, anchors, z)
        shares, balances, loads = [], [], []
        for i, layer in enumerate(self.layers):
            shift1, scale1, gate1, shift2, scale2, gate2 = mod[6 * i : 6 * i + 6]
            x = x + gate1 * self.attend(layer.attention, self.norm(x, shift1, scale1), inputs.pattern, turn)
            y, share, balance, load = self.mix(layer, self.norm(x, shift2, scale2), inputs.difficulty, lam)
            x = x + gate2 * y
            shares.append(share)
            balances.append(balance)
            loads.append(load)
        h = self.norm(x, mod[-2], mod[-1])
        alpha, sigma2 = (value[:, None, None] for value in alpha_sigma2(inputs.gamma))
        skip = alpha / sigma2 * (z - (1 - alpha) * self.absorb)
        anchor = F.linear(h[:, :anchors], self.anchor.weight, self.anchor.bias)
        return Hidden(
            h, skip, anchor, torch.stack(shares).mean(), torch.stack(balances).mean(), torch.stack(loads).detach()
        )

    def logits(self, h: Tensor, skip: Tensor, table: Tensor) -> Tensor:
        """The output head on any rows; the Bayes term is exact, so it is never rounded."""
        logits = F.linear(h, self.output.unembed)
        with torch.autocast(h.device.type, enabled=False):
            return widen(logits) + F.linear(widen(skip), widen(table))


def expectation(logits: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """x0 and the entropy in nats."""
    log_p = torch.log_softmax(logits, -1)
    p = log_p.exp()
    return p @ table, -(p * log_p).sum(-1)
