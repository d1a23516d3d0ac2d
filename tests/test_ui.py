"""How far work has come, where no bar can be shown: plain lines, not too many, none of quiet processes."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from arrayse import ui
from arrayse.ui import count_bar, training_bars


class Clock:
    """A clock that stands still until it is moved."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(ui, "monotonic", clock)
    return clock


@pytest.mark.parametrize("transient", [False, True])
def test_without_a_terminal_a_line_comes_every_half_minute(
    transient: bool, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with count_bar(Console(file=io.StringIO()), "scenes", transient) as progress:
        for done in range(20, 101):  # of which 20 were there before; 1 s each
            progress(done, 100)
            clock.seconds += 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "scenes: 50 of 100 after 0:00:30, about 0:00:50 left",
        "scenes: 80 of 100 after 0:01:00, about 0:00:20 left",
    ]
    assert lines[2:] == ([] if transient else ["scenes: 100 of 100 after 0:01:20"])


def test_a_line_is_told_late_rather_than_never(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with count_bar(Console(file=io.StringIO()), "scenes") as progress:
        progress(0, 2)
        clock.seconds = 3700.0
        progress(1, 2)
    assert capsys.readouterr().err == "scenes: 1 of 2 after 1:01:40, about 1:01:40 left\n"


def test_training_tells_every_epoch_and_where_it_stands_in_a_long_one(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    with training_bars(Console(file=out)) as progress:
        for step in range(1, 41):
            progress("supervised epoch 1/2", step, 40, {"loss": 0.5})
            clock.seconds += 1
        progress("validation", 1, 2, {})
        clock.seconds += 30
        progress("validation", 2, 2, {})
        progress("supervised epoch 1/2", 40, 40, {"loss": 0.5, "validation loss": 0.25})
    told = capsys.readouterr().err.splitlines()
    assert told == ["supervised epoch 1/2: 31 of 40, about 0:00:09 left  loss 0.5", "validation: 2 of 2"]
    assert out.getvalue() == "supervised epoch 1/2  loss 0.5  validation loss 0.25\n"


def test_a_quiet_process_tells_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = Console(file=io.StringIO(), quiet=True)
    with count_bar(quiet, "scenes") as count, training_bars(quiet) as train:
        clock.seconds = 100.0
        count(2, 2)
        train("epoch", 1, 2, {"loss": 1.0})
    assert capsys.readouterr().err == ""


def test_a_terminal_has_bars_and_the_lines_of_epochs(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, force_interactive=True, width=120)
    with count_bar(terminal, "scenes") as progress:
        clock.seconds = 100.0
        progress(1, 2)
        progress(2, 2)
    with training_bars(terminal) as train:
        train("epoch 1", 1, 1, {"loss": 1.0})
        train("epoch 1", 1, 1, {"loss": 1.0, "validation loss": 2.0})
    shown = re.sub(r"\x1b\[[0-9;?]*\w", "", out.getvalue())
    assert "2/2" in shown
    assert "━" in shown
    assert "epoch 1  loss 1  validation loss 2\n" in shown
    assert capsys.readouterr().err == ""
