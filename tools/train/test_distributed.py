"""Checks of training in several processes: `python -m pytest` in this folder."""

import os
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as mp

from distributed import agree, join, leave, share_gradients
from schedule import Warp
from test_run import TOKENS, make


def work(rank: int, folder: Path) -> None:
    """One of two processes."""
    torch.set_num_threads(1)
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": (folder / "port").read_text()}
    join("cpu")
    assert not agree(False) and agree(rank == 1)
    layer = torch.nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.full((1, 2), float(rank))
    share_gradients(layer)
    assert layer.weight.grad.tolist() == [[0.5, 0.5]]
    run = make()
    for _ in range(3):
        run.advance(TOKENS, 0.1)
    run.save(folder / "c.pt")
    drawn = float(run.rng.random())
    torch.save((run.model.state_dict(), run.tokens, drawn), folder / f"{rank}.pt")
    leave()


def test_two_processes_stay_one_model(tmp_path: Path) -> None:
    port = 20000 + int(np.random.default_rng().integers(20000))
    (tmp_path / "port").write_text(str(port))
    mp.spawn(work, (tmp_path,), nprocs=2)
    (a, tokens, drawn), (b, _, other) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert drawn != other and tokens % 2 == 0 and (tmp_path / "c.pt").exists()


def test_one_process_needs_no_group() -> None:
    assert agree(True) and not agree(False)
    share_gradients(torch.nn.Linear(2, 1))
    assert Warp().gamma.size
