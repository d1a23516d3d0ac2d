"""The doctor names what is there and what each missing extra would bring."""

from __future__ import annotations

import pytest

from arrayse import doctor
from arrayse.provenance import git_revision, provenance


def test_every_needed_package_is_looked_at() -> None:
    findings = {finding.what: finding for finding in doctor.examine()}
    assert set(doctor.MODULES) <= set(findings)
    assert findings["torch"].ok is True
    assert findings["named configs"].ok is True


def test_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"demo": ("no_such_module", "voices")})
    (finding,) = [finding for finding in doctor.examine() if finding.what == "extra demo"]
    assert finding.ok is None
    assert "pip install 'arrayse[demo]' brings voices" in finding.found


def test_a_missing_package_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MODULES", ("no_such_package",))
    assert doctor.examine()[0].ok is False


def test_provenance_is_plain_and_tells_the_revision() -> None:
    about = provenance(seed=7)
    assert about["seed"] == 7
    assert about["versions"]["torch"]
    revision = git_revision()
    assert revision is None or len(revision.removesuffix("+changes")) == 40
