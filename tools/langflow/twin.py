"""LangFlow's network in PyTorch, from its description, as the rival of `drdiff denoise`: one timed evaluation.

    python twin.py --model DIR --input FILE --output FILE [--threads 2] [--repeat 5]

`FILE` holds `z` [B,N,D], `gamma` [B] and optional `self` [B,N,D]; the output is `x0`, `entropy` and `token` like those of
`drdiff denoise`, and the median seconds of an evaluation are printed.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

Weights = dict[str, Tensor]


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def rotate(x: Tensor) -> Tensor:
    """[B,N,H,Dh]: pairs (j, j + Dh/2) turned by position * 10000^(-2j/Dh)."""
    half = x.shape[-1] // 2
    angle = torch.arange(x.shape[1])[:, None] * 10000.0 ** (-torch.arange(half) / half)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def evaluate(w: Weights, heads: int, z: Tensor, last: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x0, entropy and token of one evaluation."""
    dim = z.shape[-1]

    def modulated(x: Tensor, norm: str, shift: Tensor, scale: Tensor) -> Tensor:
        return F.layer_norm(x, [dim]) * w[f"{norm}.weight"] * (1 + scale) + shift

    embedding = F.normalize(w["backbone.vocab_embed.embedding"], dim=-1) * math.sqrt(dim)
    x = z + linear(w, "backbone.self_cond_proj", torch.cat([z, last], dim=-1))
    angle = gamma[:, None] * 10000.0 ** (-torch.arange(128) / 128)
    c = torch.cat([angle.cos(), angle.sin()], dim=-1)
    for layer in ("0", "2"):
        c = F.silu(linear(w, f"backbone.sigma_map.mlp.{layer}", c))
    for i in range(sum(name.endswith("norm1.weight") for name in w)):
        block = f"backbone.blocks.{i}"
        chunks = linear(w, f"{block}.adaLN_modulation", c)[:, None].chunk(6, dim=-1)
        h = modulated(x, f"{block}.norm1", chunks[0], chunks[1])
        q, k, v = linear(w, f"{block}.attn_qkv", h).unflatten(-1, (3, heads, -1)).unbind(2)
        attended = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (rotate(q), rotate(k), v)))
        x = x + chunks[2] * linear(w, f"{block}.attn_out", attended.transpose(1, 2).flatten(2))
        h = modulated(x, f"{block}.norm2", chunks[3], chunks[4])
        hidden = F.gelu(linear(w, f"{block}.mlp.0", h), approximate="tanh")
        x = x + chunks[5] * linear(w, f"{block}.mlp.2", hidden)
    shift, scale = linear(w, "backbone.output_layer.adaLN_modulation", c)[:, None].chunk(2, dim=-1)
    h = modulated(x, "backbone.output_layer.norm_final", shift, scale)
    bayes = torch.sigmoid(-gamma).sqrt() / torch.sigmoid(gamma)
    logits = linear(w, "backbone.output_layer.linear", h) + (bayes[:, None, None] * z) @ embedding.T
    log_p = logits.log_softmax(dim=-1)
    p = log_p.exp()
    return p @ embedding, -(p * log_p).sum(-1), logits.argmax(-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    heads = json.loads((args.model / "config.json").read_text())["n_heads"]
    weights = load_file(args.model / "model.safetensors")
    given = load_file(args.input)
    z = given["z"]
    seconds = []
    with torch.inference_mode():
        for _ in range(args.repeat + 1):
            start = time.perf_counter()
            x0, entropy, token = evaluate(
                weights,
                heads,
                z,
                given.get("self", torch.zeros_like(z)),
                given["gamma"],
            )
            seconds.append(time.perf_counter() - start)
    save_file({"x0": x0, "entropy": entropy, "token": token.to(torch.uint32)}, args.output)
    print(f"{statistics.median(seconds[1:]):.3f} s an evaluation, median of {args.repeat} after a first")


if __name__ == "__main__":
    main()
