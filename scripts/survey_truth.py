"""Compares a catalog of --mode=survey with the truth of a simulated mosaic.

  python scripts/survey_truth.py --catalog=DIR --mosaic=M.fits

True components are peaks of the noise-free image. One counts as found if the component
of the catalog lies within half a beam of it; nearest pairs first, each serves once. A
component of the catalog counts as real if it lies within a beam of a true one, however
faint, or in the box of a true source: extended emission has more Gaussians than peaks.
"""

import collections
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from astropy.table import Table
from scipy import spatial

from claran.simulation.simulated_mosaic import truth_paths

BEAM = 3.0  # Pixels of FIRST.
SNR = (5.0, 6.0, 7.0, 10.0, 20.0, np.inf)
# Simulated sidelobes reach so many pixels from a bright source.
BRIGHT_JY, SIDELOBES = 0.05, 35 * BEAM
BINS = tuple(itertools.pairwise(SNR))

Columns = dict[str, np.ndarray]


def compare(
    sources: Table, components: Table, true_sources: Table, true_components: Table
) -> list[str]:
    """Returns the lines of the comparison.

    Args:
        sources: Table of sources of the catalog.
        components: Its components.
        true_sources: The true sources.
        true_components: Their components.
    """
    tables = sources, components, true_sources, true_components
    groups, found, parents, true = map(columns, tables)
    to_true = match(places(true), places(found), BEAM / 2)
    above = np.count_nonzero(true["snr"] >= SNR[0])
    probable = np.count_nonzero(groups["probability"] >= 0.5)
    return [
        f"{len(sources)} sources, {len(components)} components; in truth "
        f"{len(true_sources)} and {len(true_components)}, {above} of them above "
        f"{SNR[0]:g} sigma.",
        f"- sources with a probability of at least 0.5: {probable}",
        *completeness(to_true, true),
        *reliability(found, parents, true),
        *accuracy(found, parents, true, to_true),
        *association(found, parents, true, to_true),
    ]


def columns(table: Table) -> Columns:
    """Returns the columns of a table as plain arrays, without units and masks."""
    found = {}
    for name in table.colnames:
        values: Any = table[name]
        if hasattr(values, "filled"):
            values = values.filled(np.nan if values.dtype.kind == "f" else None)
        found[name] = np.asarray(values)
    return found


def places(table: Columns) -> np.ndarray:
    """Returns x and y, (n, 2) pixel edges."""
    return np.stack([table["x"], table["y"]], axis=1).astype(float)


def match(true: np.ndarray, found: np.ndarray, radius: float) -> np.ndarray:
    """Returns the index of what was found at each true place, (n,), or -1.

    The nearest pairs come first, and each serves once.
    """
    matched = np.full(len(true), -1)
    if not len(true) or not len(found):
        return matched
    near = spatial.KDTree(true).sparse_distance_matrix(
        spatial.KDTree(found), radius, output_type="ndarray"
    )
    order = np.argsort(near["v"], kind="stable")
    taken = np.zeros(len(found), bool)
    for row, column in near[["i", "j"]][order]:
        if matched[row] < 0 and not taken[column]:
            matched[row], taken[column] = column, True
    return matched


def completeness(to_true: np.ndarray, true: Columns) -> list[str]:
    """Returns the completeness of components by their true signal-to-noise ratio.

    That of single ones comes last: no other true component lies within four beams.
    """
    alone = np.ones(len(true["x"]), bool)
    if len(alone) > 1:
        distance, _ = spatial.KDTree(places(true)).query(places(true), k=2)
        alone = distance[:, 1] > 4 * BEAM
    lines = []
    for words, chosen in ("all", alone | True), ("single", alone):
        parts = []
        for low, high in BINS:
            among = chosen & (true["snr"] >= low) & (true["snr"] < high)
            if among.any():
                share = (to_true[among] >= 0).mean()
                parts.append(f"{low:g}-{high:g}: {share:.3f} of {among.sum()}")
        lines.append(f"- completeness of {words} by true S/N: " + "; ".join(parts))
    return lines


def reliability(found: Columns, true_sources: Columns, true: Columns) -> list[str]:
    """Returns the share of components that are real, in all and by S/N."""
    if not len(found["x"]):
        return []
    real = np.zeros(len(found["x"]), bool)
    if len(true["x"]):
        distance, _ = spatial.KDTree(places(true)).query(places(found))
        real = (distance < BEAM) | in_boxes(places(found), true_sources)
    parts = []
    for low, high in [(0.0, SNR[0]), *BINS]:
        among = (found["snr"] >= low) & (found["snr"] < high)
        if among.any():
            parts.append(f"{low:g}-{high:g}: {real[among].mean():.3f} of {among.sum()}")
    bright = true_sources["peak_flux"] > BRIGHT_JY
    beside = np.zeros(len(real), bool)
    if bright.any():
        tree = spatial.KDTree(places(true_sources)[bright])
        beside = tree.query(places(found))[0] < SIDELOBES
    total = (
        f"{real.mean():.4f}, {(~real).sum()} false, {(~real & beside).sum()} of them "
        f"beside sources above {1e3 * BRIGHT_JY:g} mJy/beam"
    )
    return [f"- reliability: {total}; by S/N: " + "; ".join(parts)]


