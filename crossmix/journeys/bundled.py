"""The bundle of kind `journey`: all that answering for users needs.

    config.json       the config behind it (`config.carried`)
    layout.json       features of a step, their digest, steps of a window
    prices.json       per campaign: costs, worths, lambda (`answer.Prices`)
    response.onnx     steps to probabilities with intervals: scaler, encoder, heads, calibration
    probe.npz         journeys whose answers the manifest knows
    manifest.json     as of every kind (`crossmix.bundle`)

Loading and answering need no torch.

Shapes: U users, B of a pass, T steps, F features, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmix import bundle as bundles
from crossmix.bundle import BundleError
from crossmix.bundle import manifest as manifests
from crossmix.bundle.session import open_session
from crossmix.config import Config, from_carried
from crossmix.journeys.answer import OUTPUTS, Answer, Prices
from crossmix.journeys.layout import Layout
from crossmix.journeys.log import NEVER, Events, Ints
from crossmix.journeys.windows import tail
from crossmix.schema import DataError

if TYPE_CHECKING:
    from crossmix.journeys.response import Response

Singles = NDArray[np.float32]
PASS = 1_024
"""Users answered at a time."""
PROBED = 8
TOLERANCE = 1e-3
"""Of a probability; processors order their sums differently."""


class JourneyBundle:
    """A verified bundle; `answer` answers for users."""

    def __init__(
        self,
        folder: Path,
        manifest: Mapping[str, Any],
        config: Config,
        layout: Layout,
        window: int,
        prices: Mapping[str, Prices],
    ) -> None:
        self.path, self.manifest, self.config = folder, manifest, config
        self.layout, self.window, self.prices = layout, window, dict(prices)
        self.session = open_session(folder / "response.onnx")

    @property
    def digest(self) -> str:
        """SHA-256 that names what is served."""
        return str(self.manifest["digest"])

    @property
    def channels(self) -> tuple[str, ...]:
        """In the order of every answer's columns."""
        return self.layout.channels

    def answer(self, events: Events) -> Answer:
        """Of every user of the events, as after the last of its exposures; without any: the prior.

        Users whose steps are the same get the same answer to the last digit: the network is asked once for them, as it
        sums the rows of a pass in different orders.

        Raises:
            JourneyError: the events have other channels.
        """
        step_UTF, real_UT = steps(events, self.layout, self.window)
        first_K, like_U = distinct(step_UTF, real_UT)
        said = self.run(step_UTF[first_K], real_UT[first_K])
        return Answer(*(getattr(said, name)[like_U] for name in Answer.__slots__))

    def run(self, step_UTF: Singles, real_UT: Singles) -> Answer:
        """The same of steps as tensors: features as the layout has them, and 1 where there is a step; padding last."""
        parts = [
            self.session.run(
                list(OUTPUTS),
                {
                    "step": np.ascontiguousarray(step_UTF[first : first + PASS], np.float32),
                    "real": np.ascontiguousarray(real_UT[first : first + PASS], np.float32),
                },
            )
            for first in range(0, max(len(step_UTF), 1), PASS)
        ]
        return Answer(*(np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True)))


def steps(events: Events, layout: Layout, window: int) -> tuple[Singles, Singles]:
    """Each user's last steps, (U, T, F), and which are real, (U, T)."""
    windows, users = tail(events, window), len(events.users)
    step_UTF, real_UT = np.zeros((users, window, layout.size), np.float32), np.zeros((users, window), np.float32)
    if len(events):
        padded_RF = np.concatenate([layout.features(events), np.zeros((1, layout.size), np.float32)])
        user = np.unique(events.user_R)
        step_UTF[user], real_UT[user] = padded_RF[windows.row_NT], windows.real_NT
    return step_UTF, real_UT


def distinct(step_UTF: Singles, real_UT: Singles) -> tuple[Ints, Ints]:
    """The first user of each kind, (K,), and of every user the place of its kind in that, (U,)."""
    place: dict[tuple[bytes, bytes], int] = {}
    rows = zip(step_UTF, real_UT, strict=True)
    like = [place.setdefault((step.tobytes(), real.tobytes()), len(place)) for step, real in rows]
    like_U = np.array(like, np.int64)
    return np.unique(like_U, return_index=True)[1], like_U


