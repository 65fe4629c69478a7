"""Fluxes, positions and sizes of the sources in fields, as a survey measures them.

All emission of a field is measured by `claran.photometry`, whose functions the survey
mode calls for a mosaic. So one image has the same sources in both.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from claran.catalog.columns import define_column
from claran.detection.counting import GROUP
from claran.detection.detections import Detections
from claran.detection.field_results import FieldResult, PreparedField
from claran.detection.source_columns import source_columns
from claran.errors import ImageError
from claran.fields.field import Field
from claran.photometry.emission_columns import component_rows, island_rows
from claran.photometry.flood import NumberedCutout, numbered_cutouts
from claran.photometry.image_beams import pixel_beam
from claran.photometry.pixel_beams import PixelBeam

__all__ = ["MEASURED", "brightness_note", "measure_sources_in", "measured_results"]

MEASURED = "position_kind"
"""A column that detections have once they are measured, and then alone."""
FLUXES = ("flux", "e_flux", "peak_flux", "e_peak_flux", "rms")
SKY = ("ra", "dec", "e_ra", "e_dec", "width", "height", "las", "e_las", "pa")
OWN = ("label", "score")  # What detections have without columns.
# That are measured at once: a batch of fits takes as long whether it is full or not.
FIELDS_AT_ONCE, PIXELS_AT_ONCE = 32, 2**22

Result = tuple[FieldResult[Any], PreparedField | None]
"""A result, and what it was made of; None for a field that cannot be used."""


def measured_results(
    found: Iterator[Result], class_names: Sequence[str]
) -> Iterator[FieldResult[Any]]:
    """Yields results with their sources measured, those of several fields at once.

    Args:
        found: Results of fields; those of pictures stay as they are.
        class_names: Names of the classes.

    Raises:
        Exception: All that `found` raises, after the results before.
    """
    waiting: list[Result] = []
    pixels = 0
    try:
        for result, prepared in found:
            waiting.append((result, prepared))
            if prepared is not None:
                pixels += math.prod(prepared.field.shape)
            if len(waiting) >= FIELDS_AT_ONCE or pixels >= PIXELS_AT_ONCE:
                yield from _measured(waiting, class_names)
                waiting, pixels = [], 0
    except Exception:
        yield from _measured(waiting, class_names)
        raise
    yield from _measured(waiting, class_names)


def _measured(
    results: Sequence[Result], class_names: Sequence[str]
) -> Iterator[FieldResult[Any]]:
    wanted = [
        (prepared, result.detections)
        for result, prepared in results
        if prepared is not None and prepared.field.has_radio
    ]
    measured = iter(measure_sources_in(wanted, class_names))
    for result, prepared in results:
        if prepared is not None and prepared.field.has_radio:
            yield dataclasses.replace(result, detections=next(measured))
        else:
            yield result


def measure_sources_in(
    fields: Sequence[tuple[PreparedField, Detections]], class_names: Sequence[str]
) -> list[Detections]:
    """Returns the sources of some fields with all that is measured of them.

    Args:
        fields: Radio fields with their detections, each of which is a
            `claran.detection.counting.SourceGroup`. Alternatives are left out.
        class_names: Names of the classes.

    Returns:
        The sources with the columns of a survey (`claran.catalog.columns`), but for
        their names and components; those that need the sky are there if the field has a
        WCS. Fluxes are NaN if the unit of the image does not say what they are.
    """
    emission = [_emission(prepared.field) for prepared, _ in fields]
    found = component_rows(emission)
    return [
        _with_columns(prepared, rows.catalog(), own, components, class_names)
        for (prepared, rows), own, components in zip(
            fields, emission, found, strict=True
        )
    ]


def brightness_note(field: Field) -> str:
    """Returns what is to be said of the unit of a field's fluxes; "" for nothing."""
    try:
        return field.jansky[1]
    except ImageError as error:
        return f"there are no fluxes: the image {str(error).rstrip('.')}"


def _emission(field: Field) -> tuple[list[NumberedCutout], PixelBeam]:
    """Returns the flood islands of a field that have islands in them, and its beam."""
    image = field.source_image
    assert field.image is not None  # noqa: S101 - islands are those of a radio image.
    assert image is not None  # noqa: S101
    beam = pixel_beam(field.image.beam, field.wcs, field.shape, field.beam_pixels)
    if not len(field.islands):
        return [], beam
    factor = np.float32(_factor(field) or 1.0)
    noise = np.broadcast_to(np.float32(field.noise_map), field.shape)
    cutouts = numbered_cutouts(
        (image.values - field.zero_level) * factor, noise * factor,
        field.signal_to_noise, field.beam_pixels, islands=field.islands.labels,
        peaks=field.peak_counts,
    )  # fmt: skip
    return [one for one in cutouts if len(one.islands)], beam


def _factor(field: Field) -> float:
    """Returns the factor to Jy/beam; 0 if it is unknown."""
    try:
        return field.jansky[0]
    except ImageError:
        return 0.0


def _with_columns(
    prepared: PreparedField,
    rows: Detections,
    emission: tuple[list[NumberedCutout], PixelBeam],
    components: dict[str, np.ndarray],
    class_names: Sequence[str],
) -> Detections:
    """Returns the sources of a field with their columns, in the order of a table."""
    field, (cutouts, beam) = prepared.field, emission
    islands = island_rows(cutouts, beam)
    outlines = ("outline_x", "outline_y")
    order = np.argsort(islands["number"])
    islands = {
        name: column[order] for name, column in islands.items() if name not in outlines
    }
    islands["boxes"] = field.islands.boxes.astype(np.float64)
    islands["cluster"] = prepared.cluster
    found = source_columns(
        list(rows.columns.get(GROUP, ())), islands, components, beam, wcs=field.wcs,
        class_names=class_names, scale=prepared.scene.scale,
    )  # fmt: skip
    if not _factor(field):
        found |= dict.fromkeys(FLUXES, np.full(len(rows), math.nan))
    left_out = OWN if field.wcs is not None else (*OWN, *SKY)
    columns = {
        name: column
        for name, column in found.items()
        if define_column(name, "sources") and name not in left_out
    }
    return Detections(
        boxes=rows.boxes, labels=rows.labels, scores=rows.scores, columns=columns
    )
