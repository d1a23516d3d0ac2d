"""Checks of an installation: what is there, what is missing, what each missing part would bring."""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from arrayse.files import one_line
from arrayse.provenance import installed

MODULES = (
    "torch",
    "numpy",
    "scipy",
    "soundfile",
    "numba",
    "pyroomacoustics",
    "pesq",
    "omegaconf",
    "pydantic",
    "annotated-types",
    "safetensors",
    "typer",
    "rich",
    "matplotlib",
    "jinja2",
)
"""Needed packages; each brings a module of its name, with _ for -."""

EXTRAS = {
    "demo": (("espeakng_loader",), "synthetic voices for the built-in corpus and the quickstart"),
    "track": (("tensorboard",), "training curves in TensorBoard"),
    "scale": (("distributed",), "simulation and evaluation on dask workers, cluster="),
    "sofa": (("h5py",), "measured heads, recipe.carrier.sofa"),
    "dnsmos": (("speechmos", "onnxruntime"), "DNSMOS, scores without a reference, metrics=[dnsmos_ovrl]"),
    "export": (("onnx", "onnxruntime"), "ONNX files and int8, arrayse export"),
    "live": (("sounddevice",), "microphones and loudspeakers, arrayse stream RUN live"),
    "dev": (("pytest", "hypothesis"), "the tests"),
}
"""For each extra of the package modules that it brings, and what these are good for."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""Names of a Chromium, in the order in which they are looked for."""


def find_chromium() -> str | None:
    """What ARRAYSE_CHROMIUM names, or the first of :data:`BROWSERS`: with it the HTML report is tested."""
    return os.environ.get("ARRAYSE_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


def installable(told: str) -> str:
    """A text in which ``pip install 'arrayse[…]'`` installs an extra of this very package.

    In a checkout, where no index may know the package, the extra comes from the checkout.
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / "pyproject.toml").is_file():
        return told
    place = "." if root == Path.cwd() else str(root)
    return re.sub(r"pip install 'arrayse(\[\w+\])'", lambda found: f"pip install -e '{place}{found[1]}'", told)


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``ok`` None: optional and absent."""

    what: str
    found: str
    ok: bool | None


def examine() -> list[Finding]:
    """Looks at packages, hardware and space; changes nothing."""
    findings = [_needed(package) for package in MODULES]
    works = all(finding.ok for finding in findings)
    return [*findings, *(_hardware() if works else []), *_extras(), _browser()]


def _needed(package: str) -> Finding:
    """Imports a package: being listed as installed does not say that it works."""
    try:
        importlib.import_module(package.replace("-", "_"))
    except Exception as error:  # whatever a broken package raises is the finding
        return Finding(package, f"{one_line(error)}: pip install {package}", False)
    return Finding(package, installed(package) or "there", True)


def _hardware() -> list[Finding]:
    import torch

    from arrayse.config import config_root
    from arrayse.parallel import available_cores
    from arrayse.training.processes import has_bfloat16

    free = shutil.disk_usage(Path.cwd()).free / 1e9
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none: training runs on the CPU"
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    bfloat16 = "yes: training uses it" if has_bfloat16(kind) else "no: training runs in float32, up to twice as long"
    n_configs = len(list(config_root().glob("*/*.yaml")))
    return [
        Finding("cores", str(available_cores()), True),
        Finding("torch threads", str(torch.get_num_threads()), True),
        Finding("CUDA", cuda, True if torch.cuda.is_available() else None),
        Finding("bfloat16", bfloat16, True if has_bfloat16(kind) else None),
        _audio(),
        Finding("free disk here", f"{free:.1f} GB", free > 2),
        Finding("named configs", f"{n_configs} in {config_root()}", n_configs > 0),
    ]


def _audio() -> Finding:
    """Writes a few samples in the formats that the project uses, and reads them again."""
    import numpy as np
    import soundfile

    wave, rate = np.array([0.0, 0.5, -0.5], dtype=np.float32), 16000
    for kind in ("WAV", "FLAC"):
        file = io.BytesIO()
        try:
            soundfile.write(file, wave, rate, format=kind, subtype="PCM_16")
            file.seek(0)
            same = np.array_equal(soundfile.read(file, dtype="float32")[0], wave)
        except soundfile.LibsndfileError as error:
            return Finding("audio files", f"{kind}: {one_line(error)}: pip install --upgrade soundfile", False)
        if not same:
            return Finding("audio files", f"{kind}: other samples than were written", False)
    return Finding("audio files", f"WAV and FLAC, {soundfile.__libsndfile_version__}", True)


def _extras() -> list[Finding]:
    findings = []
    for extra, (modules, brings) in EXTRAS.items():
        there = all(importlib.util.find_spec(module) is not None for module in modules)
        found = brings if there else installable(f"absent: pip install 'arrayse[{extra}]' brings {brings}")
        findings.append(Finding(f"extra {extra}", found, True if there else None))
    return findings


def _browser() -> Finding:
    found, how = find_chromium(), "apt install chromium, or ARRAYSE_CHROMIUM=path; the tests of the HTML report skip"
    if found is None:
        return Finding("Chromium", f"none: {how}", None)
    if shutil.which(found) is None:
        return Finding("Chromium", f"ARRAYSE_CHROMIUM={found}: expected a program, got none", False)
    return Finding("Chromium", f"{found}: the tests of the HTML report open it", True)