def probe(channels: tuple[str, ...]) -> Events:
    """Fixed journeys: of none, one, two, four, ... steps, channels and clicks by turns."""
    count_U = np.array([0, 1, 2, 4, 8, 16, 32, 64])[:PROBED]
    user_R = np.repeat(np.arange(PROBED), count_U)
    place_R = np.arange(len(user_R))
    converted_R = place_R % 11 == 0
    seconds_R = 977.0 * place_R.astype(np.float64)
    return Events(
        channels=channels,
        users=tuple(f"probe {number}" for number in range(PROBED)),
        user_R=user_R,
        channel_R=(place_R * 7 + user_R) % len(channels),
        clicked_R=(place_R % 5 == 0) | converted_R,
        cost_R=1.0 + np.cos(place_R) ** 2,
        seconds_R=seconds_R,
        converted_R=converted_R,
        known_R=np.where(converted_R, seconds_R, NEVER),
        revenue_R=converted_R.astype(float),
        row_R=place_R,
    )


def save(
    folder: Path,
    response: Response,
    *,
    config: Config,
    prices: Mapping[str, Prices],
    data_digest: str,
    gates: Sequence[Mapping[str, Any]] = (),
    lineage: Mapping[str, Any] | None = None,
) -> JourneyBundle:
    """Write a bundle into `folder` (created if absent, an old bundle there replaced) and load it back.

    Args:
        prices: per campaign.
        data_digest: `Meta.digest` of the log behind it.
        gates: the rows of gates.json; `crossmix.bundle.manifest.annotate` may add them later.
        lineage: where it comes from; must not name this machine.

    Raises:
        BundleError: the folder holds other files, no campaign is given, or the export is not the model.
    """
    from crossmix.journeys.export import export

    if not prices:
        raise BundleError("prices.json: no campaign; give at least one")
    bundles.emptied(folder)
    layout = response.layout
    manifests.write(
        folder / "layout.json", {"layout": layout.to_dict(), "digest": layout.digest, "window": response.window}
    )
    manifests.write(folder / "prices.json", {name: one.to_dict() for name, one in prices.items()})
    step_UTF, real_UT = steps(probe(layout.channels), layout, response.window)
    np.savez(folder / "probe.npz", step=step_UTF, real=real_UT)
    said = export(response, folder / "response.onnx", step_UTF, real_UT)
    bundles.close(
        folder,
        bundles.JOURNEY,
        config=config,
        data_digest=data_digest,
        probe={name: one.tolist() for name, one in said.items()} | {"tolerance": TOLERANCE},
        gates=gates,
        lineage=lineage,
        more={"layout_digest": layout.digest},
    )
    return load(folder)


def load(folder: Path) -> JourneyBundle:
    """Read and verify: seal, format, kind, every file's digest, the layout's, and the answers to the probe.

    Raises:
        BundleError: something is missing, changed, of another kind or of another version.
    """
    manifest = bundles.verified(folder, bundles.JOURNEY)
    config = from_carried((folder / "config.json").read_text())
    told = manifests.read(folder / "layout.json")
    try:
        layout = Layout.from_dict(told["layout"])
        prices = {name: Prices.from_dict(one) for name, one in manifests.read(folder / "prices.json").items()}
    except (DataError, KeyError, TypeError) as error:
        raise BundleError(f"{folder}: {error}; save the bundle again") from None
    if not layout.digest == told["digest"] == manifest["layout_digest"]:
        raise BundleError(f"{folder / 'layout.json'}: this version lays steps out otherwise; save the bundle again")
    made = JourneyBundle(folder, manifest, config, layout, int(told["window"]), prices)
    with np.load(folder / "probe.npz", allow_pickle=False) as stored:
        got = made.run(stored["step"], stored["real"])
    remedy = "this onnxruntime does not run the model as it was saved: install the version in constraints.txt"
    answers = {name: getattr(got, f"{name}_UC") for name in OUTPUTS}
    bundles.check_answer(folder / "response.onnx", answers, manifest["probe"], remedy)
    return made
