"""A step as Kubeflow starts it: the executor's own command out of the compiled pipeline, as the image's user."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

USER = "10001"
NEEDED = ("unshare", "setpriv")
"""Programs of util-linux; they need root."""


def without_rights(user: str) -> list[str]:
    """Begins a command that root runs as `user`, without a capability: a file that it may not write, it cannot."""
    none = [f"--{which}-caps=-all" for which in ("inh", "ambient")] + ["--bounding-set=-all"]
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs", *none]


def user_for(program: Path) -> str:
    """The image's user; root where a program lies in a folder that nobody else may enter."""
    seen = [*without_rights(USER), "test", "-x", str(program.resolve())]
    return USER if subprocess.run(seen, capture_output=True, check=False).returncode == 0 else "0"


def executor_input(
    component: Mapping[str, Any], parameters: Mapping[str, str], inputs: Mapping[str, Path], out: Path
) -> str:
    """What Kubeflow's launcher puts in place of `{{$}}`: parameters, and a path per artifact.

    A parameter that is not given has its default, or else is an empty text.
    """
    asked = component["inputDefinitions"].get("parameters", {})
    values = {name: parameters.get(name, one.get("defaultValue", "")) for name, one in asked.items()}

    def artifacts(paths: Mapping[str, Path], kinds: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: {"artifacts": [{"name": name, "type": kinds[name]["artifactType"], "uri": str(path), "metadata": {}}]}
            for name, path in paths.items()
        }

    made = component.get("outputDefinitions", {}).get("artifacts", {})
    taken = component["inputDefinitions"].get("artifacts", {})
    outputs = {"outputFile": str(out / "executor_output.json")}
    return json.dumps(
        {
            "inputs": {"parameterValues": values, "artifacts": artifacts(inputs, taken)},
            "outputs": outputs | {"artifacts": artifacts({name: out / name for name in made}, made)},
        }
    )


def start(
    pipeline: Path,
    step: str,
    folder: Path,
    programs: Path,
    *,
    parameters: Mapping[str, str],
    inputs: Mapping[str, Path],
    environment: Mapping[str, str],
) -> subprocess.CompletedProcess[str]:
    """Run a step of a compiled pipeline to its end: no network, a read-only home, nothing but `folder` to write.

    Args:
        folder: empty; `out/<artifact>` is what the step wrote, `home` its home.
        programs: folder with its `python3`.
        environment: beside PATH, HOME, TMPDIR and the pipeline's own.
    """
    spec = yaml.safe_load(pipeline.read_text().split("\n---\n")[0])
    container = spec["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
    user = user_for(programs / "python3")
    out, home, scratch = folder / "out", folder / "home", folder / "tmp"
    for made in (out, home, scratch):
        made.mkdir(parents=True)
    home.chmod(0o555)
    for path in (out, scratch):
        os.chown(path, int(user), int(user))
    told = executor_input(spec["components"][f"comp-{step}"], parameters, inputs, out)
    command = (
        ["unshare", "--net", *without_rights(user)]
        + container["command"]
        + [part.replace("{{$}}", told) for part in container["args"]]
    )
    own = {one["name"]: one.get("value", "") for one in container.get("env", [])}
    places = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, env=own | places | dict(environment), cwd="/", capture_output=True, text=True, check=False
    )
