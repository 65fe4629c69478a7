"""The detections in a field as rows of a table, and the notes on them."""

import numpy as np

from claran.catalog.tables import sky_columns
from claran.detection.counting import GROUP
from claran.detection.detections import ALTERNATIVE, Detections
from claran.detection.field_photometry import MEASURED, brightness_note
from claran.fields.field import Field

__all__ = ["row_notes", "table_rows"]


def row_notes(field: Field, rows: Detections) -> tuple[str, ...]:
    """Returns the notes on a field, and on rows of it that have no position.

    Args:
        field: The field.
        rows: Its detections, see `table_rows`.
    """
    notes = (*field.notes, *field.domain_notes)
    if MEASURED in rows.columns and len(rows) and (note := brightness_note(field)):
        notes = (*notes, note)
    if np.isnan(rows.columns.get("ra", 0.0)).any():
        notes = (*notes, "sources off the edge of the sky have no position")
    return notes


def table_rows(
    field: Field, found: Detections, *, all_hypotheses: bool = False
) -> Detections:
    """Returns detections as tables have them.

    Args:
        field: The field.
        found: Detections in it.
        all_hypotheses: Whether to keep alternatives, and to mark them.

    Returns:
        Measured sources as they are. Others with the columns of
        `claran.catalog.tables.sky_columns` for a field with a WCS, and with y down for
        a field that is only a picture.
    """
    if MEASURED in found.columns:
        return found
    found = found.without(GROUP)
    if all_hypotheses:
        found = found.with_columns(**{ALTERNATIVE: found.alternative})
    else:
        found = found.catalog()
    if not field.has_radio:
        return found.flip_y(field.shape[0])
    if field.wcs is None:
        return found
    return found.with_columns(**sky_columns(field.wcs, found.boxes))
