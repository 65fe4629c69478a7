"""The probability of each candidate to be the host of a radio source, and of none."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import skycoord_to_pixel
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import KDTree

from claran.hosts.candidates import Candidates
from claran.hosts.position_density import HostDensity
from claran.io.silencing import without_warnings
from claran.sky.header_wcs import pixel_area
from claran.sky.sky_balls import ball_around

__all__ = [
    "HostPrior",
    "Hosts",
    "Pairs",
    "choose_among",
    "choose_hosts",
    "estimate_prior",
    "pairs_of",
    "prior_of",
]

CHOICES = 3
REACH = 4.0  # Standard deviations: farther candidates are left out.
ENOUGH = 50  # Sources to estimate the prior from the data.
WEIGHT = 20.0  # Sources that the default prior counts as beside the data.
STEP = 0.1  # Magnitudes, of the grid of the hosts' magnitudes.
SMOOTHING = 0.4  # Magnitudes, one sigma.
GRID = np.arange(4.0, 24.0, STEP)
ROUNDS = 30
PLACES = 17  # Along each side of an image, at which its place on the sky is looked at.
UNRELATED_ROUNDS = 3  # To leave the hosts of other sources out of the counts.


def _default_magnitudes() -> Float[np.ndarray, "g"]:
    """Returns a broad density of W1 magnitudes: an assumption, not a measurement."""
    shape = np.exp(-0.5 * ((GRID - 15.0) / 1.6) ** 2)
    return shape / (shape.sum() * STEP)


@dataclasses.dataclass(frozen=True, eq=False)
class HostPrior:
    """What is known of hosts before a source is looked at.

    Attributes:
        share: Q, the share of sources with a host among the candidates.
        magnitudes: q(m) on `GRID`, per magnitude; its integral is 1.
    """

    share: float = 0.8
    magnitudes: Float[np.ndarray, "g"] = dataclasses.field(
        default_factory=_default_magnitudes
    )

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share={self.share}: give a number between 0 and 1.")


@dataclasses.dataclass(frozen=True, eq=False)
class Hosts:
    """The most probable hosts of n sources.

    Attributes:
        index: `(n, 3)` candidates, the most probable first; -1 where there are fewer.
        probability: `(n, 3)` of each; 0 where there is no candidate.
        none: `(n,)` probability that no candidate is the host.
        shared: `(n,)` whether the first candidate of the source is the host of several
            sources with probabilities of more than 1 in all.
    """

    index: Int[np.ndarray, "n 3"]
    probability: Float[np.ndarray, "n 3"]
    none: Float[np.ndarray, "n"]
    shared: Bool[np.ndarray, "n"]


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """Sources and the candidates near them, one pair a row.

    Attributes:
        sources: Number of sources, also of those that are in no pair.
        source: Of each pair, by increasing number.
        candidate: Of each pair.
        density: p(x) of the source's host at the candidate, per square arcsec.
    """

    sources: int
    source: Int[np.ndarray, "m"]
    candidate: Int[np.ndarray, "m"]
    density: Float[np.ndarray, "m"]

    @classmethod
    def joined(cls, parts: "Sequence[Pairs]") -> "Pairs":
        """Returns the pairs of several images with the same candidates.

        The sources of each image come after those of the one before.
        """
        starts = np.cumsum([0, *(part.sources for part in parts)])
        sources = [
            part.source + start for part, start in zip(parts, starts, strict=False)
        ]
        return cls(
            int(starts[-1]),
            np.concatenate([np.zeros(0, int), *sources]),
            np.concatenate([np.zeros(0, int), *(part.candidate for part in parts)]),
            np.concatenate([np.zeros(0), *(part.density for part in parts)]),
        )

    def sums(self, values: Float[np.ndarray, "m"]) -> Float[np.ndarray, "n"]:
        return np.bincount(self.source, values, self.sources)

    @functools.cached_property
    def near(self) -> Int[np.ndarray, "c"]:
        """The candidates that are in a pair, increasing."""
        return np.unique(self.candidate)

    @functools.cached_property
    def place(self) -> Int[np.ndarray, "m"]:
        """Where in `near` the candidate of each pair is."""
        return np.searchsorted(self.near, self.candidate)

    def of_candidates(self, values: Float[np.ndarray, "m"]) -> Float[np.ndarray, "c"]:
        """Returns the sums over the pairs of each candidate of `near`."""
        return np.bincount(self.place, values, len(self.near))


def choose_hosts(
    densities: Sequence[HostDensity],
    wcs: WCS,
    candidates: Candidates,
    prior: HostPrior | None = None,
) -> Hosts:
    """Returns the most probable hosts of the sources in an image.

    Args:
        densities: Of the host's place, one for each source, in pixels of the image
            (edges, see docs/conventions.md).
        wcs: Of the image.
        candidates: Of the same sky.
        prior: See `estimate_prior`; its default is an assumption.
    """
    return choose_among(pairs_of(densities, wcs, candidates), candidates, prior)


def choose_among(
    pairs: Pairs, candidates: Candidates, prior: HostPrior | None = None
) -> Hosts:
    """Returns the most probable hosts of the sources of one or several images.

    Args:
        pairs: From `pairs_of`.
        candidates: The same as for `pairs_of`.
        prior: See `prior_of`; its default is an assumption.
    """
    candidates = _with_known(candidates)
    chance, related = np.zeros(len(pairs.source)), np.zeros(len(pairs.near))
    for _ in range(UNRELATED_ROUNDS):
        chance = _probabilities(pairs, candidates, prior or HostPrior(), related)
        related = pairs.of_candidates(chance)
    order = np.lexsort((-chance, pairs.source))
    source = pairs.source[order]
    rank = np.arange(len(source)) - np.searchsorted(source, source)
    order, rank, source = (x[rank < CHOICES] for x in (order, rank, source))
    index = np.full((pairs.sources, CHOICES), -1)
    probability = np.zeros((pairs.sources, CHOICES))
    index[source, rank] = pairs.candidate[order]
    probability[source, rank] = chance[order]
    first = index[:, 0]
    total = np.append(related, 0)
    total = total[np.searchsorted(pairs.near, first)]
    shared = (first >= 0) & (total > 1 + 1e-9)
    none = np.clip(1 - pairs.sums(chance), 0, 1)
    return Hosts(index=index, probability=probability, none=none, shared=shared)


def estimate_prior(
    densities: Sequence[HostDensity],
    wcs: WCS,
    candidates: Candidates,
    prior: HostPrior | None = None,
) -> HostPrior:
    """Returns the prior under which the candidates near the sources are most probable.

    With fewer than 50 sources it is the given one.

    Args:
        densities: As for `choose_hosts`.
        wcs: As for `choose_hosts`.
        candidates: As for `choose_hosts`.
        prior: Where to start. It counts as 20 sources beside the data.
    """
    return prior_of(pairs_of(densities, wcs, candidates), candidates, prior)


def prior_of(
    pairs: Pairs, candidates: Candidates, prior: HostPrior | None = None
) -> HostPrior:
    """Returns the prior of the sources of one or several images.

    Args:
        pairs: From `pairs_of`.
        candidates: The same as for `pairs_of`.
        prior: As for `estimate_prior`.
    """
    start = found = prior or HostPrior()
    if pairs.sources < ENOUGH:
        return start
    candidates = _with_known(candidates)
    magnitude = candidates.magnitude[pairs.candidate]
    known = np.isfinite(magnitude)
    edges = np.append(GRID, GRID[-1] + STEP) - STEP / 2
    related = np.zeros(len(pairs.near))
    for _ in range(ROUNDS):
        chance = _probabilities(pairs, candidates, found, related)
        related = pairs.of_candidates(chance)
        counts = np.histogram(magnitude[known], edges, weights=chance[known])[0]
        counts = gaussian_filter1d(counts, SMOOTHING / STEP, mode="constant") / STEP
        counts += WEIGHT * start.magnitudes
        share = (chance.sum() + 1) / (pairs.sources + 2)
        found = HostPrior(float(share), counts / (counts.sum() * STEP))
    return found


def _with_known(candidates: Candidates) -> Candidates:
    """Returns candidates without magnitudes whose zero point is unknown."""
    if not candidates.relative:
        return candidates
    unknown = np.full(len(candidates), np.nan)
    return dataclasses.replace(candidates, magnitude=unknown)


def _probabilities(
    pairs: Pairs,
    candidates: Candidates,
    prior: HostPrior,
    related: Float[np.ndarray, "c"],
) -> Float[np.ndarray, "m"]:
    """Returns P of each pair: Q q p / n over the sum of all, and 1 - Q for none.

    `related` is the probability of each of `pairs.near` to be the host of any source.
    """
    magnitude = candidates.magnitude[pairs.candidate]
    hosts = np.interp(magnitude, GRID, prior.magnitudes)
    hosts = np.where(np.isfinite(magnitude), hosts, 1.0)
    background = candidates.background(pairs.near, np.minimum(related, 1))
    ratio = prior.share * hosts * pairs.density / background[pairs.place]
    return ratio / (pairs.sums(ratio) + 1 - prior.share)[pairs.source]


def pairs_of(
    densities: Sequence[HostDensity], wcs: WCS, candidates: Candidates
) -> Pairs:
    """Returns the candidates within reach of each source of an image.

    Args:
        densities: As for `choose_hosts`.
        wcs: As for `choose_hosts`.
        candidates: Of the same sky; those of other images may be among them.
    """
    own = _around(densities, wcs, candidates)
    sky = SkyCoord(candidates.ra[own], candidates.dec[own], unit="deg")
    places = np.stack(skycoord_to_pixel(sky, wcs, mode="wcs"), 1) + 0.5
    usable = np.isfinite(places).all(axis=1)
    own, places = own[usable], places[usable]
    pixel = 3600 * math.sqrt(pixel_area(wcs))
    errors = candidates.error_arcsec[own] / pixel
    tree = KDTree(places, compact_nodes=False, balanced_tree=False)
    widest = errors.max(initial=0)
    near = [_reached(tree, density, widest) for density in densities]
    logs = [
        density.logpdf(places[some], errors[some])
        for density, some in zip(densities, near, strict=True)
        if len(some)
    ]
    source = np.repeat(np.arange(len(near)), [len(some) for some in near])
    candidate = own[np.concatenate([np.zeros(0, int), *near])]
    density = np.exp(np.concatenate([np.zeros(0), *logs])) / pixel**2
    return Pairs(len(near), source, candidate, density)


def _around(
    densities: Sequence[HostDensity], wcs: WCS, candidates: Candidates
) -> Int[np.ndarray, "k"]:
    """Returns the candidates in the part of the sky where the sources are."""
    if not densities:
        return np.zeros(0, int)
    means = np.concatenate([density.means for density in densities])
    widest = max(
        density.covariances.trace(axis1=1, axis2=2).max() for density in densities
    )
    pixel = 3600 * math.sqrt(pixel_area(wcs))
    margin = REACH * math.hypot(
        math.sqrt(widest), candidates.error_arcsec.max(initial=0) / pixel
    )
    low, high = means.min(axis=0) - margin, means.max(axis=0) + margin
    columns, rows = np.linspace(low - 0.5, high - 0.5, PLACES).T
    with without_warnings():
        middle, radius = ball_around(wcs.pixel_to_world(*np.meshgrid(columns, rows)))
    # The squares of the distances from the middle, which is inside of the sphere.
    away = 1 + middle @ middle - 2 * candidates.directions @ middle
    return np.flatnonzero(away <= (1.1 * radius) ** 2)


def _reached(tree: KDTree, density: HostDensity, error: float) -> Int[np.ndarray, "m"]:
    """Returns the points of a tree within four sigma of any Gaussian of a density."""
    widths = np.linalg.eigvalsh(density.covariances)[:, -1]
    found = tree.query_ball_point(density.means, REACH * np.sqrt(widths + error**2))
    return np.unique(
        np.concatenate([np.zeros(0, int), *map(np.asarray, found)])
    ).astype(int)
