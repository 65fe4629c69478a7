"""Morphologies of radio sources, as sets of round Gaussians.

Two arms leave the core along curved spines. Each arm has a jet, a lobe and a hot spot.
Their proportions define the families: FR I (edge-darkened) and FR II (edge-brightened;
Fanaroff & Riley 1974, MNRAS 167, 31P), wide- and narrow-angle tails (Rudnick & Owen
1976, ApJ 203, L107), head-tails (Ryle & Windram 1968, MNRAS 138, 1), one-sided jets
(Bridle & Perley 1984, ARA&A 22, 319) and relics without core or hot spot (Kempner et
al. 2004). See `claran.simulation.radio_sky` for the array of blobs.
"""

import dataclasses
import math
from typing import Any

import numpy as np

__all__ = ["Shape", "build", "draw_shape"]

# Distance between the blobs along a spine, in arcsec. The beam (sigma 2.3" for FIRST)
# and the width of the lobe smooth the sum to a ripple of 2e-4 or less.
_STEP = 3.5
_INNERMOST = 0.55  # Innermost position of a hot spot, as a fraction of its arm.
_SIDEWAYS = 0.5  # Scatter of knots about the spine, in units of the lobe's sigma.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """The parameters of one source. Fluxes are fractions of its total flux.

    Attributes:
        arms: Lengths of the two arms along their spines, arcsec; 0 for no arm.
        angle: Direction of the first arm at the core, radians.
        bend: Angle by which both arms turn to the same side (C shape), radians.
        twist: Angle by which both arms turn in the same sense (S shape), radians.
        opening: Deviation of the second arm from the direction opposite to the first,
            at the core, radians.
        wiggle: Amplitude of the oscillation of the spine's direction, radians.
        core: Flux fraction of the core.
        core_jet: Length of the jet that leaves the core along the first arm, arcsec.
        balance: Fraction of the flux of both arms that is in the first.
        hot_spot: Fraction of an arm's flux in its hot spot.
        spot_size: Sigma of the hot spots, arcsec.
        spot_place: Position of the hot spot, where the lobe is brightest, as a fraction
            of the arm. Beyond it the lobe fades as it does toward the core.
        double_spot: Distance of a second hot spot in the first arm, arcsec; 0 for none.
        fills: Scale over which each lobe fades from its end toward the core, as a
            fraction of the arm. Small values give detached lobes, large ones a bridge.
        edge_bright: Whether arms are brightest at their ends (FR II). Otherwise they
            are brightest at the flare of the jet and fade outward over `fills` (FR I).
        width: Sigma of the lobes, arcsec.
        cocoon: Fraction of an arm's flux in a cocoon three times as wide as the lobe.
        core_size: Sigma of the core, arcsec.
        clumpiness: Scatter of the natural logarithm of the brightness along an arm.
    """

    arms: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    bend: float = 0.0
    twist: float = 0.0
    opening: float = 0.0
    wiggle: float = 0.0
    core: float = 1.0
    core_jet: float = 0.0
    balance: float = 0.5
    hot_spot: float = 0.0
    spot_size: float = 1.0
    spot_place: float = 1.0
    double_spot: float = 0.0
    fills: tuple[float, float] = (0.3, 0.3)
    edge_bright: bool = True
    width: float = 2.0
    cocoon: float = 0.0
    core_size: float = 0.5
    clumpiness: float = 0.2


def build(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Returns the blobs of a source of unit flux with its core at the origin, (n, 4).

    Args:
        rng: Random generator.
        shape: The parameters of the source.
    """
    blobs = np.concatenate([_build_core(shape), *_build_arms(rng, shape)])
    blobs[:, 2] /= blobs[:, 2].sum()
    return blobs[blobs[:, 2] > 0]


def _build_core(shape: Shape) -> np.ndarray:
    """Returns the core and its jet, which has half of the core's flux, (n, 4)."""
    if shape.core_jet == 0:
        return np.array([[0.0, 0.0, shape.core, shape.core_size]])
    reach = shape.core_jet * np.array([0.0, 0.5, 1.0])
    flux = shape.core * np.array([0.5, 0.3, 0.2])
    x, y = reach * math.cos(shape.angle), reach * math.sin(shape.angle)
    return np.stack([x, y, flux, np.full(3, shape.core_size)], axis=1)


