"""Measures fitted components against a catalog, or on simulated Gaussians and noise.

    python scripts/measure_components.py --radio=IMAGE.fits --catalog=TRUTH.csv
    python scripts/measure_components.py --simulate

The catalog is a CSV file. Of a simulated sky it has `x`, `y` (pixels, from 0 at the
center of the first), `flux_jy`, `primary_beam` and `detectable`; of PyBDSF `RA`, `DEC`,
`Total_flux` (mJy), `Peak_flux` and `Isl_rms`. Printed are, for several cuts in the
signal-to-noise, completeness, purity and F1 of mutual nearest neighbors, the median
ratio of the fluxes, the error of the positions, and the widths of (measured - true) /
error; and how many fits there are in an hour.
"""

import time
from typing import Any

import numpy as np
from absl import app, flags
from astropy.table import Table
from scipy import ndimage
from scipy.spatial import KDTree

import claran
from claran.photometry.components import Components, PixelBeam, fit_components
from claran.photometry.flood import flood_cutouts
from claran.photometry.pixel_beams import covariance
from claran.sky.confusion import confusion, window_spreads
from claran.sky.mesh import Mesh
from claran.sky.noise import window_noises
from claran.sky.zero_levels import window_zeros, zero_image

FLAGS = flags.FLAGS
flags.DEFINE_string("radio", None, "FITS image.")
flags.DEFINE_string("catalog", None, "CSV file of what is in it.")
flags.DEFINE_float("radius", None, "Largest distance, arcsec. Default: a beam.")
flags.DEFINE_float("bright", 0.0, "Sources above this flux, Jy, for the flux ratio.")
flags.DEFINE_bool("simulate", False, "Measure simulated Gaussians and empty noise.")

WINDOW_BEAMS = 100 / 3  # As for the noise of a field.
DEFAULT = 5.0  # Of --component_snr.
CUTS = (0.0, 5.0, 6.0, 7.0, 7.5, 8.0, 8.5, 9.0)


def main(arguments: list[str]) -> None:
    """Measures what the flags name."""
    if arguments[1:]:
        raise app.UsageError(f"unexpected argument {arguments[1]!r}.")
    if FLAGS.simulate:
        simulate()
    if FLAGS.radio:
        measure()


def measure() -> None:
    """Prints how the components of an image agree with a catalog."""
    field = claran.read_field(FLAGS.radio)
    found, seconds, crowd = components_of(field)
    print(  # noqa: T201
        f"{len(found)} components, {3600 * len(found) / seconds / 1e6:.1f} M/hour; "
        f"confusion {crowd:.3f}, so that --mode=survey cuts at {DEFAULT * crowd:.2f}"
    )
    beam = field.beam_pixels
    radius = FLAGS.radius / field.pixel_arcsec if FLAGS.radius else beam
    catalog = read_catalog(FLAGS.catalog, field, FLAGS.bright)
    for cut in sorted({*CUTS, DEFAULT * crowd}):
        report(found, cut, catalog, radius, field.pixel_arcsec)


def components_of(field: Any) -> tuple[Components, float, float]:
    """Returns the components of a field, the time of the fits, s, and confusion."""
    values = field.source_image.values.astype(np.float32)
    noise = np.broadcast_to(np.float32(field.noise_map), values.shape)
    mesh = Mesh(values.shape, max(1, round(WINDOW_BEAMS * field.beam_pixels)))
    sigmas = window_noises(mesh, values)
    zeros = window_zeros(mesh, values, sigmas)
    crowd = confusion(window_spreads(mesh, values, sigmas, zeros))
    values = values - zero_image(mesh, zeros).pixels()
    major, minor, angle = field.image.beam or (1.0, 1.0, 0.0)
    scale = field.beam_pixels / np.sqrt(major * minor)
    beam = PixelBeam(major * scale, minor * scale, angle)
    cutouts = flood_cutouts(values, noise, field.signal_to_noise, beam.major)
    fit_components(cutouts, beam)  # Compiles.
    start = time.perf_counter()
    found = fit_components(cutouts, beam)
    return found, time.perf_counter() - start, crowd


