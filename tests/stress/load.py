"""Load: a manifest of 100,000 scenes, hours of sound in constant memory, sixteen streams at once."""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from arrayse.checkpoint import load_enhancer
from arrayse.mixture import open_dataset
from arrayse.stream import Streamer, TorchBackend
from tests.stress.common import Row, World, start

RATE, SHARD = 16000, 20


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of processor time and megabytes that some work takes in a process of its own, forked from this one.

    Raises:
        RuntimeError: it failed.
    """
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
            kept = work()  # what it returns is held while memory is looked at
            seconds = time.process_time() - began
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            os.write(write, json.dumps([seconds, (after - before) / 1000]).encode())
            del kept
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if status or not answer:
        raise RuntimeError(f"expected numbers, got status {status}")
    seconds, megabytes = json.loads(answer)
    return seconds, megabytes


def many_scenes(world: World, n_scenes: int, folder: Path) -> Path:
    """A dataset with so many lines in its manifests, all of one scene but for the name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("dataset.json", "corpora.json"):
        shutil.copy(world.data / name, folder / name)
    description = json.loads((folder / "dataset.json").read_text())
    description["n_scenes"] = {"train": n_scenes, "valid": 0, "test": 0}
    (folder / "dataset.json").write_text(json.dumps(description))
    manifest = next((world.data / "train").glob("*/manifest.jsonl"))
    line = json.loads(manifest.read_text().splitlines()[0])
    for shard in range(n_scenes // SHARD):
        place = folder / "train" / f"shard-{shard:05d}"
        place.mkdir(parents=True)
        names = [f"train-{shard * SHARD + number:06d}" for number in range(SHARD)]
        for name in names:
            (place / f"{name}.wav").touch()
        text = "".join(json.dumps({**line, "id": name, "file": f"{name}.wav"}) + "\n" for name in names)
        (place / "manifest.jsonl").write_text(text)
    return folder


def manifest(world: World, n_scenes: int, folder: Path) -> Iterator[Row]:
    """Opens a large dataset and asks for a scene."""
    data = many_scenes(world, n_scenes, folder / "many")
    seconds, megabytes = measured(lambda: open_dataset(data).entries("train"))
    note = f"{seconds:.1f} s of processor time, {megabytes:.0f} MB"
    what = f"manifest of {n_scenes:,} scenes in < 2 s, < 300 MB"
    yield Row("load", what, 1, int(seconds > 2 or megabytes > 300), note)


def long_file(world: World, minutes: int, folder: Path) -> Iterator[Row]:
    """Streams a long file; memory is that of a file a tenth as long."""
    folder.mkdir(parents=True, exist_ok=True)
    piece = np.random.default_rng(0).normal(0, 0.05, (RATE * 60, 5)).clip(-1, 1)
    peaks = []
    for length in (max(1, minutes // 10), minutes):
        source = folder / "long.wav"
        with soundfile.SoundFile(source, "w", RATE, 5, "PCM_16") as file:
            for _ in range(length):
                file.write(piece)
        child = start(["enhance", world.teacher, source, folder / "out.wav"], folder / "log.txt")
        _, status, usage = os.wait4(child, 0)
        if status:
            raise RuntimeError((folder / "log.txt").read_text())
        peaks.append(usage.ru_maxrss / 1000)
    note = f"{peaks[0]:.0f} MB for {max(1, minutes // 10)} min, {peaks[1]:.0f} MB for {minutes} min"
    yield Row("load", f"file of {minutes} min in constant memory (+ 50 MB)", 1, int(peaks[1] > peaks[0] + 50), note)


def streams(world: World, n_streams: int, folder: Path) -> Iterator[Row]:
    """Streams through one network, their blocks interleaved and in threads of their own, equal to each alone."""
    backend, rng = TorchBackend(load_enhancer(world.teacher)), np.random.default_rng(0)
    waves = rng.normal(0, 0.1, (n_streams, 5, 4000)).astype(np.float32)
    drawn = np.cumsum(rng.integers(1, 200, 1000))
    ends = [0, *drawn[drawn < waves.shape[-1]].tolist(), waves.shape[-1]]
    blocks = [slice(*pair) for pair in itertools.pairwise(ends)]
    alone = [Streamer(backend).push(wave) for wave in waves]

    def through(wave: np.ndarray) -> np.ndarray:
        stream = Streamer(backend)
        return np.concatenate([stream.push(wave[:, block]) for block in blocks])

    together = [Streamer(backend) for _ in waves]
    pieces = [[stream.push(wave[:, block]) for stream, wave in zip(together, waves, strict=True)] for block in blocks]
    interleaved = [np.concatenate(own) for own in zip(*pieces, strict=True)]
    with ThreadPoolExecutor(n_streams) as threads:
        parallel = list(threads.map(through, waves))
    for name, got in (("taking turns", interleaved), ("each in a thread", parallel)):
        farthest = [float(np.abs(one - two).max()) for one, two in zip(got, alone, strict=True)]
        note = f"differ by {max(farthest):.1g} at most from each alone, of 1e-6 allowed"
        broken = sum(not distance <= 1e-6 for distance in farthest)
        yield Row("load", f"streams at once, {name}", n_streams, broken, note)
