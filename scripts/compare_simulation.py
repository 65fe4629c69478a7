"""Compares simulated fields with real FIRST cutouts and the RGZ catalog.

The real images and the catalog are in `--shared` (`rgz_first_dev`, `rgz_catalogue`).
Real and simulated images are measured by the same code on the same grid, 100 pixels of
1.8". Simulated sources are compared with the catalog on the grid of RGZ, 132 pixels of
1.375". The script prints a table of Kolmogorov-Smirnov distances and plots the
distributions.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from absl import app, flags
from astropy.io import fits
from astropy.wcs import WCS
from scipy import ndimage

from claran.labels import RGZ_CLASSES
from claran.simulation import populations
from claran.simulation.observation import FIRST, FIRST_NATIVE
from claran.simulation.simulated_field import simulate
from claran.sky.islands import contour_levels, find_islands
from claran.sky.noise import noise

_SHARED = flags.DEFINE_string("shared", "../shared/data", "Folder of the real data.")
_NUM = flags.DEFINE_integer("num", 3000, "Number of simulated fields.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the random numbers.")
_PLOT = flags.DEFINE_string("plot", "docs/simulation.png", "File of the plots.")

Samples = dict[str, np.ndarray]
Sources = list[tuple[str, float, float]]
"""Class, peak in Jy/beam and mean width in arcsec of each source."""


def main(argv: list[str]) -> None:
    """Measures both, prints the tables and draws the plots."""
    del argv
    shared = Path(_SHARED.value)
    cutouts = _read_cutouts(shared / "rgz_first_dev")
    mix = Counter(code for _, _, found in cutouts for code, _, _ in found)
    # The cutouts contain large and bright sources: draw fields as for training.
    like_cutouts = populations.Population(
        weights={c: mix[c] for c in RGZ_CLASSES},
        sizes=populations.BALANCED.sizes,
        brightness=populations.BALANCED.brightness,
    )
    fields = _simulate(like_cutouts)
    real, simulated = _measure_images(cutouts), _measure_images(fields)
    catalog = _read_catalog(shared / "rgz_catalogue" / "train.csv")
    catalog_like = _measure_catalog_like()
    print("Images (class mix of the cutouts)\n")  # noqa: T201
    _print_table(real, simulated)
    print("\nSources (catalog-like population)\n")  # noqa: T201
    _print_table(catalog, catalog_like)
    _print_spectra(real, simulated)
    _draw({**real, **catalog}, {**simulated, **catalog_like}, Path(_PLOT.value))


def _simulate(
    population: populations.Population,
) -> list[tuple[np.ndarray, np.ndarray, Sources]]:
    """Returns image, membership map and labeled sources of each simulated field."""
    rng = np.random.default_rng(_SEED.value)
    fields = []
    for _ in range(_NUM.value):
        one = simulate(rng, population=population, survey=FIRST_NATIVE)
        found = [
            (source.code, *_peak_and_width(one.radio, one.membership == i + 1))
            for i, source in enumerate(one.sources)
            if not source.ignore
        ]
        fields.append((one.radio, one.membership, found))
    return fields


def _read_cutouts(
    folder: Path,
) -> list[tuple[np.ndarray, np.ndarray, Sources]]:
    """Returns the same for the real cutouts, with blank pixels set to zero."""
    table = defaultdict(list)
    with (folder / "annotations.csv").open() as file:
        for row in csv.DictReader(file):
            table[row["first_id"]].append(row)
    fields = []
    for name, rows in table.items():
        path = folder / "fits" / f"{name}.fits"
        image = np.nan_to_num(np.asarray(fits.getdata(path), np.float32))
        header = fits.getheader(path)
        islands = find_islands(image, noise(image), min_pixels=4)
        found, membership = [], np.zeros(image.shape, np.uint8)
        for row in rows:
            sky = (_degrees(row["peak_ras"]), _degrees(row["peak_decs"]))
            place = np.rint(WCS(header).all_world2pix(*sky, 0)).astype(int)
            column, line = np.clip(place, 0, len(image) - 1)
            own = np.isin(islands.labels, np.setdiff1d(islands.labels[line, column], 0))
            if own.any():
                membership[own] = len(found) + 1
                found.append((row["cls"], *_peak_and_width(image, own)))
        fields.append((image.astype(np.float32), membership, found))
    return fields


def _peak_and_width(image: np.ndarray, own: np.ndarray) -> tuple[float, float]:
    """Returns peak in Jy/beam and mean width of a source: area over box diagonal."""
    rows, columns = np.nonzero(own)
    length = np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1)
    return float(image[own].max()), len(rows) / length * FIRST_NATIVE.pixel_arcsec


def _measure_images(fields: Iterable[tuple]) -> Samples:
    """Returns samples of the properties of images, by name."""
    samples = defaultdict(list)
    spectra = []
    for image, membership, found in fields:
        sigma = noise(image)
        islands = find_islands(image, sigma, min_pixels=4)
        near = ndimage.binary_dilation(image > 4 * sigma, iterations=6)
        bright = np.asarray(near, bool) | np.isnan(image)
        samples["noise of a field [mJy]"].append(1e3 * sigma)
        samples["pixel noise [sigma]"] += list(image[~bright][::23] / sigma)
        samples["islands per field"].append(len(islands))
        levels = contour_levels(image, sigma)
        samples["contour level of a pixel"] += list(levels[membership > 0][::3])
        samples["size of an island [px]"] += list(np.bincount(islands.labels.flat)[1:])
        spectra.append(_autocorrelation(np.where(bright, 0, image / sigma), ~bright))
        for code, peak, width in found:
            samples[f"log10 peak, {code} [mJy]"].append(np.log10(1e3 * peak))
            samples[f"mean width, {code} [arcsec]"].append(width)
    result = {name: np.array(values, float) for name, values in samples.items()}
    result["spectrum"] = _spectrum(np.sum(spectra, axis=0))
    return result


def _autocorrelation(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns sums of pixel products at each lag, and their weights, (2, s, s)."""
    side = 2 * len(image)
    planes = np.stack([image, weight])
    power = np.abs(np.fft.rfft2(planes, (side, side))) ** 2
    return np.fft.irfft2(power, (side, side))


