"""What the tables of a survey say about how they were made."""

import collections
from collections.abc import Mapping
from typing import Any

import numpy as np

from claran.detection.detector import Detector
from claran.fields.notes import notes_for_user
from claran.photometry.flood import FLOOD, SEED
from claran.sky.islands import THRESHOLD
from claran.sky.surveys import Survey
from claran.survey.mosaic_search import MosaicSearch

__all__ = ["survey_metadata", "survey_notes"]


def survey_notes(found: Mapping[str, MosaicSearch]) -> list[str]:
    """Returns what a user is told about the mosaics, each once.

    Args:
        found: What was found in each mosaic, by its name.
    """
    assumed: collections.Counter[str] = collections.Counter()
    noted: collections.Counter[str] = collections.Counter()
    first: dict[str, str] = {}
    for name, search in found.items():
        for counter, lines in (
            (assumed, search.mosaic.assumptions), (noted, search.mosaic.notes)
        ):  # fmt: skip
            for line in lines:
                counter[line] += 1
                first.setdefault(line, name)
    return notes_for_user(assumed, noted, len(found), first)


def survey_metadata(
    detector: Detector,
    score_threshold: float,
    survey: Survey | None,
    found: Mapping[str, MosaicSearch],
) -> dict[str, Any]:
    """Returns the metadata of the tables, with keys for a FITS header.

    Args:
        detector: The detector.
        score_threshold: Sources with a higher score are in the catalog.
        survey: Survey of the mosaics; None if unknown.
        found: What was found in each mosaic, by its name.
    """
    assumed, noted = (
        sorted({line for search in found.values() for line in lines(search.mosaic)})
        for lines in (lambda one: one.assumptions, lambda one: one.notes)
    )
    about = detector.metadata(score_threshold, survey, assumed, noted)
    epochs = [search.mosaic.epoch for search in found.values()]
    known = [epoch for epoch in epochs if epoch is not None]
    if known:  # In the middle, of mosaics of several years.
        about["EPOCH"] = f"J{float(np.median(known)):.3f}"
    return about | {
        "ISLSNR": THRESHOLD, "FLOODSNR": FLOOD, "SEEDSNR": SEED,
        "MOSAICS": "; ".join(_about(name, found[name]) for name in sorted(found)),
    }  # fmt: skip


def _about(name: str, search: MosaicSearch) -> str:
    """Returns size, beam, unit and noise of a mosaic, in words."""
    mosaic = search.mosaic
    ny, nx = mosaic.shape
    beam = "unknown beam"
    if mosaic.beam is not None:
        beam = "beam {:.4g} x {:.4g} arcsec at {:.4g} deg".format(*mosaic.beam)
    noise = np.asarray(search.components["noise"], float)
    rms = f"{np.median(noise):.4g} Jy/beam" if len(noise) else "unknown"
    return (
        f"{name}: {nx} x {ny} px, {beam}, unit {mosaic.unit or 'none'}, median noise "
        f"at components {rms}"
    )
