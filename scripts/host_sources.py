"""Sources with a known host, simulated and real, for `scripts/train_hosts.py`."""

import csv
import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import claran
from claran.fields.field import Field
from claran.hosts.landmarks import Landmarks, find_landmarks
from claran.simulation import morphology, simulated_field
from claran.simulation import radio_sky as radio
from claran.simulation.endless import SIMULATED
from claran.simulation.jets import draw_core, draw_twin_jets
from claran.simulation.observation import FIRST, FIRST_NATIVE, SimulatedSurvey
from claran.simulation.source_drawing import Source
from claran.sky.images import SkyImage

__all__ = ["SETS", "Example", "measured_field", "read_real", "simulate_examples"]

SETS = ("simulated/first", "simulated/surveys", "jets")
# Beams, one sigma per axis, by which hosts are off their place in the simulation. There
# they are 0.3" off the core; the real ones within 2.5" of a peak are 0.9" off it.
SCATTER = 0.12
COMPACT = 0.25  # Share of the compact neighbors that are used; they are many and alike.

# Relative numbers of the families in "jets". The sets of `--data` have a core in nearly
# every FR I and few pairs of jets whose inner parts are brightest, as real ones have.
_FAMILIES = {
    "jets": 5, "double": 2.5, "triple": 2, "uneven": 1, "double_spot": 0.5, "fr1": 1,
    "wide_tail": 1.5, "narrow_tail": 1.2, "head_tail": 1, "one_sided": 0.7,
    "compact": 0.3,
}  # fmt: skip
_SIZE = (33.0, 0.65)  # FIRST's arcsec: median, and scatter of the natural logarithm.
_PEAK = (45.0, 1.1)  # Sigma: the same.
_LARGEST = 0.55  # Of the side of the field.


@dataclasses.dataclass(frozen=True)
class Example:
    """One source whose host is known. Positions are in pixels.

    Attributes:
        landmarks: What the radio image offers.
        host: (2,) position of the host.
        pixel_arcsec: Side of a pixel, arcsec.
        code: Class of the source.
        box: (4,) box around the islands.
        peaks: (p, 2) the peaks of the islands.
    """

    landmarks: Landmarks
    host: np.ndarray
    pixel_arcsec: float
    code: str
    box: np.ndarray
    peaks: np.ndarray


def simulate_examples(
    data: str, count: int, seed: int, *, broken: float = 0.0
) -> Iterator[Example]:
    """Yields the sources of so many simulated fields.

    Args:
        data: One of `SETS`.
        count: Number of fields.
        seed: Seed of all fields.
        broken: Share of the sources of several islands that lack one of them, as where
            a network or a volunteer took it for another source.
    """
    for index in range(count):
        rng = np.random.default_rng([seed, SETS.index(data), index])
        made = _draw_jets(rng, index) if data == "jets" else _draw(rng, data, index)
        field = measured_field(made)
        for number, source in enumerate(made.sources, start=1):
            # Of "jets" all classes are used, also those that RGZ's catalog lacks.
            if (source.ignore and data != "jets") or not np.isfinite(source.host).all():
                continue
            if source.family == "compact" and rng.random() > COMPACT:
                continue
            own = field.islands.labels[made.membership == number]
            group = np.unique(own[own > 0]) - 1
            if len(group) > 1 and rng.random() < broken:
                group = np.delete(group, rng.integers(len(group)))
            if len(group):
                scatter = rng.normal(0, SCATTER * field.beam_pixels, 2)
                yield _example(field, group, source.host + scatter, source.code)


