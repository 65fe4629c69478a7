"""How often the hosts of detections are those of the labels."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from jaxtyping import Bool, Float

from claran.catalog.tables import to_icrs
from claran.detection.detections import Detections
from claran.fields.field import Field
from claran.sky.box_arrays import iou

__all__ = ["HOST_COLUMNS", "HostShares", "binned_error", "judge_hosts"]

HOST_COLUMNS = (
    "host_ra", "host_dec", "host_probability", "place_ra", "place_dec"
)  # fmt: skip
"""Columns of a table that are judged."""
ARCSEC = 3.0  # A host is right within this.
LEAST_OVERLAP = 0.5  # IoU of a source and its detection.
BINS = 10


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class HostShares:
    """The labeled sources whose host is known, one a row.

    Attributes:
        codes: Class of each.
        detected: Whether a detection of the catalog overlaps it with an IoU of 0.5.
        place: Whether the place by the radio image alone is within 3" of the host.
        right: Whether the most probable host is within 3".
        probability: Of that host; 0 without one.
    """

    codes: np.ndarray
    detected: Bool[np.ndarray, "n"]
    place: Bool[np.ndarray, "n"]
    right: Bool[np.ndarray, "n"]
    probability: Float[np.ndarray, "n"]

    @property
    def calibration_error(self) -> float:
        """That of `binned_error` for the sources that were detected."""
        return binned_error(self.probability[self.detected], self.right[self.detected])

    def rows(self) -> Iterator[tuple[str, int, float, float, float]]:
        """Yields name, number, and the shares of places and hosts that are right.

        The last number is the mean probability. All, then each class.
        """
        for name in ("all", *sorted(set(self.codes.tolist()))):
            own = (self.codes == name) | (name == "all")
            shares = (self.place, self.right, self.probability)
            place, right, chance = (float(one[own].mean()) for one in shares)
            yield name, int(own.sum()), place, right, chance


def binned_error(
    probability: Float[np.ndarray, "n"], right: Bool[np.ndarray, "n"]
) -> float:
    """Returns the mean difference of probability and share right; NaN without any.

    In at most ten bins of equal numbers: hosts are few, and most are near 0 or 1.
    """
    order = np.argsort(probability)
    bins = np.array_split(order, min(BINS, max(1, len(order) // 10)))
    gaps = [
        len(b) * abs(probability[b].mean() - right[b].mean()) for b in bins if len(b)
    ]
    return float(sum(gaps) / len(order)) if len(order) else np.nan


def judge_hosts(
    fields: Sequence[Field],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    score_threshold: float,
) -> HostShares | None:
    """Returns how often hosts are right; None if no detection or no label has any.

    Args:
        fields: The fields, labelled.
        detections: In each field, with `HOST_COLUMNS` or some of them.
        class_names: Names of the labels 1, 2 ...
        score_threshold: Sources with a higher probability are the catalog.
    """
    if not any(name in one.columns for one in detections for name in HOST_COLUMNS):
        return None
    judged = [
        row
        for field, found in zip(fields, detections, strict=True)
        for row in _in_field(field, found, class_names, score_threshold)
    ]
    if not judged:
        return None
    codes, *columns = zip(*judged, strict=True)
    detected, place, right = (np.array(one, bool) for one in columns[:3])
    return HostShares(
        codes=np.array(codes, dtype=str), detected=detected, place=place, right=right,
        probability=np.array(columns[3], float),
    )  # fmt: skip


def _in_field(
    field: Field, found: Detections, class_names: Sequence[str], threshold: float
) -> Iterator[tuple[str, bool, bool, bool, float]]:
    objects = field.objects
    if objects.host is None or field.wcs is None:
        return
    found = found.catalog(threshold)
    known = np.isfinite(objects.host).all(axis=1) & ~objects.ignored
    for row in np.flatnonzero(known).tolist():
        code = class_names[int(objects.labels[row]) - 1]
        box = np.broadcast_to(objects.boxes[row], found.boxes.shape)
        overlap = iou(found.boxes, box)
        if not len(found) or overlap.max() < LEAST_OVERLAP:
            yield code, False, False, False, 0.0
            continue
        (ra,), (dec,) = to_icrs(field.wcs, objects.host[row : row + 1] - 0.5)
        host, best = SkyCoord(ra, dec, unit="deg"), int(overlap.argmax())
        chance = found.columns.get("host_probability", np.zeros(len(found)))[best]
        place, right = (
            _near(found, best, name, host) for name in ("place", "host")
        )  # fmt: skip
        yield code, True, place, right, float(np.nan_to_num(chance))


def _near(found: Detections, row: int, name: str, host: SkyCoord) -> bool:
    """Returns whether a position of a detection is within 3" of the host."""
    names = (f"{name}_ra", f"{name}_dec")
    if not set(names) <= set(found.columns):
        return False
    ra, dec = (float(found[column][row]) for column in names)
    if not np.isfinite([ra, dec]).all():
        return False
    away = SkyCoord(ra, dec, unit="deg").separation(host)
    return bool(away < ARCSEC * units.arcsec)
