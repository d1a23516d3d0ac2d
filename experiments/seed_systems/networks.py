"""What the single-channel comparison trains: networks, teachers, and the losses that each student learns by."""

from __future__ import annotations

from dataclasses import dataclass, field

WAVES = "stft={n_fft: 512, hop_length: 128, window: hann}"
"""The grid in which the estimates of networks in the time domain are looked at."""

SLOW_IN_16_BITS = "fit.precision=float32"
"""On CPUs: attention over short rows takes twice as long under bfloat16."""

TERM = "distill={{schedule: one_step, supervised_weight: 0.5, terms: {{kd: {{weight: {weight}, loss: {loss}}}}}}}"

LOSSES = {
    "output": "{name: magnitude, power: l2}",
    "subband": "{name: subband}",
    "dfkd": "{name: dfkd}",
    "dfkd_fixed": "{name: dfkd, crossover: fixed}",
    "dfkd_absolute": "{name: dfkd, crossover: absolute}",
    "dispatch_l2": "{name: dispatch, inner: {name: magnitude, power: l2}}",
    "dispatch_dfkd": "{name: dispatch, inner: {name: dfkd}, mssp: true}",
    "similarity_preserving": "{name: similarity_preserving}",
    "clskd": "{name: clskd}",
    "feature_regression": "{name: feature_regression}",
}

NARROW = "fusion_channels: 8"
"""The published 128 would cost more than all the rest of a training."""

FIXED = "form: fixed, second: batch, n_frames: 95, batch_size: 2, teacher_fusion: trained"

DPDCRN_SETS = (
    "sets: {encoder: [[encoder_1, encoder_2, encoder_3], [encoder_1, encoder_2, encoder_3]], "
    "middle: [[mid_1], [mid_1, mid_2]], "
    "decoder: [[decoder_3, decoder_2, decoder_1], [decoder_3, decoder_2, decoder_1]]}"
)
DCCRN_SETS = (
    "sets: {encoder: [[encoder_1, encoder_2, encoder_3], [encoder_1, encoder_2, encoder_3]], "
    "middle: [[mid_2], [mid_2]], "
    "decoder: [[decoder_5, decoder_4, decoder_3], [decoder_5, decoder_4, decoder_3]]}"
)
FT_JNF_SETS = "sets: {recurrent: [[freq_lstm, time_lstm], [freq_lstm, time_lstm]], output: [[linear], [linear]]}"


@dataclass(frozen=True)
class Network:
    """Networks of one kind, large and small.

    Attributes:
        common: arguments of all of them.
        teacher: of the large one.
        student: of the small one.
        systems: for each way of distillation its loss.
        others: further large networks: teachers.
        controls: further small networks without a teacher.
        taught_by: systems whose teacher is one of ``others``.
        live: systems whose teacher runs while they train: its features are too many for the disk.
    """

    common: list[str]
    teacher: list[str]
    student: list[str]
    systems: dict[str, str]
    others: dict[str, list[str]] = field(default_factory=dict)
    controls: dict[str, list[str]] = field(default_factory=dict)
    taught_by: dict[str, str] = field(default_factory=dict)
    live: tuple[str, ...] = ()


def chosen(*names: str) -> dict[str, str]:
    """Some of the losses."""
    return {name: LOSSES[name] for name in names}


NETWORKS = {
    "subband": Network(
        common=["model.name=subband", "loss={name: magnitude_mse}"],
        teacher=["model.hidden=64", "model.n_bands=4", "model.split=bark"],
        student=["model.hidden=32"],
        systems={
            **chosen("output", "subband"),
            "subband_uniform": LOSSES["subband"],
            "subband_general": LOSSES["subband"],
        },
        others={
            "elite_uniform": ["model.hidden=64", "model.n_bands=4", "model.split=uniform"],
            "general": ["model.hidden=64"],
        },
        controls={"fullband": ["model={name: fullband, hidden: 256}"]},
        taught_by={"subband_uniform": "elite_uniform", "subband_general": "general"},
    ),
    "dccrn": Network(
        common=[
            "model.name=dccrn",
            "stft={n_fft: 512, win_length: 400, hop_length: 100, window: hann}",
            "loss={name: negative_snr}",
        ],
        teacher=["model.channels=[8,16,32,64,64,64]", "model.lstm_hidden=64"],
        student=["model.channels=[2,4,8,16,16,16]", "model.lstm_hidden=16"],
        systems={
            **chosen("output", "dfkd", "dfkd_fixed", "dfkd_absolute", "dispatch_l2", "dispatch_dfkd"),
            "i2s": f"{{name: i2s_tfckd, {NARROW}, {DCCRN_SETS}}}",
        },
        live=("i2s",),
    ),
    "conv_tasnet": Network(
        common=["model={name: conv_tasnet, win_length: 40, n_blocks: 6}", WAVES, "loss={name: negative_snr}"],
        teacher=["model.n_filters=128", "model.bottleneck=64", "model.hidden=128", "model.n_repeats=2"],
        student=["model.n_filters=64", "model.bottleneck=32", "model.hidden=64", "model.n_repeats=1"],
        systems=chosen("output", "dfkd", "dispatch_l2", "dispatch_dfkd"),
    ),
    "dptnet": Network(
        common=[
            "model={name: dptnet, n_filters: 64, win_length: 32, segment: 64}",
            WAVES,
            "loss={name: negative_snr}",
            SLOW_IN_16_BITS,
        ],
        teacher=["model.bottleneck=32", "model.hidden=32", "model.n_layers=2"],
        student=["model.bottleneck=16", "model.hidden=16", "model.n_layers=1"],
        systems=chosen("output", "dfkd"),
    ),
    "dpdcrn": Network(
        common=["model.name=dpdcrn", "loss={name: wave_magnitude_l1, wave_weight: 1.0}", SLOW_IN_16_BITS],
        teacher=["model.channels=16", "model.n_layers=2"],
        student=["model.channels=8", "model.n_layers=1"],
        systems={
            **chosen("output"),
            "i2s": f"{{name: i2s_tfckd, {NARROW}, {DPDCRN_SETS}}}",
            "i2s_fixed": f"{{name: i2s_tfckd, {FIXED}, {NARROW}, {DPDCRN_SETS}}}",
        },
        live=("i2s", "i2s_fixed"),
    ),
}

FIVE_MICROPHONES = {
    **chosen("dfkd", "dispatch_l2", "dispatch_dfkd"),
    "output_l2": LOSSES["output"],
    **chosen("similarity_preserving", "clskd", "feature_regression"),
    "i2s": f"{{name: i2s_tfckd, {NARROW}, {FT_JNF_SETS}}}",
}
"""The methods that experiments/ftjnf_kd does not have, for its smallest student and its teacher."""

FIVE_LIVE = ("similarity_preserving", "clskd", "feature_regression", "i2s")
