"""Scenes to listen to: what was recorded, the speech in it, and what every system makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from arrayse.audio import write_audio
from arrayse.evaluation.lineup import Lineup
from arrayse.evaluation.scoring import estimates
from arrayse.evaluation.sources import Source
from arrayse.evaluation.summary import NOISY, TARGET
from arrayse.files import write_json
from arrayse.profile.cost import one_thread

EXAMPLES = "examples.json"


def write_examples(out: Path, lineup: Lineup, source: Source, snr_db: list[float], n_examples: int) -> None:
    """Writes the first scenes at the SNR closest to 0 dB, one gain for all waves of a scene: their levels compare.

    Of several trainings of a system the first one is heard.

    Args:
        out: folder of the evaluation; the waves go into ``audio``.
        lineup: the systems.
        source: the scenes.
        snr_db: SNRs in dB that there are to choose from; none for scenes as they were recorded.
        n_examples: how many.
    """
    nearest = min(snr_db, key=abs, default=None)
    first_seeds = {next(iter(names.values())) for names in lineup.systems.values()}
    others = set(lineup.inputs.values()) - {NOISY}
    networks = [network for network in lineup.networks if network.name in first_seeds]
    heard_alone = Lineup(networks, lineup.beamformers, lineup.inputs, {})
    examples = []
    for scene in source.scenes[:n_examples]:
        heard = scene.read(nearest)
        with one_thread():
            found = estimates(heard_alone, scene, heard, source.sample_rate)
        target = heard.target_at(lineup.ref_mic)
        waves = {NOISY: found.pop(NOISY), **({} if target is None else {TARGET: target})}
        waves |= {name: wave for name, wave in found.items() if name not in others}
        gain = 0.99 / max(0.99, *(float(np.abs(wave).max()) for wave in waves.values()))
        files = {}
        for number, (name, wave) in enumerate(waves.items()):
            files[name] = f"audio/{scene.id}-{number}.wav"
            write_audio(out / files[name], gain * wave, source.sample_rate)
        examples.append({"scene": scene.id, "snr_db": nearest, "title": scene.title, "waves": files})
    write_json(out / EXAMPLES, examples)
