"""PyMC-Marketing's default media mix model on a table of channels: `_field_pymc.py CHANNELS.csv CURVES.json MOST`.

A process of its own, with an interpreter that has `pymc-marketing`, which need not be the project's. The table has
`date`, a column of spend per channel and `revenue`. Written are the steady-state revenue curves of the fit's mean,
from no spend to MOST: {"spend": [...], "revenue": {channel: [...]}}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from pymc_marketing.mmm import GeometricAdstock, LogisticSaturation
from pymc_marketing.mmm.multidimensional import MMM

POINTS = 241
SEED = 0


def main(source: Path, out: Path, most: float) -> None:
    table = pd.read_csv(source, parse_dates=["date"])
    channels = [name for name in table if name not in ("date", "revenue")]
    model = MMM(
        date_column="date",
        channel_columns=channels,
        target_column="revenue",
        adstock=GeometricAdstock(l_max=8),
        saturation=LogisticSaturation(),
    )
    model.fit(
        X=table[["date", *channels]],
        y=table["revenue"],
        chains=2,
        draws=500,
        tune=500,
        cores=1,
        random_seed=SEED,
        progressbar=False,
    )
    scale = float(table["revenue"].abs().max())
    spend = np.linspace(0, 1, POINTS) ** 2 * most
    posterior = model.idata.posterior.stack(sample=("chain", "draw"))
    curves = {}
    for name in channels:
        # Steady spend: the normalised adstock leaves it as it is.
        x = (spend / float(table[name].abs().max()))[:, None]
        lam = posterior["saturation_lam"].sel(channel=name).to_numpy()
        beta = posterior["saturation_beta"].sel(channel=name).to_numpy()
        part = np.exp(-lam * x)
        curves[name] = (scale * (beta * (1 - part) / (1 + part)).mean(1)).tolist()
    out.write_text(json.dumps({"spend": spend.tolist(), "revenue": curves}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
