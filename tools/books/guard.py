"""The grammar of pieces as a mask over the vocabulary."""

import torch
from torch import Tensor

from grammar import END, MAY, forbidden, kind_of, state_of


class Guard:
    """The kinds of all pieces, and what each state forbids."""

    def __init__(self, pieces: list[str], device: torch.device) -> None:
        self.kinds = torch.tensor([kind_of(piece) for piece in pieces], device=device)
        self.opens = pieces.index(' "')
        table = [[[forbidden(state, s, kind) for kind in range(END + 1)] for s in (False, True)] for state in MAY]
        self.table = torch.tensor(table, device=device)

    def forbidden(self, texts: list[str]) -> Tensor:
        """[texts, pieces]: what may not come next."""
        states = [state_of(text) for text in texts]
        at = torch.tensor([state for state, _ in states]), torch.tensor([int(speaking) for _, speaking in states])
        return self.table[at][:, self.kinds]