def read_real(folder: Path) -> Iterator[Example]:
    """Yields the sources of `rgz_first_dev` that have a host, with the true islands.

    Args:
        folder: Folder with `annotations.csv`, `hosts.csv` and `fits`.
    """
    with (folder / "hosts.csv").open(newline="") as file:
        hosts = {(r["first_id"], r["catalog_id"]): r for r in csv.DictReader(file)}
    with (folder / "annotations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        host = hosts.get((row["first_id"], row["catalog_id"]))
        if host is None:
            continue
        field = claran.read_field(folder / "fits" / f"{row['first_id']}.fits")
        box = np.array([float(row[f"box_{edge}"]) for edge in ("x0", "y0", "x1", "y1")])
        islands = field.islands.boxes
        inside = (islands[:, :2] >= box[:2] - 1) & (islands[:, 2:] <= box[2:] + 1)
        place = np.array([float(host["host_x"]), float(host["host_y"])])
        group = np.flatnonzero(inside.all(axis=1))
        yield _example(field, group, place, row["cls"])


def _example(field: Field, group: np.ndarray, host: np.ndarray, code: str) -> Example:
    boxes = field.islands.boxes[group]
    return Example(
        landmarks=find_landmarks(
            field.signal_to_noise, field.islands, group.tolist(), field.beam_pixels
        ),
        host=host.astype(np.float64), pixel_arcsec=field.pixel_arcsec, code=code,
        box=np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]),
        peaks=field.peaks.positions[np.isin(field.peaks.islands, group)],
    )  # fmt: skip


def measured_field(made: simulated_field.Field) -> Field:
    """Returns a simulated field as a network sees it, without infrared."""
    survey = made.survey
    image = SkyImage(
        values=made.radio, pixel_arcsec=survey.pixel_arcsec, name="simulated",
        unit="Jy/beam", beam=survey.beam,
    )  # fmt: skip
    return Field("simulated", image=image, noise=made.sigma)


def _draw(rng: np.random.Generator, data: str, index: int) -> simulated_field.Field:
    surveys: Sequence[SimulatedSurvey] = SIMULATED[data]["surveys"]
    return simulated_field.simulate(
        rng, population=SIMULATED[data]["population"], infrared=False,
        survey=surveys[index % len(surveys)],
    )  # fmt: skip


def _draw_jets(rng: np.random.Generator, index: int) -> simulated_field.Field:
    """Returns a field of one source with a faint core or none."""
    # Every second field is of FIRST in its own pixels.
    surveys = SIMULATED["simulated/surveys"]["surveys"]
    survey = surveys[index // 2 % len(surveys)] if index % 2 else FIRST_NATIVE
    scale = survey.beam_arcsec / FIRST.beam_arcsec
    family = str(rng.choice(list(_FAMILIES), p=_shares(_FAMILIES)))
    size = rng.lognormal(math.log(_SIZE[0]), _SIZE[1])
    size = min(size, _LARGEST * survey.field_arcsec / scale)
    blobs = _draw_blobs(rng, family, size) * (scale, scale, 1, scale)
    sigma = survey.noise_jy * rng.lognormal(0, survey.noise_scatter)
    peak = sigma * max(6.0, rng.lognormal(math.log(_PEAK[0]), _PEAK[1]))
    blobs[:, 2] *= peak / radio.peak_brightness(blobs, survey)
    middle = (blobs[:, :2].min(axis=0) + blobs[:, :2].max(axis=0)) / 2
    shift = rng.uniform(-0.5, 0.5, 2) * survey.pixel_arcsec - middle
    host = np.array([*rng.normal(0, 0.3, 2), 15.0])
    source = Source(family, blobs, host).moved(*shift)
    return simulated_field.observe(rng, [source], sigma=sigma, survey=survey)


def _shares(numbers: dict[str, float]) -> np.ndarray:
    return np.array(list(numbers.values())) / sum(numbers.values())


def _draw_blobs(rng: np.random.Generator, family: str, size: float) -> np.ndarray:
    """Returns the blobs of a source with its core at the origin, (n, 4)."""
    if family == "jets":
        return draw_twin_jets(rng, size)
    if family == "compact":
        size = rng.lognormal(math.log(2.0), 0.5)
    shape = morphology.draw_shape(rng, family, size)
    if family != "compact" and shape.core > 0 and rng.random() < 0.7:
        shape = dataclasses.replace(shape, core=draw_core(rng))
    return morphology.build(rng, shape)
