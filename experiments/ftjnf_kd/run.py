"""The fair comparison of distillation methods for FT-JNF, from scenes to tables: one command that can be stopped.

python experiments/ftjnf_kd/run.py PACK [--workers 2]

PACK is a folder with MANIFEST.csv: speech and noise in three splits. Started again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from itertools import product
from pathlib import Path

import torch
from rich.console import Console

from arrayse.checkpoint import load_enhancer
from arrayse.config import read_config
from arrayse.data import SceneReader, Share, valid_batches
from arrayse.mixture import open_dataset
from arrayse.parallel import available_cores, run_tasks
from arrayse.phases import distillation_plan
from arrayse.teachers import cache_claims
from arrayse.training.loop import uses_bfloat16
from arrayse.training.processes import Processes, keep_freed_memory
from arrayse.training.settings import FitSettings
from arrayse.ui import count_bar
from arrayse.verbs.data import run_simulate

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from shared.jobs import Job, evaluate_runs, run_jobs  # noqa: E402 (scripts without a package)

RUNS = HERE / "runs"
ARRAYS = ("compact_diamond", "circular")
SEEDS = (0, 1, 2)
TRAIN = str(HERE / "train.yaml")
TEACHER = ["model.freq_hidden=192", "model.time_hidden=64", "epochs=3"]
SIZES = {
    "tiny": ["model.freq_hidden=32", "model.time_hidden=16"],
    "quarter": ["model.freq_hidden=96", "model.time_hidden=32"],
}
STUDENT = ["fit.seconds=1.5", "fit.draws=1", "fit.epoch_steps=90", "fit.learning_rate=5e-3"]
EPOCHS = 3
"""Of each of the two phases; a student without a restart trains twice as many in one."""
CONTROLS = {"none": f"epochs={2 * EPOCHS}", "restart": f"phase_epochs=[{EPOCHS},{EPOCHS}]"}
DISTILLED = {
    "mask": ["mask_two_step"],
    "lin": ["lin_two_step"],
    "lstm1_paper": ["lstm1_two_step"],
    "lstm1": ["lstm1_two_step", "distill.terms.lstm1.loss.form=normalised"],
    "lstm2_paper": ["lstm2_two_step"],
    "lstm2": ["lstm2_two_step", "distill.terms.lstm2.loss.form=normalised"],
    "fused_paper": ["fused_two_step"],
    "fused": ["fused_two_step", "distill.terms.fused.loss.form=normalised"],
    "gram": ["gram_two_step"],
    "lin_joint": ["lin_one_step"],
    "output_joint": ["output_one_step"],
}
"""The published schedule in both forms, which for ``mask`` and ``lin`` differ in the weight of an item only.
``lin_joint`` and ``output_joint`` have the supervised loss beside them from the start."""
ACROSS = ("lin_joint", "output_joint", "lstm2")
"""For students of fewer microphones: outputs through an adapter, estimates of one reference, similarities."""
SCHEDULE = [f"phase_epochs=[{EPOCHS},{EPOCHS}]", f"switch_patience={EPOCHS}"]
ALL_VIEWS = [
    *("mask_two_step", "lin_two_step", "lstm1_two_step", "lstm2_two_step", "gram_two_step", "output_one_step"),
    "distill.terms.lstm1_cosines={loss: {name: lstm1}}",
    "distill.terms.lstm2_cosines={loss: {name: lstm2}}",
]


def job(array: str, name: str, arguments: list[str], distils: bool = False) -> Job:
    """A training on the data of an array."""
    run = RUNS / array / name
    places = [f"data={HERE / 'data' / array}", f"out={run}"]
    if distils:
        places += [f"teacher={RUNS / array / 'teacher'}", f"distill.cache={RUNS / array / 'cache'}", *SCHEDULE]
    return Job("distill" if distils else "train", run, [TRAIN, *arguments, *places])


def students(size: str) -> list[Job]:
    """Every system of a size, for every array and seed."""
    jobs = []
    for seed, array in product(SEEDS, ARRAYS):
        common = [*SIZES[size], *STUDENT, f"seed={seed}"]
        for system, epochs in CONTROLS.items():
            jobs.append(job(array, f"{size}_{system}_s{seed}", [*common, epochs]))
        for system, configs in DISTILLED.items():
            jobs.append(job(array, f"{size}_{system}_s{seed}", [*configs, *common], distils=True))
    return jobs


def fewer_microphones() -> list[Job]:
    """The smallest student with one, two and three of the five microphones of the ring."""
    jobs = []
    for seed, n_mics in product(SEEDS, (1, 2, 3)):
        mics = f"mics={list(range(n_mics))}"
        common, name = [*SIZES["tiny"], *STUDENT, mics, f"seed={seed}"], f"tiny_{n_mics}mic"
        jobs.append(job("circular", f"{name}_restart_s{seed}", [*common, CONTROLS["restart"]]))
        for method in ACROSS:
            jobs.append(job("circular", f"{name}_{method}_s{seed}", [*DISTILLED[method], *common], distils=True))
    return jobs


@torch.no_grad()
def fill_cache(array: str) -> str:
    """Writes all views of the teacher that any method takes, in one pass."""
    keep_freed_memory()
    task = job(array, "unused", [*ALL_VIEWS, *SIZES["tiny"], *STUDENT], distils=True)
    values = read_config("distill", task.arguments)
    dataset, settings = open_dataset(Path(values["data"])), FitSettings(**values["fit"])
    plan = distillation_plan(values, load_enhancer(RUNS / array / "teacher"), dataset, settings)
    reader = SceneReader(dataset, "train", settings.snr_db, settings.seconds, 0, draws=1)
    for claim in cache_claims(plan.teachers, reader, settings):
        claim.write()
    device = Processes().device
    for batch in valid_batches(reader, reader.entries(), 8, Share()):
        with torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(settings)):
            plan.teachers[0].views(batch.to(device))
    return array


def evaluate_students(array: str, size: str, workers: int) -> None:
    """Scores baselines, teacher and the students of a size on the test scenes."""
    folder = RUNS / array
    runs = {path.name: path for path in sorted(folder.glob(f"{size}_*_s[0-9]"))}
    places = [f"data={HERE / 'data' / array}", f"out={folder / f'evaluation_{size}'}", f"workers={workers}"]
    evaluate_runs(f"{array}, {size} students: test scenes", {"teacher": folder / "teacher", **runs}, places)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="folder with MANIFEST.csv")
    parser.add_argument("--workers", type=int, default=1 if torch.cuda.is_available() else available_cores())
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES), help="of the students")
    arguments = parser.parse_args()
    for array in ARRAYS:
        places = [f"array={array}", f"out={HERE / 'data' / array}", f"workers={arguments.workers}"]
        sound = [f"speech={arguments.pack}", f"noise={arguments.pack}"]
        values = read_config("simulate", ["office", str(HERE / "simulate.yaml"), *sound, *places])
        with count_bar(Console(), f"{array}: scenes") as progress:
            run_simulate(values, progress, print)
    run_jobs("teachers", [job(array, "teacher", TEACHER) for array in ARRAYS], arguments.workers)
    print("teachers' outputs for", *run_tasks(fill_cache, ARRAYS, arguments.workers))
    for size in arguments.sizes:
        run_jobs(f"{size} students", students(size), arguments.workers)
    run_jobs("fewer microphones", fewer_microphones(), arguments.workers)
    for size, array in product(arguments.sizes, ARRAYS):
        evaluate_students(array, size, arguments.workers)
    subprocess.run([sys.executable, str(HERE / "tables.py")], check=True)


if __name__ == "__main__":
    main()
