"""Trainings and evaluations of an experiment: many, in parallel, each resumable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from arrayse.checkpoint import is_finished
from arrayse.config import read_config
from arrayse.evaluation.baselines import BEAMFORMERS
from arrayse.parallel import run_tasks
from arrayse.ui import count_bar
from arrayse.verbs.nets import run_train
from arrayse.verbs.results import run_evaluate


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        verb: ``train`` or ``distill``.
        run: folder.
        arguments: of the verb.
    """

    verb: str
    run: Path
    arguments: list[str]


def train_one(job: Job) -> str:
    """Runs a training to its end and returns its folder."""
    if not (job.run.is_dir() and is_finished(job.run)):
        values = read_config(job.verb, job.arguments)
        run_train(values, lambda title, done, total, numbers: None, lambda line: None)
    return str(job.run)


def run_jobs(title: str, jobs: list[Job], workers: int) -> None:
    """Trains in parallel, one thread each."""
    with count_bar(Console(), title) as progress:
        progress(0, len(jobs))
        for done, _ in enumerate(run_tasks(train_one, jobs, workers), start=1):
            progress(done, len(jobs))


def evaluate_runs(title: str, runs: dict[str, Path], arguments: list[str]) -> None:
    """Scores runs and all baselines on the test scenes; what is scored already is not scored again."""
    baselines = f"beamformers=[{','.join(BEAMFORMERS)}]"
    values = read_config("evaluate", [*arguments, baselines, "n_examples=0", "speed=false"])
    with count_bar(Console(), title) as progress:
        run_evaluate(values, runs, progress)
