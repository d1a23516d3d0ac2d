"""What the verbs say on the way through the quickstart reaches the console as it stands."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from arrayse.verbs import quickstart


def test_taps_are_no_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def simulate(values: Any, progress: Any, say: Any) -> None:
        say("simulated [red]")

    def train(values: Any, progress: Any, say: Any) -> None:
        say(f"{Path(values['out']).name}: lin at [linear]")

    for name, stand_in in (("run_simulate", simulate), ("run_train", train)):
        monkeypatch.setattr(quickstart, name, stand_in)
    for name in ("run_evaluate", "print_table", "build_report"):
        monkeypatch.setattr(quickstart, name, lambda *arguments: None)
    told = io.StringIO()
    quickstart.quickstart(tmp_path, Console(file=told, width=80))
    lines = told.getvalue().splitlines()
    wanted = ["simulated [red]", *(f"{run}: lin at [linear]" for run in ("teacher", "student", "student_lin"))]
    assert [line for line in lines if "[" in line] == wanted
