"""The launcher of a cluster: a re-adaptation as a run of Kubeflow Pipelines, looked for by its name before it is made.

A run's name in Kubeflow is its run id, so that it is found again by whoever asks: another process, a day later, or the
same one after an answer that was cut off. The pipeline is compiled once, when the first run is started.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossmix.background import sentence
from crossmix.config import Config, ConfigError
from crossmix.config.cluster import Cluster
from monitoring.launcher import LauncherAwayError, LaunchRefusedError, State
from pipelines.adapting import RUN
from pipelines.submit import Api, SubmitError, Where, check, pipeline_of, quiet, registered
from pipelines.wiring import arguments, store_of, write

TIMEOUT = 5.0
"""Seconds that one answer of the API may take: a start asks for up to five."""
INVALID = (400, 413, 422)
"""What is refused with one of these is refused for good; a token or a right may come yet."""
ENDED: Mapping[str, State] = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELED": "failed", "SKIPPED": "failed"}
"""Kubeflow's word for a run that is over; every other is running."""


class KubeflowLauncher:
    """Starts the re-adaptation pipeline on a cluster; `monitoring.launcher.Launcher`.

    Args:
        config: of the runs; `readapt.run` and `readapt.at` are each run's own.
        place: where the pods run.
        where: the API, asked anew for each call: a token that is renewed in its file is taken.
        pipeline: "readapt" or "online".

    Raises:
        ConfigError: what pods could not do, as a registry of this machine.
    """

    def __init__(self, config: Config, place: Cluster, where: Callable[[], Where], pipeline: str = "readapt") -> None:
        self._pipeline = pipeline_of(pipeline)
        self._config, self._place, self._where = registered(config, place), place, where
        self._store = store_of(place)
        check(self._config, self._pipeline, place, self._store, None)
        self._folder = tempfile.TemporaryDirectory(prefix="crossmix-launch-")
        self._asked: tuple[Where, Api, str] | None = None

    def start(self, run_id: str, spec: Mapping[str, Any]) -> str:
        """Start a run unless one of its name is there; Kubeflow's id of it.

        Raises:
            LauncherAwayError: the API is away, its answer was cut off, or it takes the token no more.
            LaunchRefusedError: the id is none, or the API refuses such a run.
        """
        if not RUN.fullmatch(run_id):
            raise LaunchRefusedError(f"run {run_id!r}: give letters, digits, dots, dashes and underscores, 100 at most")
        own = replace(self._config.readapt, run=run_id, at=spec.get("at"))
        given = arguments(self._pipeline, replace(self._config, readapt=own), self._store)
        package = self._package()
        with self._answering() as (api, experiment):
            there = api.found(experiment, run_id) or api.post(experiment, run_id, package, given)
            return str(there.run_id)

    def state(self, run_id: str) -> State:
        """How a run stands, whoever started it.

        Raises:
            LauncherAwayError: as `start`.
        """
        if not RUN.fullmatch(run_id):
            return "unknown"
        with self._answering() as (api, experiment):
            there = api.found(experiment, run_id)
        return "unknown" if there is None else ENDED.get(str(there.state), "running")

    def _package(self) -> Path:
        path = Path(self._folder.name) / f"{self._pipeline.title}.yaml"
        if not path.exists():
            half = path.with_suffix(".half.yaml")
            write(self._pipeline, half, place=self._place)
            half.rename(path)
        return path

    @contextmanager
    def _answering(self) -> Iterator[tuple[Api, str]]:
        """The API and the experiment; what it raises, as a launcher says it."""
        try:
            where = self._where()
            with quiet():
                if self._asked is None or self._asked[0] != where:
                    api = Api(where, tries=1, timeout=TIMEOUT)
                    self._asked = where, api, api.experiment(self._config.registry.experiment)
                yield self._asked[1], self._asked[2]
        except SubmitError as error:
            self._asked = None
            if error.code in INVALID:
                raise LaunchRefusedError(str(error)) from error
            raise LauncherAwayError(str(error)) from error
        except (ConfigError, OSError) as error:  # a token's file that is being renewed
            raise LauncherAwayError(sentence(error)) from error
