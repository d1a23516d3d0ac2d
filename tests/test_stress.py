"""A small share of ``python -m tests.stress``, and that each of its pieces sees a promise that is broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.audio import audio_info, read_audio
from tests.stress import audio, common, configs, disk, files, kill, nonfinite, signals
from tests.stress.common import Outcome, Row
from tests.stress.jobs import Job
from tests.stress.kill import differences
from tests.stress.table import update

ROOT = Path(__file__).parents[1]
SAMPLE = (
    *("kill: train", "SIGTERM: evaluate", "SIGINT: evaluate", "disk: report", "nonfinite", "audio", "configs", "files"),
    *("load: manifest", "load: long file", "load: streams", "determinism: simulate"),
)
JOB = Job("a job", lambda out: [out])
NO_WORLD: Any = SimpleNamespace(teacher="teacher", data=Path("data"))


def test_a_sample_of_the_promises_holds(tmp_path: Path) -> None:
    """Two processes that train as one and what is named under security have tests of their own in this suite."""
    out = tmp_path / "table.md"
    command = [sys.executable, "-m", "tests.stress", "--share", "0.005", "--out", str(out), "--only", *SAMPLE]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in out.read_text().splitlines() if line.startswith("| ")][2:]
    assert {row[0].removeprefix("| ") for row in rows} == {
        *("SIGKILL", "SIGTERM", "SIGINT", "full disk", "not finite", "bad audio", "bad configs", "untrusted files"),
        *("load", "determinism"),
    }
    assert [row for row in rows if int(row[3])] == []
    assert all(int(row[2].replace(",", "")) for row in rows if "needs root" not in row[4])


# --- each piece sees what is broken: a child runs this in place of the command line -------------------------------


@pytest.fixture
def as_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], None]], None]:
    """Puts a function of the last argument in place of the command line."""

    def put(program: Callable[[Path], None]) -> None:
        def main() -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, common.STOPS)
            program(Path(sys.argv[-1]))

        monkeypatch.setattr(common, "_main", main)

    return put


def write_slowly(out: Path) -> None:
    """Leaves a half-written file behind when it is killed, and takes what is there for whole."""
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "a.txt").exists():
        (out / "a.txt").write_text("half")
        time.sleep(0.2)
        (out / "a.txt").write_text("whole")
    time.sleep(0.1)


def leave_a_file(out: Path) -> None:
    """Writes whole files, but what a killed one leaves stays."""
    out.mkdir(parents=True, exist_ok=True)
    beside = out / f".{os.getpid()}.tmp"
    beside.write_text("whole")
    time.sleep(0.2)
    os.replace(beside, out / "a.txt")


@pytest.mark.parametrize("program", [write_slowly, leave_a_file])
def test_a_kill_that_loses_or_leaves_something_shows(
    program: Callable[[Path], None], as_command: Any, tmp_path: Path
) -> None:
    as_command(program)
    (row,) = kill.check(JOB, 8, tmp_path)
    assert row.tried == 8
    assert row.broken


def test_a_job_that_goes_on_as_it_should_passes(as_command: Any, tmp_path: Path) -> None:
    def whole(out: Path) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        out.mkdir(parents=True, exist_ok=True)
        try:
            time.sleep(0.2)
        except SystemExit:
            os.write(1, b"the same command goes on")
            raise
        (out / "a.txt").write_text("whole")

    as_command(whole)
    for name in ("kill", "term"):
        (tmp_path / name).mkdir()
    assert [row.broken for row in kill.check(JOB, 3, tmp_path / "kill")] == [0]
    assert [row.broken for row in signals.check(JOB, "SIGTERM", 3, tmp_path / "term")] == [0]


def stop_with(code: int) -> Callable[[Path], None]:
    """A command that SIGTERM ends with an exit code, and without a word."""

    def program(out: Path) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(code))
        out.mkdir(parents=True)
        time.sleep(60)

    return program


def leave_a_process(out: Path) -> None:
    """A command that SIGTERM ends as it should, but its worker lives on."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if not os.fork():
        time.sleep(60)
        os._exit(0)
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(143))
    out.mkdir(parents=True)
    time.sleep(60)


@pytest.mark.parametrize(
    ("program", "told"),
    [(stop_with(1), "exit code 1, not 143"), (stop_with(143), "said: "), (leave_a_process, "lives on: ")],
)
def test_a_command_that_stops_in_another_way_shows(
    program: Callable[[Path], None], told: str, as_command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "END_S", 0.5 if program is leave_a_process else 60.0)
    as_command(program)
    child = common.start([tmp_path / "out"], tmp_path / "log.txt")
    while not (tmp_path / "out").exists():  # which is made as the last thing before it waits
        time.sleep(0.01)
    os.kill(child, signal.SIGTERM)
    (*_, last) = signals._stopped(child, 143, tmp_path / "log.txt")
    assert last.startswith(told)


