"""The one door to MLflow: runs, registered bundles, aliases, roll-back (docs/design.md#serving).

A bundle is registered once, whatever its run had to go through: its digest is a tag of its version, and a run that was
killed half-way is picked up again by that digest. `challenger` is the version registered last, `champion` the one
that serves, `previous` the champion before it. Every change of champion leaves actor, time and reason on both versions.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlparse

from crossmix import bundle as bundle_module
from crossmix import config as config_module
from crossmix.registry import learning_curve
from crossmix.registry.kinds import MODEL_KINDS, Loaded, bundle_tags, kind_of
from crossmix.registry.mlflow_door import (
    LARGEST_PARAM,
    LARGEST_TAG,
    NOTHING,
    NoVersionError,
    RegistryError,
    open_mlflow,
    tracking_at,
)
from crossmix.registry.scratch import prefix
from crossmix.registry.version import Version, compare, rollback_to

CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"


@dataclass(frozen=True)
class Registry:
    """MLflow at `tracking_uri`; `None`: sqlite `mlflow.db` beside `artifact_root`, which then holds the artifacts."""

    artifact_root: Path
    tracking_uri: str | None = None
    experiment: str = "crossmix"
    model: str = "crossmix-policy"
    kind: str = "split"
    """Of the bundles that the model's versions are (`crossmix.registry.kinds`); others are refused."""
    shared: Callable[[], AbstractContextManager[None]] = nullcontext
    """A lock of all machines that write there (`crossmix.registry.shared`), beside that of this one's folder."""

    @classmethod
    def of(cls, config: config_module.Config, out: Path, kind: str | None = None) -> Self:
        """The registry that a config names, or the one in the run's folder `out` (mlflow.db, mlartifacts/).

        Args:
            kind: of bundles, whose registered model it then is; `None`: of the config's task.
        """
        settings, wanted = config.registry, kind_of(config, kind)
        model = wanted.model_of(config)
        return cls(out / "mlartifacts", settings.tracking_uri, settings.experiment, model, wanted.name)

    @cached_property
    def uri(self) -> str:
        return self.tracking_uri or f"sqlite:///{self.artifact_root.absolute().parent / 'mlflow.db'}"

    def connected(self) -> Registry:
        """Itself, with its client made: MLflow's import and the opening of a database here take seconds, no network."""
        _ = self._client
        return self

    @cached_property
    def _client(self) -> Any:
        if urlparse(self.uri).scheme in ("sqlite", "file", ""):
            self.artifact_root.mkdir(parents=True, exist_ok=True)
        return open_mlflow().MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def register(
        self,
        folder: Path,
        *,
        metrics: Mapping[str, float] = NOTHING,
        artifacts: Mapping[str, Path] = NOTHING,
        figures: Mapping[str, str] = NOTHING,
        tags: Mapping[str, str] = NOTHING,
        run_name: str | None = None,
        wins: bool | None = None,
        waits: str = "",
        actor: str = "crossmix run",
        curve: Mapping[str, Any] = NOTHING,
    ) -> Version:
        """Record a run with its bundle and register it; a bundle that is registered already gets no new version.

        Args:
            folder: a bundle of the registry's kind; it is verified first.
            metrics: name to number; numbers that are not finite are left out.
            artifacts: path in the run's artifacts to a local file: report.html, gates.json, ...
            figures: path in the run's artifacts (ending .svg) to a chart's text.
            tags: more tags of the run and of the version; the kind's figure decides where `wins` is `None`.
            wins: whether it beats the champion; `None`: judged by the tag of the kind's figure (of a split
                `oracle_ratio`), if both were judged on the same data and config, or it brings the champion's in its own
                market; otherwise it stays challenger.
            waits: why it stays challenger whatever it earned; "": it does not.
            actor: who registers, for the record.
            curve: the training's curve.json: its run is this bundle's, and gets the points that it lacks.

        Returns:
            The version, with `challenger`, and `champion` when there was none or when it wins.

        Raises:
            BundleError: the bundle does not verify, or is of another kind.
        """
        loaded = self._opened(folder)
        with self._locked():
            number = self._by_digest(loaded.digest)
            if number is None:
                run_id = self._run(loaded, metrics, artifacts, figures, tags, run_name, curve)
                number = self._create_version(loaded, run_id, tags)
                self._client.set_terminated(run_id)
            self._client.set_registered_model_alias(self.model, CHALLENGER, str(number))
            note = self._settle(self.get(number), wins, waits, actor)
            return self.get(number, note)

    def promote(self, version: str | int, *, actor: str, reason: str, over: int | None = None) -> Version:
        """Make a version champion; the one it replaces becomes `previous`. Promoting the champion changes nothing.

        Args:
            over: the champion that it is to replace; `None`: whichever.

        Raises:
            RegistryError: no such version, or another than `over` is champion by now; nothing has changed.
        """
        with self._locked():
            champion, wanted = self._alias(CHAMPION), self.get(version)
            if over is not None and champion not in (over, wanted.number):
                raise RegistryError(
                    f"{self.model}: version {champion} is champion by now, not {over}; nothing has changed: look again"
                )
            return self._promote(wanted, actor, reason)

    def rollback(self, *, actor: str, reason: str = "rolled back", of: int | None = None) -> Version:
        """Make `previous` champion again; the champion becomes `previous`.

        Repeated, it changes nothing: a version that was rolled back comes back by `promote` alone.

        Args:
            of: the version to roll back; `None`: the champion, unless a rollback made it champion.

        Raises:
            RegistryError: there is no previous champion, or it was rolled back itself.
        """
        with self._locked():
            target = self.rollback_target(of)
            if target.number == self._alias(CHAMPION):
                if target.restored is not None and target.number == self._alias(PREVIOUS):
                    # A rollback that was cut off before its last alias.
                    self._client.set_registered_model_alias(self.model, PREVIOUS, str(target.restored["over"]))
                return target
            return self._promote(target, actor, reason, rollback=True)

    def rollback_target(self, of: int | None = None) -> Version:
        """The version that `rollback` would make champion; the champion, with a note, where it would change nothing.

        Raises:
            RegistryError: as `rollback`.
        """
        numbers = self._alias(CHAMPION), self._alias(PREVIOUS)
        champion, previous = (None if number is None else self.get(number) for number in numbers)
        try:
            version, note = rollback_to(champion, previous, of)
        except LookupError as error:
            raise RegistryError(f"{self.model}: {error.args[0]}") from None
        return self.get(version.number, note)

    def get(self, version: str | int, note: str = "") -> Version:
        """A version by number, or by alias.

        Raises:
            RegistryError: there is none; the message says which there are.
        """
        ask = self._client.get_model_version if str(version).isdigit() else self._client.get_model_version_by_alias
        try:
            entry = ask(self.model, str(version))  # one question: servers ask every few seconds
        except Exception:  # MLflow's stores raise their own kinds each
            self._resolve(version)
            raise
        return Version(
            name=self.model,
            number=int(entry.version),
            run_id=entry.run_id,
            digest=entry.tags["bundle_digest"],
            aliases=tuple(sorted(entry.aliases)),
            tags=dict(entry.tags),
            note=note,
        )

    def versions(self) -> list[Version]:
        """All registered versions, oldest first."""
        entries = self._client.search_model_versions(f"name = '{self.model}'")
        return [self.get(int(item.version)) for item in sorted(entries, key=lambda item: int(item.version))]

    def _opened(self, folder: Path) -> Any:
        return MODEL_KINDS[self.kind].opened(folder)

    def fetch(self, version: str | int, target: Path) -> Any:
        """Bring a version's bundle into `target` (replaced if it is a bundle) and verify it.

        Returns:
            What the kind's `load` gives, of a split a `crossmix.bundle.Bundle`.

        Raises:
            RegistryError: no such version, or its artifacts are away.
            BundleError: what came is not the bundle that was registered, or `target` holds something else.
        """
        wanted = self.get(version)
        if target.exists() and any(target.iterdir()) and not (target / "manifest.json").exists():
            raise bundle_module.BundleError(f"{target}: holds other files; fetch into an empty folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix(target)) as folder,
            tracking_at(self.uri),
        ):
            source = f"{self._client.get_model_version_download_uri(self.model, str(wanted.number))}/artifacts/bundle"
            try:
                came = Path(open_mlflow().artifacts.download_artifacts(artifact_uri=source, dst_path=folder))
            except Exception as error:  # MLflow's stores raise their own kinds each
                raise RegistryError(
                    f"{self.model} version {wanted.number}: {source} cannot be read ({error}); "
                    "bring the artifact store back, or register the bundle again"
                ) from error
            digest = self._opened(came).digest
            if digest != wanted.digest:
                raise bundle_module.BundleError(
                    f"{source}: digest {digest[:12]} is not the registered {wanted.digest[:12]}; register it again"
                )
            if target.exists():
                shutil.rmtree(target)
            came.replace(target)
        return self._opened(target)

    def folders(self, version: str | int) -> tuple[str, ...]:
        """Names of the folders that a version's run holds; raises `RegistryError`."""
        wanted = self.get(version)
        with tracking_at(self.uri):
            try:
                held = self._client.list_artifacts(wanted.run_id)
            except Exception as error:  # MLflow's stores raise their own kinds each
                raise RegistryError(
                    f"{self.model} version {wanted.number}: its run cannot be read ({error}); "
                    "bring the artifact store back"
                ) from error
        return tuple(sorted(str(one.path) for one in held if one.is_dir))

    def log_artifact(self, version: str | int, path: str, file: Path) -> None:
        """Put one more file into a version's run, under `path`: the report, which shows the version, comes after it."""
        self._log_file(self.get(version).run_id, path, file)

    @contextmanager
    def follow(self, training: str, run_name: str | None = None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Log a learning curve as it comes, in the run that `register` goes on with.

        A registry that cannot be reached is told once in the log and does not stop the training; `register` logs the
        whole curve where points are missing.

        Args:
            training: digest of the training; a run that was cut off is found again by it.

        Returns:
            What takes a point: `update` within `phase`, and numbers by name.
        """
        start = partial(self._training_run, training, run_name)
        with learning_curve.live(lambda: self._client, start, self.uri) as listen:
            yield listen

    def _training_run(self, training: str, run_name: str | None) -> str:
        with self._locked():
            experiment = self._experiment_id()
            runs = self._client.search_runs([experiment], f"tags.training = '{training}'", max_results=1)
            run = runs[0] if runs else self._client.create_run(experiment, run_name=run_name)
            self._client.set_tag(run.info.run_id, "training", training)
            self._client.update_run(run.info.run_id, "RUNNING")
            return str(run.info.run_id)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time: two runs that end together must not both find the registry without their bundle."""
        from filelock import FileLock

        self.artifact_root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.artifact_root / ".registry.lock", timeout=600), self.shared(), tracking_at(self.uri):
            yield

    def _experiment_id(self) -> str:
        experiment = self._client.get_experiment_by_name(self.experiment)
        if experiment is not None:
            return str(experiment.experiment_id)
        local = urlparse(self.uri).scheme in ("sqlite", "file", "")
        location = self.artifact_root.absolute().as_uri() if local else None
        return str(self._client.create_experiment(self.experiment, artifact_location=location))

    def _run(
        self,
        loaded: Loaded,
        metrics: Mapping[str, float],
        artifacts: Mapping[str, Path],
        figures: Mapping[str, str],
        tags: Mapping[str, str],
        run_name: str | None,
        curve: Mapping[str, Any],
    ) -> str:
        """The run of this bundle: its training's, or picked up after a kill, or new; with everything logged."""
        experiment = self._experiment_id()
        runs = self._client.search_runs([experiment], f"tags.bundle_digest = '{loaded.digest}'", max_results=1)
        if not runs and curve:
            trained = self._client.search_runs([experiment], f"tags.training = '{curve['key']}'")
            # A run belongs to the first bundle made of its training.
            runs = [run for run in trained if "bundle_digest" not in run.data.tags][:1]
        run = runs[0] if runs else self._client.create_run(experiment, run_name=run_name)
        run_id = str(run.info.run_id)
        self._client.set_tag(run_id, "bundle_digest", loaded.digest)
        if curve:
            self._client.set_tag(run_id, "training", str(curve["key"]))
            logged = set(learning_curve.logged(self._client, run_id))
            for point in curve["points"]:
                if point["env_steps"] not in logged:
                    learning_curve.log(self._client, run_id, point)
        for key, tag in {**bundle_tags(loaded, MODEL_KINDS[self.kind]), **tags}.items():
            self._client.set_tag(run_id, key, tag[:LARGEST_TAG])
        carried = config_module.OF_TASKS.get(loaded.config.task, config_module.CARRIED)
        for key, param in config_module.documented(loaded.config):
            if key.partition(".")[0] not in carried or key == "data.path":
                continue  # a bundle does not carry it
            self._client.log_param(run_id, key, str(param)[:LARGEST_PARAM])
        for key, number in metrics.items():
            if math.isfinite(number):
                self._client.log_metric(run_id, key, number, step=0)
        for path, file in artifacts.items():
            self._log_file(run_id, path, file)
        for path, figure in figures.items():
            self._client.log_text(run_id, figure, path)
        self._client.log_dict(run_id, loaded.manifest, "manifest.json")
        return run_id

    def _log_file(self, run_id: str, path: str, file: Path) -> None:
        parent = Path(path).parent.as_posix()
        with tempfile.TemporaryDirectory() as scratch:
            renamed = Path(shutil.copy(file, Path(scratch) / Path(path).name))
            self._client.log_artifact(run_id, str(renamed), None if parent == "." else parent)

    def _create_version(self, loaded: Any, run_id: str, tags: Mapping[str, str]) -> int:
        """Log the pyfunc model and register it; the version and its digest tag appear in one transaction."""
        mlflow, kind = open_mlflow(), MODEL_KINDS[self.kind]
        if not self._client.search_registered_models(f"name = '{self.model}'"):
            self._client.create_registered_model(self.model)
        with tempfile.TemporaryDirectory() as scratch, mlflow.start_run(run_id=run_id), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in `declare`
            signature, example = kind.declared(mlflow, loaded)
            layout = {"layout_digest": loaded.layout.digest} if kind.name == "split" else {}
            logged = mlflow.pyfunc.log_model(
                name="policy" if kind.name == "split" else kind.name,
                python_model=str(Path(__file__).with_name(kind.model)),
                # MLflow keeps a folder under its own name, and `fetch` looks for this one.
                artifacts={"bundle": shutil.copytree(loaded.path, Path(scratch, "bundle")).as_posix()},
                signature=signature,
                input_example=example,
                # Stated, not inferred: inference loads the model in a new environment and asks the network.
                pip_requirements=[f"{name}=={installed(name)}" for name in kind.runtime],
                metadata={"bundle_digest": loaded.digest, **layout},
            )
        created = self._client.create_model_version(
            self.model,
            logged.model_uri,
            run_id,
            tags={key: value[:LARGEST_TAG] for key, value in {**bundle_tags(loaded, kind), **tags}.items()},
            model_id=logged.model_id,
            await_creation_for=0,
        )
        return int(created.version)

    def _settle(self, version: Version, wins: bool | None, waits: str, actor: str) -> str:
        champion = self._alias(CHAMPION)
        if champion is None:
            self._promote(version, actor, "first champion")
            return "promoted: there was no champion"
        if champion == version.number:
            return "is the champion already"
        if waits:
            return f"stays challenger of version {champion}: {waits}"
        kind = MODEL_KINDS[self.kind]
        wins, reason = (
            (wins, "judged by its gates")
            if wins is not None
            else compare(version, self.get(champion), kind.figure, kind.label)
        )
        if not wins:
            return f"stays challenger of version {champion}: {reason}"
        self._promote(version, actor, reason)
        return f"promoted over version {champion}: {reason}"

    def _promote(self, version: Version, actor: str, reason: str, *, rollback: bool = False) -> Version:
        """Aliases and records; cut off anywhere, the same call again ends as it would have.

        `previous` moves first, so that a promotion that was cut off has not lost the champion; in a rollback last, as
        it says where to.
        """
        champion = self._alias(CHAMPION)
        if champion == version.number:
            return self.get(version.number, "is the champion already")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"actor": actor, "at": now, "reason": reason[:500]}
        aliases = {CHAMPION: version.number}
        if champion is not None:
            aliases = {CHAMPION: version.number, PREVIOUS: champion} if rollback else {PREVIOUS: champion, **aliases}
            self._tag(champion, "replaced", {**record, "with": version.number})
            if rollback:
                self._tag(champion, "rolled_back", {**record, "to": version.number})
        if not rollback and version.rolled_back is not None:
            self._client.delete_model_version_tag(self.model, str(version.number), "rolled_back")
        self._tag(version.number, "promoted", {**record, "over": champion} | ({"rollback": True} if rollback else {}))
        for alias, number in aliases.items():
            self._client.set_registered_model_alias(self.model, alias, str(number))
        return self.get(version.number, reason)

    def _tag(self, number: int, key: str, value: Mapping[str, Any]) -> None:
        self._client.set_model_version_tag(self.model, str(number), key, json.dumps(value, sort_keys=True))

    def _by_digest(self, digest: str) -> int | None:
        versions = self._client.search_model_versions(f"name = '{self.model}'")
        return min((int(one.version) for one in versions if one.tags.get("bundle_digest") == digest), default=None)

    def _alias(self, alias: str) -> int | None:
        models = self._client.search_registered_models(f"name = '{self.model}'")
        number = models[0].aliases.get(alias) if models else None
        return None if number is None else int(number)

    def _resolve(self, version: str | int) -> int:
        numbers = sorted(int(item.version) for item in self._client.search_model_versions(f"name = '{self.model}'"))
        number = int(version) if str(version).isdigit() else self._alias(str(version))
        if number is None or number not in numbers:
            there = ", ".join(map(str, numbers)) or "none yet: run `crossmix run` first"
            raise NoVersionError(f"{self.model}: no version or alias {version!r}; registered versions: {there}")
        return number
