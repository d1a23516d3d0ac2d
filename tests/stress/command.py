"""Tries every promise as often as the table says, and writes the table.

With ``--share 0.02`` it is a quick look. A full disk is a small tmpfs, which wants root. All of it takes one or two
hours on two cores. ``--out`` replaces the rows of the table that were tried and keeps the others.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from tests.stress import audio, configs, disk, files, kill, load, nonfinite, ranks, security, signals, twice
from tests.stress.common import Row, World, make_world, preload
from tests.stress.jobs import jobs, writers
from tests.stress.table import one_line, revision, update

Piece = Callable[[], Iterator[Row]]


def pieces(world: World, folder: Path, share: float) -> dict[str, Piece]:
    """What can be tried, by name: a group, or ``group: part``, in the order of the table."""

    def often(times: int) -> int:
        return max(1, round(share * times))

    def place(name: str) -> Path:
        there = folder / name.replace(": ", "-").replace(", ", "-").translate(str.maketrans(" (", "--", ")"))
        there.mkdir(parents=True)
        return there

    found: dict[str, Piece] = {}

    def add(name: str, check: Callable[[Path], Iterator[Row]]) -> None:
        found[name] = lambda: check(place(name))

    for number, job in enumerate(jobs(world)):
        add(f"kill: {job.name}", partial(kill.check, job, often(50), seed=number))
    for number, job in enumerate(jobs(world)):
        for name in signals.CODES:
            add(f"{name}: {job.name}", partial(signals.check, job, name, often(10), seed=number))
    for job in writers(world):
        add(f"disk: {job.name}", partial(disk.check, job, often(10)))
    add("nonfinite", partial(nonfinite.check, world, often(50)))
    add("audio: files", partial(audio.check, world, often(2000)))
    add("audio: decompression bomb", partial(audio.bomb, world, often(120)))
    add("configs", partial(configs.check, world, often(5000)))
    for name in files.kinds(world):
        add(f"files: {name}", partial(files.check, world, name, often(200)))
    add("load: manifest", partial(load.manifest, world, often(100_000 // load.SHARD) * load.SHARD))
    add("load: long file", partial(load.long_file, world, often(180)))
    add("load: streams", partial(load.streams, world, 16))
    add("load: processes", partial(ranks.check, world, often(3)))
    for job in jobs(world):
        add(f"determinism: {job.name}", partial(twice.check, world, job))
    add("security", security.check)
    return found


def chosen(every: dict[str, Piece], only: list[str] | None) -> dict[str, Piece]:
    """The pieces that ``--only`` asks for.

    Raises:
        SystemExit: there is no such piece.
    """
    wanted = only or list(every)
    for name in wanted:
        if not any(_is_part(piece, name) for piece in every):
            raise SystemExit(f"--only: expected some of\n{chr(10).join(every)}\ngot {name}")
    return {piece: every[piece] for piece in every if any(_is_part(piece, name) for name in wanted)}


def _is_part(piece: str, name: str) -> bool:
    return piece == name or piece.startswith(f"{name}: ")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help='groups (kill, audio, ...) or parts ("kill: train")')
    parser.add_argument("--share", type=float, default=1.0, help="of the number of times")
    parser.add_argument("--out", type=Path, help="table (Markdown), whose rows are replaced")
    options = parser.parse_args()
    os.environ.setdefault("COLUMNS", "200")
    torch.set_num_threads(1)
    preload()
    broken, at = 0, revision()
    with tempfile.TemporaryDirectory(prefix="arrayse-stress-") as folder:
        order = list(pieces(World(Path(folder)), Path(folder), options.share))
        names = chosen(dict.fromkeys(order, lambda: iter(())), options.only)
        every = pieces(make_world(Path(folder) / "world"), Path(folder), options.share)
        for name in names:
            for row in every[name]():
                broken += row.broken
                print(one_line(row, at), flush=True)
                if options.out:
                    update(options.out, row, at)
    raise SystemExit(int(broken > 0))
