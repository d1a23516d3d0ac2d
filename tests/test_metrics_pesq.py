"""PESQ: what the package says, where it is not asked, and what happens when it hangs or crashes."""

from __future__ import annotations

import ctypes
import os
import signal

import numpy as np
import pesq as pesq_package
import pytest

from arrayse.metrics import METRICS, Score, limit, limited, pesq_nb, pesq_wb, score
from tests.test_metrics import RATE, noisy, reason, value_of, voice


def test_both_bands_are_those_of_the_package() -> None:
    target = voice()
    estimate = noisy(target, 0.01)
    for metric, mode in ((pesq_wb, "wb"), (pesq_nb, "nb")):
        expected = pesq_package.pesq(RATE, target, estimate, mode)
        assert metric(estimate, target, RATE).value == pytest.approx(expected)
        assert abs(pesq_package.pesq(RATE, estimate, target, mode) - expected) > 1e-3  # order matters
    expected = pesq_package.pesq(8_000, target[::2], estimate[::2], "nb")
    assert pesq_nb(estimate[::2], target[::2], 8_000).value == pytest.approx(expected)


def test_identical_signals_have_the_best_score() -> None:
    assert pesq_wb(voice(), voice(), RATE).value == pytest.approx(4.644, abs=1e-3)
    for step, rate in ((1, RATE), (2, 8_000)):
        assert pesq_nb(voice()[::step], voice()[::step], rate).value == pytest.approx(4.549, abs=1e-3)


def test_rates_that_the_package_does_not_know(capfd: pytest.CaptureFixture[str]) -> None:
    for rate in (8_000, 48_000):
        assert "expected a sample rate of 16000 Hz" in reason(pesq_wb(noisy(voice(), 0.01), voice(), rate))
    found = reason(pesq_nb(noisy(voice(), 0.01), voice(), 48_000))
    assert found == "pesq_nb: expected a sample rate of 8000 or 16000 Hz, got 48000"
    assert capfd.readouterr().out == ""  # the package prints its manual


@pytest.mark.parametrize("n_samples", [2, 100, 3_999])
def test_too_short(n_samples: int) -> None:
    target = voice()[2000 : 2000 + n_samples]
    assert "pesq_wb: expected 0.25 to 19 s" in reason(pesq_wb(noisy(target, 0.01), target, RATE))
    assert "pesq_nb: expected 0.25 to 19 s" in reason(pesq_nb(noisy(target, 0.01), target, RATE))


def test_without_an_utterance() -> None:
    target = np.zeros(32_000)
    target[:300] = voice()[2000:2300]
    assert "the package failed: No utterances detected" in reason(pesq_wb(noisy(target, 1e-3), target, RATE))


def test_an_error_code_in_place_of_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for code in (-7, float("nan"), 0.0, 5.0):
        monkeypatch.setattr(pesq_package, "pesq", lambda *_, code=code: code)
        assert "from 0.999 to 4.65" in reason(pesq_wb(noisy(voice(), 0.01), voice(), RATE))
        assert "from 0.999 to 4.56" in reason(pesq_nb(noisy(voice(), 0.01), voice(), RATE))


def test_what_could_overrun_the_tables_of_the_package_is_refused() -> None:
    long = voice(19.01)
    assert "expected 0.25 to 19 s, got 19.010 s" in reason(pesq_wb(noisy(long, 1e-3), long, RATE))
    assert pesq_wb(noisy(long, 1e-3)[:304_000], long[:304_000], RATE).value is not None


# --- limits -------------------------------------------------------------------------------------------------


def sleep_holding_the_gil(*_: object) -> float:
    """Half a minute in C during which Python does nothing else, as in a package that hangs."""
    ctypes.PyDLL(None).sleep(30)
    return 3.0


def test_a_limit_changes_no_score() -> None:
    target, names = voice(), ["pesq_wb", "si_sdr"]
    for estimate in (noisy(target, 0.01), 0 * target):
        assert score(estimate, target, RATE, names, limit_s=60) == score(estimate, target, RATE, names)


def test_a_package_that_hangs_in_c_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pesq_package, "pesq", sleep_holding_the_gil)
    scores = score(noisy(voice(), 0.01), voice(), RATE, ["pesq_wb", "si_sdr"], limit_s=0.2)
    assert reason(scores["pesq_wb"]) == "pesq_wb: expected an answer within 0.2 s, got none"
    assert value_of(scores["si_sdr"]) > 0


def test_a_package_that_crashes_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pesq_package, "pesq", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    scores = score(noisy(voice(), 0.01), voice(), RATE, ["pesq_nb"], limit_s=60)
    assert reason(scores["pesq_nb"]) == "pesq_nb: the package crashed: Killed"


def test_only_metrics_in_c_pay_for_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name for name, metric in METRICS.items() if metric.in_c} == {"pesq_wb", "pesq_nb"}
    monkeypatch.delattr(os, "fork")
    assert value_of(score(noisy(voice(), 0.01), voice(), RATE, ["si_sdr"], limit_s=1)["si_sdr"]) > 0
    with pytest.raises(ValueError, match="expected no limit on a system that cannot fork"):
        score(noisy(voice(), 0.01), voice(), RATE, ["pesq_wb"], limit_s=1)


def test_what_is_raised_under_a_limit_comes_out() -> None:
    def fail() -> Score:
        raise KeyError("a mistake of ours")

    with pytest.raises(RuntimeError, match=r"(?s)any: Traceback.*a mistake of ours"):
        limited("any", fail, 60)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_an_impossible_limit(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds: expected more than 0"):
        limited("any", lambda: Score(1.0), seconds)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that are forked."""
    fork, forked = os.fork, []

    def noted_fork() -> int:
        forked.append(fork())
        return forked[-1]

    monkeypatch.setattr(os, "fork", noted_fork)
    return forked


def are_gone(processes: list[int]) -> bool:
    for process in processes:
        with pytest.raises(ChildProcessError):
            os.waitpid(process, os.WNOHANG)
    return bool(processes)


def test_no_process_is_left_behind(forked: list[int]) -> None:
    limited("any", lambda: Score(1.0), 60)
    limited("any", lambda: Score(sleep_holding_the_gil()), 0.05)
    assert are_gone(forked)


def test_a_wait_that_is_interrupted_ends_the_process(forked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    wait, ended_by = os.waitpid, []

    def noted_wait(process: int, options: int) -> tuple[int, int]:
        process, status = wait(process, options)
        ended_by.append(os.WTERMSIG(status))
        return process, status

    monkeypatch.setattr(limit, "open", interrupted, raising=False)
    monkeypatch.setattr(os, "waitpid", noted_wait)
    with pytest.raises(KeyboardInterrupt):
        limited("any", lambda: Score(sleep_holding_the_gil()), 2)
    assert ended_by == [signal.SIGKILL]
    assert are_gone(forked)
