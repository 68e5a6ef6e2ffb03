"""Muon (Keller Jordan, 2024): momentum whose matrix is brought near to orthogonal before it is applied."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

# The quintic's coefficients: singular values end within about 0.7 to 1.2 after five rounds.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


def orthogonal(matrices: Tensor) -> Tensor:
    """[K, rows, columns], rows <= columns: roughly U V^T of each one's singular value decomposition, by Newton-Schulz
    in bf16."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(b * gram, gram, gram, alpha=c) @ x
    return x.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """For hidden weight matrices; the rest belongs to AdamW."""

    def __init__(
        self, parameters: Iterable[nn.Parameter] | list[dict[str, Any]], lr: float, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update with Nesterov's momentum, all matrices of one shape together; tall ones lie on their side."""
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(state["momentum"], group["momentum"])
                short, long = sorted(parameter.shape)
                shapes.setdefault((short, long), []).append((parameter, update))
            for members in shapes.values():
                wide = torch.stack([u if u.shape[0] <= u.shape[1] else u.T for _, u in members])
                for (parameter, _), update in zip(members, orthogonal(wide), strict=True):
                    rows, columns = parameter.shape
                    scale = max(1.0, rows / columns) ** 0.5
                    parameter.add_(update if rows <= columns else update.T, alpha=-group["lr"] * scale)
