"""Measures the negative tail of the noise in simulated and in real images.

    python scripts/measure_noise_tails.py --data=simulated --num=3000
    python scripts/measure_noise_tails.py images/*.fits

Its depth is 3 in Gaussian noise, see `claran.sky.domain`. Printed are quantiles, and
of how many images users are told that their noise is not Gaussian.
"""

import numpy as np
from absl import app, flags

import claran
from claran.fields.field import Field
from claran.simulation.endless import SIMULATED, SimulatedFields
from claran.sky.domain import (
    count_depths,
    has_gaussian_noise,
    sampled,
    tail_depth,
)

flags.DEFINE_enum("data", "simulated", list(SIMULATED), "Simulated fields.")
flags.DEFINE_integer("num", 1000, "Number of simulated fields.", lower_bound=1)
flags.DEFINE_integer("seed", 501, "Their seed.")
FLAGS = flags.FLAGS

SHARES = (0, 0.1, 1, 50, 99, 99.9, 100)  # Percent.


def main(arguments: list[str]) -> None:
    """Prints the quantiles."""
    paths = arguments[1:]
    if paths:
        fields = (claran.read_field(path) for path in paths)
    else:
        source = SimulatedFields(FLAGS.num, seed=FLAGS.seed, **SIMULATED[FLAGS.data])
        # Without the noise that the simulator has measured.
        made = map(source.__getitem__, range(FLAGS.num))
        fields = (Field(one.name, image=one.image) for one in made)
    depths, told = [], []
    for field in fields:
        ratio = field.signal_to_noise
        depths.append(tail_depth(count_depths(sampled(ratio, ratio.shape))))
        told.append(not has_gaussian_noise(ratio, field.beam_pixels))
        if told[-1]:
            print(f"not Gaussian: {field.name}, {depths[-1]:.2f}")  # noqa: T201
    quantiles = " ".join(f"{depth:.2f}" for depth in np.percentile(depths, SHARES))
    print(f"depth of the tail at {SHARES} percent: {quantiles}")  # noqa: T201
    print(f"not Gaussian: {sum(told)} of {len(told)}")  # noqa: T201


if __name__ == "__main__":
    app.run(main)