def _build_arms(rng: np.random.Generator, shape: Shape) -> list[np.ndarray]:
    """Returns lobes, cocoons and hot spots of both arms, (n, 4) each."""
    length = np.array(shape.arms)[:, None]
    number = min(max(math.ceil(length.max() / _STEP), 3), 24)
    along = (np.arange(number) + 0.5) / number
    clumps, sideways = rng.standard_normal((2, 2, number))
    x, y, direction = _build_spines(rng, shape, along)
    fill = np.array(shape.fills)[:, None]
    if shape.edge_bright:
        flux = np.exp(-np.abs(along - shape.spot_place) / fill)
        sigma = shape.width * (0.5 + 0.5 * along)
    else:
        # Faint up to the flare, brightest at it, and fading as the flow widens.
        flux = (along / fill) ** 2 * np.exp(-2 * along / fill)
        sigma = shape.width * (0.3 + 0.9 * along)
    flux = flux * np.exp(shape.clumpiness * clumps) * (length > 0)
    total = np.array([[shape.balance], [1 - shape.balance]]) * (1 - shape.core)
    flux *= total * (1 - shape.hot_spot) / np.maximum(flux.sum(axis=1), 1e-12)[:, None]
    sigma = np.broadcast_to(sigma, flux.shape)
    # Knots scatter about the spine, more so where the flow is wide.
    aside = _SIDEWAYS * sideways * sigma
    x_knot, y_knot = x - aside * np.sin(direction), y + aside * np.cos(direction)
    parts = [_blobs(x_knot, y_knot, flux * (1 - shape.cocoon), sigma)]
    if shape.cocoon > 0:
        # Wide blobs may have twice the distance.
        x2, y2, flux2, sigma2 = (part[:, ::2] for part in (x, y, flux, sigma))
        parts.append(_blobs(x2, y2, 2 * shape.cocoon * flux2, 3 * sigma2))
    if shape.hot_spot > 0:
        flux = total * (length > 0)
        last = math.ceil(shape.spot_place * number) - 1
        ends = np.stack(
            [x[:, last], y[:, last], direction[:, last], flux[:, 0]], axis=1
        )
        for end, second in zip(ends.tolist(), (shape.double_spot, 0.0), strict=True):
            parts.append(_build_spots(rng, shape, second, end=end))
    return parts


def _blobs(*columns: np.ndarray) -> np.ndarray:
    return np.stack([column.ravel() for column in columns], axis=1)


