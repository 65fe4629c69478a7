"""Simulated fields of `claran.simulation` as examples of the data set."""

import functools
from typing import Any

import numpy as np
from tensorflow_datasets.core.utils.lazy_imports_utils import apache_beam as beam

from claran.labels import RGZ_CLASSES
from claran.simulation.infrared_sky import picture
from claran.simulation.observation import SimulatedSurvey
from claran.simulation.populations import BALANCED, CATALOG
from claran.simulation.simulated_field import Field, field_wcs, simulate

from .examples import to_png

__all__ = ["as_beam", "make_example", "split_sizes"]

SEED = 20181026  # A new seed makes a new data set and needs a new version.
SPLITS = ("train", "validation", "test")
_RA, _DEC = "{right ascension}", "{declination}"  # Placeholders in a header.


def split_sizes(fields: int) -> dict[str, int]:
    """Returns the number of fields in each split, given that of train.

    >>> split_sizes(1000)
    {'train': 1000, 'validation': 100, 'test': 100}
    """
    rest = max(16, fields // 10)
    return {"train": fields, "validation": rest, "test": rest}


def make_example(place: tuple[str, int]) -> tuple[str, dict[str, Any]]:
    """Returns name and example of one field. The same place gives the same field.

    Train has equal classes and many hard negatives. Validation and test have the class
    mix of the RGZ catalog.

    Args:
        place: Split and number of the field.
    """
    split, number = place
    rng = np.random.default_rng([SEED, SPLITS.index(split), number])
    population = BALANCED if split == "train" else CATALOG
    field = simulate(rng, population=population)
    name = f"SIM-{split}-{number:07d}"
    survey = field.survey
    beam = survey.beam_major_arcsec, survey.beam_minor_arcsec, survey.beam_angle_deg
    return name, {
        "name": name,
        "radio": np.ascontiguousarray(field.radio, np.float32),
        # In the array y runs up, in a picture down.
        "infrared": to_png(picture(field.infrared)[::-1]),
        "has_infrared": True,
        "noise": np.float32(field.sigma),
        "beam": np.array(beam, np.float32),
        "pixel_arcsec": np.float32(survey.pixel_arcsec),
        "wcs": _header(field),
        "objects": _objects(field),
    }


def _header(field: Field) -> str:
    """Returns the FITS header cards of a field's WCS, one per line."""
    ra, dec = (f"{value:.10f}" for value in field.center)
    return _header_template(field.survey).replace(_RA, ra).replace(_DEC, dec)


@functools.lru_cache(maxsize=8)
def _header_template(survey: SimulatedSurvey) -> str:
    """Returns the cards for fields of a survey, with placeholders for the center.

    Astropy takes 0.3 ms to make them, a tenth of the time for the field.
    """
    header = field_wcs(survey, (1.0, 2.0)).to_header(relax=True)
    names = {"CRVAL1": _RA, "CRVAL2": _DEC, "LATPOLE": _DEC}
    lines = header.tostring(sep="\n", padding=False).split("\n")
    return "\n".join(
        f"{line[:8]}= {names[key]:>20}" if (key := line[:8].strip()) in names else line
        for line in lines
    )


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
