"""drdiff's ops against PyTorch's, in turn: a table. On the CPU, or on CUDA beside drdiff on the same GPU through Vulkan.

    python ops.py [FILTER] [--device cpu] [--torch-device cpu] [--pairs 5]

Before a case is timed, both compute it from the same inputs, and results that differ end the program.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from turns import HEADING, add_arguments, bench, compare, run_drdiff, set_threads, torch_side

# Mean square of the difference over the mean square; f16 products differ by about 1e-6.
SAME, SAME_HALF = 1e-8, 1e-4

Call = Callable[[], Tensor]


@dataclass
class Case:
    """One call: inputs by name as drdiff's op takes them, and PyTorch's ways to compute its output `gives`."""

    op: str
    sizes: str
    inputs: dict[str, Tensor]
    gives: str
    peers: dict[str, Call]
    settings: list[str] = field(default_factory=list)
    # drdiff's tensors that are no inputs of PyTorch's ways, and stand in `settings` for `drdiff bench`.
    constants: dict[str, Tensor] = field(default_factory=dict)
    half: bool = False


def randn(*shape: int, scale: float = 1.0) -> Tensor:
    """Normals, the same each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))) * scale


def product(device: str, m: int, k: int, n: int, half: bool = False) -> Case:
    """`x weight^T`."""
    x, weight = randn(m, k), randn(n, k)
    dtype = torch.half if half else torch.float
    a, b = x.to(device, dtype), weight.to(device, dtype)
    inputs = {"x": x, "weight": weight}
    return Case("linear", f"rows={m},K={k},N={n}", inputs, "y", {"matmul": lambda: a @ b.T}, half=half)


def attention(device: str, n: int, heads: int, dim: int, half: bool = False) -> Case:
    """Dense attention."""
    inputs = {name: torch.roll(randn(n, heads, dim), i, 0) for i, name in enumerate("qkv")}
    dtype = torch.half if half else torch.float
    q, k, v = (x.to(device, dtype).transpose(0, 1).contiguous()[None] for x in inputs.values())
    call = {"SDPA": lambda: F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1)}
    return Case("attention", f"rows=1,N={n},H={heads},Dh={dim}", inputs, "out", call, half=half)


def sparse(device: str, n: int, heads: int = 4, dim: int = 32, half: bool = False) -> Case:
    """The pattern of a long text, against FlexAttention compiled with the same mask."""
    window, dilations, count = 128, ((16, 32), (64, 32)), 32

    def seen(_b: Tensor, _h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        distance = (query - key).abs()
        inside = (distance <= window) | (query < count) | (key < count)
        for stride, reach in dilations:
            inside = inside | ((distance % stride == 0) & (distance <= stride * reach))
        return inside

    inputs = {name: torch.roll(randn(n, heads, dim), i, 0) for i, name in enumerate("qkv")}
    dtype = torch.half if half else torch.float
    q, k, v = (x.to(device, dtype).transpose(0, 1).contiguous()[None] for x in inputs.values())
    mask = create_block_mask(seen, None, None, n, n, device=device)
    compiled = torch.compile(flex_attention, dynamic=False)
    listed = ",".join(f"{stride}:{reach}" for stride, reach in dilations)
    return Case(
        "attention",
        f"rows=1,N={n},H={heads},Dh={dim},G={count}",
        inputs,
        "out",
        {"FlexAttention": lambda: compiled(q, k, v, block_mask=mask)[0].transpose(0, 1)},
        ["pattern=hsa", f"window={window}", f"dilations={listed}"],
        {"globals": torch.arange(count).to(torch.uint32)},
        half,
    )


def experts(device: str, rows: int, dim: int, widths: tuple[int, ...], top_k: int = 2) -> Case:
    """SwiGLU experts, as the trainer has them and as a loop over the experts' own rows."""
    total, count = sum(widths), len(widths)
    inputs = {
        "x": randn(rows, dim),
        "router_logits": randn(rows, count),
        "gate": randn(total, dim, scale=dim**-0.5),
        "up": torch.roll(randn(total, dim, scale=dim**-0.5), 1, 0),
        "down": randn(dim, total, scale=0.1),
    }
    x, logits, gate, up, down = (value.to(device) for value in inputs.values())
    owner = torch.repeat_interleave(torch.arange(count), torch.tensor(widths)).to(device)
    ends = [sum(widths[: e + 1]) for e in range(count)]

    def chosen() -> tuple[Tensor, Tensor]:
        value, index = logits.topk(top_k, -1)
        return torch.softmax(value, -1), index

    def dense() -> Tensor:
        share, index = chosen()
        shares = torch.zeros_like(logits).scatter(1, index, share)
        return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up) * shares[:, owner], down)

    def gathered() -> Tensor:
        share, index = chosen()
        out = torch.zeros_like(x)
        for e, (end, width) in enumerate(zip(ends, widths, strict=True)):
            if width == 0:
                continue
            row, place = torch.where(index == e)
            own = slice(end - width, end)
            hidden = F.silu(F.linear(x[row], gate[own])) * F.linear(x[row], up[own])
            out.index_add_(0, row, F.linear(hidden, down[:, own]) * share[row, place][:, None])
        return out

    listed = ",".join(map(str, widths))
    return Case(
        "experts",
        f"rows={rows},D={dim}",
        inputs,
        "out",
        {"all experts": dense, "gathered": gathered},
        [f"top_k={top_k}", f"widths={listed}"],
        {"widths": torch.tensor(widths, dtype=torch.uint32)},
    )


