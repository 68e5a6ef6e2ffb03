"""The training loss of one batch."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from attention import Sparse
from batch import Noise, corrupt, first_inputs
from model import Denoiser, Hidden, Inputs, expectation
from pattern import segments


@dataclass(frozen=True)
class Weights:
    """Of the terms beside the cross-entropy; 0 leaves one out."""

    anchor: float = 0.1
    balance: float = 0.01
    share: float = 1.0
    target_share: float = 0.5


def start(model: Denoiser, text: Tensor, noise: Noise, anchors: int, pattern: Tensor | Sparse) -> Inputs:
    """Unconditioned inputs of a batch."""
    z = corrupt(model.table(), model.absorb, text, noise)
    return first_inputs(z, noise, anchors, pattern, model.config["vocab_size"])


@torch.no_grad()
def predict(model: Denoiser, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
    """(x0, entropy, anchors) of a first evaluation, in f32."""
    with torch.autocast(inputs.z.device.type, torch.bfloat16):
        hidden = model(inputs)
        table = model.table()
        logits = model.logits(hidden.h, hidden.skip, table)
    x0, entropy = expectation(logits, table)
    return x0.float(), entropy.float(), hidden.anchor.float()


def condition(inputs: Inputs, x0: Tensor, entropy: Tensor, anchor: Tensor | None) -> Inputs:
    """The same z, conditioned on a first prediction; with `anchor`, on frozen anchor states too."""
    z = inputs.z if anchor is None else torch.cat([anchor, inputs.z[:, inputs.anchors :]], 1)
    return replace(inputs, z=z, self_x0=x0, difficulty=entropy)


def token_loss(model: Denoiser, hidden: Hidden, table: Tensor, text: Tensor, clean: Tensor) -> Tensor:
    """Cross-entropy [count, length] of the noisy text positions, 0 at clean ones."""
    anchors = hidden.anchor.shape[1]
    logits = model.logits(hidden.h[:, anchors:], hidden.skip[:, anchors:], table)
    loss = F.cross_entropy(logits.flatten(0, 1), text.flatten(), reduction="none").view(text.shape)
    return loss.masked_fill(clean, 0.0)


def anchor_loss(hidden: Hidden, table: Tensor, text: Tensor) -> Tensor:
    """Squared error to the mean clean embedding of each segment, which gets no gradient."""
    anchors = hidden.anchor.shape[1]
    member = F.one_hot(segments(text.shape[1], anchors).to(text.device), anchors).to(table.dtype)
    mean = torch.einsum("na,bne->bae", member / member.sum(0), table.detach()[text])
    return F.mse_loss(hidden.anchor, mean)


def step_loss(
    model: Denoiser,
    text: Tensor,
    noise: Noise,
    weight: Tensor,
    pattern: Tensor | Sparse,
    given: tuple[Tensor, Tensor, Tensor],
    lam: Tensor,
    anchors: int,
    weights: Weights,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(loss, cross-entropy by position, anchors' error, share of the dearest choice).

    `weight` [count] is each sequence's factor on its summed cross-entropy, `given` the first prediction's x0, entropy
    and anchors, or what stands for none: one compiled step serves both.
    """
    with torch.autocast(text.device.type, torch.bfloat16):
        table = model.table()
        inputs = condition(start(model, text, noise, anchors, pattern), *given)
        hidden = model(inputs, lam)
        per_token = token_loss(model, hidden, table, text, noise.clean)
        guide = anchor_loss(hidden, table, text)
    # No penalty on ||absorb||: its gradient keeps its size however small the loss asks m to be, so Adam takes m to 0.
    total = (per_token.sum(1) * weight).sum() + weights.anchor * guide + weights.balance * hidden.balance
    total = total + weights.share * (hidden.share - weights.target_share).square()
    return total, per_token.detach(), guide.detach(), hidden.share.detach()
