"""Simulated fields by number, made when needed: unlimited training data."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.labels import RGZ_CLASSES
from claran.simulation.infrared_sky import picture
from claran.simulation.observation import (
    FIRST,
    FIRST_NATIVE,
    FIRST_WIDE,
    SimulatedSurvey,
)
from claran.simulation.populations import BALANCED, CATALOG, Population
from claran.simulation.simulated_field import simulate
from claran.sky.images import SkyImage

__all__ = ["SIMULATED", "SimulatedFields"]

SIMULATED: dict[str, dict[str, Any]] = {
    "simulated": {"population": CATALOG},
    "simulated/balanced": {"population": BALANCED},
    # Most cutouts of FIRST have its own pixels; Radio Galaxy Zoo's are resampled. Every
    # second field is wide, with distant neighbors that are not to be joined.
    "simulated/first": {
        "population": BALANCED,
        "surveys": (FIRST_WIDE, FIRST_NATIVE, FIRST_WIDE, FIRST),
    },
}  # fmt: skip
"""Arguments of `SimulatedFields` by the name for `--data`."""


class SimulatedFields:
    """Any number of simulated fields, which are not kept in memory or on disk.

    Field `i` of a seed is the same on every machine with the same version of NumPy.
    Fields of different seeds are independent.

    Args:
        count: Number of fields.
        seed: Seed of all fields.
        population: See `claran.simulation.populations`.
        surveys: Field `i` is of survey `i` modulo their number; see
            `claran.simulation.observation`.
    """

    def __init__(
        self,
        count: int,
        *,
        seed: int = 0,
        population: Population = CATALOG,
        surveys: Sequence[SimulatedSurvey] = (FIRST,),
    ) -> None:
        self.class_names = RGZ_CLASSES
        self.has_radio = True
        self.endless = True  # No field occurs twice.
        self.count = count
        self.seed = seed
        self.population = population
        self.surveys = tuple(surveys)

    def __repr__(self) -> str:
        return f"<SimulatedFields: {self.count} fields of seed {self.seed}>"

    @property
    def fingerprint(self) -> str:
        """Hash of the arguments; not of the simulator's code."""
        about = [self.count, self.seed, repr(self.population), repr(self.surveys)]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Field:
        if not 0 <= index < self.count:
            raise IndexError(f"`index` must be in [0, {self.count}), got {index}.")
        survey = self.surveys[index % len(self.surveys)]
        made = simulate(
            np.random.default_rng([self.seed, index]),
            population=self.population,
            survey=survey,
        )
        codes = {code: label for label, code in enumerate(self.class_names, start=1)}
        boxes = np.array([source.box for source in made.sources], np.float32)
        labels = [codes.get(source.code, 0) for source in made.sources]
        name = f"SIM{self.seed:04d}_{index:09d}"
        return Field(
            name,
            image=SkyImage(
                values=made.radio,
                pixel_arcsec=survey.pixel_arcsec,
                name=name,
                unit="Jy/beam",
                beam=survey.beam,
            ),
            picture=np.ascontiguousarray(picture(made.infrared)[::-1]),
            objects=Objects(
                boxes=boxes.reshape(-1, 4),
                labels=np.array(labels, np.int32),
                ignored=np.array([source.ignore for source in made.sources], bool),
            ),
            noise=made.sigma,
        )
