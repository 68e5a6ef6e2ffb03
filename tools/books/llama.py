"""SmolLM2's transformer for sampling many short continuations of one shared beginning.

Only what the writer needs, because decoding is all that costs here: the shared beginning is computed once and
kept once, caches are allocated once and shrink as rows end, the output table has the allowed pieces alone.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear, pad, rms_norm, silu

# Places by which a cache grows.
GROWTH = 32


@dataclass(frozen=True)
class Sizes:
    """The shape of the network, as its file says."""

    heads: int
    kv_heads: int
    head_dim: int
    theta: float
    epsilon: float


@dataclass
class Layer:
    """One block; q, k, v are one matrix, so are gate and up; the norms' weights are folded in."""

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass
class Beginning:
    """Keys and values that all rows have in common, a pair a layer: [kv head, place, dim]."""

    layers: list[tuple[Tensor, Tensor]]
    length: int


class Cache:
    """Keys and values of a batch behind the shared beginning: [layer, key or value, row, kv head, place, dim].

    It is used whole, hidden places included: a slice of it would be copied by every product. So it grows in steps.
    """

    def __init__(self, begun: Beginning, layers: int, rows: int, like: Tensor, sizes: Sizes) -> None:
        self.begun = begun
        self.data = like.new_zeros((layers, 2, rows, sizes.kv_heads, 0, sizes.head_dim))
        self.used = 0
        # True where a key may not be seen; padding is on the left of what is a row's own.
        self.hidden = torch.ones(rows, 0, dtype=torch.bool, device=like.device)

    def reserve(self, tokens: int) -> None:
        """Room for so many more."""
        missing = self.used + tokens - self.data.shape[4]
        if missing > 0:
            more = -(-missing // GROWTH) * GROWTH
            self.data = pad(self.data, (0, 0, 0, more))
            self.hidden = pad(self.hidden, (0, more), value=True)

    def keep(self, rows: Tensor) -> None:
        """Only these rows go on."""
        self.data = self.data[:, :, rows]
        self.hidden = self.hidden[rows]


class Llama:
    """Weights, and the two passes: over the shared beginning, and over what each row adds."""

    def __init__(self, state: dict[str, Tensor], sizes: Sizes, dtype: torch.dtype, device: str) -> None:
        def get(name: str) -> Tensor:
            return state[f"model.{name}.weight"].float()

        def put(weight: Tensor) -> Tensor:
            return weight.to(device, dtype).contiguous()

        self.sizes = sizes
        self.table = put(get("embed_tokens"))
        self.head = put(get("embed_tokens") * get("norm"))
        self.layers: list[Layer] = []
        count = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("model.layers."))
        for index in range(count):
            at = f"layers.{index}"
            before, after = get(f"{at}.input_layernorm"), get(f"{at}.post_attention_layernorm")
            qkv = torch.cat([get(f"{at}.self_attn.{part}_proj") for part in "qkv"]) * before
            gate_up = torch.cat([get(f"{at}.mlp.{part}_proj") for part in ("gate", "up")]) * after
            out, down = get(f"{at}.self_attn.o_proj"), get(f"{at}.mlp.down_proj")
            self.layers.append(Layer(put(qkv), put(out), put(gate_up), put(down)))
        half = sizes.head_dim // 2
        self.rates = sizes.theta ** (-torch.arange(half, device=device).float() / half)

    def cache(self, rows: int, begun: Beginning) -> Cache:
        """An empty cache behind a shared beginning."""
        return Cache(begun, len(self.layers), rows, self.table, self.sizes)

    def restrict(self, pieces: Tensor) -> None:
        """Logits are computed for these pieces alone."""
        self.head = self.head[pieces].contiguous()

    def rotate(self, x: Tensor, places: Tensor) -> Tensor:
        """RoPE on [rows, tokens, heads, head_dim] by [rows, tokens]."""
        angle = places[..., None, None] * self.rates
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        low, high = x.chunk(2, -1)
        return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)

    def project(self, layer: Layer, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [rows, kv, group, tokens, d], keys and values [rows, kv, tokens, d]."""
        s, (rows, tokens, _) = self.sizes, x.shape
        q, k, v = linear(self.norm(x), layer.qkv).split([s.heads * s.head_dim] + [s.kv_heads * s.head_dim] * 2, -1)
        q = self.rotate(q.view(rows, tokens, s.heads, s.head_dim), places) * s.head_dim**-0.5
        k = self.rotate(k.view(rows, tokens, s.kv_heads, s.head_dim), places)
        q = q.view(rows, tokens, s.kv_heads, s.heads // s.kv_heads, s.head_dim).permute(0, 2, 3, 1, 4)
        return q, k.transpose(1, 2), v.view(rows, tokens, s.kv_heads, s.head_dim).transpose(1, 2)

    def norm(self, x: Tensor) -> Tensor:
        """RMS norm without a weight."""
        return rms_norm(x, x.shape[-1:], eps=self.sizes.epsilon)

    def feed(self, layer: Layer, x: Tensor, mixed: Tensor) -> Tensor:
        """What follows attention in a block."""
        rows, tokens, _ = x.shape
        x = x + linear(mixed.permute(0, 3, 1, 2, 4).reshape(rows, tokens, -1), layer.out)
        gate, up = linear(self.norm(x), layer.gate_up).chunk(2, -1)
        return x + linear(silu(gate) * up, layer.down)

    def share(self, pieces: list[int]) -> Beginning:
        """Computes what rows have in common."""
        ids = torch.tensor(pieces, device=self.table.device)
        places = torch.arange(len(pieces), device=ids.device)[None]
        hidden = places[0] > places[0, :, None]
        x, found = self.table[ids][None], []
        for layer in self.layers:
            q, k, v = self.project(layer, x, places)
            scores = (q @ k[:, :, None].transpose(-1, -2)).float().masked_fill(hidden, -math.inf)
            x = self.feed(layer, x, scores.softmax(-1).to(x.dtype) @ v[:, :, None])
            found.append((k[0].contiguous(), v[0].contiguous()))
        return Beginning(found, len(pieces))

    def advance(self, ids: Tensor, real: Tensor, places: Tensor, cache: Cache) -> Tensor:
        """Logits after the last of [rows, tokens] new pieces; `real` is false where a row is padded."""
        rows, tokens = ids.shape
        cache.reserve(tokens)
        start, end, room = cache.used, cache.used + tokens, cache.data.shape[4]
        cache.hidden[:, start:end] = ~real
        cache.used = end
        hidden = cache.hidden[:, None, None, None]
        if tokens > 1:
            order = torch.arange(room, device=ids.device)
            hidden = hidden | (order > order[start:end, None])
        x = self.table[ids]
        s, group = self.sizes, self.sizes.heads // self.sizes.kv_heads
        for index, layer in enumerate(self.layers):
            q, k, v = self.project(layer, x, places)
            keys, values = cache.data[index]
            keys[:, :, start:end] = k
            values[:, :, start:end] = v
            first_keys, first_values = cache.begun.layers[index]
            flat = q.transpose(0, 1).reshape(s.kv_heads, rows * group * tokens, s.head_dim)
            first = flat @ first_keys.transpose(-1, -2)
            first = first.view(s.kv_heads, rows, group, tokens, -1).transpose(0, 1)
            own = q.reshape(rows, s.kv_heads, group * tokens, s.head_dim) @ keys.transpose(-1, -2)
            own = own.view(rows, s.kv_heads, group, tokens, room).masked_fill(hidden, -math.inf)
            weights = torch.cat([first, own], -1).softmax(-1, dtype=torch.float32).to(x.dtype)
            first, own = weights.split([cache.begun.length, room], -1)
            flat = first.transpose(0, 1).reshape(s.kv_heads, rows * group * tokens, -1) @ first_values
            mixed = flat.view(s.kv_heads, rows, group, tokens, s.head_dim).transpose(0, 1)
            own = own.reshape(rows, s.kv_heads, group * tokens, room) @ values
            x = self.feed(layer, x, mixed + own.view(rows, s.kv_heads, group, tokens, s.head_dim))
        return linear(self.norm(x[:, -1]), self.head).float()
