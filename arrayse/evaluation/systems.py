"""What the systems of an evaluation are and cost, as entries of its summary, the trainings of one system folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arrayse.checkpoint import is_finished
from arrayse.evaluation.baselines import BEAMFORMERS
from arrayse.evaluation.lineup import Lineup, Network
from arrayse.evaluation.sources import Source
from arrayse.evaluation.summary import BEAMFORMER, MODEL, NOISY, TEACHER
from arrayse.models import Enhancer
from arrayse.profile.cost import Cost, cost
from arrayse.provenance import training_of
from arrayse.statistics import NO_SEED

Entry = dict[str, Any]


def describe_systems(
    lineup: Lineup,
    source: Source,
    enhancers: dict[str, Enhancer],
    abouts: dict[str, Entry],
    teacher: str | None = None,
) -> list[Entry]:
    """An entry for each system: inputs, baselines, networks, binaural systems.

    Args:
        lineup: who is scored.
        source: on what.
        enhancers: the networks by name.
        abouts: for each of them, what made it.
        teacher: the system that counts as one whatever it taught; the others are those whose weights another run was
            taught with.
    """
    networks = {network.name: network for network in lineup.networks}
    taught_by = {weights for about in abouts.values() for weights in (about.get("teachers") or {}).values()}
    entries = []
    for system, names in lineup.systems.items():
        if system in lineup.beamformers:
            entries.append(_beamformer(system, names, lineup, source))
        elif any(name in networks for name in names.values()):
            trainings = [networks[name] for name in names.values()]
            taught = system == teacher or any(network.fingerprint in taught_by for network in trainings)
            kind = TEACHER if taught else MODEL
            entries.append(_network(system, kind, names, trainings, enhancers, abouts))
        elif any(name in lineup.ears for name in names.values()):
            entries.append(_binaural(system, names, lineup, enhancers))
        else:
            entries.append(_entry(system, NOISY, names))
    return entries


def find_teacher(systems: list[Entry], wanted: str | None) -> str | None:
    """The system whose gain is the measure of all others: the one that was asked for, or else the largest teacher."""
    teachers = [entry for entry in systems if entry["kind"] == TEACHER]
    if wanted is not None or not teachers:
        return wanted
    return str(max(teachers, key=lambda entry: entry["params"])["name"])


def _entry(
    name: str,
    kind: str,
    names: dict[int, str],
    costs: Cost | None = None,
    mics: list[int] | None = None,
    causal: bool | None = None,
    description: str = "",
    foreign_array: str | None = None,
) -> Entry:
    """``names`` in the rows by seed."""
    return {
        "name": name,
        "kind": kind,
        "params": costs and costs.parameters,
        "macs_per_second": costs and costs.macs_per_second,
        "mics": mics,
        "causal": causal,
        "description": description,
        "n_seeds": 0 if NO_SEED in names else len(names),
        "runs": list(names.values()),
        "latency_ms": costs and costs.latency_ms,
        "foreign_array": foreign_array,
    }


def _beamformer(name: str, names: dict[int, str], lineup: Lineup, source: Source) -> Entry:
    baseline = BEAMFORMERS[name]
    mics = [lineup.ref_mic] if baseline.one_mic else list(range(source.n_mics))
    text = source.describe_beamformer(name)
    return _entry(name, BEAMFORMER, names, mics=mics, causal=baseline.causal, description=text)


def _network(
    system: str,
    kind: str,
    names: dict[int, str],
    trainings: list[Network],
    enhancers: dict[str, Enhancer],
    abouts: dict[str, Entry],
) -> Entry:
    first = enhancers[trainings[0].name]
    texts = {network.name: _made_by(network.run, abouts[network.name]) for network in trainings}
    same = len(set(texts.values())) == 1
    text = texts[trainings[0].name] if same else "; ".join(f"{name}: {text}" for name, text in texts.items())
    entry = _entry(system, kind, names, cost(first), first.mics, first.causal, text, trainings[0].fit.foreign_array)
    distilled = any(training_of(abouts[network.name])["distilled"] for network in trainings)
    return {**entry, "distilled": distilled}


def _made_by(run: Path, about: Entry) -> str:
    unfinished = "" if is_finished(run) else "training not finished; "
    return unfinished + "; then ".join(training_of(about)["objectives"])


def _binaural(system: str, names: dict[int, str], lineup: Lineup, enhancers: dict[str, Enhancer]) -> Entry:
    """Two networks side by side: both are paid for, and the slower one is waited for."""
    ears = lineup.ears[next(iter(names.values()))]
    left, right = (enhancers[ear.name] for ear in ears)
    costs = (cost(left), cost(right))
    latency_ms = [each.latency_ms for each in costs if each.latency_ms is not None]
    both = Cost(
        parameters=sum(each.parameters for each in costs),
        macs_per_second=sum(each.macs_per_second for each in costs),
        latency_ms=max(latency_ms) if len(latency_ms) == len(costs) else None,
        mics=(),
    )
    mics, causal = sorted({*left.mics, *right.mics}), left.causal and right.causal
    text = f"left ear {ears[0].name} at microphone {ears[0].fit.mic}, right ear {ears[1].name} at {ears[1].fit.mic}"
    return _entry(system, MODEL, names, both, mics, causal, text, ears[0].fit.foreign_array)
