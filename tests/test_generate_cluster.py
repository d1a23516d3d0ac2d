"""Datasets made by a cluster, or by workers that are killed, are those of one undisturbed process."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from arrayse.cluster import _local_cluster
from simulate.corpus import load_corpus
from simulate.generate import SHARD_SCENES, generate
from simulate.recipe import Recipe
from tests.tiny_scenes import RATE, Corpora, hashes, tiny_world

distributed = pytest.importorskip("distributed", reason="needs the extra: pip install 'arrayse[scale]'")
psutil = pytest.importorskip("psutil", reason="comes with distributed")

N_SCENES = {"train": 2 * SHARD_SCENES + 3, "valid": 2}
"""In four shards."""


@pytest.fixture(scope="module")
def undisturbed(corpora: Corpora, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of the dataset that one process makes in one go."""
    out = tmp_path_factory.mktemp("undisturbed") / "data"
    generate(out, tiny_world(corpora, tiny_recipe), N_SCENES, 1)
    return hashes(out)


def workers() -> list[Any]:
    """Processes that this one started to compute."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@contextmanager
def death_in_a_shard(out: Path) -> Iterator[list[int]]:
    """Kills all workers once, when at least one of them has written a part of a shard; gives who was killed."""
    killed: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set() and not killed:
            time.sleep(0.001)
            if not list(out.glob("*/.shard-*.tmp/*.wav")):
                continue
            stopped = workers()
            for worker in stopped:
                worker.suspend()
            if list(out.glob("*/.shard-*.tmp/*.wav")):  # nobody goes on meanwhile: it is not whole
                killed.extend(worker.pid for worker in stopped)
            for worker in stopped:
                worker.kill() if killed else worker.resume()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("cluster", [None, "local"])
def test_killed_workers_change_nothing(
    cluster: str | None, undisturbed: dict[str, str], corpora: Corpora, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out, seen = tmp_path / "data", []
    with death_in_a_shard(out) as killed:
        world = tiny_world(corpora, tiny_recipe)
        generate(out, world, N_SCENES, 2, lambda done, total: seen.append(done), cluster)
    assert len(killed) == 2
    assert hashes(out) == undisturbed
    assert not list(out.rglob(".*"))
    assert seen == sorted(seen)
    assert (len(seen), seen[-1]) == (5, 45)


def test_workers_of_a_cluster_may_stand_in_another_folder(
    undisturbed: dict[str, str],
    tiny_corpus: Path,
    tiny_recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with _local_cluster(1) as running:
        monkeypatch.chdir(tiny_corpus.parent)
        speech, noise = (load_corpus(tiny_corpus.name, kind, RATE) for kind in ("speech", "noise"))
        out = Path(os.path.relpath(tmp_path / "data"))
        generate(out, tiny_world((speech, noise), tiny_recipe), N_SCENES, 1, cluster=running.scheduler_address)
    made = hashes(tmp_path / "data")
    assert made.pop("corpora.json") != undisturbed["corpora.json"]  # it tells the name that the user gave
    assert made.items() <= undisturbed.items()
    assert len(made) == len(undisturbed) - 1


KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from simulate.generate import generate

def progress(done, total):
    if done:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    generate(Path(sys.argv[1]), *pickle.loads(Path(sys.argv[2]).read_bytes()), 1, progress, "local")
"""


def test_a_killed_run_on_a_cluster_is_finished_by_the_next(
    undisturbed: dict[str, str], corpora: Corpora, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out, script, arguments = tmp_path / "data", tmp_path / "main.py", tmp_path / "arguments"
    script.write_text(KILLED)
    arguments.write_bytes(pickle.dumps((tiny_world(corpora, tiny_recipe), N_SCENES)))
    result = subprocess.run(
        [sys.executable, str(script), str(out), str(arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        capture_output=True,  # comes to its end when the workers have ended too
        timeout=600,
    )
    assert result.returncode == -signal.SIGKILL, result.stderr.decode()
    assert hashes(out) != undisturbed
    generate(out, tiny_world(corpora, tiny_recipe), N_SCENES, 1)
    assert hashes(out) == undisturbed
    assert not list(out.rglob(".*"))
