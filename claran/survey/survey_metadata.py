"""What the tables of a survey say about how they were made."""

import collections
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from claran.detection.detector import Detector
from claran.fields.notes import notes_for_user
from claran.photometry.flood import FLOOD, SEED
from claran.sky.domain import domain_notes
from claran.sky.islands import THRESHOLD
from claran.sky.surveys import Survey
from claran.survey.mosaic_search import MosaicSearch

__all__ = ["survey_metadata", "survey_notes"]

# Jy/beam; the noise of VLSSr, at 74 MHz, is a third of it.
NOISIEST = 0.3
DOUBTFUL_UNIT = (
    f"the noise is above {NOISIEST} Jy/beam, more than that of any radio survey, so "
    "that the unit in the header is probably wrong, and the fluxes with it"
)


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
            (assumed, search.mosaic.assumptions), (noted, _notes(search))
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
        score_threshold: Sources with a higher probability are in the catalog.
        survey: Survey of the mosaics; None if unknown.
        found: What was found in each mosaic, by its name.
    """
    assumed, noted = (
        sorted({line for search in found.values() for line in lines(search)})
        for lines in (lambda one: one.mosaic.assumptions, _notes)
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


def _notes(search: MosaicSearch) -> tuple[str, ...]:
    """Returns the notes on a mosaic, its header, and what does not go with it."""
    doubtful = _median_noise(search) > NOISIEST
    unit = [DOUBTFUL_UNIT] if doubtful else []
    return (*search.mosaic.notes, *search.notes, *unit, *_domain_notes(search))


def _domain_notes(search: MosaicSearch) -> tuple[str, ...]:
    mosaic = search.mosaic
    beam = mosaic.beam_pixels
    gaussian = search.coarse.has_gaussian_noise(beam)
    return domain_notes(beam, mosaic.beam_ratio, gaussian=gaussian)


def _median_noise(search: MosaicSearch) -> float:
    """Returns the noise at components, Jy/beam; NaN without any."""
    noise = np.asarray(search.components["noise"], float)
    return float(np.median(noise)) if len(noise) else math.nan


def _about(name: str, search: MosaicSearch) -> str:
    """Returns size, beam, unit and noise of a mosaic, in words."""
    mosaic = search.mosaic
    ny, nx = mosaic.shape
    beam = "unknown beam"
    if mosaic.beam is not None:
        beam = "beam {:.4g} x {:.4g} arcsec at {:.4g} deg".format(*mosaic.beam)
    noise = _median_noise(search)
    rms = f"{noise:.4g} Jy/beam" if math.isfinite(noise) else "unknown"
    crowd = search.maps.confusion
    more = f", {crowd:.2f} times as much with confusion" if crowd > 1 else ""
    return (
        f"{name}: {nx} x {ny} px, {beam}, unit {mosaic.unit or 'none'}, median noise "
        f"at components {rms}{more}"
    )
