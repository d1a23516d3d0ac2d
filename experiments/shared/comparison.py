"""What is particular to a comparison: its title, its baselines, and the order of its systems."""

from __future__ import annotations

import re
from dataclasses import dataclass

from arrayse.evaluation.baselines import BEAMFORMERS

STUDENT = re.compile(r"(?P<size>[^_]+)_(?:(?P<n_mics>\d+)mic_)?(?P<method>.+)_s(?P<seed>\d+)")


@dataclass(frozen=True)
class System:
    """One row of a table, all its seeds together.

    Attributes:
        method: how a student was trained, or the name of a system that is no student.
        size: of a student; empty for others.
        n_mics: where a student hears fewer microphones than the array has; None for all others.
    """

    method: str
    size: str = ""
    n_mics: int | None = None


NOISY, TEACHER = System("noisy"), System("teacher")


@dataclass(frozen=True)
class Comparison:
    """How the systems of an experiment are compared.

    Attributes:
        title: of the page.
        methods: order of the students in the tables; others come last.
        baselines: methods that all others of the same size and microphones are subtracted from.
        networks: further large networks, in this order after the teacher; what else is no student stands before it.
        group: what each evaluation is of; the name of a column.
    """

    title: str
    methods: tuple[str, ...]
    baselines: tuple[str, ...]
    networks: tuple[str, ...] = ()
    group: str = "array"

    def place(self, system: System) -> tuple[int, str]:
        """Key that sorts systems without size among each other, and students of one size and number of microphones."""
        if system.size:
            known = system.method in self.methods
            return self.methods.index(system.method) if known else len(self.methods), system.method
        first = [NOISY.method, *BEAMFORMERS, "", TEACHER.method, *self.networks]
        return first.index(system.method if system.method in first else ""), system.method


def parse_name(name: str) -> tuple[System, int]:
    """The system and the seed of a name in the rows; -1 for one that is no student."""
    found = STUDENT.fullmatch(name)
    if not found:
        return System(name), -1
    n_mics = int(found["n_mics"]) if found["n_mics"] else None
    return System(found["method"], found["size"], n_mics), int(found["seed"])
