"""The step `ingest`, as the pipeline runs it: the same config, store and key."""

from pathlib import Path

from components.ingest.step import STEP
from components.steps import run_step

run_step(STEP, Path("/etc/crossmix/ingest/config.json").read_text(), {}, "/tmp/dataset", "/store")
