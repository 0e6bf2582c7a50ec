"""`crossmix cluster images|manifests`: what the manifests (k8s/) need of a place, and the deploy step of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.readable import readable_errors

if TYPE_CHECKING:
    from crossmix.config.cluster import Images

cluster = typer.Typer(no_args_is_help=True, help="What the manifests in k8s/ need to know of a place.")
OURS = {"steps": "crossmix-steps", "train": "crossmix-train", "serve": "crossmix-serve", "spark": "crossmix-spark"}
"""Names that manifests have for our images; the others stand there under their field's."""
HEAD = """# Written by `crossmix cluster images {file}`.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
configurations: [kinds.yaml]
images:
"""


@cluster.command("images")
def images(
    file: Annotated[Path, typer.Argument(help="The place (k8s/cluster.toml is an example); table `images`.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; images/kustomization.yaml beside FILE if absent.")
    ] = None,
) -> None:
    """Write the images' digests where the overlays of k8s/ take them from; without it none builds."""
    with readable_errors():
        from crossmix import files
        from crossmix.config import ConfigError
        from crossmix.config.cluster import read_cluster

        given = read_cluster(file).images
        path = out or file.parent / "images" / "kustomization.yaml"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write(path, HEAD.format(file=file) + "".join(f"{line}\n" for line in lines(given)))
        except OSError as error:
            raise ConfigError(f"--out {path}: cannot be written ({error.strerror}); name a file in a folder") from None
        print(path)


@cluster.command("manifests")
def manifests(
    built: Annotated[Path, typer.Argument(help="A built overlay: what `kubectl kustomize` printed.")],
    out: Annotated[Path, typer.Option(help="Folder that gets NAME.yaml of each InferenceService.")] = Path("manifests"),
) -> None:
    """Write the InferenceServices of a built overlay apart, as the deploy step reads them."""
    with readable_errors():
        import yaml

        from crossmix import files
        from crossmix.config import ConfigError

        try:
            found = {
                one["metadata"]["name"]: one
                for one in yaml.safe_load_all(built.read_text())
                if one and one["kind"] == "InferenceService"
            }
        except OSError as error:
            raise ConfigError(f"{built}: cannot be read ({error.strerror}); name a built overlay") from None
        except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
            raise ConfigError(f"{built}: is no YAML of manifests; write it with `kubectl kustomize`") from None
        if not found:
            raise ConfigError(f"{built}: has no InferenceService; build an overlay of k8s/")
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name, document in sorted(found.items()):
                files.write(out / f"{name}.yaml", yaml.safe_dump(document, sort_keys=True))
                print(out / f"{name}.yaml")
        except OSError as error:
            raise ConfigError(f"--out {out}: cannot be written ({error.strerror}); name a folder") from None


def lines(given: Images) -> list[str]:
    """An entry of kustomize's `images` for every image that is named."""
    from dataclasses import asdict

    entries = []
    for field, image in asdict(given).items():
        if image is not None:
            name, _, digest = image.partition("@")
            entries.append(f'- {{name: {OURS.get(field, field)}, newName: "{name}", digest: "{digest}"}}')
    return entries
