"""What every distillation loss has: taps, views of them, one formula."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple, get_args

from torch import Tensor, nn

from arrayse.kd.views import WHOLE, View

Form = Literal["paper", "normalised"]

MIN_SPREAD = 1e-2
"""Least mean deviation that a normalised form divides by.

Masks vary by some 0.1; what hardly varies, such as silence, must not count for more than all the rest.
"""


class Pair(NamedTuple):
    """A tap of the student and one of the teacher.

    Attributes:
        student: its channels.
        teacher: its channels.
        aligned: whether equal channel numbers mean the same thing, as in outputs of the same microphones.
    """

    student: int
    teacher: int
    aligned: bool = True


class DistillationLoss(nn.Module):
    """A published way of learning from a teacher; subclasses say the formula, in their docstring and in ``forward``.

    A loss may own parameters; they are trained with the student and never become part of it.

    ``forward(student, teacher)`` takes the ``views`` of both, with the batch as their first axis, and gives one number;
    a loss with ``target_views`` has ``forward(student, teacher, target)``.

    Attributes:
        paper: where it was published.
        formulas: what it computes, by form; the empty form where there is but one.
        taps: what it compares unless told otherwise, the same on both sides.
        any_number: whether it takes any number of pairs of taps.
        min_items: the fewest items of a batch that it can work with.
        fixed_sizes: whether it works with one number of items and frames alone.
        views: what it looks at, of student and teacher alike.
        target_views: what it looks at of a perfect estimate, in the student's taps ``wave`` and ``spec``.
    """

    paper: ClassVar[str]
    formulas: ClassVar[dict[str, str]]
    taps: ClassVar[tuple[str, ...]]
    any_number: ClassVar[bool] = False
    min_items: int = 1
    fixed_sizes: bool = False
    form: str = ""
    views: list[View]
    target_views: list[View] = []  # noqa: RUF012 (never changed in place)

    @classmethod
    def default_pairs(cls, arguments: dict[str, Any]) -> list[tuple[str, str]]:
        """Taps (student's, teacher's) that it compares unless told otherwise.

        Args:
            arguments: of the method, as they stand in a config.
        """
        return [(tap, tap) for tap in cls.taps]

    def formula(self) -> str:
        """What it computes in this form, with the settings that the formula leaves open."""
        return self.formulas[self.form]

    def histograms(self) -> dict[str, list[int]]:
        """What it has counted since :meth:`reset_histograms`; kept in buffers, so that a resumed training goes on."""
        return {}

    def reset_histograms(self) -> None:
        """Counts from nothing again."""


class MapLoss(DistillationLoss):
    """A loss between outputs that is a mean over bins, so that another one can be wrapped around it."""

    def distance_map(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """What each bin adds to the mean: the views of both → (batch, freq, frame)."""
        raise NotImplementedError

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """The views of both → one number."""
        return self.distance_map(student, teacher).mean()


def check_same_place(pair: Pair) -> None:
    """Raises ValueError unless student and teacher estimate speech at one microphone."""
    if not pair.aligned:
        raise ValueError(
            "pairs: expected estimates at one microphone, got outputs at different ref_mic or features inside networks"
        )


def whole_views(n_taps: int) -> list[View]:
    """Every tap as it is."""
    return [View(tap, WHOLE) for tap in range(n_taps)]


def adapter(pair: Pair) -> nn.Module:
    """Brings the student's channels to the teacher's: nothing, or a 1×1 convolution, trained with the student."""
    if pair.aligned and pair.student == pair.teacher:
        return nn.Identity()
    return nn.Conv2d(pair.student, pair.teacher, 1)


def difference(student: Tensor, teacher: Tensor) -> Tensor:
    """Student − teacher, of one shape: one frequency or frame is not compared with many.

    Raises:
        ValueError: other shapes.
    """
    if student.shape != teacher.shape:
        expected, got = tuple(teacher.shape), tuple(student.shape)
        raise ValueError(f"pairs: expected features of the shape {expected} as the teacher's, got {got}")
    return student - teacher


def spread(teacher: Tensor) -> Tensor:
    """Mean absolute deviation of each item from its mean: (batch, …) → (batch,), at least :data:`MIN_SPREAD`."""
    flat = teacher.flatten(start_dim=1)
    return (flat - flat.mean(dim=1, keepdim=True)).abs().mean(dim=1).clamp_min(MIN_SPREAD)


def check_choice(name: str, got: str, choices: Any) -> None:
    """Raises ValueError unless ``got`` is a member of the literal type ``choices``."""
    if got not in get_args(choices):
        raise ValueError(f"{name}: expected one of {', '.join(get_args(choices))}, got {got}")
