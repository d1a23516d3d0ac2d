"""The simulator beside the reference engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arrayse.benchmark.common import versions_line
from arrayse.config import read_config
from arrayse.data import collate
from arrayse.fresh import FreshReader
from arrayse.geometry import circular
from arrayse.losses import LOSSES
from arrayse.mixture import Dataset
from arrayse.models import build_enhancer
from arrayse.objectives import Supervised
from arrayse.profile.cost import one_thread
from arrayse.training.loop import uses_bfloat16
from arrayse.training.settings import FitSettings
from simulate.benchmark import Line, memory_line, mixture_line, response_lines
from simulate.corpus import Corpus, load_corpus
from simulate.recipe import Recipe
from simulate.scene import World

HEADER = "| what | reference (ms) | arrayse (ms) | ratio | |\n| --- | ---: | ---: | ---: | --- |"


def benchmark_simulator(values: dict[str, Any], say: Callable[[str], None]) -> str:
    """Measures the simulator and returns the table as Markdown; lines are said as they come."""
    speech, noise = (load_corpus(values[kind], kind, 16000) for kind in ("speech", "noise"))
    rows = [HEADER]
    say(HEADER)
    with one_thread():
        for line in (*response_lines(values["repeats"]), mixture_line(speech, noise, values["repeats"])):
            rows.append(_row(line))
            say(rows[-1])
        notes = [memory_line(), fresh_line(speech, noise, values["repeats"])]
    notes.append(versions_line(values["repeats"]))
    for note in notes:
        say(note)
    return "\n".join([*rows, "", *(f"- {note}" for note in notes), ""])


def fresh_line(speech: Corpus, noise: Corpus, repeats: int) -> str:
    """What drawing fresh scenes adds to the training step of the named student on this CPU."""
    values = read_config("train", ["student", "data=unused", "out=unused"])
    settings, geometry = FitSettings(**values["fit"]), circular()
    world = World(Recipe(seconds=settings.seconds), geometry, speech, noise, 0)
    dataset = Dataset(Path(), geometry, 16000, "fresh", {})
    reader = FreshReader(dataset, "train", settings.snr_db, settings.seconds, 0, world, 10**6)
    student = build_enhancer(
        net=values["model"], stft=values["stft"], features=values["features"], array=geometry.to_dict(),
        mics=None, ref_mic=None, sample_rate=16000,
    )  # fmt: skip
    loss = dict(values["loss"])
    objective = Supervised(student, LOSSES[loss.pop("name")](**loss))
    optimizer = torch.optim.Adam(objective.parameters(), settings.learning_rate)
    entries = iter(reader.entries())
    drawn, stepped = [], []
    for number in range(repeats + 1):
        start = time.perf_counter()
        batch = collate(reader, [next(entries) for _ in range(settings.batch_size)], 0)
        middle = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=uses_bfloat16(settings)):
            terms = objective(batch)
        optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        optimizer.step()
        if number:  # the first one warms up
            drawn.append(middle - start)
            stepped.append(time.perf_counter() - middle)
    share = float(np.median(drawn) / np.median(stepped))
    return (
        f"fresh scenes in training: {100 * share:.0f} % of the time of a step of the named student "
        f"({settings.batch_size} scenes of {settings.seconds:g} s, office recipe, RT60 0.2-0.5 s)"
    )


def _row(line: Line) -> str:
    return f"| {line.what} | {line.reference_ms:.1f} | {line.ours_ms:.2f} | {line.ratio:.0f}x | {line.note} |"
