"""One simulated field: radio and infrared images of the same sky, and labels.

Arrays are as in a FITS file: row 0 is the southernmost. Boxes and positions are pixel
edges of that array: column `i` covers `[i, i + 1]`, and `wcs_x = x - 0.5`.
"""

import dataclasses

import numpy as np
from astropy.wcs import WCS

from claran.simulation import artifacts, field_noise, populations, source_drawing
from claran.simulation import infrared_sky as infrared
from claran.simulation import radio_sky as radio
from claran.simulation import rgz_labels as labels
from claran.simulation.observation import FIRST, SimulatedSurvey
from claran.simulation.populations import Population
from claran.simulation.rgz_labels import LabeledSource
from claran.simulation.selection import draw_of_class
from claran.simulation.source_counts import (
    draw_flux_densities,
    extended_share,
    sources_per_deg2,
)
from claran.simulation.source_drawing import Source
from claran.sky.noise import noise
from claran.sky.signal_to_noise import noise_excess, one_window_start

__all__ = ["Field", "field_wcs", "observe", "simulate"]

_WIDER = 1.15  # Neighbors lie in a square this much wider than the field.
_FAINTEST = 4.0  # Sigma; fainter neighbors are part of the noise.
_LEAST_LOBES = 8.0  # Sigma; fainter neighbors are compact.
_MOST = 120  # Neighbors of a field.
_ONE_COMPONENT = ("1_1", "1_2", "1_3")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """One labeled field; for the frame see the module.

    Attributes:
        radio: (h, w) float32 radio image, Jy/beam.
        infrared: (h, w) float32 image of WISE W1, DN; (0, 0) if it has none.
        survey: The survey, with beam, pixels and frequency.
        center: Right ascension and declination of the center, degrees.
        sigma: Noise as `claran.sky.noise.noise` measures it, Jy/beam.
        sources: All sources, including those to be ignored.
        membership: (h, w) uint8, `i + 1` on the islands of `sources[i]`, else 0.
    """

    radio: np.ndarray
    infrared: np.ndarray
    survey: SimulatedSurvey
    center: tuple[float, float]
    sigma: float
    sources: tuple[LabeledSource, ...]
    membership: np.ndarray

    @property
    def wcs(self) -> WCS:
        """The WCS of the arrays."""
        return field_wcs(self.survey, self.center)


