"""Makes a simulated mosaic of any size, with the truth about its sources.

  python scripts/make_mosaic.py --output=M.fits --size=8192
  python scripts/make_mosaic.py --output=M.fits --width=40000 --height=3000 --seed=2
  python scripts/make_mosaic.py --output=empty.fits --size=6325 --kind=uneven
  python scripts/make_mosaic.py --output=edge.fits --blank=border,holes --center=0,89

The default is FIRST: 1.8" pixels, a beam of 5.4", Jy/beam, noise of 0.165 mJy/beam with
the spectrum of the VLA's baselines, residual sidelobes and bowls at bright sources, and
about 100 components above five sigma in a square degree: 8,192 x 8,192 pixels are 16.8
square degrees. Most sources are compact, as in a survey, not as in Radio Galaxy Zoo.

Beside M.fits come M_sources.ecsv, a row per true source (position, flux, class and
extent), and M_components.ecsv, a row per peak of the noise-free image, with the number
of its source. Positions are RA and Dec, and pixel edges (`wcs_x = x - 0.5`).

The same flags give the same files. A mosaic is written band by band: 40,000 x 40,000
pixels take 6.4 GB of disk, less than 1 GB of memory and two to four minutes.
"""

import math
from pathlib import Path

import numpy as np
from absl import app, flags
from tqdm import tqdm

from claran.simulation.mosaic_noise import TILE
from claran.simulation.mosaic_plan import BLANKS, KINDS, MosaicPlan
from claran.simulation.observation import SimulatedSurvey
from claran.simulation.simulated_mosaic import DTYPES, write_mosaic
from claran.sky.surveys import SURVEYS

flags.DEFINE_string("output", None, "FITS file to write.", required=True)
flags.DEFINE_integer("size", 8192, "Side of a square mosaic, pixels.", lower_bound=1)
flags.DEFINE_integer("width", None, "Columns, instead of --size.", lower_bound=1)
flags.DEFINE_integer("height", None, "Rows, instead of --size.", lower_bound=1)
flags.DEFINE_integer("seed", 1, "Seed of the random numbers.", lower_bound=0)
flags.DEFINE_enum("survey", "first", sorted(SURVEYS), "Beam, pixels, noise, frequency.")
flags.DEFINE_enum(
    "kind", "sky", KINDS,
    "sky: sources on noise; noise: no sources; uneven: no sources, and noise that "
    "rises toward the edges and has steps, strips and spots.",
)  # fmt: skip
flags.DEFINE_float("density", 1.0, "Factor on the number of sources.", lower_bound=0)
flags.DEFINE_enum("dtype", "float32", DTYPES, "Type of the pixels; int32 is scaled.")
flags.DEFINE_list(
    "blank", [],
    f"Pixels without data, some of {', '.join(BLANKS)}: a border of 1% to 4%, all "
    "outside an ellipse, and round holes, one a square degree.",
)  # fmt: skip
flags.DEFINE_list("center", ["180", "30"], "RA and Dec of the center, degrees.")
flags.DEFINE_bool("overwrite", False, "Whether to replace a mosaic that is there.")
FLAGS = flags.FLAGS


def main(_: list[str]) -> None:
    """Writes the mosaic and says what is in it."""
    path = Path(FLAGS.output)
    if path.suffix != ".fits":
        raise app.UsageError(f"--output must end with .fits, got {FLAGS.output}.")
    if path.exists() and not FLAGS.overwrite:
        raise app.UsageError(f"{path}: is there already; give --overwrite.")
    try:
        ra, dec = map(float, FLAGS.center)
        plan = MosaicPlan(
            shape=(FLAGS.height or FLAGS.size, FLAGS.width or FLAGS.size),
            seed=FLAGS.seed,
            kind=FLAGS.kind,
            survey=SimulatedSurvey.of(SURVEYS[FLAGS.survey]),
            center=(ra, dec),
            density=FLAGS.density,
            blank=tuple(FLAGS.blank),
        )
    except ValueError as error:
        raise app.UsageError(str(error)) from None
    bands = math.ceil(plan.shape[0] / TILE)
    sources, components = write_mosaic(
        plan,
        path,
        dtype=FLAGS.dtype,
        progress=lambda made: tqdm(made, total=bands, unit="band"),
    )
    seen = (np.asarray(components["snr"]) > 5).sum()
    print(  # noqa: T201 - a script talks to its user
        f"{path}: {plan.shape[1]} x {plan.shape[0]} pixels, {plan.deg2:.4g} deg2, "
        f"{len(sources)} sources, {len(components)} components, {seen} above 5 sigma"
    )


if __name__ == "__main__":
    app.run(main)
