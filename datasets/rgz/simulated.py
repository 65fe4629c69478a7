"""Simulated fields of `claran.simulation` as examples of the data set."""

from typing import Any

import numpy as np
from tensorflow_datasets.core.utils.lazy_imports_utils import apache_beam as beam

from claran.data.fits import SkyImage
from claran.labels import RGZ_CLASSES
from claran.simulation.field import Field, simulate
from claran.simulation.infrared import picture
from claran.simulation.populations import BALANCED, CATALOGUE

from .examples import radio_example

__all__ = ["as_beam", "make_example", "split_sizes"]

SEED = 20181026  # Another one makes another data set: raise the version with it.
SPLITS = ("train", "validation", "test")


def split_sizes(fields: int) -> dict[str, int]:
    """Returns the number of fields of each split, from that of train.

    >>> split_sizes(1000)
    {'train': 1000, 'validation': 100, 'test': 100}
    """
    rest = max(16, fields // 10)
    return {"train": fields, "validation": rest, "test": rest}


def make_example(place: tuple[str, int]) -> tuple[str, dict[str, Any]]:
    """Returns name and example of one field; the same place gives the same field.

    Train has equal classes and many hard negatives, validation and test have the
    catalogue's mix.

    Args:
        place: Split and number of the field.
    """
    split, number = place
    rng = np.random.default_rng([SEED, SPLITS.index(split), number])
    population = BALANCED if split == "train" else CATALOGUE
    field = simulate(rng, population=population)
    name = f"SIM-{split}-{number:07d}"
    survey = field.survey
    radio = SkyImage(
        values=field.radio.astype(np.float32),
        wcs=field.wcs,
        name=name,
        unit="Jy/beam",
        beam=(
            survey.beam_major_arcsec,
            survey.beam_minor_arcsec,
            survey.beam_angle_deg,
        ),
    )
    # The array is y up, a picture is y down.
    example = radio_example(name, radio, picture(field.infrared)[::-1])
    return name, example | {"objects": _objects(field)}


def _objects(field: Field) -> dict[str, Any]:
    sources = field.sources
    places = [source.component_positions for source in sources]
    owners = np.repeat(np.arange(len(places)), [len(place) for place in places])
    codes = [source.code for source in sources]
    counts = [[int(part) for part in code.split("_")] for code in codes]
    components, peaks = np.array(counts, np.int32).reshape(-1, 2).T
    return {
        "boxes": _stack([source.box for source in sources], 4),
        "labels": [
            RGZ_CLASSES.index(code) if code in RGZ_CLASSES else -1 for code in codes
        ],
        "consensus": np.array([s.consensus for s in sources], np.float32),
        "components": np.ascontiguousarray(components),
        "peaks": np.ascontiguousarray(peaks),
        "ignore": np.array([source.ignore for source in sources], np.bool_),
        "host": _stack([source.host for source in sources], 2),
        "component_positions": np.concatenate([np.empty((0, 2)), *places]).astype(
            np.float32
        ),
        "component_objects": owners.astype(np.int32),
    }


def _stack(rows: list[np.ndarray], width: int) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, width)


def as_beam(split: str, count: int) -> Any:
    """Returns an Apache Beam transform that makes the fields of a split."""
    return (
        beam.Create([(split, number) for number in range(count)])
        | beam.Reshuffle()
        | beam.Map(make_example)
    )
