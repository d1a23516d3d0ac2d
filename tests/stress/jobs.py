"""The commands that write something, for pieces that disturb them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arrayse.files import read_json_lines
from tests.stress.common import World, contents

CLOCKS = ("about.json", "config.yaml")
"""Files that say when and with which command."""


@dataclass(frozen=True)
class Job:
    """A command that writes into a folder.

    Attributes:
        name: for the table.
        arguments: of the command, for the folder.
        ignored: names of files that have a clock in them.
        extra: folders beside the folder that it writes too.
        n_phases: of a training, else 1.
    """

    name: str
    arguments: Callable[[Path], list[Any]]
    ignored: tuple[str, ...] = CLOCKS
    extra: tuple[str, ...] = field(default=())
    n_phases: int = 1

    def contents(self, place: Path) -> dict[str, str]:
        """Hashes of all files that it wrote below a place, hidden ones too."""
        names = ("out", *self.extra)
        found = {name: contents(place / name, self.ignored) for name in names}
        return {f"{name}/{path}": digest for name, files in found.items() for path, digest in files.items()}

    def phase(self, place: Path) -> int:
        """How many phases of a training are done."""
        metrics = place / "out" / "metrics.jsonl"
        rows = read_json_lines(metrics) if self.n_phases > 1 and metrics.is_file() else ()
        return sum(row["event"] == "epoch" for row in rows) // 2  # every phase has two epochs


def jobs(world: World) -> list[Job]:
    """The commands that promise to go on where they were."""

    def cached(out: Path) -> list[Any]:
        return [*world.distill(out), f"distill.cache={out.parent / 'cache'}", "fit.draws=1"]

    shards = "{train: 60, valid: 4, test: 8}"  # five shards
    evaluation = (*CLOCKS, "summary.json")  # it holds the provenance; the rows decide it
    return [
        Job("simulate", lambda out: [*world.simulate(out, shards), "workers=1"]),
        Job("simulate, 4 workers", lambda out: [*world.simulate(out, shards), "workers=4"]),
        Job("simulate, dask", lambda out: [*world.simulate(out, shards), "workers=2", "cluster=local"]),
        Job("train", world.train, n_phases=2),
        Job("distill, live teacher", world.distill, n_phases=3),
        Job("distill, cached teacher", cached, extra=("cache",), n_phases=3),
        Job("evaluate", lambda out: [*world.evaluate(out), "workers=1"], evaluation),
        Job("evaluate, 2 workers", lambda out: [*world.evaluate(out), "workers=2"], evaluation),
        Job("export", lambda out: ["export", world.student, out / "student.onnx"]),
    ]


def writers(world: World) -> list[Job]:
    """Every command that writes, in one process."""
    return [
        *(job for job in jobs(world) if "workers" not in job.name and "dask" not in job.name),
        Job("enhance, WAV", lambda out: ["enhance", world.teacher, world.recording, out / "enhanced.wav"]),
        Job("enhance, FLAC", lambda out: ["enhance", world.teacher, world.recording, out / "enhanced.flac"]),
        Job("report", lambda out: ["report", world.evaluation, f"out={out / 'page.html'}"], (*CLOCKS, "page.html")),
        Job("array show", lambda out: ["array", "show", "circular", f"out={out / 'array.png'}"]),
    ]
