"""Measures the places of real hosts of sources that the network detects itself.

    CLARAN_SHARED=FOLDER python scripts/measure_detected_hosts.py

FOLDER has data/rgz_first_dev, whose hosts are in a table of their own. They are put
beside the labels, and evaluated as --mode=eval --hosts does. Printed is a Markdown
table of the hosts within 3" of the place that follows from the radio image alone, with
95% intervals: a source that no detection overlaps with an IoU of 0.5 counts as wrong.
`docs/hosts.md` has it beside the places with the true islands, by
`scripts/train_hosts.py`.
"""

import csv
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
from absl import app, flags
from scipy import stats

import claran
from claran.errors import ImageWarning
from claran.hosts.host_search import HostSearch

FLAGS = flags.FLAGS
flags.DEFINE_string("model", "claran_v1", "Preset, or path of a .keras file.")

HOST = ("host_ra", "host_dec")


def merge(folder: Path, merged: Path) -> None:
    """Makes a folder of the images whose labels have the hosts of another table."""
    with (folder / "hosts.csv").open(newline="") as file:
        hosts = {(r["first_id"], r["catalog_id"]): r for r in csv.DictReader(file)}
    with (folder / "annotations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (merged / "annotations.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *HOST])
        writer.writeheader()
        for row in rows:
            host = hosts.get((row["first_id"], row["catalog_id"]), {})
            writer.writerow(row | {name: host.get(name, "") for name in HOST})
    for path in (folder / "fits").resolve().iterdir():
        (merged / path.name).symlink_to(path)


def table_row(name: str, place: np.ndarray, detected: np.ndarray) -> str:
    """Returns the row of some sources."""
    test = stats.binomtest(int(place.sum()), len(place))
    interval = test.proportion_ci(method="wilson")
    share = f"{test.statistic:.3f} ({interval.low:.2f} to {interval.high:.2f})"
    return f"| {name} | {len(place)} | {int(detected.sum())} | {share} |"


def main(_: list[str]) -> None:
    """Detects and prints."""
    folder = Path(os.environ.get("CLARAN_SHARED", "")) / "data" / "rgz_first_dev"
    if not folder.is_dir():
        raise app.UsageError(f"{folder}: no such folder; set CLARAN_SHARED.")
    detector = claran.Detector.from_preset(FLAGS.model)
    names = detector.model.class_names
    with tempfile.TemporaryDirectory() as merged, warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)
        merge(folder, Path(merged))
        source = claran.open_source(merged, "all", class_names=names)
        hosts = claran.evaluate_detector(
            detector.engine, source, hosts=HostSearch(), tell=lambda _: None
        ).hosts
    assert hosts is not None  # noqa: S101 - all fields are on the sky.
    rows = ['| sources | number | detected | host within 3" |', "|---|---|---|---|"]
    rows.append(table_row("all", hosts.place, hosts.detected))
    for code in sorted(set(hosts.codes.tolist())):
        own = hosts.codes == code
        rows.append(table_row(code, hosts.place[own], hosts.detected[own]))
    print("\n".join(rows))  # noqa: T201


if __name__ == "__main__":
    app.run(main)
