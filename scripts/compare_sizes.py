"""Compares the sizes of simulated sources of EMU with those in real images of it.

The real ones are the outlines that RadioGalaxyNET's annotators drew around the emission
of each source; the simulated ones are its islands above five sigma. Both are the longer
side of the box around all of them, in beams. The script prints percentiles by the
number of outlines or islands.
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from absl import app, flags
from tqdm.auto import trange

from claran.simulation.endless import SIMULATED
from claran.simulation.simulated_field import simulate
from claran.sky.surveys import SURVEYS

_SHARED = flags.DEFINE_string("shared", "../shared/data", "Folder of the real data.")
_NUM = flags.DEFINE_integer("num", 600, "Number of simulated fields.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the random numbers.")

PIXEL = 2.0  # Arcsec of RadioGalaxyNET's pictures.
PERCENTS = 5, 25, 50, 75, 95

Sizes = dict[str, list[float]]


def main(_: list[str]) -> None:
    """Prints the table."""
    shown = " / ".join(f"{p}%" for p in PERCENTS)
    lines = [f"| longer side in beams, {shown} | real | simulated |", "|---|---|---|"]
    real = real_sizes(Path(_SHARED.value, "radiogalaxynet", "train.json"))
    simulated = simulated_sizes(_NUM.value, _SEED.value)
    for name in (of_several(2), of_several(3)):
        cells = [
            " / ".join(f"{size:.1f}" for size in np.percentile(sizes[name], PERCENTS))
            + f" ({len(sizes[name])})"
            for sizes in (real, simulated)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(lines))  # noqa: T201 - a script talks to its user


def real_sizes(path: Path) -> Sizes:
    """Returns the sizes of annotated sources of several outlines."""
    found = defaultdict(list)
    for one in json.loads(path.read_text("utf-8"))["annotations"]:
        pixels = max(one["bbox"][2:])
        size = pixels * PIXEL / SURVEYS["emu"].beam_arcsec
        found[of_several(len(one["segmentation"]))].append(size)
    return found


def simulated_sizes(count: int, seed: int) -> Sizes:
    """Returns the sizes of simulated sources of several islands."""
    kind = SIMULATED["simulated/emu"]
    (survey,) = kind["surveys"]
    scale = survey.pixel_arcsec / survey.beam_arcsec
    found = defaultdict(list)
    for number in trange(count, unit="field"):
        field = simulate(
            np.random.default_rng([seed, number]),
            population=kind["population"], survey=survey, infrared=False,
        )  # fmt: skip
        for source in field.sources:
            if not source.ignore:
                size = float(np.ptp(source.box.reshape(2, 2), axis=0).max())
                found[of_several(source.components)].append(size * scale)
    return found


def of_several(components: int) -> str:
    """Returns the row of a source."""
    return f"{components} components"


if __name__ == "__main__":
    app.run(main)
