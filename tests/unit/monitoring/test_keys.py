"""Secrets: from a file that only its owner reads or from a variable, followed, and never in a message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitoring import keys, signed
from monitoring.keys import SecretError
from tests.support.webhooks import OTHER, SECRET


def write(file: Path, text: str, mode: int = 0o600) -> str:
    file.write_text(text)
    file.chmod(mode)
    return str(file)


def test_a_file_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    found = keys.signing("alerts.webhook.secret", write(file, f"# made in June\n{SECRET}\n"), "UNSET")
    assert found() == (signed.key_of(SECRET),)
    write(file, f"{OTHER}\n{SECRET}\n")
    assert found() == (signed.key_of(OTHER), signed.key_of(SECRET))
    write(file, f"{OTHER}\n")
    assert found() == (signed.key_of(OTHER),)


def test_a_file_of_the_same_size_that_took_its_place_is_read(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    found = keys.signing("s", write(file, SECRET), None)
    write(tmp_path / "new", OTHER)
    times = file.stat()
    os.utime(tmp_path / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "new").rename(file)
    assert found() == (signed.key_of(OTHER),)


@pytest.mark.parametrize("text", ["", "whsec_short\n", f"{SECRET}\n" * 3, "\u00fc"])
def test_a_broken_file_leaves_those_of_before_and_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "secret"
    found = keys.signing("s", write(file, SECRET), None)
    write(file, text)
    assert found() == (signed.key_of(SECRET),)
    assert found.trouble is not None
    assert found.trouble.endswith("the secrets before hold")
    assert SECRET not in found.trouble
    write(file, OTHER)
    assert found() == (signed.key_of(OTHER),)
    assert found.trouble is None


def test_a_file_that_is_gone_leaves_those_of_before(tmp_path: Path) -> None:
    found = keys.signing("s", write(tmp_path / "secret", SECRET), None)
    (tmp_path / "secret").unlink()
    assert found() == (signed.key_of(SECRET),)
    assert "cannot be read" in str(found.trouble)


def test_what_others_could_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="mode is 644, others could use it; run chmod 600"):
        keys.signing("s", write(tmp_path / "secret", SECRET, 0o644), None)
    assert keys.signing("s", write(tmp_path / "mounted", SECRET, 0o400), None)()
    assert keys.signing("s", write(tmp_path / "shared", SECRET, 0o440), None)()


def test_a_variable_holds_one_or_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", f"{OTHER} {SECRET}")
    assert keys.signing("s", None, "HOOK_SECRET")() == (signed.key_of(OTHER), signed.key_of(SECRET))


def test_none_at_all_is_an_error_where_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    with pytest.raises(SecretError, match="s: there is no secret; set HOOK_SECRET, or name a file with s_file"):
        keys.signing("s", None, "HOOK_SECRET")
    assert keys.bearer("s", None, "HOOK_SECRET")() == ()
    with pytest.raises(SecretError, match="cannot be read"):
        keys.signing("s", "/nowhere/secret", None)


def test_a_token_is_long_and_known_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "short")
    with pytest.raises(SecretError, match="needs 16 printable ASCII characters"):
        keys.bearer("s", None, "HOOK_TOKEN")
    tokens = ("0123456789abcdef", "fedcba9876543210")
    assert keys.knows(tokens, "fedcba9876543210")
    assert not keys.knows(tokens, "fedcba987654321")
    assert not keys.knows(tokens, "\udcff")
    assert not keys.knows((), "")