def _build_spines(
    rng: np.random.Generator, shape: Shape, along: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns x and y in arcsec and direction in radians along both arms, (2, n) each.

    Args:
        rng: Random generator.
        shape: The parameters of the source.
        along: (n,) positions along an arm, from 0 at the core to 1.
    """
    start = np.array([shape.angle, shape.angle + math.pi - shape.opening])
    turn = np.array([shape.bend + shape.twist, shape.twist - shape.bend])
    phase, swings = rng.uniform((0, 0.5), (1, 2), (2, 2)).T
    direction = start[:, None] + turn[:, None] * along
    course = 2 * math.pi * (swings[:, None] * along + phase[:, None])
    direction += shape.wiggle * np.sin(course)
    step = np.array(shape.arms)[:, None] / len(along)
    x, y = np.cumsum([np.cos(direction) * step, np.sin(direction) * step], axis=2)
    return x, y, direction


def _build_spots(
    rng: np.random.Generator,
    shape: Shape,
    distance: float,
    *,
    end: tuple[float, float, float, float],
) -> np.ndarray:
    """Returns the hot spot at the end of an arm, and perhaps a second one, (n, 4).

    Args:
        rng: Random generator.
        shape: The parameters of the source.
        distance: Distance of the second hot spot, arcsec; 0 for none.
        end: x and y in arcsec and direction in radians at the end of the arm, and the
            flux of the arm.
    """
    x, y, direction, flux = end
    spot = [x, y, shape.hot_spot * flux, shape.spot_size]
    if distance == 0:
        return np.array([spot])
    # The second hot spot, an older one, lies back and to the side.
    back = direction + math.pi + rng.choice((-1, 1)) * rng.uniform(0.3, 1.3)
    share = shape.hot_spot * flux * rng.uniform(0.3, 0.5)
    spot[2] -= share
    x, y = x + distance * math.cos(back), y + distance * math.sin(back)
    return np.array([spot, [x, y, share, shape.spot_size * rng.uniform(0.8, 1.5)]])


def draw_shape(rng: np.random.Generator, family: str, size: float) -> Shape:
    """Returns a random member of a family.

    Args:
        rng: Random generator.
        family: One of "compact", "double", "triple", "uneven", "double_spot",
            "hot_spots", "fr1", "wide_tail", "narrow_tail", "head_tail", "one_sided" and
            "relic".
        size: Length from end to end along the spine, arcsec; for "compact" the sigma.

    Raises:
        ValueError: The family is unknown.
    """
    if family not in _FAMILIES:
        raise ValueError(f"`family` must be one of {list(_FAMILIES)}, got {family!r}.")
    return _FAMILIES[family](rng, size)


def _arms(rng: np.random.Generator, size: float, scatter: float) -> tuple[float, float]:
    """Returns the lengths of two arms with a given sum; their ratio is about 1."""
    first = 0.5 + np.clip(rng.normal(0, scatter), -0.3, 0.3)
    return size * first, size * (1 - first)


def _common(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "angle": rng.uniform(0, 2 * np.pi),
        "bend": rng.normal(0, 0.2),
        "twist": rng.normal(0, 0.2),
        "opening": rng.normal(0, 0.22),
        "wiggle": abs(rng.normal(0, 0.2)),
        # The flux ratio of the lobes has a scatter of 0.5 in its natural logarithm.
        "balance": 1 / (1 + rng.lognormal(0, 0.5)),
        "clumpiness": rng.uniform(0.1, 0.8),
        "cocoon": rng.uniform(0, 0.7),
    }


def _compact(rng: np.random.Generator, size: float) -> Shape:
    # Elongated by a short jet or an unresolved double.
    reach = size * rng.uniform(0, 1.5)
    return Shape(**_common(rng) | {
        "arms": (reach, reach * rng.uniform(0, 1)), "fills": (1.0, 1.0),
        "core": rng.uniform(0.3, 0.9), "core_size": size * rng.uniform(0.3, 1),
        "width": size, "cocoon": 0.0,
    })  # fmt: skip


def _double(rng: np.random.Generator, size: float, **changes: Any) -> Shape:
    fill = rng.lognormal(-1.1, 0.5)
    return Shape(**_common(rng) | {
        "arms": _arms(rng, size, 0.08), "core": 0.0,
        "hot_spot": _hot_spot(rng, size), "spot_size": _spot_size(rng, size),
        "spot_place": rng.uniform(_INNERMOST, 1), "fills": (fill, fill),
        "width": rng.lognormal(math.log(0.3 + 0.065 * size), 0.35),
    } | changes)  # fmt: skip


def _smallness(size: float) -> float:
    """Returns 1 for up to 12", where all parts are point-like to FIRST, 0 from 24"."""
    return min(max((24 - size) / 12, 0.0), 1.0)


def _hot_spot(rng: np.random.Generator, size: float) -> float:
    """Returns the flux fraction of a hot spot; it dominates one in five large lobes."""
    dominant = rng.random() < 0.2 + 0.6 * _smallness(size)
    return rng.uniform(0.4, 0.9) if dominant else rng.uniform(0, 0.3)


def _spot_size(rng: np.random.Generator, size: float) -> float:
    return rng.lognormal(math.log(0.2 + 0.055 * size), 0.4)


def _core(rng: np.random.Generator, size: float) -> dict[str, float]:
    median = -2.5 + _smallness(size)
    jet = rng.uniform(0.03, 0.15) * size if rng.random() < 0.6 else 0.0
    return {
        "core": float(np.clip(rng.lognormal(median, 0.7), 0.01, 0.6)),
        "core_jet": jet, "core_size": rng.lognormal(0, 0.4),
    }  # fmt: skip


def _triple(rng: np.random.Generator, size: float, **changes: Any) -> Shape:
    return _double(rng, size, **_core(rng, size) | changes)


def _uneven(rng: np.random.Generator, size: float) -> Shape:
    # One lobe reaches back to the core, the other is detached.
    fills = rng.lognormal(-0.7, 0.4), rng.lognormal(-2.0, 0.4)
    first = rng.uniform(0.28, 0.5)
    return _triple(rng, size, arms=(first * size, (1 - first) * size), fills=fills)


def _double_spot(rng: np.random.Generator, size: float) -> Shape:
    size *= 1.2
    return _double(
        rng, size, hot_spot=rng.uniform(0.4, 0.8),
        double_spot=float(np.clip(rng.normal(0.28, 0.08) * size, 7, 18)),
    )  # fmt: skip


def _hot_spots(rng: np.random.Generator, size: float) -> Shape:
    # Hot spots stay small however large the source; lobes reach back from them.
    fill = rng.lognormal(-0.9, 0.5)
    core = _core(rng, size) if rng.random() < 0.5 else {}
    return _double(
        rng, size, hot_spot=rng.uniform(0.25, 0.85),
        spot_size=rng.lognormal(-0.2, 0.5), spot_place=rng.uniform(0.8, 1),
        fills=(fill, fill * rng.lognormal(0, 0.3)),
        width=rng.lognormal(math.log(0.3 + 0.04 * size), 0.35), **core,
    )  # fmt: skip


def _fr1(rng: np.random.Generator, size: float) -> Shape:
    size *= 1.6  # Much of an FR I is fainter than the lowest contour.
    fill = rng.uniform(0.35, 0.8)
    return Shape(**_common(rng) | {
        "arms": _arms(rng, size, 0.1), "bend": rng.normal(0, 0.3),
        "wiggle": abs(rng.normal(0, 0.4)), "core": rng.uniform(0.03, 0.3),
        "fills": (fill, fill), "edge_bright": False,
        "width": rng.uniform(0.3, 1.0) + 0.045 * size,
    })  # fmt: skip


def _tail(
    rng: np.random.Generator, size: float, turn: tuple[float, float], opening: float
) -> Shape:
    edge_bright = bool(rng.random() < 0.5)
    fill = rng.uniform(0.3, 0.8)
    return Shape(**_common(rng) | {
        "arms": _arms(rng, size, 0.08), "opening": opening,
        # The second arm is tilted to the side to which both arms bend.
        "bend": -rng.uniform(*turn), "core": rng.uniform(0.02, 0.25),
        "hot_spot": rng.uniform(0, 0.3) if edge_bright else 0.0,
        "spot_size": _spot_size(rng, size),
        "fills": (fill, fill), "edge_bright": edge_bright,
        "width": rng.uniform(0.3, 1.0) + 0.055 * size,
    })  # fmt: skip


def _wide_tail(rng: np.random.Generator, size: float) -> Shape:
    return _tail(rng, size * 1.3, (0.2, 0.7), -rng.uniform(0.2, 0.9))


def _narrow_tail(rng: np.random.Generator, size: float) -> Shape:
    return _tail(rng, size * 1.5, (0.5, 1.0), -rng.uniform(0.5, 1.2))


def _head_tail(rng: np.random.Generator, size: float) -> Shape:
    return _tail(rng, size * 1.6, (0.0, 0.4), -rng.uniform(2.4, 3.1))


def _one_sided(rng: np.random.Generator, size: float) -> Shape:
    fill = rng.lognormal(-1.2, 0.6)
    return Shape(**_common(rng) | {
        "balance": rng.uniform(0.85, 1.0), "arms": (size, size * rng.uniform(0.4, 1)),
        "core": rng.uniform(0.2, 0.7), "core_size": rng.lognormal(0, 0.4),
        "hot_spot": _hot_spot(rng, size), "spot_size": _spot_size(rng, size),
        "fills": (fill, fill), "width": rng.uniform(0.5, 1.5) + 0.04 * size,
    })  # fmt: skip


def _relic(rng: np.random.Generator, size: float) -> Shape:
    fill = rng.uniform(0.8, 3.0)
    return Shape(**_common(rng) | {
        "arms": _arms(rng, size, 0.1), "bend": rng.normal(0, 0.4), "core": 0.0,
        "fills": (fill, fill), "width": rng.uniform(2.5, 4.0) + 0.05 * size,
        "clumpiness": rng.uniform(0.4, 0.8),
    })  # fmt: skip


_FAMILIES = {
    "compact": _compact,
    "double": _double,
    "triple": _triple,
    "uneven": _uneven,
    "double_spot": _double_spot,
    "hot_spots": _hot_spots,
    "fr1": _fr1,
    "wide_tail": _wide_tail,
    "narrow_tail": _narrow_tail,
    "head_tail": _head_tail,
    "one_sided": _one_sided,
    "relic": _relic,
}
