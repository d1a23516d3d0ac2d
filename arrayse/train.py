"""The one training loop, for supervised training and distillation alike: plain torch, exactly resumable.

CPU, one GPU, or several processes started by torchrun: the same call. ``batch_size`` counts the items of a step over
all processes, so that the number of processes does not change what is computed.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le, Len
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from arrayse.checkpoint import load_training, load_weights, read_training_state, save_training, save_weights
from arrayse.data import SceneReader, Share, epoch_batches, valid_batches
from arrayse.files import append_json_lines, read_json_lines, write_json_lines
from arrayse.objectives import Batch, Objective
from arrayse.processes import Processes

MAX_BAD_STEPS = 3
METRICS = "metrics.jsonl"
ProgressCallback = Callable[[str, int, int, dict[str, float]], None]


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        batch_size: items of a step over all processes.
        seconds: length of the training crops.
        snr_db: range in dB that the SNR of an item is drawn from.
        learning_rate: of Adam at the start of each phase.
        schedule: ``cosine`` to 1 % over the phase, ``plateau``, or ``constant``.
        plateau_patience: epochs without improvement before ``plateau`` multiplies the rate by ``plateau_factor``.
        plateau_factor: see above.
        gradient_clip: largest norm of the gradient.
        precision: ``bfloat16`` autocast, ``float32``, or ``auto``: the former where the hardware has it.
        checkpoint_steps: steps between checkpoints inside an epoch.
        tensorboard: also write event files (extra ``track``).
    """

    batch_size: Annotated[int, Ge(1)] = 4
    seconds: Annotated[float, Gt(0)] = 3.0
    snr_db: Annotated[list[float], Len(2, 2)] = field(default_factory=lambda: [-5.0, 15.0])
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    plateau_patience: Annotated[int, Ge(1)] = 3
    plateau_factor: Annotated[float, Gt(0), Le(1)] = 0.5
    gradient_clip: Annotated[float, Gt(0)] = 5.0
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    checkpoint_steps: Annotated[int, Ge(1)] = 200
    tensorboard: bool = False


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one objective; each phase starts with a fresh optimiser and the full learning rate.

    Attributes:
        name: shown and logged.
        objective: what is minimised.
        epochs: how many at most.
        patience: epochs without a better validation loss after which the phase ends; None: never early.
    """

    name: str
    objective: Objective
    epochs: int
    patience: int | None = None


@dataclass
class State:
    """Where a training stands: everything but tensors. ``best`` is the lowest validation loss of the whole run."""

    phase: int = 0
    epoch: int = 0
    step: int = 0
    total_epochs: int = 0
    best: float = math.inf
    stale_epochs: int = 0
    reductions: int = 0
    bad_steps: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    n_metrics: int = 0
    finished: bool = False


class StoppedBySignal(Exception):
    """Training was asked to stop and has saved where it stands."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}: the same command goes on from here")
        self.exit_code = 128 + number


def fit(
    run: Path,
    phases: list[Phase],
    train: SceneReader,
    valid: SceneReader,
    settings: FitSettings,
    progress: ProgressCallback = lambda title, done, total, numbers: None,
) -> None:
    """Trains ``phases`` one after the other into the folder ``run``, going on from what is there.

    The best weights by validation loss are in ``run/model.safetensors``; a phase starts from the best so far. A step
    whose loss or gradient is not finite changes nothing.

    Raises:
        RuntimeError: three steps in a row were not finite.
        StoppedBySignal: SIGTERM or SIGINT came; a checkpoint is saved.
    """
    with Processes() as processes, _SignalFlag() as flag:
        _Training(run, phases, train, valid, settings, progress, processes, flag).run_all()


