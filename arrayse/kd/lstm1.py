"""``lstm1``: in the output of the student's F-LSTM, frames resemble each other as in the teacher's."""

from __future__ import annotations

from typing import ClassVar

from arrayse.kd.similarity import GramLoss
from arrayse.kd.views import Flow


class Lstm1(GramLoss):
    """mean|G_S − G_T| with G = U Uᵀ, U = mean over frequency of the F-LSTM's output, rows (batch·frame).

    Metzger, Ohlenbusch, Rollwage, Doclo, "Comparison of Knowledge Distillation Methods for Low-complexity
    Multi-microphone Speech Enhancement using the FT-JNF Architecture", arXiv 2507.19208 (2025).

    The forms and the arguments are those of :class:`arrayse.kd.similarity.GramLoss`.
    """

    paper = "Metzger et al. 2025, arXiv 2507.19208"
    formulas: ClassVar[dict[str, str]] = {
        "paper": "mean|G_S − G_T|, G = U Uᵀ, U = mean over frequency of the F-LSTM's output, rows (batch·frame)",
        "normalised": "mean over flows of mean(G_S − G_T)² / var(G_T), G = cosines of an utterance's F-LSTM outputs",
    }
    taps = ("freq_lstm",)
    paper_flow: ClassVar[Flow] = "time"
