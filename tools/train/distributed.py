"""Several processes under `torchrun`; with one process, all of this does nothing."""

import os

import torch
import torch.distributed as dist
from torch import nn

from schedule import Warp


def join(device: str) -> None:
    """Joins the group that `torchrun` announces, if it does."""
    if "WORLD_SIZE" not in os.environ:
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")


def leave() -> None:
    """Ends the group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """This process; 0 logs and saves."""
    return dist.get_rank() if dist.is_initialized() else 0


def ranks() -> int:
    """How many processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share_gradients(model: nn.Module) -> None:
    """Every gradient becomes the mean over processes."""
    if ranks() == 1:
        return
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)
        parameter.grad /= ranks()


def share_table(warp: Warp) -> None:
    """All use the time warp of process 0."""
    if ranks() == 1:
        return
    gathered = [warp.state()]
    dist.broadcast_object_list(gathered, 0)
    warp.restore(gathered[0])


def agree(stop: bool) -> bool:
    """Whether any process wants to stop, so that all stop after the same step."""
    if ranks() == 1:
        return stop
    gathered: list[bool] = [False] * ranks()
    dist.all_gather_object(gathered, stop)
    return any(gathered)
