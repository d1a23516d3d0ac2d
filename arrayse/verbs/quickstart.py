"""The whole path on the built-in corpus: simulate, teacher, student without and with distillation, table, report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from arrayse.config import read_config
from arrayse.report.build import build_report
from arrayse.report.table import print_table
from arrayse.ui import count_bar, training_bars
from arrayse.verbs.common import teller
from arrayse.verbs.data import run_simulate
from arrayse.verbs.nets import run_train
from arrayse.verbs.results import run_evaluate

TRAININGS = (
    ("teacher", "train", ["quickstart_teacher"], ""),
    ("student", "train", ["quickstart_student"], ""),
    ("student_lin", "distill", ["quickstart_student", "lin_one_step"], "teacher"),
)
"""(run, verb, named configs, teacher's run)."""


def quickstart(out: Path, console: Console) -> Path:
    """Runs the main job into ``out``, going on from what is there, and returns the report."""
    data, say = out / "data", teller(console)
    console.rule("1 simulate: built-in synthetic voices and noises, 5 microphones on a ring")
    with count_bar(console, "scenes") as progress:
        run_simulate(read_config("simulate", ["quickstart", f"out={data}"]), progress, say)
    for number, (name, verb, configs, teacher) in enumerate(TRAININGS, start=2):
        console.rule(f"{number} {verb}: {name}")
        arguments = [*configs, f"data={data}", f"out={out / name}"]
        if teacher:
            arguments.append(f"teacher={out / teacher}")
        with training_bars(console) as progress:
            run_train(read_config(verb, arguments), progress, say)
    console.rule("5 evaluate")
    runs = {name: out / name for name, *_ in TRAININGS}
    values = read_config("evaluate", ["quickstart", f"data={data}", f"out={out / 'evaluation'}"])
    with count_bar(console, "scenes") as progress:
        summary = run_evaluate(values, runs, progress, say)
    print_table(summary, console)
    return build_report([out / "evaluation"], out / "report.html")