def _spectrum(autocorrelation: np.ndarray) -> np.ndarray:
    """Returns the noise power in rings of 0.02 cycles per arcsec, (13,)."""
    product, number = np.fft.fftshift(autocorrelation, axes=(1, 2))
    middle = len(product) // 2
    window = slice(middle - 32, middle + 33)
    taper = np.outer(np.hanning(65), np.hanning(65))
    smooth = taper * (product / np.maximum(number, 1))[window, window]
    power = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(smooth)).real)
    axis = np.arange(-32, 33) / 65 / FIRST_NATIVE.pixel_arcsec
    ring = (np.hypot(axis[:, None], axis) / 0.02).astype(int)
    return np.array([power[ring == i].mean() for i in range(13)])


def _read_catalog(path: Path) -> Samples:
    """Returns samples of the properties of the sources in the RGZ catalog, by name."""
    samples = defaultdict(list)
    per_field = Counter()
    with path.open() as file:
        for row in csv.DictReader(file):
            code = f"{row['num_cpnts']}_{row['num_peaks']}"
            per_field[row["first_id"]] += 1
            ra, dec = _center(row["first_id"])
            east = (_degrees(row["cpnts_ras"]) - ra) * np.cos(np.radians(dec))
            places = 3600 * np.stack([east, _degrees(row["cpnts_decs"]) - dec], axis=1)
            apart = np.linalg.norm(places[:, None] - places, axis=2).max()
            extent = apart if len(places) > 1 else float(row["ang_extent"])
            samples[f"log10 extent, {code} [arcsec]"].append(np.log10(extent))
            nearest = np.hypot(*places.T).min()
            samples[f"log10 offset, {code} [arcsec]"].append(np.log10(nearest + 0.1))
            samples["class"].append(RGZ_CLASSES.index(code))
    samples["sources per field"] = list(per_field.values())
    return {name: np.array(values, float) for name, values in samples.items()}


def _measure_catalog_like() -> Samples:
    """Returns the same for simulated fields, without ignored sources.

    The catalog's extent is the largest distance between component positions. For a
    single component it is the diagonal of its box.
    """
    rng = np.random.default_rng(_SEED.value + 1)
    samples = defaultdict(list)
    pixel = FIRST.pixel_arcsec
    for _ in range(_NUM.value):
        one = simulate(rng, survey=FIRST)
        kept = [s for s in one.sources if not s.ignore]
        if kept:
            samples["sources per field"].append(len(kept))
        for source in kept:
            places = source.component_positions
            apart = np.linalg.norm(places[:, None] - places, axis=2).max()
            diagonal = float(np.hypot(*(source.box[2:] - source.box[:2])))
            extent = pixel * (apart if len(places) > 1 else diagonal)
            samples[f"log10 extent, {source.code} [arcsec]"].append(np.log10(extent))
            # The catalog position of a subject lies anywhere in the central pixel.
            center = one.survey.size / 2 + rng.uniform(-0.5, 0.5, 2)
            nearest = np.hypot(*(places - center).T).min() * pixel
            name = f"log10 offset, {source.code} [arcsec]"
            samples[name].append(np.log10(nearest + 0.1))
            samples["class"].append(RGZ_CLASSES.index(source.code))
    return {name: np.array(values, float) for name, values in samples.items()}


