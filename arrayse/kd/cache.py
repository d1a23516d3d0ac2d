"""Views of a teacher's features on disk: in 16 bits, waves in 32, a checksummed file for each item and view.

A folder belongs to one teacher and one dataset. It is filled while students train, by any number of processes: a view
is a function of the teacher's weights, the item and the precision of the computation.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from arrayse.files import check_new_folder, one_line, read_json, write_first, write_whole
from arrayse.kd.views import KINDS

HEADER, FORMAT = "cache.json", 1
CHECKSUM = "sha256"


@dataclass(frozen=True)
class Origin:
    """What the views of a cache come from.

    Attributes:
        teacher: SHA-256 of its description and weights.
        data: SHA-256 of the description of the dataset.
        precision: that the teacher computes in, and on what.
    """

    teacher: str
    data: str
    precision: str


@dataclass(frozen=True)
class ViewCache:
    """A folder of views.

    Attributes:
        folder: where they lie.
    """

    folder: Path

    def check(self, origin: Origin) -> None:
        """Looks whether the folder is new or has views of this origin.

        Raises:
            ValueError: a cache of something else, or a folder that is no cache.
        """
        path = self.folder / HEADER
        if not path.is_file():
            try:
                check_new_folder(self.folder, "a cache of teacher outputs")
                return
            except ValueError:
                if not path.is_file():  # another process may just have written it
                    raise
        there = read_json(path, "cache")
        for name, value in {"format": FORMAT, **asdict(origin)}.items():
            got = there.get(name) if isinstance(there, dict) else None
            if got != value:
                raise ValueError(
                    f"{self.folder}: expected a cache of this {name} ({_short(value)}), got one of another "
                    f"({_short(got)}): choose another distill.cache="
                )

    def claim(self, origin: Origin) -> None:
        """Checks, and writes what the views come from if nothing did so far.

        Raises:
            ValueError: as :meth:`check`, also where another process was faster.
        """
        self.check(origin)
        if not write_first(self.folder / HEADER, json.dumps({"format": FORMAT, **asdict(origin)})):
            self.check(origin)

    def keys(self, tap: str, kind: str) -> set[str]:
        """The items that a view is there of."""
        folder, ending = self.folder / f"{tap}.{kind}", ".safetensors"
        if not folder.is_dir():
            return set()
        return {name.removesuffix(ending) for name in os.listdir(folder) if name.endswith(ending)}

    def has(self, key: str, tap: str, kind: str) -> bool:
        """Whether a view of an item is there."""
        return self._path(key, tap, kind).is_file()

    def write(self, key: str, tap: str, kind: str, view: Tensor) -> None:
        """Keeps the view of an item, without a batch axis.

        Raises:
            ValueError: numbers that the precision of the tap cannot hold, or that are not finite.
        """
        largest, precision = float(view.abs().max()), precision_of(tap)
        if not largest <= torch.finfo(precision).max:
            n_bits = torch.finfo(precision).bits
            raise ValueError(f"{key} {tap}: expected numbers that {n_bits} bits can hold, got up to {largest:g}")
        rounded = view.detach().to("cpu", precision).contiguous()
        content = save({"view": rounded}, {CHECKSUM: _checksum(rounded)})
        path = self._path(key, tap, kind)
        write_whole(path, lambda temporary: _write_bytes(temporary, content), durable=False)  # it has a checksum

    def read(self, key: str, tap: str, kind: str) -> Tensor:
        """The view of an item in 32 bits.

        Raises:
            ValueError: no such file, or a damaged one.
        """
        path = self._path(key, tap, kind)
        hint = "delete it, or the whole cache: it will be computed again"
        try:
            with safe_open(path, "pt") as file:
                view, expected = file.get_tensor("view"), (file.metadata() or {}).get(CHECKSUM)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path}: expected a view of a teacher, got {one_line(error)}: {hint}") from None
        got = _checksum(view)
        if got != expected:
            raise ValueError(f"{path}: expected the checksum {expected}, got {got}: {hint}")
        return view.float()

    def _path(self, key: str, tap: str, kind: str) -> Path:
        if Path(key).name != key:
            raise ValueError(f"scene: expected a name that fits a file, got {key}")
        return self.folder / f"{tap}.{kind}" / f"{key}.safetensors"


def precision_of(tap: str) -> torch.dtype:
    """16 bits would fill the empty bins of a wave's spectrum with rounding; features take them well."""
    return torch.float32 if tap == "wave" else torch.float16


def view_bytes(tap: str, kind: str, shape: tuple[int, ...]) -> int:
    """Bytes that a view of an item takes on disk, header aside; ``shape`` of its tap without the batch axis."""
    return precision_of(tap).itemsize * KINDS[kind](torch.empty(1, *shape, device="meta")).numel()


def _short(value: Any) -> str:
    """The start of a hash; other words whole."""
    text = str(value)
    return text[:12] if len(text) == 64 else text


def _checksum(view: Tensor) -> str:
    return hashlib.sha256(view.numpy().tobytes()).hexdigest()


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
