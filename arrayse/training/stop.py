"""How a long job is stopped: it saves where it stands, then ends with the exit code of the signal."""

from __future__ import annotations

import os
import signal

from arrayse.training.ranks import is_first_process


class StoppedBySignal(Exception):
    """A long job was asked to stop and has saved where it stands.

    Attributes:
        exit_code: what the process is to exit with: 128 + the signal's number (143 for SIGTERM, 130 for
            SIGINT).
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}: the same command goes on from here")
        self.exit_code = 128 + number


class SignalFlag:
    """Remembers SIGTERM and SIGINT while the block runs; a second SIGINT stops at once.

    A signal that is ignored stays so: a shell that starts a job in the background has it ignore Ctrl-C.

    Attributes:
        number: the signal that came last; None while there was none.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def __enter__(self) -> SignalFlag:
        numbers = [each for each in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(each) is not signal.SIG_IGN]
        self.before = {number: signal.signal(number, self._remember) for number in numbers}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: object) -> None:
        if self.number == signal.SIGINT == number:
            raise KeyboardInterrupt
        if self.number is None and is_first_process():
            hint = "; Ctrl-C again: at once, from the last checkpoint on" if number == signal.SIGINT else ""
            os.write(2, f"\nstopping after this step{hint}\n".encode())  # stderr itself may be in the middle of a write
        self.number = number
