"""The one training loop, for supervised training and distillation alike: plain torch, exactly resumable.

CPU, one GPU, or several processes started by torchrun: the same call. ``batch_size`` counts the items of a
step over all processes, so that the number of processes does not change what is computed (but by batch norm and losses
that compare the items of a batch, as the ``paper`` Gram losses do: they see the items of one process; histograms count
those of the first).
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from arrayse.checkpoint import load_training, load_weights, read_training_state, save_training, save_weights
from arrayse.data import SceneReader, Share, batch_entries, epoch_batches, valid_batches
from arrayse.files import append_json_lines, read_json_lines, remove_leftovers, write_json_lines
from arrayse.objectives import Batch, Supervised
from arrayse.training.processes import Processes, has_bfloat16
from arrayse.training.settings import FitSettings, Phase
from arrayse.training.state import REFUSED, State, learning_rate
from arrayse.training.stop import SignalFlag, StoppedBySignal
from arrayse.training.tracking import summary_writer, write_tensorboard

MAX_BAD_STEPS = 3
METRICS = "metrics.jsonl"

ProgressCallback = Callable[[str, int, int, dict[str, float]], None]
"""``progress(title, done, total, numbers)``."""


def fit(
    run: Path,
    phases: list[Phase],
    train: SceneReader,
    valid: SceneReader,
    settings: FitSettings,
    progress: ProgressCallback = lambda title, done, total, numbers: None,
) -> None:
    """Trains ``phases`` one after the other into the folder ``run``, going on from what is there.

    A phase goes on from the last weights of the one before. The best weights of the last phase by validation loss are
    in ``run/model.safetensors``, and in the student at the end. A step whose loss or gradient is not finite changes
    nothing.

    Args:
        run: folder for weights, checkpoint and ``metrics.jsonl``.
        phases: what to minimise; all of one student.
        train: training scenes.
        valid: validation scenes.
        settings: how to train.
        progress: told of every step, every validation batch and the result of every epoch.

    Raises:
        ValueError: phases, scenes and settings that do not fit together, or a checkpoint of another training.
        RuntimeError: three steps in a row, or a validation, were not finite; a package that is missing.
        StoppedBySignal: SIGTERM or SIGINT came; a checkpoint is saved.
    """
    check_fit(phases, train, valid, settings)
    with Processes() as processes, SignalFlag() as flag:
        _Training(run, phases, train, valid, settings, progress, processes, flag).run_all()
        if flag.number is not None:  # it came during the last validation: what follows training must not start
            raise StoppedBySignal(flag.number)


def check_fit(phases: list[Phase], train: SceneReader, valid: SceneReader, settings: FitSettings) -> None:
    """Raises what would otherwise come up in the middle of a training, or after something was written."""
    n_train, n_valid, world = len(train.entries()), len(valid.entries()), Processes().world
    if len({id(phase.objective.student) for phase in phases}) != 1:
        raise ValueError(f"phases: expected one student, got {len(phases)} phases of several or none")
    if settings.batch_size > n_train:
        raise ValueError(f"batch_size: expected at most {n_train} (the scenes), got {settings.batch_size}")
    if settings.batch_size % world:
        raise ValueError(f"batch_size: expected a multiple of {world} processes, got {settings.batch_size}")
    if (settings.epoch_steps or 0) > n_train // settings.batch_size:
        most = n_train // settings.batch_size
        raise ValueError(
            f"epoch_steps: expected at most {most} (batches of {n_train} scenes), got {settings.epoch_steps}"
        )
    if n_valid < world:
        raise ValueError(f"valid: expected a scene for each of {world} processes, got {n_valid}")
    if settings.tensorboard:
        summary_writer()


def uses_bfloat16(settings: FitSettings) -> bool:
    """What ``precision`` means on this machine."""
    kind = Processes().device.type
    return settings.precision == "bfloat16" or (settings.precision == "auto" and has_bfloat16(kind))


def precision_name(settings: FitSettings) -> str:
    """What this machine computes in, in words."""
    return "bfloat16 autocast" if uses_bfloat16(settings) else "float32"


class _Training:
    """The state of one :func:`fit` call."""

    module: nn.Module

    def __init__(
        self,
        run: Path,
        phases: list[Phase],
        train: SceneReader,
        valid: SceneReader,
        settings: FitSettings,
        progress: ProgressCallback,
        processes: Processes,
        flag: SignalFlag,
    ) -> None:
        self.run, self.phases, self.train, self.valid, self.settings = run, phases, train, valid, settings
        self.progress, self.processes, self.flag = progress, processes, flag
        self.share = Share(processes.rank, processes.world)
        self.train_entries, self.valid_entries = train.entries(), valid.entries()
        self.n_steps = settings.epoch_steps or len(self.train_entries) // settings.batch_size
        stored = read_training_state(run)
        self.resumed = stored is not None
        self.state = State() if stored is None else State.restore(stored)
        self.student = phases[0].objective.student

    def run_all(self) -> None:
        self._clean_up()
        try:
            while self.state.phase < len(self.phases) and not self.state.finished:
                self._run_phase(self.phases[self.state.phase])
        finally:
            self.module = nn.Identity()  # nothing but Processes may hold the process group
        if self.state.total_epochs:
            load_weights(self.run, self.student)

    def _run_phase(self, phase: Phase) -> None:
        self.objective = phase.objective.to(self.processes.device)
        trained = [p for p in self.objective.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trained, self.settings.learning_rate)
        if self.resumed:
            load_training(self.run, self.objective, self.optimizer)
            self.resumed = False
        self.module = self.objective
        if self.processes.world > 1:
            self.module = DistributedDataParallel(
                self.objective, find_unused_parameters=not isinstance(phase.objective, Supervised)
            )
        state = self.state
        while state.epoch < phase.epochs and not self._out_of_patience(phase):
            self._train_epoch(phase)
            self._end_epoch(phase)
        state.phase, state.epoch, state.stale_epochs, state.reductions = state.phase + 1, 0, 0, 0
        state.finished = state.phase == len(self.phases)
        if state.finished:
            self._save()
            return
        # The next phase goes on from the last weights: losses of different objectives do not compare, and a phase
        # without the supervised loss may leave it to chance which of its epochs had the lowest one. Nothing is saved
        # in between: a resumed run enters the old phase again, finds it done, and goes on as an undisturbed one.
        state.best = math.inf

    def _out_of_patience(self, phase: Phase) -> bool:
        return phase.patience is not None and self.state.stale_epochs >= phase.patience

    def _train_epoch(self, phase: Phase) -> None:
        self.objective.train()
        state, batch_size = self.state, self.settings.batch_size
        title = f"{phase.name} epoch {state.epoch + 1}/{phase.epochs}"
        steps = range(state.step, self.n_steps)
        batches = epoch_batches(self.train, self.train_entries, batch_size, state.total_epochs, steps, self.share)
        for batch in batches:
            self._step(phase, batch.to(self.processes.device))
            state.step += 1
            self.progress(title, state.step, self.n_steps, {"loss": self.state.averages().get("loss", math.nan)})
            if self.processes.any(self.flag.number is not None):
                self._save()
                raise StoppedBySignal(self.flag.number or signal.SIGTERM)
            if state.step % self.settings.checkpoint_steps == 0 and state.step < self.n_steps:
                self._save()

    def _step(self, phase: Phase, batch: Batch) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, phase, self.state, self.n_steps)
        before = [buffer.clone() for buffer in self.objective.buffers()]
        with self._autocast():
            terms = self.module(batch)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        parameters = self.optimizer.param_groups[0]["params"]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.settings.gradient_clip)
        if self.processes.any(not bool(torch.isfinite(norm) & torch.isfinite(terms["loss"]))):
            for buffer, value in zip(self.objective.buffers(), before, strict=True):
                buffer.copy_(value)
            self._refuse(phase)
            return
        self.optimizer.step()
        self.state.bad_steps = 0
        for name, value in terms.items():
            self.state.add(name, self.processes.mean(float(value.detach())))

    def _refuse(self, phase: Phase) -> None:
        """A loss or gradient that is not finite: the weights stay, the scenes are logged."""
        state, batch_size = self.state, self.settings.batch_size
        state.bad_steps += 1
        state.add(REFUSED, 1.0)
        scenes = batch_entries(self.train, self.train_entries, batch_size, state.total_epochs, state.step)
        ids = [scene.id for scene in scenes]
        self._log(
            {
                "event": "not_finite",
                "phase": phase.name,
                "epoch": state.epoch + 1,
                "step": state.step,
                "ids": ids,
            }
        )
        if state.bad_steps >= MAX_BAD_STEPS:
            raise RuntimeError(
                f"training: expected finite losses, got {MAX_BAD_STEPS} steps in a row that are not; "
                f"last batch: {', '.join(ids)}; see {self.run / METRICS}"
            )

    def _end_epoch(self, phase: Phase) -> None:
        state = self.state
        rate = learning_rate(self.settings, phase, replace(state, step=state.step - 1), self.n_steps)
        measured = self._validate()
        if not math.isfinite(measured["loss"]):
            raise RuntimeError(f"validation: expected a finite loss, got {measured['loss']}")
        improved = measured["loss"] < state.best
        state.stale_epochs = 0 if improved else state.stale_epochs + 1
        if not improved and state.stale_epochs % self.settings.plateau_patience == 0:
            state.reductions += 1
        if improved:
            state.best = measured["loss"]
            if self.processes.rank == 0:
                save_weights(self.run, self.student)
        averages = self.state.averages()
        state.epoch, state.total_epochs, state.step, state.sums = (
            state.epoch + 1,
            state.total_epochs + 1,
            0,
            {},
        )
        told = {f"validation {name}": value for name, value in measured.items()}
        title = f"{phase.name} epoch {state.epoch}/{phase.epochs}"
        self.progress(title, self.n_steps, self.n_steps, {**averages, **told})
        row = {"phase": phase.name, "epoch": state.epoch, "learning_rate": rate, "train": averages, "valid": measured}
        counted = {"histograms": histograms} if (histograms := self.objective.histograms()) else {}
        self.objective.reset_histograms()
        self._log({"event": "epoch", **row, **counted})
        self._save()
        self.processes.wait()  # the others may need the new best weights at once

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Means over the validation scenes of all processes."""
        self.objective.eval()
        self.processes.share(
            list(self.objective.buffers())
        )  # running statistics: all validate what the first one saves
        sums: dict[str, Tensor] = {}
        batch_size, entries = self.settings.batch_size, self.valid_entries
        n_batches = -(-len(entries[self.share.rank :: self.share.world]) // batch_size)
        for done, batch in enumerate(valid_batches(self.valid, entries, batch_size, self.share), start=1):
            with self._autocast():
                parts = self.objective.validate(batch.to(self.processes.device))
            sums = {name: sums.get(name, torch.zeros(())) + value.double().cpu() for name, value in parts.items()}
            self.progress("validation", done, n_batches, {})
        return {name: self.processes.sum(float(value)) / len(entries) for name, value in sums.items()}

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.processes.device.type, torch.bfloat16, enabled=uses_bfloat16(self.settings))

    def _log(self, row: dict[str, Any]) -> None:
        self.state.n_metrics += 1
        if self.processes.rank == 0:
            append_json_lines(self.run / METRICS, [row])
            if self.settings.tensorboard and row["event"] == "epoch":
                write_tensorboard(self.run, self.state.total_epochs, row)

    def _clean_up(self) -> None:
        """Drops what a killed run left: temporary files, and lines after its last checkpoint."""
        path = self.run / METRICS
        if self.processes.rank == 0:
            self.run.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.run)
            if path.is_file():
                write_json_lines(path, list(read_json_lines(path))[: self.state.n_metrics])

    def _save(self) -> None:
        if self.processes.rank == 0:
            save_training(self.run, self.objective.state_dict(), self.optimizer, asdict(self.state))
