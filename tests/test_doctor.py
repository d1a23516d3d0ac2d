"""The doctor names what is there and what each missing extra would bring."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from arrayse import doctor
from arrayse.provenance import git_revision, provenance


def project() -> dict[str, Any]:
    """What the package says of itself."""
    return dict(tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_every_needed_package_is_looked_at() -> None:
    findings = {finding.what: finding for finding in doctor.examine()}
    needed = {re.split(r"[<>=]", requirement)[0] for requirement in project()["dependencies"]}
    assert needed == set(doctor.MODULES) <= set(findings)
    assert findings["torch"].ok is True
    assert findings["named configs"].ok is True


def test_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"demo": (("pytest", "no_such_module"), "voices")})
    monkeypatch.chdir(Path(__file__).parents[1])
    (finding,) = [finding for finding in doctor.examine() if finding.what == "extra demo"]
    assert finding.ok is None
    assert "absent: pip install -e '.[demo]' brings voices" in finding.found


def test_an_extra_comes_from_where_the_package_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "absent: pip install 'arrayse[sofa]' brings heads, pip install arrayse does not"
    package = tmp_path / "arrayse" / "doctor.py"
    monkeypatch.setattr(doctor, "__file__", str(package))
    assert doctor.installable(told) == told  # a wheel
    (tmp_path / "pyproject.toml").touch()
    assert doctor.installable(told) == told.replace("'arrayse[sofa]'", f"-e '{tmp_path}[sofa]'")
    monkeypatch.chdir(tmp_path)
    assert doctor.installable(told) == told.replace("'arrayse[sofa]'", "-e '.[sofa]'")


def test_the_browser_of_the_tests_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARRAYSE_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    none = doctor._browser()
    assert (none.ok, none.found[:47]) == (None, "none: apt install chromium, or ARRAYSE_CHROMIUM")
    program = tmp_path / "google-chrome"
    program.touch(mode=0o755)
    there = doctor._browser()
    assert (there.ok, doctor.find_chromium()) == (True, str(program))
    assert there.found.startswith(f"{program}: ")
    assert doctor.examine()[-1] == there
    monkeypatch.setenv("ARRAYSE_CHROMIUM", "/no/such/program")
    lost = doctor._browser()
    assert (lost.ok, lost.found) == (False, "ARRAYSE_CHROMIUM=/no/such/program: expected a program, got none")


def test_a_missing_package_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MODULES", ("no_such_package",))
    assert doctor.examine()[0].ok is False


def test_provenance_is_plain_and_tells_the_revision() -> None:
    about = provenance(seed=7)
    assert about["seed"] == 7
    assert about["versions"]["torch"]
    revision = git_revision()
    assert revision is None or len(revision.removesuffix("+changes")) == 40


def test_every_extra_of_the_package_is_looked_for() -> None:
    assert set(doctor.EXTRAS) == set(project()["optional-dependencies"])


def test_an_audio_library_that_spoils_samples_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._audio().ok
    monkeypatch.setattr(soundfile, "read", lambda *_, **__: (np.zeros(3, dtype=np.float32), 16000))
    assert doctor._audio().ok is False
