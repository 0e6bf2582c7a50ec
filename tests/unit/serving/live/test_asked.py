"""What a server asks of its registry: told while it is under way, with what came, and when nothing comes any more."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from crossmix.registry import scratch
from serving.live import asked
from serving.live.asked import Asked


def test_what_comes_is_told_and_that_nothing_comes_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr(asked, "time", SimpleNamespace(monotonic=lambda: now[0]))
    one = Asked()
    assert (one.under_way, one.told()) == (False, None)
    one.begin("it is asked for its champion")
    now[0] += 7
    assert one.told() == "registry: it is asked for its champion, for 7 s so far"
    target = tmp_path / "abc"
    one.begin("version 2 is fetched", target)
    folder = tmp_path / f"{scratch.prefix(target)}x1"
    folder.mkdir()
    (folder / "policy.onnx").write_bytes(bytes(1_500_000))
    assert one.told() == "registry: version 2 is fetched, for 0 s so far, 1 file and 1.5 MB"
    # As long as something comes it is under way, however long it takes; when nothing does it says so, and what to do.
    for _ in range(5):
        now[0] += 0.9 * asked.STALLED_SECONDS
        with (folder / "policy.onnx").open("ab") as stream:
            stream.write(b"1")
        assert "so far, 1 file and 1.5 MB" in str(one.told())
    now[0] += asked.STALLED_SECONDS
    assert one.told() == (
        "registry: version 2 is fetched, 1 file and 1.5 MB, and nothing came for 60 s; look whether the registry and "
        "its artifact store answer; it goes on by itself once they do"
    )
    (folder / "manifest.json").write_bytes(b"{}")
    now[0] += 1
    assert "so far, 2 files and 1.5 MB" in str(one.told())
    one.end()
    assert (one.under_way, one.told()) == (False, None)