def vocabulary(device: str, n: int, v: int, d: int, e: int) -> Case:
    """Expectation, entropy and arg-max over a vocabulary."""
    inputs = {
        "h": randn(n, d),
        "unembed": randn(v, d, scale=d**-0.5),
        "embed": torch.roll(randn(v, e), 1, 0),
        "skip": randn(n, e, scale=e**-0.5),
    }
    h, unembed, embed, skip = (value.to(device) for value in inputs.values())

    def head() -> Tensor:
        logits = F.linear(h, unembed) + F.linear(skip, embed)
        log_p = torch.log_softmax(logits, -1)
        p = log_p.exp()
        _entropy, _token = -(p * log_p).sum(-1), logits.argmax(-1)
        return p @ embed

    sizes = f"rows={n},V={v},D={d},De={e}"
    return Case("vocab_expectation", sizes, inputs, "x0", {"eager": head}, ["with=skip"])


def cases(device: str) -> dict[str, Callable[[], Case]]:
    """What is compared on the CPU, and what on a GPU, by name."""
    widths, many = (0, 96, 192, 384), (0, 128, 256, 256, 512, 512, 1024, 1024)
    if device == "cpu":
        return {
            "product 256x192x192": lambda: product(device, 256, 192, 192),
            "product 1024x512x512": lambda: product(device, 1024, 512, 512),
            "attention 512x6x32": lambda: attention(device, 512, 6, 32),
            "attention 1024x8x64": lambda: attention(device, 1024, 8, 64),
            "HSA 4096x4x32": lambda: sparse(device, 4096),
            "experts 1024x192 of 0,96,192,384 top 2": lambda: experts(device, 1024, 192, widths),
            "vocabulary 256x4096x192x32": lambda: vocabulary(device, 256, 4096, 192, 32),
            "vocabulary 256x50257x768": lambda: vocabulary(device, 256, 50257, 768, 768),
        }
    return {
        "product 4096x4096x4096": lambda: product(device, 4096, 4096, 4096),
        "product 4096x4096x4096, rival f16": lambda: product(device, 4096, 4096, 4096, half=True),
        "product 1024x512x512, rival f16": lambda: product(device, 1024, 512, 512, half=True),
        "attention 4096x16x64": lambda: attention(device, 4096, 16, 64),
        "attention 4096x16x64, rival f16": lambda: attention(device, 4096, 16, 64, half=True),
        "HSA 16384x4x32": lambda: sparse(device, 16384),
        "HSA 16384x4x32, rival f16": lambda: sparse(device, 16384, half=True),
        "experts 4096x512, eight, top 2": lambda: experts(device, 4096, 512, many),
        "vocabulary 256x4096x192x32": lambda: vocabulary(device, 256, 4096, 192, 32),
        "vocabulary 256x50257x768": lambda: vocabulary(device, 256, 50257, 768, 768),
    }


def split_settings(case: Case) -> tuple[list[str], list[str]]:
    """Settings that `drdiff op` takes, and all arguments that `drdiff bench` takes."""
    plain = [text for text in case.settings if text.split("=")[0] not in ("with", *case.constants)]
    arguments = [part for text in plain for part in ("--set", text)]
    more = [text for text in case.settings if text not in plain]
    for text in more:
        name, value = text.split("=")
        arguments += ["--with", value] if name == "with" else ["--set", text]
    return plain, arguments


def check(options: argparse.Namespace, title: str, case: Case) -> None:
    """Both sides compute the case from the same inputs."""
    settings, _ = split_settings(case)
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "in.safetensors", Path(folder) / "out.safetensors"
        save_file({name: x.contiguous() for name, x in (case.inputs | case.constants).items()}, given)
        arguments = ["op", case.op, "--input", str(given), "--output", str(found)]
        run_drdiff(options, arguments + [part for text in settings for part in ("--set", text)])
        ours = load_file(found)[case.gives].double()
    for name, call in case.peers.items():
        with torch.inference_mode():
            theirs = call().double().cpu().reshape(ours.shape)
        distance = ((ours - theirs).square().mean() / ours.square().mean()).item()
        if not distance < (SAME_HALF if case.half else SAME):
            raise SystemExit(f"error: {title}: drdiff and {name} differ, NMSE {distance:.1e}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    options = parser.parse_args()
    set_threads(options)
    device = options.torch_device
    print(HEADING, flush=True)
    for title, make in cases(device).items():
        if options.filter not in title:
            continue
        case = make()
        check(options, title, case)
        _, arguments = split_settings(case)
        ours = bench(options, ["--op", case.op, "--size", case.sizes, "--runs", "3", *arguments])
        peers = [torch_side(name, device, call) for name, call in case.peers.items()]
        print("\n".join(compare(title, ours, peers, options.pairs)), flush=True)


if __name__ == "__main__":
    main()
