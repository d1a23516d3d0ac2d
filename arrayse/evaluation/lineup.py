"""Who is scored in an evaluation: networks and how each hears the data, baselines, and the untouched inputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arrayse.checkpoint import fingerprint, load_enhancer
from arrayse.evaluation.sources import Source
from arrayse.evaluation.summary import NOISY, TARGET, Request
from arrayse.frontend.channels import wanted_channels
from arrayse.mixture import Dataset
from arrayse.models import Enhancer
from arrayse.statistics import NO_SEED, group_seeds


@dataclass(frozen=True)
class Fit:
    """How a network hears recordings.

    Attributes:
        channels: of the recordings, in the order of the network's ``mics``.
        mic: the channel of the recordings at which it estimates speech.
        foreign_array: the array that it was made for, if the recordings are of another; else None.
    """

    channels: tuple[int, ...]
    mic: int
    foreign_array: str | None = None


@dataclass(frozen=True)
class Network:
    """A run; ``fingerprint`` is that of its weights, so that no process takes others from its memory."""

    name: str
    run: Path
    fingerprint: str
    fit: Fit


@dataclass(frozen=True)
class Lineup:
    """Everything that is scored.

    Attributes:
        networks: in the order of the tables.
        beamformers: names of baselines.
        inputs: what untouched microphones are called; the first is the reference of the array.
        ears: for each binaural system the networks of the left and the right ear.
    """

    networks: list[Network]
    beamformers: list[str]
    inputs: dict[int, str]
    ears: dict[str, tuple[Network, Network]]

    @property
    def ref_mic(self) -> int:
        """The microphone that baselines estimate."""
        return next(iter(self.inputs))

    @property
    def input_of(self) -> dict[str, str]:
        """What each baseline, network and binaural system is compared with when it is to show a gain."""
        found = dict.fromkeys(self.beamformers, NOISY)
        found |= {network.name: self.inputs[network.fit.mic] for network in self.networks}
        return found | {name: binaural_input(ears) for name, ears in self.ears.items()}

    @property
    def names(self) -> list[str]:
        """Of everything that has rows, in their order."""
        mono = [*self.inputs.values(), *self.beamformers, *(network.name for network in self.networks)]
        binaural = [each for name, ears in self.ears.items() for each in (name, binaural_input(ears))]
        return list(dict.fromkeys([*mono, *binaural]))

    def only(self, names: set[str]) -> Lineup:
        """What it takes to score these; the untouched inputs cost nothing and stay."""
        ears = {name: pair for name, pair in self.ears.items() if names & {name, binaural_input(pair)}}
        heard = {ear.name for pair in ears.values() for ear in pair} | names
        networks = [network for network in self.networks if network.name in heard]
        return Lineup(networks, [name for name in self.beamformers if name in names], self.inputs, ears)

    @property
    def systems(self) -> dict[str, dict[int, str]]:
        """The names in the rows by system and seed, as :func:`arrayse.statistics.group_seeds` gives them."""
        inputs = dict.fromkeys([*self.inputs.values(), *self.input_of.values()])
        found = {name: {NO_SEED: name} for name in [*inputs, *self.beamformers]}
        return found | group_seeds(network.name for network in self.networks) | group_seeds(self.ears)


def load_runs(runs: dict[str, Path]) -> dict[str, Enhancer]:
    """The networks by name.

    Raises:
        ValueError: runs without description or weights, or with damaged ones: a line for each.
    """
    loaded, problems = {}, []
    for name, run in runs.items():
        try:
            loaded[name] = load_enhancer(run)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return loaded


def line_up(request: Request, source: Source, enhancers: dict[str, Enhancer]) -> Lineup:
    """Checks that everything that is asked for can be scored on the source.

    Raises:
        ValueError: names that mean something else, unknown ones, networks and baselines that do not go with the
            source, seeds of one system that are networks of different kinds.
    """
    _check_names(request)
    source.check_beamformers(request.beamformers)
    fits = {name: fit(name, enhancer, source, request.other_array) for name, enhancer in enhancers.items()}
    _check_seeds(enhancers, fits)
    networks = [Network(name, run.absolute(), fingerprint(run), fits[name]) for name, run in request.runs.items()]
    by_name = {network.name: network for network in networks}
    ears = {name: (by_name[left], by_name[right]) for name, (left, right) in request.binaural.items()}
    _check_ears(ears, source)
    estimated = [network.fit.mic for network in networks]
    ref_mic = source.geometry.ref_mic if source.geometry is not None else [*estimated, 0][0]
    others = sorted(set(estimated) - {ref_mic})
    inputs = {ref_mic: NOISY, **{mic: f"{NOISY} mic {mic}" for mic in others}}
    return Lineup(networks, request.beamformers, inputs, ears)


def fit(name: str, enhancer: Enhancer, source: Source, other_array: bool) -> Fit:
    """How a network hears a source: all channels of its array, or, in files, just those that it hears.

    Args:
        name: of the network, for messages.
        enhancer: the network.
        source: what it is to hear.
        other_array: whether recordings of another array will do, channel by channel.

    Raises:
        ValueError: another sample rate, another array without ``other_array``, or one without the channels wanted.
    """
    if enhancer.sample_rate != source.sample_rate:
        raise ValueError(
            f"{name} sample_rate: expected {source.sample_rate} Hz as the data, got {enhancer.sample_rate}"
        )
    mics, geometry = enhancer.mics, enhancer.geometry
    whole = Fit(tuple(mics), enhancer.ref_mic)
    if source.geometry is not None:
        if _same_array(enhancer, source.geometry.positions):
            return whole
        problem = _other_array(name, enhancer, source.geometry.name, source.n_mics)
    else:
        if source.n_mics == geometry.n_mics:
            return whole
        if source.n_mics == len(mics):
            return Fit(tuple(range(len(mics))), mics.index(enhancer.ref_mic))
        problem = f"{name}: expected files of {wanted_channels(enhancer)}, got files of {source.n_mics}"
    if max(mics) >= source.n_mics:
        missing = (
            "" if source.geometry is None else f", which have no microphones {[m for m in mics if m >= source.n_mics]}"
        )
        raise ValueError(problem + missing)
    if not other_array:
        raise ValueError(f"{problem}: other_array=true takes its channels {mics} all the same")
    return Fit(tuple(mics), enhancer.ref_mic, geometry.name)


def check_fits(name: str, enhancer: Enhancer, dataset: Dataset) -> None:
    """Raises ValueError unless the dataset has the array and rate that the enhancer was made for."""
    if enhancer.sample_rate != dataset.sample_rate:
        raise ValueError(
            f"{name} sample_rate: expected {dataset.sample_rate} Hz as the data, got {enhancer.sample_rate}"
        )
    if not _same_array(enhancer, dataset.geometry.positions):
        raise ValueError(_other_array(name, enhancer, dataset.geometry.name, dataset.geometry.n_mics))


def binaural_input(ears: tuple[Network, Network]) -> str:
    """What the untouched microphones at two ears are called."""
    left, right = ears
    return f"{NOISY} mics {left.fit.mic} and {right.fit.mic}"


def _same_array(enhancer: Enhancer, positions: np.ndarray) -> bool:
    return bool(enhancer.geometry.positions.tolist() == positions.tolist())


def _other_array(name: str, enhancer: Enhancer, array: str, n_mics: int) -> str:
    return (
        f"{name} array: expected data of {enhancer.geometry.name} ({enhancer.geometry.n_mics} mics), which it was "
        f"trained for, got data of {array} ({n_mics} mics)"
    )


def _check_names(request: Request) -> None:
    taken = {NOISY, TARGET, *request.beamformers}
    systems = list(group_seeds(request.runs))
    if reserved := taken & {*request.runs, *systems}:
        raise ValueError(
            f"runs: expected other names than {NOISY}, {TARGET} and those of beamformers, "
            f"got {', '.join(sorted(reserved))}"
        )
    choices = {"baseline": [*request.beamformers, *systems], "teacher": systems}
    for key, names in choices.items():
        got = getattr(request, key)
        if got is not None and got not in names:
            raise ValueError(f"{key}: expected one of {', '.join(names)}, got {got}")
    taken |= {*request.runs, *systems}
    if reserved := taken & {*request.binaural, *group_seeds(request.binaural)}:
        raise ValueError(
            f"binaural: expected other names than those of other systems, got {', '.join(sorted(reserved))}"
        )
    for name, ears in request.binaural.items():
        if unknown := [run for run in ears if run not in request.runs]:
            raise ValueError(f"binaural.{name}: expected two of {', '.join(request.runs)}, got {', '.join(unknown)}")


def _check_seeds(enhancers: dict[str, Enhancer], fits: dict[str, Fit]) -> None:
    """Raises ValueError where names say that runs are trainings of one system, but their networks differ."""
    for system, names in group_seeds(enhancers).items():
        sizes = {
            name: (enhancers[name].mics, sum(each.numel() for each in enhancers[name].parameters()), fits[name])
            for name in names.values()
        }
        first, *others = sizes
        for name in others:
            if sizes[name] != sizes[first]:
                raise ValueError(
                    f"runs: expected one network and the same microphones for all seeds of {system}, got others in "
                    f"{name} than in {first}: names that end in _s0, _s1 … are trainings of one system"
                )


def _check_ears(ears: dict[str, tuple[Network, Network]], source: Source) -> None:
    for name, (left, right) in ears.items():
        if left.fit.mic == right.fit.mic:
            raise ValueError(f"binaural.{name}: expected estimates at two microphones, got both at {left.fit.mic}")
        if source.n_targets < 2:
            raise ValueError(f"binaural.{name}: expected clean speech at both ears, got {source.kind} without")
