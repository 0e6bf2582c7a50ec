"""`python -m pipelines.loop.webhook RUN PORT SERVER`: the webhook of a served run; what it starts runs here."""

from __future__ import annotations

import sys
from pathlib import Path

from components import lifeline
from pipelines.cli.webhook import serve
from pipelines.loop.launch import launcher

NO_MORE = ("alerts.webhook.again=[]",)
"""Who moves the clock asks again himself, once the day was looked at: else a run's day would be chance."""


def main(run: Path, port: int, server: str) -> None:
    """Serve until SIGTERM; raises `ConfigError`, `SecretError`."""
    here = launcher(run, server)
    try:
        serve(run, None, "127.0.0.1", port, NO_MORE, lambda config, out: here, lambda line: print(line, flush=True))
    finally:
        here.end()


if __name__ == "__main__":
    lifeline.watch()
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
