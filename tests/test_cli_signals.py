"""Signals at the command line: exit codes, a hint, nothing half-written."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from arrayse.training.stop import StoppedBySignal
from tests.test_cli import arrayse
from tests.test_end_to_end import SIMULATE


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (signal.SIGINT, 130, "stopped: the same"),
        (signal.SIGTERM, 143, "stopped: the same"),
        (None, 143, "by SIGTERM: the"),
    ],
)
def test_a_signal_ends_with_its_code_and_a_hint(
    number: int | None, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        if number is None:  # as a training ends, which handles them itself
            raise StoppedBySignal(signal.SIGTERM)
        assert signal.getsignal(number) != signal.SIG_DFL  # or it would be the end of these tests
        signal.raise_signal(number)

    monkeypatch.setattr("arrayse.cli.app", interrupted)
    assert arrayse(monkeypatch) == code
    told = capsys.readouterr().err
    assert told.count("the same command") == 1
    assert says in told


def test_a_library_that_loses_an_interrupt_and_breaks_was_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise KeyError("half a mapping")

    monkeypatch.setattr("arrayse.cli.app", lose)
    assert arrayse(monkeypatch) == 130
    told = capsys.readouterr().err.splitlines()
    assert told == ["error 'half a mapping'", "stopped: the same command goes on where it can, or begins again"]


def test_an_object_that_a_signal_left_half_made_says_nothing() -> None:
    program = """
import signal
from arrayse import cli

class Half:
    def __init__(self):
        signal.raise_signal(signal.SIGTERM)

    def __del__(self):
        raise AttributeError("half made")

cli.app = Half
cli.main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 143
    assert ended.stderr == "stopped: the same command goes on where it can, or begins again\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("ends", [lambda: None, lambda: sys.exit(0)])
def test_a_library_that_loses_a_signal_and_goes_on_was_stopped(
    ends: Callable[[], None],
    number: int,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def lose() -> None:
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            signal.raise_signal(number)
        ends()

    monkeypatch.setattr("arrayse.cli.app", lose)
    assert arrayse(monkeypatch) == code
    assert capsys.readouterr().err.count("stopped: the same") == 1


@pytest.mark.parametrize(("name", "code", "workers"), [("SIGTERM", 143, 2), ("SIGINT", 130, 1)])
def test_a_stopped_simulation_leaves_whole_shards_and_goes_on(
    name: str, code: int, workers: int, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, corpora = tmp_path / "data", [f"speech={tiny_corpus}", f"noise={tiny_corpus}"]
    simulate = [
        "simulate",
        "quickstart",
        *corpora,
        f"out={data}",
        *SIMULATE[:-2],
        "n_scenes={train: 100, valid: 0, test: 0}",
    ]
    command = [sys.executable, "-m", "arrayse", *simulate, f"workers={workers}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while not list(data.glob("train/.shard-*.tmp/*.wav")) and child.poll() is None:
            time.sleep(0.001)
        child.send_signal(signal.Signals[name])
        out, errors = child.communicate()
    assert child.returncode == code, out + errors
    assert errors.splitlines()[-1] == "stopped: the same command goes on where it can, or begins again"
    assert "Traceback" not in errors
    assert not list(data.rglob(".*"))
    shards = list((data / "train").iterdir())
    assert len(shards) < 5
    assert all(len((shard / "manifest.jsonl").read_text().splitlines()) == 20 for shard in shards)
    assert all(len(list(shard.glob("*.wav"))) == 20 for shard in shards)
    assert arrayse(monkeypatch, *simulate, "workers=1") == 0
    assert arrayse(monkeypatch, "verify", str(data), "workers=1") == 0