def read_catalog(
    path: str, field: Any, bright: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns positions in pixel edges, fluxes in Jy, and which are bright."""
    table = Table.read(path)
    if "detectable" in table.colnames:
        table = table[table["detectable"] == 1]
        flux = np.array(table["flux_jy"] * table["primary_beam"])
        place = np.stack([table["x"], table["y"]], axis=1)
        return place + 0.5, flux, flux > bright
    x, y = field.wcs.all_world2pix(table["RA"], table["DEC"], 0)
    height, width = field.shape
    keep = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    keep &= np.array(table["Peak_flux"] > 7 * table["Isl_rms"])
    flux = np.array(table["Total_flux"] / 1000)[keep]
    return np.stack([x, y], axis=1)[keep] + 0.5, flux, flux > bright


def match(
    places: np.ndarray, true: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of mutual nearest neighbors."""
    distance, nearest = KDTree(true).query(places)
    _, back = KDTree(places).query(true)
    nearest, back = np.asarray(nearest), np.asarray(back)
    mutual = (back[nearest] == np.arange(len(places))) & (distance <= radius)
    return np.flatnonzero(mutual), nearest[mutual]


def spread(values: np.ndarray) -> float:
    """Returns the width of a distribution without its tails."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def report(
    found: Components, cut: float, catalog: Any, radius: float, pixel_arcsec: float
) -> None:
    """Prints how the components above a signal-to-noise agree with a catalog."""
    true, flux, bright = catalog
    places, kept = np.stack([found.x, found.y], axis=1), found.snr > cut
    mine, theirs = match(places[kept], true, radius)
    mine = np.flatnonzero(kept)[mine]
    completeness, purity = len(mine) / len(true), len(mine) / max(kept.sum(), 1)
    offset = places[mine] - true[theirs]
    ratio = found.flux[mine] / flux[theirs]
    pulls = (offset / np.stack([found.e_x, found.e_y], axis=1)[mine]).ravel()
    flux_pulls = (found.flux[mine] - np.median(ratio) * flux[theirs]) / found.e_flux[
        mine
    ]
    rms = np.sqrt((offset**2).sum(1).mean()) * pixel_arcsec
    print(  # noqa: T201
        f"snr > {cut:4.1f}: {kept.sum():5d}  completeness {completeness:.3f} "
        f"purity {purity:.3f} F1 {2 * len(mine) / (len(true) + kept.sum()):.4f}  "
        f'ratio {np.median(ratio[bright[theirs]]):.3f}  position {rms:.3f}"  '
        f"pulls: position {spread(pulls):.2f} flux {spread(flux_pulls):.2f}"
    )


def simulate() -> None:
    """Prints pulls and false components for two beams and two kinds of noise."""
    rng = np.random.default_rng(1)
    for beam in PixelBeam(3, 3), PixelBeam(5, 3.2, 30.0):
        for blur in 1.0, 0.5**0.5:
            name = "white noise blurred by the beam" if blur == 1 else "the beam's"
            print(f"beam {beam.major} x {beam.minor} px, correlation: {name}")  # noqa: T201
            for size in 0.0, 0.5, 1.5:
                for snr in 5, 7, 10, 20, 50, 100:
                    simulated(rng, beam, blur, size=size, snr=snr)
            empty(rng, beam, blur)


def beam_noise(rng, shape, beam: PixelBeam, blur: float) -> np.ndarray:
    """Returns noise of 1: white noise blurred by so many beams."""
    matrix = covariance(*np.array([[beam.major], [beam.minor], [beam.angle]]))[0]
    y, x = (np.fft.fftfreq(n) for n in shape)
    power = matrix[0, 0] * x**2 + matrix[1, 1] * y[:, None] ** 2
    power = (power + 2 * matrix[0, 1] * x * y[:, None]) * blur**2
    white = np.fft.fft2(rng.normal(size=shape))
    noise = np.fft.ifft2(white * np.exp(-2 * np.pi**2 * power)).real
    return noise / noise.std()


def simulated(rng, beam: PixelBeam, blur: float, *, size: float, snr: float) -> None:
    """Prints the pulls of isolated Gaussians, of so many beams without the beam."""
    count, step = 20, int(9 * beam.major)
    middle = (np.indices((count, count)).reshape(2, -1).T + 0.5) * step
    true = middle + rng.uniform(-0.5, 0.5, middle.shape)
    own = covariance(*np.array([[size * beam.major], [0.4 * size * beam.major], [70]]))
    restored = covariance(*np.array([[beam.major], [beam.minor], [beam.angle]]))
    both = (own + restored)[0]
    area = np.sqrt(np.linalg.det(both) / np.linalg.det(restored[0]))
    image = beam_noise(rng, (count * step, count * step), beam, blur)
    grid = np.arange(step)
    for (x, y), (mx, my) in zip(true, middle, strict=True):
        x0, y0 = int(mx - step / 2), int(my - step / 2)
        offset = np.stack(np.meshgrid(x0 + grid + 0.5 - x, y0 + grid + 0.5 - y), -1)
        square = np.einsum("yxi,ij,yxj->yx", offset, np.linalg.inv(both), offset)
        image[y0 : y0 + step, x0 : x0 + step] += snr * np.exp(-square / 2)
    image = image.astype(np.float32)
    cutouts = flood_cutouts(image, np.ones_like(image), image, beam.major)
    found = fit_components(cutouts, beam)
    mine, theirs = match(np.stack([found.x, found.y], axis=1), true, beam.major)
    pulls = {
        "x": (found.x[mine] - true[theirs, 0]) / found.e_x[mine],
        "y": (found.y[mine] - true[theirs, 1]) / found.e_y[mine],
        "peak": (found.peak[mine] - snr) / found.e_peak[mine],
        "flux": (found.flux[mine] - snr * area) / found.e_flux[mine],
    }
    widths = " ".join(f"{n} {p.std():.2f}({spread(p):.2f})" for n, p in pulls.items())
    ratio = np.median(found.flux[mine]) / (snr * area)
    print(  # noqa: T201
        f"  size {size} snr {snr:3d}: found {len(mine)} of {count**2}, "
        f"{len(found) - len(mine)} others, pulls {widths}, flux ratio {ratio:.3f}"
    )


def empty(rng, beam: PixelBeam, blur: float, side: int = 2000) -> None:
    """Prints how many components noise alone has."""
    image = beam_noise(rng, (side, side), beam, blur).astype(np.float32)
    cutouts = flood_cutouts(image, np.ones_like(image), image, beam.major)
    found = fit_components(cutouts, beam)
    pixels = int((ndimage.maximum_filter(image, 3) == image)[image > 5].sum())
    print(  # noqa: T201
        f"  empty: {len(found) / side**2 * 1e6:.2f} components in 10^6 pixels, "
        f"{pixels / side**2 * 1e6:.2f} maxima above 5"
    )


if __name__ == "__main__":
    app.run(main)
