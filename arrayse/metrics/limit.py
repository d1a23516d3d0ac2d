"""A time limit on scores of packages in C, which nothing in Python can stop."""

from __future__ import annotations

import json
import os
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import NoReturn

from arrayse.metrics.utterance import Score


def limited(name: str, compute: Callable[[], Score], seconds: float) -> Score:
    """``compute()`` in a forked process that ends after ``seconds``, whatever it is doing.

    In this process no limit would hold: Python runs signal handlers between its own instructions, and a C function that
    holds the GIL lets neither them nor a watching thread run. In the fork SIGALRM keeps its default action, with which
    the kernel ends the process. A crash of the package is a reason too, and other threads run on meanwhile.

    Only fit for what needs neither a GPU nor threads of its own: a fork has none of either.

    Args:
        name: the metric, for the reason.
        compute: gives the score.
        seconds: of wall-clock time.

    Returns:
        The score, or the reason that there was none in time or that the process was killed.

    Raises:
        ValueError: no positive time, or a system without ``fork``.
        RuntimeError: ``compute`` raised; it tells the traceback.
    """
    if not seconds > 0:
        raise ValueError(f"seconds: expected more than 0, got {seconds}")
    if not hasattr(os, "fork"):
        raise ValueError("seconds: expected no limit on a system that cannot fork, got one")
    ours, theirs = os.pipe()
    with warnings.catch_warnings():  # Python 3.12 warns of locks that other threads hold: none is wanted here
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _answer(theirs, compute, seconds)
    os.close(theirs)
    try:
        with open(ours, "rb") as pipe:
            answer = pipe.read()
    except BaseException:  # the wait was interrupted
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        status = os.waitpid(child, 0)[1]
    if not answer:
        killer = os.WTERMSIG(status)
        if killer == signal.SIGALRM:
            return Score(None, f"{name}: expected an answer within {seconds:g} s, got none")
        return Score(None, f"{name}: the package crashed: {signal.strsignal(killer)}")
    told = json.loads(answer)
    if "raised" in told:
        raise RuntimeError(f"{name}: {told['raised']}")
    return Score(told["value"], told["reason"])


def _answer(pipe: int, compute: Callable[[], Score], seconds: float) -> NoReturn:
    """What the fork does. It leaves without cleaning up: everything but the answer belongs to the other process."""
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        score = compute()
        told = {"value": score.value, "reason": score.reason}
    except BaseException:
        told = {"raised": traceback.format_exc()}
    os.write(pipe, json.dumps(told).encode())
    os._exit(0)