class _Training:
    """The state of one :func:`fit` call."""

    def __init__(
        self,
        run: Path,
        phases: list[Phase],
        train: SceneReader,
        valid: SceneReader,
        settings: FitSettings,
        progress: ProgressCallback,
        processes: Processes,
        flag: _SignalFlag,
    ) -> None:
        self.run, self.phases, self.train, self.valid, self.settings = run, phases, train, valid, settings
        self.progress, self.processes, self.flag = progress, processes, flag
        self.share = Share(processes.rank, processes.world)
        self.train_entries, self.valid_entries = train.entries(), valid.entries()
        self.n_steps = len(self.train_entries) // settings.batch_size
        if self.n_steps == 0:
            raise ValueError(f"batch_size: expected at most {len(self.train_entries)} (the scenes), got {settings.batch_size}")
        if settings.batch_size % processes.world:
            raise ValueError(f"batch_size: expected a multiple of {processes.world} processes, got {settings.batch_size}")
        stored = read_training_state(run)
        self.resumed = stored is not None
        self.state = State(**stored) if stored else State()
        self.student = phases[0].objective.student

    def run_all(self) -> None:
        self._cut_metrics()
        while self.state.phase < len(self.phases) and not self.state.finished:
            self._run_phase(self.phases[self.state.phase])
        if self.state.total_epochs:
            load_weights(self.run, self.student)

    def _run_phase(self, phase: Phase) -> None:
        self.objective = phase.objective.to(self.processes.device)
        trained = [p for p in self.objective.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trained, self.settings.learning_rate)
        if self.resumed:
            load_training(self.run, self.objective, self.optimizer)
            self.resumed = False
        elif self.state.total_epochs:
            load_weights(self.run, self.student)
        self.module = self.objective
        if self.processes.world > 1:
            self.module = DistributedDataParallel(self.objective, find_unused_parameters=True)
        while self.state.epoch < phase.epochs and not self._out_of_patience(phase):
            self._train_epoch(phase)
            self._end_epoch(phase)
        self.state.phase, self.state.epoch, self.state.stale_epochs, self.state.reductions = self.state.phase + 1, 0, 0, 0
        self.state.finished = self.state.phase == len(self.phases)
        self._save()

    def _out_of_patience(self, phase: Phase) -> bool:
        return phase.patience is not None and self.state.stale_epochs >= phase.patience

    def _train_epoch(self, phase: Phase) -> None:
        self.objective.train()
        state, title = self.state, f"{phase.name} epoch {self.state.epoch + 1}/{phase.epochs}"
        batches = epoch_batches(
            self.train, self.train_entries, self.settings.batch_size, state.total_epochs, state.step, self.share
        )
        for batch in batches:
            self._step(phase, batch.to(self.processes.device))
            state.step += 1
            self.progress(title, state.step, self.n_steps, {"loss": state.sums.get("loss", math.nan) / state.step})
            if self.processes.any(self.flag.number is not None):
                self._save()
                raise StoppedBySignal(self.flag.number or signal.SIGTERM)
            if state.step % self.settings.checkpoint_steps == 0 and state.step < self.n_steps:
                self._save()

    def _step(self, phase: Phase, batch: Batch) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(phase)
        with self._autocast():
            terms = self.module(batch)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        parameters = self.optimizer.param_groups[0]["params"]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.settings.gradient_clip)
        if self.processes.any(not bool(torch.isfinite(norm) & torch.isfinite(terms["loss"]))):
            self._refuse(batch)
            return
        self.optimizer.step()
        self.state.bad_steps = 0
        for name, value in terms.items():
            self.state.sums[name] = self.state.sums.get(name, 0.0) + float(value.detach())

    def _refuse(self, batch: Batch) -> None:
        """A loss or gradient that is not finite: the weights stay, the scenes are logged."""
        self.state.bad_steps += 1
        self._log({"event": "not_finite", "phase": self.state.phase, "step": self.state.step, "ids": batch.ids})
        if self.state.bad_steps >= MAX_BAD_STEPS:
            raise RuntimeError(
                f"training: expected finite losses, got {MAX_BAD_STEPS} steps in a row that are not; last batch: "
                f"{', '.join(batch.ids)}; see {self.run / METRICS}"
            )

    def _end_epoch(self, phase: Phase) -> None:
        state = self.state
        measured = self._validate()
        improved = measured["loss"] < state.best
        state.stale_epochs = 0 if improved else state.stale_epochs + 1
        if not improved and state.stale_epochs % self.settings.plateau_patience == 0:
            state.reductions += 1
        rate = self.optimizer.param_groups[0]["lr"]
        averages = {name: value / self.n_steps for name, value in state.sums.items()}
        if improved:
            state.best = measured["loss"]
            if self.processes.rank == 0:
                save_weights(self.run, self.student)
        state.epoch, state.total_epochs, state.step, state.sums = state.epoch + 1, state.total_epochs + 1, 0, {}
        row = {"phase": phase.name, "epoch": state.epoch, "learning_rate": rate, "train": averages, "valid": measured}
        self._log({"event": "epoch", **row})
        self._save()

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Means over the validation scenes of all processes."""
        self.objective.eval()
        sums: dict[str, Tensor] = {}
        n_batches = -(-len(self.valid_entries[self.share.rank :: self.share.world]) // self.settings.batch_size)
        batches = valid_batches(self.valid, self.valid_entries, self.settings.batch_size, self.share)
        for done, batch in enumerate(batches, start=1):
            with self._autocast():
                parts = self.objective.validate(batch.to(self.processes.device))
            sums = {name: sums.get(name, torch.zeros(())) + value.double().cpu() for name, value in parts.items()}
            self.progress("validation", done, n_batches, {})
        return {name: self.processes.sum(float(value)) / len(self.valid_entries) for name, value in sums.items()}

    def _learning_rate(self, phase: Phase) -> float:
        settings, state = self.settings, self.state
        if settings.schedule == "plateau":
            return settings.learning_rate * settings.plateau_factor**state.reductions
        if settings.schedule == "constant":
            return settings.learning_rate
        done = (state.epoch * self.n_steps + state.step) / (phase.epochs * self.n_steps)
        return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def _autocast(self) -> AbstractContextManager[Any]:
        kind, precision = self.processes.device.type, self.settings.precision
        enabled = precision == "bfloat16" or (precision == "auto" and has_bfloat16(kind))
        return torch.autocast(kind, torch.bfloat16, enabled=enabled)

    def _log(self, row: dict[str, Any]) -> None:
        self.state.n_metrics += 1
        if self.processes.rank == 0:
            append_json_lines(self.run / METRICS, [row])
            if self.settings.tensorboard and row["event"] == "epoch":
                _write_tensorboard(self.run, self.state.total_epochs, row)

    def _cut_metrics(self) -> None:
        """Drops the lines that a killed run wrote after its last checkpoint: they will be written again."""
        path = self.run / METRICS
        if self.processes.rank == 0 and path.is_file():
            write_json_lines(path, list(read_json_lines(path))[: self.state.n_metrics])

    def _save(self) -> None:
        if self.processes.rank == 0:
            save_training(self.run, self.objective.state_dict(), self.optimizer, asdict(self.state))


class _SignalFlag:
    """Remembers SIGTERM and SIGINT until the loop can stop between two steps; a second SIGINT stops at once."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __enter__(self) -> _SignalFlag:
        self.before = {number: signal.signal(number, self._remember) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: object) -> None:
        if self.number == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.number = number


def has_bfloat16(device_type: str) -> bool:
    """Whether bfloat16 is faster than float32 on the device: CPUs need AVX512-BF16 or AMX for that."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported())


def _write_tensorboard(run: Path, step: int, row: dict[str, Any]) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise RuntimeError("tensorboard: expected the package, got none: install arrayse[track]") from None
    with SummaryWriter(str(run / "tensorboard")) as writer:
        for group in ("train", "valid"):
            for name, value in row[group].items():
                writer.add_scalar(f"{group}/{name}", value, step)
