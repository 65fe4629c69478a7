"""Makes the simulated field in `claran/examples`: a triple source and a compact one."""

from pathlib import Path

import numpy as np
from absl import app, flags

from claran.simulation import morphology, source_drawing
from claran.simulation import radio_sky as radio
from claran.simulation import simulated_field as field
from claran.simulation import simulated_files as files
from claran.simulation.observation import FIRST

_OUTPUT = flags.DEFINE_string("output", "claran/examples", "Folder to write into.")
_SEED = flags.DEFINE_integer("seed", 5, "Seed of the random numbers.")


def make_example(seed: int) -> field.Field:
    """Returns a 70" FR II with a core, its host, and an unrelated compact source."""
    rng = np.random.default_rng(seed)
    shape = morphology.Shape(
        arms=(33.0, 37.0), angle=0.6, bend=0.12, twist=0.1, core=0.1, balance=0.55,
        hot_spot=0.35, fills=(0.22, 0.22), width=3.2,
    )  # fmt: skip
    triple = source_drawing.Source(
        "triple", morphology.build(rng, shape), np.array([0.2, -0.1, 14.6])
    )
    compact = source_drawing.Source(
        "compact",
        morphology.build(rng, morphology.Shape(core_size=0.8)),
        np.array([0.1, 0.2, 15.4]),
    )
    for source, peak in ((triple, 0.021), (compact, 0.012)):
        source.blobs[:, 2] *= peak / radio.peak_brightness(source.blobs, FIRST)
    sources = [triple.moved(4, -6), compact.moved(-52, 44)]
    return field.observe(rng, sources, sigma=1.6e-4, survey=FIRST)


def main(argv: list[str]) -> None:
    """Writes the field, and prints its table."""
    del argv
    example = make_example(_SEED.value)
    folder = Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    files.write_field(example, folder, "simulated")
    for row in files.rows(example, "simulated"):
        print(row)  # noqa: T201 - a script talks to its user


if __name__ == "__main__":
    app.run(main)
