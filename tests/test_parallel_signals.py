"""Signals to processes with workers: all of them end, once and quietly."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_parallel import ROOT

INTERRUPTED = """
import os, signal, sys, time
from pathlib import Path
from arrayse.parallel import run_tasks

HELD = Path(__file__).with_name("held")

def interrupt(task):
    name, seconds = task
    if not name:
        HELD.touch()
    while name and not HELD.exists():
        time.sleep(0.01)
    if name == "SIGINT":
        os.killpg(0, signal.SIGINT)  # Ctrl-C reaches all processes
    elif name:
        os.kill(os.getppid(), signal.Signals[name])
    time.sleep(seconds)

if __name__ == "__main__":
    name, seconds, *cluster = sys.argv[1:]
    try:
        list(run_tasks(interrupt, [("", int(seconds)), (name, int(seconds))], 2, *cluster))
        time.sleep(3600)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def run_script(code: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output; workers hold our pipe, so it ends when all are gone."""
    script = folder / "main.py"
    script.write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=600)  # far more than is needed: only a worker that stays reaches it
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output


IMPORTING = """
import os, signal
from arrayse.parallel import run_tasks

if __name__ == "__mp_main__":
    os.kill(os.getpid(), signal.SIGINT)
if __name__ == "__main__":
    print(sum(run_tasks(abs, [1, -2], 2)))
"""


@pytest.mark.parametrize(
    ("name", "code"), [("SIGKILL", -signal.SIGKILL), ("SIGTERM", -signal.SIGTERM), ("SIGINT", 130)]
)
def test_busy_workers_end_with_their_parent(tmp_path: Path, name: str, code: int) -> None:
    assert run_script(INTERRUPTED, tmp_path, name, "3600") == (code, "")


def test_a_worker_that_is_still_importing_leaves_ctrl_c_to_its_parent(tmp_path: Path) -> None:
    assert run_script(IMPORTING, tmp_path) == (0, "3\n")
