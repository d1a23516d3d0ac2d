"""The parts of a training: settings, rates against their formulas, counters from a file, signals."""

from __future__ import annotations

import json
import math
import signal
from dataclasses import asdict, replace
from typing import Any

import pytest

from arrayse.objectives import Objective
from arrayse.training.settings import FitSettings, Phase
from arrayse.training.state import State, learning_rate
from arrayse.training.stop import SignalFlag, StoppedBySignal
from tests.tiny import enhancer

PHASE = Phase("p", Objective(enhancer(), enhancer()), epochs=4)


def rate(step: int = 0, epoch: int = 0, reductions: int = 0, **settings: Any) -> float:
    state = State(step=step, epoch=epoch, reductions=reductions)
    return learning_rate(FitSettings(learning_rate=0.1, **settings), PHASE, state, n_steps=10)


def test_cosine_goes_from_the_full_rate_to_a_hundredth() -> None:
    rates = [rate(step, epoch, schedule="cosine") for epoch in range(4) for step in range(10)]
    for done, got in enumerate(rates):
        assert got == pytest.approx(0.001 + 0.099 * (1 + math.cos(math.pi * done / 40)) / 2)
    assert rates[0] == 0.1
    assert rates[20] == pytest.approx(0.0505)
    assert rates == sorted(rates, reverse=True)
    assert rate(0, 4, schedule="cosine") == pytest.approx(0.001)


def test_plateau_multiplies_by_its_factor_for_each_reduction() -> None:
    rates = [rate(3, 2, reductions, schedule="plateau", plateau_factor=0.4) for reductions in range(4)]
    assert rates == pytest.approx([0.1, 0.04, 0.016, 0.0064])


def test_constant_stays() -> None:
    assert {rate(step, epoch, 2, schedule="constant") for epoch in range(4) for step in range(10)} == {0.1}


def test_an_snr_range_that_ends_below_its_start_is_refused() -> None:
    with pytest.raises(ValueError, match=r"snr_db: expected the lowest and the highest SNR, got \[5\.0, 0\.0\]"):
        FitSettings(snr_db=[5.0, 0.0])


@pytest.mark.parametrize("state", [State(), State(1, 2, 3, 4, 0.5, 1, 2, 1, {"loss": 0.25}, 7, True)])
def test_a_state_survives_json(state: State) -> None:
    assert State.restore(json.loads(json.dumps(asdict(state)))) == state


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "state",
        {},
        {**asdict(State()), "more": 1},
        {**asdict(State()), "phase": "0"},
        {**asdict(State()), "phase": -1},
        {**asdict(State()), "step": 1.0},
        {**asdict(State()), "epoch": True},
        {**asdict(State()), "finished": 1},
        {**asdict(State()), "sums": []},
        {**asdict(State()), "sums": {"loss": "x"}},
    ],
)
def test_what_is_no_state_is_refused(stored: object) -> None:
    with pytest.raises(ValueError, match="training state"):
        State.restore(stored)


def test_signals_are_remembered_and_handlers_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with SignalFlag() as flag:
        assert flag.number is None
        signal.raise_signal(signal.SIGTERM)
        assert flag.number == signal.SIGTERM
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_second_interrupt_stops_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    with SignalFlag() as flag:
        signal.raise_signal(signal.SIGINT)
        assert flag.number == signal.SIGINT
        assert capfd.readouterr().err.strip().startswith("stopping after this step; Ctrl-C again: at once")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_ignored_stays_so() -> None:
    """A shell starts jobs in the background of a script so."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with SignalFlag() as flag:
            signal.raise_signal(signal.SIGINT)
            assert flag.number is None
            signal.raise_signal(signal.SIGTERM)
            assert flag.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_exit_codes() -> None:
    assert StoppedBySignal(signal.SIGTERM).exit_code == 143
    assert StoppedBySignal(signal.SIGINT).exit_code == 130
    assert str(StoppedBySignal(signal.SIGINT)) == "stopped by SIGINT: the same command goes on from here"


def test_settings_are_frozen() -> None:
    settings = FitSettings()
    assert replace(settings, batch_size=8).batch_size == 8
    with pytest.raises(AttributeError):
        settings.batch_size = 8  # type: ignore[misc]
