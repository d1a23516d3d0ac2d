"""Every distillation system of the project on its own networks, from scenes to tables: one command that can be stopped.

python experiments/seed_systems/run.py PACK [--workers 2]

PACK is a folder with MANIFEST.csv: speech and noise in three splits. Started again, it goes on where it stopped.
Scenes, the teacher of five microphones and the first of its students are those of experiments/ftjnf_kd, which is run
first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from itertools import product
from pathlib import Path

import torch

from arrayse.config import read_config
from arrayse.files import read_json, write_json
from arrayse.parallel import available_cores, run_tasks
from arrayse.verbs.balance import balanced_weights

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from networks import FIVE_LIVE, FIVE_MICROPHONES, NETWORKS, TERM, Network  # noqa: E402 (scripts without a package)
from shared.jobs import Job, evaluate_runs, run_jobs  # noqa: E402

FTJNF, RUNS = HERE.parent / "ftjnf_kd", HERE / "runs"
DATA, FIVE_TEACHER = FTJNF / "data" / "circular", FTJNF / "runs" / "circular" / "teacher"
SEEDS = (0, 1)
TEACHER = ["epochs=3", "fit.epoch_steps=400", "fit.learning_rate=1e-3"]
STUDENT = ["epochs=6", "fit.epoch_steps=90", "fit.learning_rate=3e-3", "fit.draws=1"]
FIVE = [
    *(str(FTJNF / "train.yaml"), "model.freq_hidden=32", "model.time_hidden=16", "fit.seconds=1.5", "fit.draws=1"),
    *("fit.epoch_steps=90", "fit.learning_rate=5e-3", "phase_epochs=[3,3]"),
]
"""The smallest student of experiments/ftjnf_kd, both losses at once in two phases as its ``lin_joint``."""


def teachers() -> list[Job]:
    """The large networks of every kind, one training each."""
    jobs = []
    for kind, network in NETWORKS.items():
        for name, arguments in {"teacher": network.teacher, **network.others}.items():
            jobs.append(Job("train", RUNS / kind / name, single(network, [*arguments, *TEACHER], RUNS / kind / name)))
    return jobs


def alone() -> list[Job]:
    """The small networks without a teacher."""
    jobs = []
    for (kind, network), seed in product(NETWORKS.items(), SEEDS):
        for name, arguments in {"none": network.student, **network.controls}.items():
            run = RUNS / kind / f"student_{name}_s{seed}"
            jobs.append(Job("train", run, single(network, [*arguments, *STUDENT, f"seed={seed}"], run)))
    return jobs


def single(network: Network, arguments: list[str], run: Path) -> list[str]:
    """Arguments of a training of one microphone."""
    return [str(HERE / "train.yaml"), *network.common, *arguments, f"data={DATA}", f"out={run}"]


def taught(kind: str, system: str, seed: int, weight: float) -> Job:
    """A small network with its teacher."""
    network, run = NETWORKS[kind], RUNS / kind / f"student_{system}_s{seed}"
    teacher = RUNS / kind / network.taught_by.get(system, "teacher")
    distill = [TERM.format(weight=weight, loss=network.systems[system]), f"teacher={teacher}"]
    if system not in network.live:
        distill.append(f"distill.cache={RUNS / kind / f'cache_{teacher.name}'}")
    return Job("distill", run, single(network, [*network.student, *STUDENT, *distill, f"seed={seed}"], run))


def taught_by_five(system: str, seed: int, weight: float) -> Job:
    """A small FT-JNF of five microphones."""
    run = RUNS / "ft_jnf" / f"tiny_{system}_s{seed}"
    places = [f"data={DATA}", f"out={run}", f"teacher={FIVE_TEACHER}", f"seed={seed}"]
    distill = [TERM.format(weight=weight, loss=FIVE_MICROPHONES[system])]
    if system not in FIVE_LIVE:
        distill.append(f"distill.cache={RUNS / 'ft_jnf' / 'cache'}")
    return Job("distill", run, [*FIVE, *distill, *places])


def weight_of(case: tuple[str, str]) -> tuple[tuple[str, str], float]:
    """A system and its weight: both gradients alike; kept on disk, so that a resumed run has the same."""
    kind, system = case
    path = RUNS / kind / f"weight_{system}.json"
    if not path.is_file():
        if kind == "ft_jnf":
            job, student = taught_by_five(system, 0, 1.0), FTJNF / "runs" / "circular" / "tiny_restart_s0"
        else:
            job, student = taught(kind, system, 0, 1.0), RUNS / kind / "student_none_s0"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = read_config("distill", job.arguments)
        write_json(path, {"weight": balanced_weights(values, student)["kd"]})
    return case, float(read_json(path, "weight")["weight"])


def weights(title: str, cases: list[tuple[str, str]], workers: int) -> dict[tuple[str, str], float]:
    """The weights of several systems."""
    unordered = dict(run_tasks(weight_of, cases, workers))
    found = {case: unordered[case] for case in cases}
    print(title, ", ".join(f"{kind} {system} {weight:g}" for (kind, system), weight in found.items()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="folder with MANIFEST.csv")
    parser.add_argument("--workers", type=int, default=1 if torch.cuda.is_available() else available_cores())
    options = parser.parse_args()
    workers = options.workers
    first = [str(FTJNF / "run.py"), str(options.pack), "--sizes", "tiny", "--workers", str(workers)]
    subprocess.run([sys.executable, *first], check=True)
    run_jobs("students alone", alone(), workers)
    run_jobs("teachers", teachers(), workers)
    cases = [(kind, system) for kind, network in NETWORKS.items() for system in network.systems]
    found = weights("weights:", cases, workers)
    five = weights("weights:", [("ft_jnf", system) for system in FIVE_MICROPHONES], workers)
    for seed in SEEDS:
        run_jobs(f"students, seed {seed}", [taught(*case, seed, weight) for case, weight in found.items()], workers)
        jobs = [taught_by_five(system, seed, weight) for (_, system), weight in five.items()]
        run_jobs(f"students of five microphones, seed {seed}", jobs, workers)
    for kind in [*NETWORKS, "ft_jnf"]:
        folder = RUNS / kind
        runs = {path.name: path for path in sorted(folder.glob("*_s[0-9]"))}
        large = {name: folder / name for name in ("teacher", *NETWORKS[kind].others)} if kind in NETWORKS else {}
        large = large or {"teacher": FIVE_TEACHER}
        places = [f"data={DATA}", f"out={folder / 'evaluation'}", f"workers={workers}"]
        evaluate_runs(f"{kind}: test scenes", {**large, **runs}, places)
    subprocess.run([sys.executable, str(HERE / "tables.py")], check=True)


if __name__ == "__main__":
    main()
