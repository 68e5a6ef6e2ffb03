"""Where training starts: some heads look at a neighbour, and no layer is shut.

With small weights a bidirectional model stays at the unigram distribution for thousands of steps, until a head happens
on the word beside. Heads that start there pass this plateau at once; training is free to change them.
"""

import math

import torch

from model import Denoiser

# Text positions from query to key, a head each; at least a third of the heads start without a place.
OFFSETS = (1, -1, 2, -2)
# By frequency, fastest first: what each adds to the score of the right neighbour, before the scale 1 / sqrt(Dh).
SHARPNESS = (30.0, 20.0, 10.0, 5.0)
# The random part of those heads' queries and keys, and the constant that queries and keys are read from.
REMAINDER = 0.3
LEVEL = 0.5
# Matching heads: what their queries are multiplied by, how strongly they pass on what they find, and how strongly the
# output begins as the embedding's transpose.
MATCH, PASS, TIED = 1.5, 2.0, 4.0


def placed(heads: int) -> tuple[int, ...]:
    """The offset that each of the first heads starts at; the others start without a place."""
    return OFFSETS[: 2 * heads // 3]


@torch.no_grad()
def begin(model: Denoiser) -> None:
    """Opens every layer's gates and turns heads to neighbours, by the rotation of queries against keys."""
    config = model.config
    d, heads, half = config["model_dim"], config["heads"], config["rotary_dim"] // 2
    size = d // heads
    for index, layer in enumerate(model.layers):
        shift, _, gate, _, _, second_gate = model.modulation.bias[6 * d * index : 6 * d * (index + 1)].view(6, d)
        gate.fill_(1.0)
        second_gate.fill_(1.0)
        direction = torch.randn(d)
        direction /= direction.norm()
        constant = LEVEL * math.sqrt(d)
        shift.copy_(constant * direction)
        for head, offset in enumerate(placed(heads)):
            rows = slice(head * size, (head + 1) * size)
            query, key = (getattr(layer.attention, name).weight[rows] for name in ("query", "key"))
            query *= REMAINDER
            key *= REMAINDER
            for pair, sharpness in enumerate(SHARPNESS[:half]):
                part = math.sqrt(sharpness) / constant * direction
                turn = offset * config["rope_base"] ** (-pair / half)
                query[2 * pair] += part
                key[2 * pair] += math.cos(turn) * part
                key[2 * pair + 1] += math.sin(turn) * part


@torch.no_grad()
def match(model: Denoiser) -> None:
    """For tasks of retrieval: heads without a place begin to look for what is like the position itself, and to pass it
    on as it is; the output begins with the embedding. From small weights alone, matching was not found in 3,800 steps.
    """
    heads, still, d = model.config["heads"], model.config["rotary_dim"], model.config["model_dim"]
    size = d // heads
    for layer in model.layers:
        attention = layer.attention
        for head in range(len(placed(heads)), heads):
            rows = slice(head * size, (head + 1) * size)
            content = slice(head * size + still, (head + 1) * size)
            attention.query.weight[content] *= MATCH
            attention.key.weight[content] = attention.query.weight[content]
            attention.output.weight[:, rows] = PASS * attention.value.weight[rows].T
    model.output.unembed.copy_(TIED / d * model.table() @ model.input.z.weight.T)
