"""Keys of the verbs that train networks, and look into trainings."""

# mypy: disable-error-code="valid-type"
# (types made from signatures exist at run time only)

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, Len, MinLen
from pydantic import AfterValidator, BaseModel, Field

from arrayse.frontend.features import Features
from arrayse.frontend.stft import Stft
from arrayse.kd.methods import METHODS, WRAPPED, method_of
from arrayse.losses import LOSSES
from arrayse.models import GIVEN, NETS
from arrayse.schema.base import Count, Mic, Place, Seed, Strict, builds, one_of, schema_of
from arrayse.training.settings import FitSettings

Net = one_of(NETS, "name", given=GIVEN)
Loss = one_of(LOSSES, "name")
Wrapped = one_of({name: METHODS[name] for name in WRAPPED}, "name", given=("pairs",))
Epochs = Annotated[int, Ge(1)]


def _has_pairs(loss: BaseModel) -> BaseModel:
    """Raises ValueError where the arguments of a loss name no taps that it could compare."""
    values = loss.model_dump()
    method_of(values).default_pairs(values)
    return loss


Method = Annotated[one_of(METHODS, "name", given=("pairs",), parts={"inner": Wrapped}), AfterValidator(_has_pairs)]


class TrainConfig(Strict):
    """A training of one phase or several, each with a fresh optimiser and the full learning rate.

    A phase takes ``epochs``, or its own of ``phase_epochs``, at most. It ends when the validation loss has not improved
    for ``patience`` epochs, or, if it is not the last one, ``switch_patience``.

    Attributes:
        data: folder of the dataset, which ``arrayse simulate`` made.
        fresh: scenes of an epoch that are simulated when they are needed, new ones in every epoch; 0: the stored ones.
        out: folder of the run.
        init: run folder whose best weights the training begins with, of the same network; None: random ones.
        model: the network.
        stft: transform, of the loss too.
        features: what a network of spectra is given.
        mics: channels of the array that the network hears, from 0; None: all.
        ref_mic: channel at which it estimates speech, one of ``mics``; None: that of the array, else the first of them.
        loss: supervised loss, against the clean target.
        epochs: of every phase, at most.
        phase_epochs: of each phase, at most; several make a training that restarts. None: ``epochs``.
        patience: epochs without a better validation loss after which the last phase ends; None: never early.
        switch_patience: likewise of every phase before the last one.
        seed: start of all draws.
        fit: how it is trained.
    """

    data: Place
    fresh: Count = 0
    out: Place
    init: Place | None = None
    model: Net
    stft: Annotated[schema_of(Stft), builds(Stft)] = Field(default_factory=lambda: schema_of(Stft)())
    features: schema_of(Features, ("frame_rate",)) = Field(
        default_factory=lambda: schema_of(Features, ("frame_rate",))()
    )
    mics: list[Mic] | None = None
    ref_mic: Mic | None = None
    loss: Loss = Field(default_factory=lambda: {"name": "wave_magnitude_l1"}, validate_default=True)
    epochs: Epochs = 20
    phase_epochs: Annotated[list[Epochs], MinLen(1)] | None = None
    patience: Annotated[int, Ge(1)] | None = None
    switch_patience: Annotated[int, Ge(1)] | None = None
    seed: Seed = 0
    fit: Annotated[schema_of(FitSettings), builds(FitSettings)] = Field(
        default_factory=lambda: schema_of(FitSettings)()
    )


class TermConfig(Strict):
    """One distillation term.

    Attributes:
        loss: between student and teacher.
        weight: factor; 0: the term is left out.
        pairs: of taps that it compares, ``[[student's, teacher's]]``; None: those of the loss.
    """

    loss: Method
    weight: Annotated[float, Ge(0)] = 1.0
    pairs: list[Annotated[list[str], Len(2, 2)]] | None = None


class DistillSection(Strict):
    """How a student learns from teachers.

    ``one_step``: one phase with ``supervised_weight`` on the supervised loss and the rest on the terms.
    ``two_step``: the terms alone, then the supervised loss alone. ``three_step``: the terms alone, then both as in
    ``one_step``, then the supervised loss alone.

    Attributes:
        schedule: which phases there are.
        supervised_weight: share of the supervised loss where both are minimised, from 0 to 1.
        terms: what is learnt from teachers, each under a name of your own.
        cache: folder for the teachers' outputs, which are then computed once; wants ``fit.draws``. None: none.
    """

    schedule: Literal["one_step", "two_step", "three_step"] = "one_step"
    supervised_weight: Annotated[float, Ge(0), Le(1)] = 0.5
    terms: Annotated[dict[str, TermConfig], MinLen(1)]
    cache: Place | None = None


class TeacherConfig(Strict):
    """One of several teachers.

    Attributes:
        run: its run folder.
        weight: factor of all its terms.
        snr_db: lowest and highest SNR in dB of the items that it is asked about; None: all.
    """

    run: Place
    weight: Annotated[float, Ge(0)] = 1.0
    snr_db: Annotated[list[float], Len(2, 2)] | None = None


class DistillConfig(TrainConfig):
    """A training with the help of teachers.

    Attributes:
        teacher: run folder of the teacher.
        teachers: several, each under a name of your own, in place of ``teacher``.
        distill: how the student learns from them.
    """

    teacher: Place | None = None
    teachers: Annotated[dict[str, TeacherConfig], MinLen(1)] | None = None
    distill: DistillSection


class PatchesConfig(Strict):
    """A page about where a student learns.

    Attributes:
        out: the page, a .html; None: patches.html in the run folder.
        n: validation scenes.
    """

    out: Place | None = None
    n: Annotated[int, Ge(1)] = 3
