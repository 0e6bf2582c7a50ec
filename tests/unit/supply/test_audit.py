"""An audit that did not take place does not pass; what it finds is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supply import audit
from supply.locks import Locked

LOCK = {"jinja2": Locked("3.1.6", ("0" * 64,)), "torch": Locked("2.13.0+cpu", ("1" * 64,))}
SOUND = [{"name": "Jinja2", "version": "3.1.6", "vulns": []}, {"name": "torch", "version": "2.13.0", "vulns": []}]
VULNERABLE = [SOUND[0], {"name": "torch", "version": "2.13.0", "vulns": [{"id": "X-1", "fix_versions": ["2.14"]}]}]
SKIPPED = [SOUND[0], {"name": "torch", "skip_reason": "Dependency not found"}]


def asked(folder: Path, dependencies: list[dict[str, Any]] | None, status: int = 0) -> str:
    """A program in place of pip-audit, with one report for every service; `None`: no network."""
    report = "" if dependencies is None else json.dumps({"dependencies": dependencies, "fixes": []})
    (folder / "report").write_text(f"{report}\n")
    file = folder / "pip-audit"
    file.write_text(f"#!/bin/sh\necho ConnectionError: no route >&2\ncat {folder}/report\nexit {status}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(
    ("dependencies", "status", "said", "exit_status"),
    [
        (SOUND, 0, "serve: 0 known vulnerabilities", audit.SOUND),
        (VULNERABLE, 1, "serve: vulnerable: torch 2.13.0: X-1, fixed in 2.14", audit.WRONG),
        (SKIPPED, 0, "NOT audited for vulnerabilities: no advisory service answered (pypi: 1 of 2", audit.NOT_AUDITED),
        (
            SOUND[:1],
            0,
            "NOT audited for vulnerabilities: no advisory service answered (pypi: 1 of 2",
            audit.NOT_AUDITED,
        ),
        (None, 1, "NOT audited for vulnerabilities: no advisory service answered (pypi: Conn", audit.NOT_AUDITED),
    ],
    ids=["sound", "vulnerable", "a package skipped", "a package not named", "no network"],
)
def test_what_a_service_says_is_told(
    dependencies: list[dict[str, Any]] | None,
    status: int,
    said: str,
    exit_status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(audit, "read", lambda name: LOCK)
    program = asked(tmp_path, dependencies, status)
    assert audit.main(["--pip-audit", program, "--out", str(tmp_path / "sbom"), "--targets", "serve"]) == exit_status
    assert said in capsys.readouterr().out
    # What was asked about: releases, as advisories know them.
    assert (tmp_path / "sbom" / "crossmix-serve.txt").read_text() == "jinja2==3.1.6\ntorch==2.13.0\n"


def test_a_licence_that_is_not_accepted_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "read", lambda name: LOCK)
    monkeypatch.setattr(audit.licences, "of", {"jinja2": "AGPL-3.0-only", "torch": "MIT"}.get)
    program = asked(tmp_path, SOUND)
    assert audit.main(["--pip-audit", program, "--out", str(tmp_path), "--targets", "serve"]) == audit.WRONG
    assert "serve: jinja2: licence 'AGPL-3.0-only' is not accepted" in capsys.readouterr().out


def test_without_the_program_nothing_is_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "read", lambda name: LOCK)
    absent = str(tmp_path / "absent")
    assert audit.main(["--pip-audit", absent, "--out", str(tmp_path), "--targets", "serve"]) == audit.NOT_AUDITED
    assert "NOT audited" in capsys.readouterr().out
