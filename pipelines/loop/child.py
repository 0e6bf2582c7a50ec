"""`python -m pipelines.loop.child serve ...`: a command of `crossmix` that ends with the simulation that began it."""

from __future__ import annotations

from components import lifeline
from pipelines.cli.main import app

if __name__ == "__main__":
    lifeline.watch()
    app()
