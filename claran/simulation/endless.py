"""Simulated fields by number, made when needed: unlimited training data."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from claran.fields.field import Field
from claran.fields.objects import Objects
from claran.labels import RGZ_CLASSES
from claran.simulation.infrared_sky import picture
from claran.simulation.observation import (
    FIRST,
    FIRST_NATIVE,
    FIRST_WIDE,
    SIMULATED_SURVEYS,
    SimulatedSurvey,
)
from claran.simulation.populations import BALANCED, CATALOG, SURVEYS, Population
from claran.simulation.rgz_labels import LabeledSource
from claran.simulation.simulated_field import simulate
from claran.sky.images import SkyImage

__all__ = ["SIMULATED", "SimulatedFields"]

INFRARED_BEAM = 10.0  # Arcsec; in fields of wider beams W1 shows a crowd.


def _seen(
    name: str, *, pixels: float, beams: float, ratio: float = 1.0, angle: float = 0.0
) -> SimulatedSurvey:
    """Returns a survey with other pixels, fields and beams of the same area.

    Args:
        name: One of `SIMULATED_SURVEYS`.
        pixels: Pixels in a beam.
        beams: Side of a field, beams.
        ratio: Major over minor axis of the beam.
        angle: Position angle of the beam, degrees.
    """
    survey = SIMULATED_SURVEYS[name]
    beam = survey.beam_arcsec
    return dataclasses.replace(
        survey, size=round(beams * pixels), pixel_arcsec=beam / pixels,
        beam_major_arcsec=beam * ratio**0.5, beam_minor_arcsec=beam / ratio**0.5,
        beam_angle_deg=angle, edges=0.06,
    )  # fmt: skip


_FIELD, _WIDE = 100 / 3, 128 / 3  # Beams; the wider one fills a network's input.
# Of 19, five are FIRST, and eight the crowded EMU and MeerKAT, of which most is to be
# learned. The number is odd, so that each is made of both populations. Pixels matter
# little, as fields are scaled to one beam.
_TRAINING = (
    FIRST_WIDE,
    _seen("emu", pixels=3.0, beams=_WIDE),
    _seen("vlass", pixels=2.5, beams=_WIDE),
    FIRST_NATIVE,
    _seen("lotss", pixels=3.0, beams=_WIDE),
    _seen("meerkat", pixels=3.5, beams=_FIELD, ratio=1.2, angle=0.0),
    FIRST_WIDE,
    _seen("racs", pixels=3.0, beams=_WIDE),
    _seen("vlass", pixels=3.0, beams=_WIDE, ratio=1.6, angle=60.0),
    FIRST,
    _seen("meerkat", pixels=4.0, beams=_FIELD),
    _seen("lotss", pixels=4.0, beams=_FIELD),
    _seen("sdc1", pixels=2.5, beams=_WIDE),
    FIRST_WIDE,
    _seen("emu", pixels=3.5, beams=_FIELD, ratio=1.3, angle=-35.0),
    _seen("meerkat", pixels=3.0, beams=_WIDE),
    _seen("emu", pixels=4.0, beams=_FIELD),
    _seen("meerkat", pixels=2.5, beams=_WIDE),
    _seen("meerkat", pixels=4.0, beams=_FIELD, ratio=1.1, angle=45.0),
)
# Sizes and peaks are those of Radio Galaxy Zoo's catalog, in units of beam and noise.
# Sources of two outlines in EMU (RadioGalaxyNET) are 4 to 12 beams long (5 to 95%).
# Chance pairs are those of the counts alone: hardly any in VLASS, dozens in a field of
# MeerKAT.
_OF_A_SURVEY = dataclasses.replace(
    SURVEYS, sizes=CATALOG.sizes, brightness=CATALOG.brightness, crowding=(1.0, 1.0),
    chance_pairs=0.0, bright=0.03, bright_mains=0.0, diffuse=0.02, giants=0.05,
)  # fmt: skip

SIMULATED: dict[str, dict[str, Any]] = {
    "simulated": {"population": CATALOG},
    "simulated/balanced": {"population": BALANCED},
    # Most cutouts of FIRST have its own pixels; Radio Galaxy Zoo's are resampled. Every
    # second field is wide, with distant neighbors that are not to be joined.
    "simulated/first": {
        "population": BALANCED,
        "surveys": (FIRST_WIDE, FIRST_NATIVE, FIRST_WIDE, FIRST),
    },
    # Every second field is like the sky. With hard cases alone a network learns that
    # faint islands are pairs more often than they are.
    "simulated/surveys": {
        "population": SURVEYS, "second": _OF_A_SURVEY, "surveys": _TRAINING,
    },
} | {
    # In its own pixels, with as many neighbors as its counts give.
    f"simulated/{name}": {"population": _OF_A_SURVEY, "surveys": (survey,)}
    for name, survey in SIMULATED_SURVEYS.items() if name != "first"
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
        second: Population of every second field; None for the same.
        surveys: Field `i` is of survey `i` modulo their number; see
            `claran.simulation.observation`.
    """

    def __init__(
        self,
        count: int,
        *,
        seed: int = 0,
        population: Population = CATALOG,
        second: Population | None = None,
        surveys: Sequence[SimulatedSurvey] = (FIRST,),
    ) -> None:
        self.class_names = RGZ_CLASSES
        self.has_radio = True
        self.endless = True  # No field occurs twice.
        self.count = count
        self.seed = seed
        self.populations = (population, second or population)
        self.surveys = tuple(surveys)

    def __repr__(self) -> str:
        return f"<SimulatedFields: {self.count} fields of seed {self.seed}>"

    @property
    def fingerprint(self) -> str:
        """Hash of the arguments; not of the simulator's code."""
        about = [self.count, self.seed, repr(self.populations), repr(self.surveys)]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Field:
        if not 0 <= index < self.count:
            raise IndexError(f"`index` must be in [0, {self.count}), got {index}.")
        survey = self.surveys[index % len(self.surveys)]
        made = simulate(
            np.random.default_rng([self.seed, index]),
            population=self.populations[index % 2],
            survey=survey,
            infrared=survey.beam_arcsec <= INFRARED_BEAM,
        )
        codes = {code: label for label, code in enumerate(self.class_names, start=1)}
        boxes = np.array([source.box for source in made.sources], np.float32)
        labels = [codes.get(source.code, 0) for source in made.sources]
        positions, owners = _components(made.sources)
        name = f"SIM{self.seed:04d}_{index:09d}"
        sky = made.infrared
        return Field(
            name,
            image=SkyImage(
                values=made.radio,
                pixel_arcsec=survey.pixel_arcsec,
                name=name,
                unit="Jy/beam",
                beam=survey.beam,
            ),
            picture=np.ascontiguousarray(picture(sky)[::-1]) if sky.size else None,
            objects=Objects(
                boxes=boxes.reshape(-1, 4),
                labels=np.array(labels, np.int32),
                ignored=np.array([source.ignore for source in made.sources], bool),
                component_positions=positions,
                component_objects=owners,
            ),
            noise=made.sigma,
        )


def _components(
    sources: Sequence[LabeledSource],
) -> tuple[Float32[np.ndarray, "m 2"], Int32[np.ndarray, "m"]]:
    """Returns positions of all components, and the source of each; see `Objects`."""
    points = [source.component_positions for source in sources]
    numbers = np.arange(len(sources), dtype=np.int32)
    owners = np.repeat(numbers, [len(one) for one in points])
    return np.concatenate([np.zeros((0, 2), np.float32), *points]), owners
