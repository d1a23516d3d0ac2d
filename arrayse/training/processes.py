"""The processes of one training: alone, or started by torchrun; and the device of this one."""

from __future__ import annotations

import ctypes
import gc
import sys

import torch
from torch import distributed

from arrayse.training.ranks import local_rank, rank, world_size


class Processes:
    """Joins the process group that torchrun announces in the environment and leaves it at the end.

    Attributes:
        world: how many processes there are.
        rank: number of this one.
        device: what it computes on.
    """

    def __init__(self) -> None:
        self.world = world_size()
        self.rank = rank()
        if torch.cuda.is_available():
            self.device = torch.device("cuda", local_rank())
        else:
            self.device = torch.device("cpu")

    def __enter__(self) -> Processes:
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.world > 1:
            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return self

    def __exit__(self, *error: object) -> None:
        if self.world > 1:
            gc.collect()  # a wrapper that lives on in a cycle would keep the threads of gloo, which abort the exit
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

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        return self.sum(value) / self.world

    def share(self, tensors: list[torch.Tensor]) -> None:
        """Gives every process the values of the first one, in place."""
        for tensor in tensors if self.world > 1 else []:
            distributed.broadcast(tensor, 0)

    def wait(self) -> None:
        """Returns when every process has come here."""
        self.sum(0.0)


def has_bfloat16(device_type: str) -> bool:
    """Whether bfloat16 is faster than float32 on the device: CPUs need AVX512-BF16 for that."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported())


def keep_freed_memory() -> None:
    """Tells glibc to keep large freed blocks.

    Otherwise every step maps and clears the memory of its activations anew and takes twice the time.
    """
    if sys.platform == "linux":
        trim_threshold, mmap_max = -1, -4
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(trim_threshold, 2**31 - 1)
            libc.mallopt(mmap_max, 0)