def field_wcs(survey: SimulatedSurvey, center: tuple[float, float]) -> WCS:
    """Returns the WCS of a field, in the projection RA---SIN as FIRST.

    Args:
        survey: Sets the pixels.
        center: Right ascension and declination of the center, degrees.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = center
    wcs.wcs.crpix = [(survey.size + 1) / 2] * 2
    wcs.wcs.cdelt = [-survey.pixel_arcsec / 3600, survey.pixel_arcsec / 3600]
    wcs.wcs.radesys, wcs.wcs.equinox = "FK5", 2000.0
    wcs.wcs.set()
    return wcs


def simulate(
    rng: np.random.Generator,
    *,
    population: Population = populations.CATALOG,
    survey: SimulatedSurvey = FIRST,
    infrared: bool = True,
) -> Field:
    """Returns one random field. The same generator state gives the same field.

    Args:
        rng: Random generator.
        population: The mix of sources.
        survey: The survey, with beam, pixels, noise and artifacts.
        infrared: Whether the field has an infrared image.
    """
    sigma = survey.noise_jy * rng.lognormal(0, survey.noise_scatter)
    background = field_noise.draw_noise(rng, survey, sigma)
    if survey.uneven and rng.random() < survey.uneven:
        background *= artifacts.draw_unevenness(rng, survey)
    sources = _draw_sources(rng, population, survey, background, sigma)
    return _observe(
        rng, sources, background, sigma=sigma, survey=survey, with_infrared=infrared
    )


def observe(
    rng: np.random.Generator,
    sources: list[Source],
    *,
    sigma: float,
    survey: SimulatedSurvey,
) -> Field:
    """Returns the field of given sources, with noise, infrared image and labels.

    Args:
        rng: Random generator.
        sources: The true sources.
        sigma: Noise of the field, Jy/beam.
        survey: The survey, with beam, pixels and artifacts.
    """
    background = field_noise.draw_noise(rng, survey, sigma)
    return _observe(rng, sources, background, sigma=sigma, survey=survey)


def _observe(
    rng: np.random.Generator,
    sources: list[Source],
    background: np.ndarray,
    *,
    sigma: float,
    survey: SimulatedSurvey,
    with_infrared: bool = True,
) -> Field:
    models = [radio.render(source.blobs, survey) for source in sources]
    models = np.array(models, np.float32).reshape(-1, survey.size, survey.size)
    image = models.sum(axis=0) + background
    brightest = [s.blobs[s.blobs[:, 2].argmax(), :2] for s in sources]
    brightest = np.array(brightest).reshape(-1, 2)
    peaks = np.array([float(model.max()) for model in models])
    image += artifacts.draw_stripes(rng, survey, brightest, peaks, sigma)
    image += artifacts.draw_sidelobes(rng, survey, brightest, peaks, sigma)
    if survey.spokes:
        image += artifacts.draw_spokes(rng, survey, brightest, peaks, sigma)
    if sources:
        bowls = [radio.bowl(source.blobs, survey) for source in sources]
        image += radio.render(np.concatenate(bowls), survey)
    blank = artifacts.draw_blank(rng, survey)
    if blank.any():
        image[blank] = np.nan
        models[:, blank] = 0
    sky = np.zeros((0, 0), np.float32)
    if with_infrared:
        hosts = np.array([s.host for s in sources]).reshape(-1, 3)
        sky = infrared.draw_infrared(rng, survey, hosts[np.isfinite(hosts[:, 2])])
    measured = noise(image)
    excess = _noise_excess(image, measured, survey) if survey.uneven else None
    if excess is not None:
        labeled, membership = labels.label(
            image / excess, models / excess, sources, survey, sigma=measured
        )
    else:
        labeled, membership = labels.label(
            image, models, sources, survey, sigma=measured
        )
    # FIRST covers the two galactic caps, mostly north of the equator.
    center = rng.uniform(110, 260), np.degrees(np.arcsin(rng.uniform(-0.1, 0.85)))
    return Field(
        radio=image, infrared=sky, survey=survey, center=(center[0], float(center[1])),
        sigma=measured, sources=labeled, membership=membership,
    )  # fmt: skip


def _noise_excess(
    image: np.ndarray, sigma: float, survey: SimulatedSurvey
) -> np.ndarray | None:
    """Returns the noise about each pixel, as networks see it, in units of `sigma`."""
    ratio = image / np.float32(sigma)
    beam = survey.beam_arcsec / survey.pixel_arcsec
    return noise_excess(ratio, beam, start=one_window_start(ratio))


def _draw_sources(
    rng: np.random.Generator,
    population: Population,
    survey: SimulatedSurvey,
    background: np.ndarray,
    sigma: float,
) -> list[Source]:
    """Returns the sources of a field, the main one first."""
    sources = []
    half = survey.field_arcsec / 2
    if rng.random() < population.chance_pairs:
        sources += _draw_chance_pair(rng, population, survey)
    elif rng.random() >= population.empty:
        code = population.draw_class(rng)
        factors = population.draw_factors(rng, code)
        sources.append(
            draw_of_class(
                rng, code, factors, survey, background=background, sigma=sigma,
                population=population,
            )
        )  # fmt: skip
    if population.diffuse and rng.random() < population.diffuse:
        sources.append(_draw_diffuse(rng, survey, sigma))
    if population.bright and rng.random() < population.bright:
        peak = sigma * 100 * 50 ** rng.random()
        source = source_drawing.draw_source(rng, "compact", survey, peak=peak)
        sources.append(source.moved(*rng.uniform(-_WIDER, _WIDER, 2) * half))
    if population.crowding is not None:
        return sources + _draw_counted(rng, population, survey)
    area = (_WIDER * survey.field_arcsec / 180) ** 2
    for _ in range(rng.poisson(population.neighbors * area)):
        compact = rng.random() < population.neighbor_compact
        code = "compact" if compact else populations.CATALOG.draw_class(rng)
        place = rng.uniform(-_WIDER, _WIDER, 2) * half
        size, _ = population.draw_factors(rng)
        # Not the peaks of the class: bright neighbors with lobes are rare on the sky.
        peak = source_drawing.peak_at("compact", rng.random(), survey)
        source = source_drawing.draw_source(rng, code, survey, size=size, peak=peak)
        sources.append(source.moved(*place))
    return sources


def _draw_counted(
    rng: np.random.Generator, population: Population, survey: SimulatedSurvey
) -> list[Source]:
    """Returns the unrelated sources that the number counts give, in their places."""
    low, high = population.crowding or (1.0, 1.0)
    faintest, hertz = _FAINTEST * survey.noise_jy, survey.frequency_hz
    side = _WIDER * survey.field_arcsec
    mean = sources_per_deg2(faintest, hertz) * (side / 3600) ** 2
    count = min(int(rng.poisson(mean * low * (high / low) ** rng.random())), _MOST)
    peaks = draw_flux_densities(rng, count, faintest_jy=faintest, frequency_hz=hertz)
    extended = (1 - population.neighbor_compact) * extended_share(peaks, hertz)
    compact = rng.random(count) >= extended
    # Lobes of the faintest ones are not seen.
    compact |= peaks < _LEAST_LOBES * survey.noise_jy
    sources = source_drawing.draw_compact(rng, survey, peaks[compact])
    for peak in peaks[~compact].tolist():
        code = populations.CATALOG.draw_class(rng)
        size, _ = population.draw_factors(rng)
        source = source_drawing.draw_source(
            rng, code, survey, size=size, peak=peak, families=population.families
        )
        sources.append(source)
    places = rng.uniform(-side / 2, side / 2, (count, 2))
    return [one.moved(*place) for one, place in zip(sources, places, strict=True)]


def _draw_diffuse(
    rng: np.random.Generator, survey: SimulatedSurvey, sigma: float
) -> Source:
    peak = sigma * 3 * 30 ** rng.random()
    source = source_drawing.draw_diffuse(rng, survey, peak=peak)
    return source.moved(*rng.uniform(-0.6, 0.6, 2) * survey.field_arcsec / 2)


def _draw_chance_pair(
    rng: np.random.Generator, population: Population, survey: SimulatedSurvey
) -> list[Source]:
    """Returns two unrelated sources, placed like the lobes of a double."""
    if population.pair_compact == 1:
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(12, 45) / 2
        pair = [_draw_in_beams(rng, "compact", survey) for _ in "ab"]
    else:
        angle, distance = rng.uniform(0, 2 * np.pi), 6 * 8 ** rng.random()
        pair = [_draw_of_pair(rng, population, survey) for _ in "ab"]
    distance *= survey.beam_arcsec / FIRST.beam_arcsec
    x, y = distance * np.cos(angle), distance * np.sin(angle)
    return [pair[0].moved(x, y), pair[1].moved(-x, -y)]


def _draw_of_pair(
    rng: np.random.Generator, population: Population, survey: SimulatedSurvey
) -> Source:
    if rng.random() < population.pair_compact:
        return _draw_in_beams(rng, "compact", survey)
    code = _ONE_COMPONENT[rng.integers(len(_ONE_COMPONENT))]
    return _draw_in_beams(rng, code, survey)


def _draw_in_beams(
    rng: np.random.Generator, code: str, survey: SimulatedSurvey
) -> Source:
    return source_drawing.draw_source(rng, code, survey, in_beams=True)