@pytest.mark.skipif(not disk.can_mount(), reason="a small tmpfs needs root")
def test_a_disk_that_is_full_without_a_word_shows(as_command: Any, tmp_path: Path) -> None:
    def program(out: Path) -> None:
        (out).mkdir(parents=True, exist_ok=True)
        with (out / "a.bin").open("wb") as file:  # the old one is gone at once
            file.write(b"\1" * 100_000)

    as_command(program)
    (row,) = disk.check(JOB, 1, tmp_path)
    assert row.broken == 1
    assert "exit code 70" in row.note
    assert "the old file was lost" in row.note


def test_a_traceback_a_crash_and_a_silent_error_are_not_documented() -> None:
    assert Outcome(2, "error a: expected b, got c").is_documented
    assert Outcome(0, "").is_documented
    for outcome in (Outcome(2, "Traceback"), Outcome(1, "error a"), Outcome(-14, "error a"), Outcome(2, "no")):
        assert not outcome.is_documented
    assert not Outcome(2, "error x\nKeyError: this should not happen").is_documented


def test_bad_audio_that_crashes_shows(as_command: Any, tmp_path: Path) -> None:
    as_command(lambda _: (_ for _ in ()).throw(KeyError("frames")))
    (row,) = audio.check(NO_WORLD, 3, tmp_path / "files")
    assert row.broken == 3


def test_a_config_that_reads_the_environment_shows(
    monkeypatch: pytest.MonkeyPatch, as_command: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr(configs, "read_config", lambda verb, arguments: {"data": os.environ["ARRAYSE_SECRET"]})
    as_command(lambda _: sys.exit(1))
    read, given = configs.check(NO_WORLD, 20, tmp_path)
    assert (read.broken, given.broken) == (20, 1)


def test_a_file_that_makes_a_command_write_elsewhere_shows(
    monkeypatch: pytest.MonkeyPatch, as_command: Any, tmp_path: Path
) -> None:
    source = tmp_path / "whole" / "source.json"
    source.parent.mkdir()
    source.write_text('{"a": 1}')
    monkeypatch.setattr(files, "kinds", lambda world: {"some": (lambda _: source, lambda place, _: [place])})
    as_command(lambda place: place.parents[1].joinpath("elsewhere").touch())
    (row,) = files.check(NO_WORLD, "some", 2, tmp_path / "files")
    assert row.broken == 1
    assert "files outside were changed" in row.note


def test_a_step_that_is_not_refused_shows(tmp_path: Path) -> None:
    objective: Any = SimpleNamespace(weights=[torch.zeros(2), torch.ones(2)], now=lambda: torch.ones(2))
    (tmp_path / "metrics.jsonl").write_text('{"event": "not_finite", "step": 1, "ids": ["s"]}\n')
    assert nonfinite._one_step_changed_nothing(objective, tmp_path, "s")
    assert not nonfinite._one_step_changed_nothing(objective, tmp_path, "other")
    objective.now = lambda: torch.zeros(2)
    assert not nonfinite._one_step_changed_nothing(objective, tmp_path, "s")


def test_differences_are_named() -> None:
    assert differences({"a": "1"}, {"a": "1"}) == []
    assert differences({"a": "1", "b": "2"}, {"a": "3", "c": "4"}) == ["a differs, b too many, c lost"]


def test_the_table_keeps_its_order_and_replaces_rows(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "table.md"
    for row in (Row("load", "x", 1, 0), Row("SIGKILL", "b", 1, 0), Row("SIGKILL", "a", 1, 0, "<|>")):
        update(out, row, "abc")
    update(out, Row("SIGKILL", "b", 1000, 2, "new"), "def")
    lines = [line for line in out.read_text().splitlines() if line.startswith("| ")][2:]
    assert lines == [
        "| SIGKILL | b | 1,000 | 2 | new | def |",
        "| SIGKILL | a | 1 | 0 | &lt;/> | abc |",
        "| load | x | 1 | 0 |  | abc |",
    ]


# --- audio, in this process ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Valid files of several formats: their ending and their bytes."""
    return [(path.suffix, path.read_bytes()) for path in audio.sound_files(tmp_path_factory.mktemp("whole"))]


@settings(max_examples=300)
@given(data=st.data())
def test_headers_of_any_bytes_are_read_or_refused(
    data: st.DataObject, whole: list[tuple[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A piece of the first hundred bytes is anything; the file may end anywhere."""
    suffix, content = data.draw(st.sampled_from(whole))
    start = data.draw(st.integers(0, 100))
    piece = data.draw(st.binary(max_size=8) | st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f"]))
    end = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    path = tmp_path_factory.getbasetemp() / f"spoiled{suffix}"
    path.write_bytes((content[:start] + piece + content[start + len(piece) :])[:end])
    try:
        info = audio_info(path)
        wave = read_audio(path, info.sample_rate)
    except ValueError:
        return
    assert wave.shape == (info.n_channels, info.n_samples)
    assert np.isfinite(wave).all()