def in_boxes(points: np.ndarray, true_sources: Columns) -> np.ndarray:
    """Returns which points lie within a beam of the box of a true source, (n,) bool."""
    inside = np.zeros(len(points), bool)
    inside[np.concatenate([np.zeros(0, int), *of_boxes(points, true_sources)])] = True
    return inside


def of_boxes(points: np.ndarray, true_sources: Columns) -> list[np.ndarray]:
    """Returns which points lie within a beam of the box of each true source."""
    tree, found = spatial.KDTree(points), []
    names = ("x0", "y0", "x1", "y1")
    for box in np.stack([true_sources[name] for name in names], axis=1):
        low, high = box[:2] - BEAM, box[2:] + BEAM
        near = tree.query_ball_point((low + high) / 2, np.linalg.norm(high - low) / 2)
        within = (points[near] >= low) & (points[near] <= high)
        found.append(np.array(near, int)[within.all(axis=1)])
    return found


def accuracy(
    found: Columns, true_sources: Columns, true: Columns, to_true: np.ndarray
) -> list[str]:
    """Returns ratios of fluxes and errors of single bright components.

    Extended emission with one true peak may have several Gaussians: the flux is that of
    all in its source.
    """
    numbers = true["source"].astype(int)
    single = np.bincount(numbers)[numbers] == 1
    kept = (to_true >= 0) & single & (true["snr"] >= 10)
    if not kept.any():
        return []
    one = {name: values[kept] for name, values in true.items()}
    other = {name: values[to_true[kept]] for name, values in found.items()}
    inside = dict(
        zip(true_sources["source"], of_boxes(places(found), true_sources), strict=True)
    )
    several = [
        np.union1d(index, inside[source])
        for index, source in zip(to_true[kept], one["source"], strict=True)
    ]
    other["flux"] = np.array([found["flux"][rows].sum() for rows in several])
    if "e_flux" in found:
        squares = [(found["e_flux"][rows] ** 2).sum() for rows in several]
        other["e_flux"] = np.sqrt(squares)
    shift = places(other) - places(one)
    lines = [
        f"- {kept.sum()} single components above 10 sigma: position rms "
        f"{np.sqrt((shift**2).mean(axis=0)).max():.3f} px"
    ]
    for name in ("flux", "peak_flux"):
        ratio = other[name] / one[name]
        line = (
            f"{name} / true: median {np.median(ratio):.4f}, scatter {spread(ratio):.3f}"
        )
        if f"e_{name}" in other:
            pull = (other[name] - one[name]) / other[f"e_{name}"]
            line += f", (found - true) / error has a width of {spread(pull):.2f}"
        lines.append(f"- {line}")
    return lines


def spread(values: Any) -> float:
    """Returns 1.4826 times the median absolute deviation."""
    values = np.asarray(values, float)
    return float(1.4826 * np.nanmedian(np.abs(values - np.nanmedian(values))))


def association(
    found: Columns, true_sources: Columns, true: Columns, to_true: np.ndarray
) -> list[str]:
    """Returns how many true sources have exactly their own components.

    Only components in islands of true sources count. One is right if all that were
    found belong to one source of the catalog, which has none of another true source.
    Islands without noise may be none with it, and in no source of the catalog.
    """
    owners = found["source"].astype(str)
    kept = (to_true >= 0) & (true["island"] >= 0)
    belongs: dict[int, set[str]] = {}
    holds: dict[str, set[int]] = {}
    for source, index in zip(true["source"][kept], to_true[kept], strict=True):
        owner = str(owners[index]).strip()
        belongs.setdefault(int(source), set()).add(owner)
        if owner:
            holds.setdefault(owner, set()).add(int(source))

    def verdict(source: int) -> str:
        names = belongs[source]
        if names == {""}:
            return "in no source"
        if len(names) > 1:
            return "split"
        return "right" if holds[names.pop()] == {source} else "joined to others"

    lines = []
    islands = dict(
        zip(true_sources["source"], true_sources["n_components"], strict=True)
    )
    for words, low, high in ("one island", 1, 1), ("several islands", 2, np.inf):
        found_so = collections.Counter(
            verdict(source) for source in belongs if low <= islands[source] <= high
        )
        count = sum(found_so.values())
        if count:
            shares = [f"{word} {n / count:.3f}" for word, n in sorted(found_so.items())]
            lines.append(f"- {count} sources of {words}: " + ", ".join(shares))
    return lines


def main(_: list[str]) -> None:
    """Prints the comparison."""
    folder = Path(FLAGS.catalog)
    tables = [Table.read(folder / f"{n}.fits") for n in ("sources", "components")]
    mosaic = Path(FLAGS.mosaic)
    tables += [Table.read(path) for path in truth_paths(mosaic)]
    print("\n".join(compare(*tables)))  # noqa: T201


if __name__ == "__main__":
    flags.DEFINE_string("catalog", None, "Output folder of the run.", required=True)
    flags.DEFINE_string("mosaic", None, "The mosaic.", required=True)
    FLAGS = flags.FLAGS
    app.run(main)
