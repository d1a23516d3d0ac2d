"""How numbers and names are written, the same on the page, in the terminal and in Markdown."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from arrayse.metrics import METRICS

MISSING = "–"


class Interval(Protocol):
    """A mean with its 95 % interval: a cell of a table, a summary of scores."""

    @property
    def mean(self) -> float | None:
        """None: there was nothing to average."""

    @property
    def low(self) -> float | None:
        """Lower end; None: no interval."""

    @property
    def high(self) -> float | None:
        """Upper end; None: no interval."""


@dataclass(frozen=True)
class MetricStyle:
    """How one metric is shown: its usual name, its unit (may be empty) and its decimals."""

    label: str
    unit: str
    digits: int

    @property
    def title(self) -> str:
        return f"{self.label} ({self.unit})" if self.unit else self.label


METRIC_STYLES = {
    "pesq_wb": MetricStyle("WB-PESQ", "", 2),
    "pesq_nb": MetricStyle("NB-PESQ", "", 2),
    "stoi": MetricStyle("STOI", "", 3),
    "estoi": MetricStyle("ESTOI", "", 3),
    "si_sdr": MetricStyle("SI-SDR", "dB", 1),
    "si_sdr_improvement": MetricStyle("SI-SDRi", "dB", 1),
    "sdr": MetricStyle("SDR", "dB", 1),
    "log_spectral_distance": MetricStyle("LSD", "dB", 1),
    "noise_reduction": MetricStyle("Noise reduction", "dB", 1),
    "speech_distortion": MetricStyle("Speech distortion", "dB", 1),
    "itd_error_us": MetricStyle("ITD error", "µs", 0),
    "ild_error_db": MetricStyle("ILD error", "dB", 1),
    "dnsmos_sig": MetricStyle("DNSMOS SIG", "", 2),
    "dnsmos_bak": MetricStyle("DNSMOS BAK", "", 2),
    "dnsmos_ovrl": MetricStyle("DNSMOS OVRL", "", 2),
}


ERRORS = ("itd_error_us", "ild_error_db")
"""Metrics of pairs of estimates, which :data:`METRICS` does not hold: less is better."""


def metric_style(metric: str) -> MetricStyle:
    """The style of a metric; one that is not known here is shown under its own name with two decimals."""
    return METRIC_STYLES.get(metric, MetricStyle(metric, "", 2))


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better; so it is of one that is not known here."""
    return METRICS[metric].higher_is_better if metric in METRICS else metric not in ERRORS


def number(value: float | None, digits: int, signed: bool = False) -> str:
    """A number with a true minus sign; a dash where there is none."""
    if value is None:
        return MISSING
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if shows_zero(value, digits):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def shows_zero(value: float, digits: int) -> bool:
    """Whether a number of so many decimals is written as zero."""
    return float(f"{value:.{digits}f}") == 0


EVEN = 0.25
"""By how much of half an interval its sides may differ to be written as one number."""


def spread(found: Interval, digits: int, scale: float = 1.0) -> str:
    """The interval behind a mean; empty without one.

    Bootstrap intervals need not lie evenly around their mean: half of the interval, ``±0.10``, where its sides differ
    by no more than a quarter of that, or one in the last of these digits, and zero lies inside of what is written where
    it lies inside of the interval. Else both ends, ``(−0.01 to 0.06)``.
    """
    if found.mean is None or found.low is None or found.high is None:
        return ""
    below, above = scale * (found.mean - found.low), scale * (found.high - found.mean)
    half = (below + above) / 2
    mean, shown = round(scale * found.mean, digits), round(half, digits)
    is_even = abs(above - below) <= max(EVEN * half, 10**-digits)
    if is_even and (mean - shown <= 0 <= mean + shown) == (found.low <= 0 <= found.high):
        return f"±{number(half, digits)}"
    return f"({number(scale * found.low, digits)} to {number(scale * found.high, digits)})"


def with_interval(found: Interval | None, digits: int, signed: bool = False, scale: float = 1.0) -> str:
    """A mean and its :func:`spread`; the mean alone where there is no interval, a dash where there is no mean."""
    if found is None or found.mean is None:
        return MISSING
    return f"{number(scale * found.mean, digits, signed)} {spread(found, digits, scale)}".rstrip()


def with_unit(change: Interval, metric: str) -> str:
    """A difference in a metric as ``+1.2 ±0.3 dB``."""
    style = metric_style(metric)
    return f"{with_interval(change, style.digits, signed=True)} {style.unit}".rstrip()


def percent_interval(share: Interval | None) -> str:
    """A fraction as ``83 ±12 %`` or ``83 (70 to 97) %``, alone where there is no interval."""
    if share is None or share.mean is None:
        return MISSING
    return f"{with_interval(share, 0, scale=100)} %"


def p_value(p: float | None) -> str:
    """A p value in two figures: ``0.012``, ``< 0.001``."""
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.0995 else f"{p:.2f}"


def factor(value: float | None) -> str:
    """A ratio in two figures, without exponent: ``0.083``."""
    if value is None:
        return MISSING
    return f"{float(f'{value:.2g}'):.10f}".rstrip("0").rstrip(".")


def milliseconds(value: float | None) -> str:
    """Milliseconds without their unit, in three figures."""
    return MISSING if value is None else f"{value:.3g}"


def count(value: float | None) -> str:
    """A count in three figures: 226000 → ``226 k``."""
    if value is None:
        return MISSING
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * limit:
            return f"{_three_figures(value / limit)} {unit}"
    return _three_figures(value)


def decibels(snr_db: float) -> str:
    """An SNR without its unit: -5.0 → ``−5``."""
    return f"{snr_db:g}".replace("-", "−")


def percent(fraction: float) -> str:
    """A fraction in whole percent, with one decimal under ten."""
    return f"{number(100 * fraction, 0 if abs(fraction) >= 0.0995 else 1)} %"


def listing(words: list[str]) -> str:
    """``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def place_name(path: str) -> str:
    """The end of an absolute path: where a folder lies on somebody's disk is no heading."""
    return str(Path(*Path(path).parts[-2:])) if Path(path).is_absolute() else path


def unbroken(text: str) -> str:
    """The text with no line break between a number and its unit."""
    return re.sub(r"(?<=\d) (?=(?:%|dB|[kMGT])(?!\w))", "\N{NO-BREAK SPACE}", text)


def _three_figures(value: float) -> str:
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