def _degrees(joined: str) -> np.ndarray:
    return np.array([float(value) for value in joined.split(";")])


def _center(name: str) -> tuple[float, float]:
    """Returns right ascension and declination in degrees.

    >>> _center("FIRSTJ060000.0-013000")
    (90.0, -1.5)
    """
    cut = max(name.rfind("+"), name.rfind("-"))
    ra, dec = name[6:cut], name[cut + 1 :]
    hours = int(ra[:2]) + int(ra[2:4]) / 60 + float(ra[4:]) / 3600
    degrees = int(dec[:2]) + int(dec[2:4]) / 60 + float(dec[4:]) / 3600
    return 15 * hours, -degrees if name[cut] == "-" else degrees


def _print_table(real: Mapping, simulated: Mapping) -> None:
    print("| | real 5/50/95% | simulated 5/50/95% | KS | numbers |")  # noqa: T201
    print("|---|---|---|---|---|")  # noqa: T201
    for name in sorted(set(real) - {"spectrum"}):
        one, two = real[name], simulated.get(name, np.empty(0))
        if not len(two):
            print(f"| {name} | | none | | {len(one)} / 0 |")  # noqa: T201
            continue
        distance = _distance(one, two)
        texts = ["/".join(f"{v:.2f}" for v in np.percentile(s, [5, 50, 95]))
                 for s in (one, two)]  # fmt: skip
        sizes = f"{len(one)} / {len(two)}"
        print(f"| {name} | {texts[0]} | {texts[1]} | {distance:.3f} | {sizes} |")  # noqa: T201
    if "class" in real:
        for side in (real, simulated):
            counts = np.bincount(side["class"].astype(int), minlength=6)
            print(RGZ_CLASSES, np.round(counts / counts.sum(), 3).tolist())  # noqa: T201


def _distance(one: np.ndarray, two: np.ndarray) -> float:
    """Returns the Kolmogorov-Smirnov distance of two samples."""
    places = np.concatenate([one, two])
    cumulative = [
        np.searchsorted(np.sort(side), places, "right") / len(side)
        for side in (one, two)
    ]
    return float(np.abs(cumulative[0] - cumulative[1]).max())


def _print_spectra(real: Mapping, simulated: Mapping) -> None:
    print("\nNoise power per ring of 0.02 cycles/arcsec, real / simulated\n")  # noqa: T201
    pairs = zip(real["spectrum"], simulated["spectrum"], strict=True)
    print(", ".join(f"{a:.2f}/{b:.2f}" for a, b in pairs))  # noqa: T201


def _draw(real: Mapping, simulated: Mapping, path: Path) -> None:
    names = [n for n in real if n not in ("spectrum", "class") and n in simulated]
    columns = 6
    rows = -(-(len(names) + 1) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3 * columns, 2.1 * rows))
    for axis, name in zip(axes.flat, names, strict=False):
        both = np.concatenate([real[name], simulated[name]])
        low, high = np.percentile(both, [0.3, 99.7])
        whole = (both == both.astype(int)).all()
        step = max(1, round((high - low) / 25))
        bins = np.arange(low, high + 1.5 * step, step) - 0.5 if whole else 25
        limits = None if whole else (low, high)
        for side, color in ((real, "black"), (simulated, "tab:red")):
            axis.hist(side[name], bins, range=limits, density=True, histtype="step",
                      color=color)  # fmt: skip
        axis.set_title(name, fontsize=8)
        axis.tick_params(labelsize=6)
    spare = axes.flat[len(names)]
    for side, color in ((real, "black"), (simulated, "tab:red")):
        spare.semilogy(0.01 + 0.02 * np.arange(13), side["spectrum"], color=color)
    spare.set_title("noise power against cycles/arcsec", fontsize=8)
    for axis in axes.flat[len(names) + 1 :]:
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=60)


if __name__ == "__main__":
    app.run(main)
