"""Scores of one scene: what every system makes of it at every SNR, and what metrics say of that."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arrayse.checkpoint import load_enhancer
from arrayse.evaluation.lineup import Lineup, Network, binaural_input
from arrayse.evaluation.sources import Heard, Scene
from arrayse.metrics import METRICS, Score, Stems, ild_error_db, itd_error_us, score
from arrayse.models import Enhancer, SpectralEnhancer
from arrayse.profile.cost import one_thread
from arrayse.training.processes import keep_freed_memory

LIMIT_SECONDS = 60.0
"""Of a score that is computed in C and cannot be stopped otherwise."""

CUES: dict[str, Callable[[np.ndarray, np.ndarray, int], Score]] = {
    "itd_error_us": itd_error_us,
    "ild_error_db": ild_error_db,
}
"""What binaural systems are scored by, in place of the metrics of one channel."""

CUE_TEXTS = {
    "itd_error_us": "itd_error_us: error of the interaural time difference below 1.5 kHz in µs, by arrayse",
    "ild_error_db": "ild_error_db: mean error of the interaural level differences in third octaves in dB, by arrayse",
}

Row = dict[str, Any]


@dataclass(frozen=True)
class SceneTask:
    """Systems on one scene at all SNRs.

    Attributes:
        names: what gets rows.
        lineup: what it takes for that.
        scene: the scene.
        sample_rate: Hz.
        snr_db: SNRs in dB; None alone for a scene that is scored as it was recorded.
        metrics: of the systems of one channel.
    """

    names: set[str]
    lineup: Lineup
    scene: Scene
    sample_rate: int
    snr_db: list[float | None]
    metrics: list[str]


def score_scene(task: SceneTask) -> list[Row]:
    """The rows of one scene: untouched microphones, baselines, networks and pairs of networks, at every SNR.

    Every row is scored against the target at its own microphone. One thread computes, so that the last bits do not
    depend on how many others there are.
    """
    if multiprocessing.parent_process() is not None:
        keep_freed_memory()
    rows: list[Row] = []
    with one_thread():
        for snr_db in task.snr_db:
            heard = task.scene.read(snr_db)
            waves = estimates(task.lineup, task.scene, heard, task.sample_rate)
            scored = _mono_scores(task, heard, waves) | _binaural_scores(task, heard, waves)
            rows += [_row(name, task.scene.id, snr_db, scores) for name, scores in scored.items()]
    return rows


def estimates(lineup: Lineup, scene: Scene, heard: Heard, sample_rate: int) -> dict[str, np.ndarray]:
    """What untouched microphones, baselines and networks give of a scene, (n_samples,) by name."""
    waves = {name: heard.noisy[mic] for mic, name in lineup.inputs.items()}
    waves |= {name: scene.beamformed(name, heard, lineup.ref_mic) for name in lineup.beamformers}
    for network in lineup.networks:
        enhancer = enhancer_of(network)
        waves[network.name] = enhancer.enhance(in_its_array(enhancer, network, heard.noisy), sample_rate)
    return waves


def enhancer_of(network: Network) -> Enhancer:
    """The network itself, which stays in the memory of a process."""
    return _load(network.run, network.fingerprint)


def in_its_array(enhancer: Enhancer, network: Network, wave: np.ndarray) -> np.ndarray:
    """Recordings (n_mics, n_samples) as those of the network's own array; what it does not hear is silent there."""
    own = np.zeros((enhancer.geometry.n_mics, wave.shape[1]), np.float32)
    own[enhancer.mics] = wave[list(network.fit.channels)]
    return own


@functools.cache
def _load(run: Path, fingerprint: str) -> Enhancer:
    return load_enhancer(run)


def _mono_scores(task: SceneTask, heard: Heard, waves: dict[str, np.ndarray]) -> dict[str, dict[str, Score]]:
    mics = dict.fromkeys(task.lineup.beamformers, task.lineup.ref_mic)
    mics |= {name: mic for mic, name in task.lineup.inputs.items()}
    networks = {network.name: network for network in task.lineup.networks}
    mics |= {name: network.fit.mic for name, network in networks.items()}
    wants_stems = any("stems" in METRICS[name].needs for name in task.metrics)
    scores = {}
    for name, wave in waves.items():
        if name not in task.names:
            continue
        mic = mics[name]
        stems = _stems(networks[name], heard) if wants_stems and name in networks else None
        given = (wave, heard.target_at(mic), task.sample_rate, task.metrics, heard.noisy[mic], stems)
        scores[name] = score(*given, limit_s=LIMIT_SECONDS)
    return scores


def _stems(network: Network, heard: Heard) -> Stems | None:
    """Target and all else through the masks of a network; None where it has none, or where they are not known."""
    enhancer, rest = enhancer_of(network), heard.rest
    if not isinstance(enhancer, SpectralEnhancer) or rest is None or heard.target is None:
        return None
    noisy, *parts = (in_its_array(enhancer, network, wave) for wave in (heard.noisy, heard.target, rest))
    mic = network.fit.mic
    return Stems(heard.target[mic], rest[mic], *(enhancer.shadow(noisy, part) for part in parts))


def _binaural_scores(task: SceneTask, heard: Heard, waves: dict[str, np.ndarray]) -> dict[str, dict[str, Score]]:
    """Cues of the pairs of networks, and of the microphones that they stand for."""
    scores = {}
    for name, ears in task.lineup.ears.items():
        mics = [ear.fit.mic for ear in ears]
        assert heard.target is not None
        pairs = {name: np.stack([waves[ear.name] for ear in ears]), binaural_input(ears): heard.noisy[mics]}
        for which, pair in pairs.items():
            if which in task.names:
                target = heard.target[mics]
                scores[which] = {cue: function(pair, target, task.sample_rate) for cue, function in CUES.items()}
    return scores


def _row(name: str, scene: str, snr_db: float | None, scores: dict[str, Score]) -> Row:
    values = {metric: got.value for metric, got in scores.items()}
    reasons = {metric: got.reason for metric, got in scores.items() if got.value is None}
    return {"system": name, "scene": scene, "snr_db": snr_db, **values, "reasons": reasons}
