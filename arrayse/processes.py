"""The processes of one training: alone, or started by torchrun; and the device of this one."""

from __future__ import annotations

import ctypes
import os
import sys

import torch
from torch import distributed


class Processes:
    """Joins the process group that torchrun announces in the environment and leaves it at the end."""

    def __init__(self) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        if torch.cuda.is_available():
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        else:
            self.device = torch.device("cpu")

    def __enter__(self) -> Processes:
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.world > 1:
            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return self

    def __exit__(self, *error: object) -> None:
        if self.world > 1:
            distributed.destroy_process_group()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return self.sum(float(flag)) > 0

    def sum(self, value: float) -> float:
        """The sum of a number over all processes."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return float(total)


def keep_freed_memory() -> None:
    """Tells glibc to keep large freed blocks: else every step maps and clears its activations anew, at twice the time."""
    if sys.platform == "linux":
        trim_threshold, mmap_max = -1, -4
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(trim_threshold, 2**31 - 1)
            libc.mallopt(mmap_max, 0)
