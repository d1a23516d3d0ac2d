"""``i2s_tfckd``: sets of layers resemble the teacher's, within each set and between the sets."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Len
from torch import Tensor, nn

from arrayse.kd.base import DistillationLoss, Pair, check_choice, whole_views
from arrayse.kd.calibration import Calibration, Second
from arrayse.kd.set_fusion import SetFusion

Taps = list[str]
Sets = dict[str, Annotated[list[Taps], Len(2, 2)]]
CalibrationForm = Literal["fixed", "free"]
TeacherFusion = Literal["frozen", "trained"]

_ENCODER, _DECODER = ["encoder_1", "encoder_2", "encoder_3"], ["decoder_3", "decoder_2", "decoder_1"]
DPDCRN_SETS: Sets = {
    "encoder": [_ENCODER, _ENCODER],
    "middle": [["mid_1"], ["mid_1", "mid_2", "mid_3", "mid_4"]],
    "decoder": [_DECODER, _DECODER],
}
"""Those of the paper: DPDCRN with one dual-path layer as student, with four as teacher."""

OF_SIZES = {"n_frames": ("form=fixed",), "batch_size": ("form=fixed", "second=batch")}
"""The settings that a size is for."""


def pairs_of(sets: Sets) -> list[tuple[str, str]]:
    """Every tap of the student with every tap of the teacher (the inner loop), set by set.

    Raises:
        ValueError: no set, a set that is not two lists of taps, or a list without taps.
    """
    if not sets:
        raise ValueError("sets: expected one at least, got none")
    for name, sides in sets.items():
        if len(sides) != 2:
            raise ValueError(f"sets.{name}: expected the student's taps and the teacher's, got {len(sides)} lists")
        for side, taps in zip(("student", "teacher"), sides, strict=True):
            if not taps:
                raise ValueError(f"sets.{name}: expected at least one tap of the {side}, got none")
    return [(s, t) for student, teacher in sets.values() for s in student for t in teacher]


class I2sTfckd(DistillationLoss):
    """Σ over sets of D(student, teacher) + D of the fused sets, D the calibrated similarity of all their layers.

    Cheng et al., "I2S-TFCKD: Intra-Inter Set Knowledge Distillation with Time-Frequency Calibration for Speech
    Enhancement", arXiv 2506.13127 (2025).

    D = (1 / items) Σ over frames and layers i, j of α_ij Σ (P_T − P_S)(log P_T − log P_S) / the student's layers, and
    likewise of a second stream (:mod:`arrayse.kd.calibration`); P are the cosines of a frame to all frames of its
    utterance, as (cos + 1)/2 with the sum 1; α_ij tells for every frame how much layer i learns from layer j. Each set
    is fused to one feature (:mod:`arrayse.kd.set_fusion`), and these are compared like the layers of one more set.

    ``fixed``, as published: α by trained MLPs over ``n_frames`` frames and, in the second stream, ``batch_size`` items:
    the crops have to have just these. ``free`` (ours): α by the cosines themselves, for any number of either. The
    second stream ``batch``, as published, compares the items of a batch in a frame, two at least; ``frequency`` (ours)
    the frequencies of an utterance, without MLPs in either form, layers with more bins averaged down to the fewest.

    The teacher gets no gradient and P_T is a target without one. The fusion of the teacher's sets stays as it was drawn
    (``frozen``, ours), so that what the student is fused to has a fixed aim; ``trained``, our reading of the paper:
    through α alone, which makes the aim drift. The loss grows with the number of frames.

    Args:
        pairs: channels of the taps of :func:`pairs_of` the sets, in that order.
        sets: name → [taps of the student, taps of the teacher], each in the order of fusion, with frequencies of any
            number; None: :data:`DPDCRN_SETS`.
        form: ``fixed`` or ``free``.
        second: the second stream: ``batch``, ``frequency`` or ``none``.
        n_frames: frames of a crop; for ``fixed`` alone, which needs it.
        batch_size: items of a batch of one process; for ``fixed`` with ``batch`` alone, which needs it.
        fusion_channels: channels of a fused set.
        teacher_fusion: ``frozen`` or ``trained``.

    Raises:
        ValueError: sets, form, second stream or fusion that cannot be used, a size that is missing or that nothing
            uses, or another number of pairs.
    """

    formulas: ClassVar[dict[str, str]] = {
        "fixed": "Σ over sets, and their fusions, of mean Σ α_ij (P_T − P_S)(log P_T − log P_S), α by MLPs over frames",
        "free": "Σ over sets, and their fusions, of mean Σ α_ij (P_T − P_S)(log P_T − log P_S), α by cosines of frames",
    }
    paper = "Cheng et al. 2025, arXiv 2506.13127"
    taps = tuple(student for student, _ in pairs_of(DPDCRN_SETS))
    any_number = True

    def __init__(
        self,
        pairs: list[Pair],
        sets: Sets | None = None,
        form: CalibrationForm = "free",
        second: Second = "frequency",
        n_frames: Annotated[int, Ge(1)] | None = None,
        batch_size: Annotated[int, Ge(2)] | None = None,
        fusion_channels: Annotated[int, Ge(1)] = 128,
        teacher_fusion: TeacherFusion = "frozen",
    ) -> None:
        super().__init__()
        check_choice("form", form, CalibrationForm)
        check_choice("second", second, Second)
        check_choice("teacher_fusion", teacher_fusion, TeacherFusion)
        sets = DPDCRN_SETS if sets is None else sets
        if len(pairs) != len(pairs_of(sets)):
            told = ", ".join(f"{name} {len(s)}×{len(t)}" for name, (s, t) in sets.items())
            raise ValueError(f"pairs: expected {len(pairs_of(sets))} for the sets {told}, got {len(pairs)}")
        if fusion_channels < 1:
            raise ValueError(f"fusion_channels: expected 1 or more, got {fusion_channels}")
        _check_sizes(form, second, n_frames, batch_size)
        self.form, self.views = form, whole_views(len(pairs))
        if second == "batch":
            self.min_items = batch_size or 2
        self.places = _places(sets)
        self.intra = nn.ModuleList(Calibration(len(s), len(t), second, n_frames, batch_size) for s, t in self.places)
        self.inter = Calibration(len(sets), len(sets), second, n_frames, batch_size)
        of_student = [[pairs[number].student for number in numbers] for numbers, _ in self.places]
        of_teacher = [[pairs[number].teacher for number in numbers] for _, numbers in self.places]
        self.student_fusions = nn.ModuleList(SetFusion(widths, fusion_channels) for widths in of_student)
        self.teacher_fusions = nn.ModuleList(SetFusion(widths, fusion_channels) for widths in of_teacher)
        self.teacher_fusions.requires_grad_(teacher_fusion == "trained")
        self.fixed_sizes = form == "fixed"

    @classmethod
    def default_pairs(cls, arguments: dict[str, Any]) -> list[tuple[str, str]]:
        """The pairs of the sets among the arguments, see :func:`pairs_of`."""
        sets = arguments.get("sets")
        return pairs_of(DPDCRN_SETS if sets is None else sets)

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """The taps of all pairs as they are, (batch, channel, freq, frame) each → one number.

        Raises:
            ValueError: numbers of frames or items that ``fixed`` was not made for, or frames that differ between taps.
        """
        of_student = [[student[number] for number in numbers] for numbers, _ in self.places]
        of_teacher = [[teacher[number].detach() for number in numbers] for _, numbers in self.places]
        sets = zip(self.intra, of_student, of_teacher, strict=True)
        within = torch.stack([calibration(s, t) for calibration, s, t in sets]).sum()
        fused_student = [fusion(layers) for fusion, layers in zip(self.student_fusions, of_student, strict=True)]
        fused_teacher = [fusion(layers) for fusion, layers in zip(self.teacher_fusions, of_teacher, strict=True)]
        return within + self.inter(fused_student, fused_teacher)


def _places(sets: Sets) -> list[tuple[list[int], list[int]]]:
    """For every set the numbers of a pair with each tap of the student, and with each tap of the teacher."""
    places, start = [], 0
    for student, teacher in sets.values():
        n_pairs = len(student) * len(teacher)
        places.append((list(range(start, start + n_pairs, len(teacher))), list(range(start, start + len(teacher)))))
        start += n_pairs
    return places


def _check_sizes(form: str, second: str, n_frames: int | None, batch_size: int | None) -> None:
    """Raises ValueError unless the sizes of MLPs are given where there are MLPs, and only there."""
    here, sizes = {f"form={form}", f"second={second}"}, {"n_frames": n_frames, "batch_size": batch_size}
    unused = [name for name, size in sizes.items() if size is not None and not here.issuperset(OF_SIZES[name])]
    if unused:
        missing = [setting for setting in OF_SIZES[unused[-1]] if setting not in here]
        got, null = " and ".join(str(sizes[name]) for name in unused), " ".join(f"{name}=null" for name in unused)
        wanted = f"{' and '.join(unused)}: expected none with form={form} second={second}"
        raise ValueError(f"{wanted}, got {got}: set {null}, or is {' '.join(missing)} meant?")
    for name, what, least in (("n_frames", "frames", 1), ("batch_size", "items", 2)):
        size, settings = sizes[name], OF_SIZES[name]
        if size is None and here.issuperset(settings):
            raise ValueError(f"{name}: expected a number of {what} for {' '.join(settings)}, got none")
        if size is not None and size < least:
            raise ValueError(f"{name}: expected {least} or more, got {size}")
