"""Catalogue and predictor as files: arrays of numbers and text alone (npz), which nobody has to unpickle."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from crossmix.creators.catalogue import Catalogue
from crossmix.creators.effect import Predictor
from crossmix.schema import DataError

CATALOGUE, PREDICTOR = "catalogue.npz", "predictor.npz"


def save_catalogue(catalogue: Catalogue, folder: Path) -> Path:
    """Write catalogue.npz; its path."""
    return _save(folder / CATALOGUE, catalogue)


def load_catalogue(folder: Path) -> Catalogue:
    """Read catalogue.npz; raises `DataError`."""
    values = _load(folder / CATALOGUE)
    values |= {name: tuple(map(str, values[name])) for name in ("ids", "channels", "contents", "categories")}
    values |= {"currency": str(values["currency"]) or None, "generated": bool(values["generated"])}
    return Catalogue(**values)


def save_predictor(predictor: Predictor, folder: Path) -> Path:
    """Write predictor.npz; its path."""
    return _save(folder / PREDICTOR, predictor)


def load_predictor(folder: Path) -> Predictor:
    """Read predictor.npz; raises `DataError`."""
    values = _load(folder / PREDICTOR)
    values |= {name: tuple(map(str, values[name])) for name in ("channels", "contents")}
    values |= {name: float(values[name]) for name in ("tau", "sigma", "floor")}
    return Predictor(**values | {"results": int(values["results"])})


def digest(catalogue: Catalogue) -> str:
    """SHA-256 of a catalogue's content, however it was written."""
    total = hashlib.sha256()
    for item in fields(catalogue):
        value = getattr(catalogue, item.name)
        content = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
        total.update(f"{item.name} {len(content)} ".encode() + content)
    return total.hexdigest()


def _save(file: Path, thing: Any) -> Path:
    values = {item.name: getattr(thing, item.name) for item in fields(thing)}
    arrays: dict[str, Any] = {
        name: np.array("" if value is None else value) if not isinstance(value, tuple) else np.array(value, dtype=str)
        for name, value in values.items()
    }
    with file.open("wb") as out:
        np.savez(out, **arrays)
    return file


def _load(file: Path) -> dict[str, Any]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(f"{file}: missing; `crossmix run` writes it") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read ({error}); write it anew with `crossmix run`") from None
