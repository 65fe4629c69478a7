"""Measures the places of real hosts of sources that the network detects itself.

    CLARAN_SHARED=FOLDER python scripts/measure_detected_hosts.py

FOLDER has data/rgz_first_dev. Each labeled source with a known host is taken for the
detection whose box has the highest IoU with its own. Printed is a Markdown table of the
hosts within 3" of the place that follows from the radio image alone, with 95%
intervals: a source that is not detected counts as wrong. `docs/hosts.md` has it beside
the places with the true islands, by `scripts/train_hosts.py`.
"""

import collections
import csv
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import app, flags
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from scipy import stats

import claran
from claran.errors import ImageWarning
from claran.hosts.host_search import HostSearch
from claran.sky.box_arrays import iou

FLAGS = flags.FLAGS
flags.DEFINE_string("model", "claran_v1", "Preset, or path of a .keras file.")

ARCSEC = 3.0
EDGES = ("x0", "y0", "x1", "y1")


class Labeled(NamedTuple):
    """A source with a known host."""

    code: str
    box: np.ndarray
    host: SkyCoord


def labeled(folder: Path) -> dict[str, list[Labeled]]:
    """Returns the sources with a known host by the name of their field."""
    with (folder / "hosts.csv").open(newline="") as file:
        hosts = {(r["first_id"], r["catalog_id"]): r for r in csv.DictReader(file)}
    found = collections.defaultdict(list)
    with (folder / "annotations.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            host = hosts.get((row["first_id"], row["catalog_id"]))
            if host is not None:
                box = np.array([float(row[f"box_{edge}"]) for edge in EDGES])
                place = (float(host["host_ra"]), float(host["host_dec"]))
                sky = SkyCoord(*place, unit="deg")
                found[row["first_id"]].append(Labeled(row["cls"], box, sky))
    return found


def offset(source: Labeled, table: QTable) -> float:
    """Returns how far the host is off the place, arcsec; infinity if not detected."""
    if not len(table):
        return np.inf
    boxes = np.stack([np.asarray(table[edge], float) for edge in EDGES], axis=1)
    overlap = iou(boxes, np.broadcast_to(source.box, boxes.shape))
    row: Any = table[int(overlap.argmax())]
    if not overlap.max() > 0:
        return np.inf
    place = SkyCoord(row["place_ra"], row["place_dec"])
    away: Any = place.separation(source.host)
    return float(away.to_value(units.arcsec))


def offsets(folder: Path) -> Iterator[tuple[str, float]]:
    """Yields the class of each source, and how far its host is off the place."""
    detector = claran.Detector.from_preset(FLAGS.model)
    for name, sources in labeled(folder).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImageWarning)
            path = folder / "fits" / f"{name}.fits"
            table = detector.detect(path, hosts=HostSearch())
        for source in sources:
            yield source.code, offset(source, table)


def table_row(name: str, away: np.ndarray) -> str:
    """Returns the row of some sources."""
    test = stats.binomtest(int((away < ARCSEC).sum()), len(away))
    interval = test.proportion_ci(method="wilson")
    share = f"{test.statistic:.3f} ({interval.low:.2f} to {interval.high:.2f})"
    return f"| {name} | {len(away)} | {int(np.isfinite(away).sum())} | {share} |"


def main(_: list[str]) -> None:
    """Detects and prints."""
    folder = Path(os.environ.get("CLARAN_SHARED", "")) / "data" / "rgz_first_dev"
    if not folder.is_dir():
        raise app.UsageError(f"{folder}: no such folder; set CLARAN_SHARED.")
    found = list(offsets(folder))
    codes = np.array([code for code, _ in found])
    away = np.array([value for _, value in found])
    rows = ['| sources | number | detected | host within 3" |', "|---|---|---|---|"]
    rows.append(table_row("all", away))
    rows += [table_row(code, away[codes == code]) for code in sorted(set(codes))]
    print("\n".join(rows))  # noqa: T201


if __name__ == "__main__":
    app.run(main)
