"""What radio sources look like: morphologies as sets of round Gaussians.

Two arms leave the core along curved spines. Each arm carries a jet, a lobe and a hot
spot; their proportions make the families: FR I (edge-darkened) and FR II
(edge-brightened; Fanaroff & Riley 1974, MNRAS 167, 31P), wide- and narrow-angle tails
(Rudnick & Owen 1976, ApJ 203, L107), head-tails (Ryle & Windram 1968, MNRAS 138, 1),
one-sided jets (Bridle & Perley 1984, ARA&A 22, 319) and relics without core or hot spot
(Kempner et al. 2004). See `radio` for the array of blobs.
"""

import dataclasses
import math
from typing import Any

import numpy as np

__all__ = ["Shape", "build", "draw_shape"]

# Distance between the blobs of a spine, in arcsec. Beam (sigma 2.3" for FIRST) and lobe
# smooth it to a ripple of 2e-4 or less.
_STEP = 3.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """The parameters of one source; fluxes are fractions of its total.

    Attributes:
        arms: Lengths of the two arms along their spines, arcsec; 0 for no arm.
        angle: Direction of the first arm at the core, radians.
        bend: How far each arm turns, both to the same side of the source, radians.
        twist: How far each arm turns, both in the same sense (S shape), radians.
        opening: Angle that the second arm lacks to a straight line, radians.
        core: Flux fraction of the core.
        balance: Share of the first arm in the flux of both.
        hot_spot: Share of an arm's flux in its hot spot.
        double_spot: Distance of a second hot spot in the first arm, arcsec; 0 for none.
        fills: Scale over which each lobe fades from its end towards the core, as a
            fraction of the arm; small is a detached lobe, large a bridge.
        edge_bright: Whether arms are brightest at their ends (FR II) or, fading
            outwards over `fills`, at the flare of the jet (FR I).
        width: Sigma of the lobes, arcsec.
        core_size: Sigma of the core, arcsec.
        clumpiness: Scatter of the logarithm of the brightness along an arm.
    """

    arms: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    bend: float = 0.0
    twist: float = 0.0
    opening: float = 0.0
    core: float = 1.0
    balance: float = 0.5
    hot_spot: float = 0.0
    double_spot: float = 0.0
    fills: tuple[float, float] = (0.3, 0.3)
    edge_bright: bool = True
    width: float = 2.0
    core_size: float = 0.5
    clumpiness: float = 0.2


def build(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Returns the blobs of a source of unit flux, its core at the origin, (n, 4)."""
    parts = [np.array([[0.0, 0.0, shape.core, shape.core_size]])]
    turns = (shape.bend + shape.twist, shape.twist - shape.bend)
    starts = (shape.angle, shape.angle + math.pi - shape.opening)
    shares = (shape.balance, 1 - shape.balance)
    for arm in range(2):
        flux = shares[arm] * (1 - shape.core)
        if shape.arms[arm] > 0 and flux > 0:
            blobs = _build_arm(rng, shape, arm, start=starts[arm], turn=turns[arm])
            blobs[:, 2] *= flux
            parts.append(blobs)
    blobs = np.concatenate(parts)
    blobs[:, 2] /= blobs[:, 2].sum()
    return blobs[blobs[:, 2] > 0]


def _build_arm(
    rng: np.random.Generator, shape: Shape, arm: int, *, start: float, turn: float
) -> np.ndarray:
    """Returns the blobs of one arm of unit flux, (n, 4)."""
    length, fill = shape.arms[arm], shape.fills[arm]
    number = int(np.clip(math.ceil(length / _STEP), 3, 24))
    along = (np.arange(number) + 0.5) / number
    direction = start + turn * along
    x = np.cumsum(np.cos(direction)) * length / number
    y = np.cumsum(np.sin(direction)) * length / number
    if shape.edge_bright:
        flux = np.exp((along - 1) / fill)
        sigma = shape.width * (0.5 + 0.5 * along)
    else:
        # Faint up to the flare, brightest there, fading as the flow widens.
        flux = (along / fill) ** 2 * np.exp(-2 * along / fill)
        sigma = shape.width * (0.3 + 0.9 * along)
    flux = flux * rng.lognormal(0, shape.clumpiness, number)
    flux *= (1 - shape.hot_spot) / flux.sum()
    blobs = np.column_stack([x, y, flux, sigma])
    if shape.hot_spot == 0:
        return blobs
    sizes = np.minimum(shape.width, rng.uniform(0.3, 1.5, 2))
    spots = np.array([[x[-1], y[-1], shape.hot_spot, sizes[0]]])
    if arm == 0 and shape.double_spot > 0:
        # The older spot lies back and to the side (Laing 1981, MNRAS 195, 261).
        back = direction[-1] + math.pi + rng.choice((-1, 1)) * rng.uniform(0.3, 1.3)
        shift = shape.double_spot * np.array([math.cos(back), math.sin(back)])
        share = shape.hot_spot * rng.uniform(0.3, 0.5)
        spots[0, 2] -= share
        older = [x[-1] + shift[0], y[-1] + shift[1], share, sizes[1]]
        spots = np.concatenate([spots, [older]])
    return np.concatenate([blobs, spots])


def draw_shape(rng: np.random.Generator, family: str, size: float) -> Shape:
    """Returns a random member of a family.

    Args:
        rng: Source of randomness.
        family: One of "compact", "double", "triple", "uneven", "double_spot", "fr1",
            "wide_tail", "narrow_tail", "head_tail", "one_sided" and "relic".
        size: End to end along the spine, arcsec; for "compact" the sigma.

    Raises:
        ValueError: The family is unknown.
    """
    if family not in _FAMILIES:
        raise ValueError(f"`family` must be one of {list(_FAMILIES)}, got {family!r}.")
    return _FAMILIES[family](rng, size)


def _arms(rng: np.random.Generator, size: float, scatter: float) -> tuple[float, float]:
    """Splits a size over two arms; arm-length ratios scatter about one."""
    first = 0.5 + np.clip(rng.normal(0, scatter), -0.3, 0.3)
    return size * first, size * (1 - first)


def _common(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "angle": rng.uniform(0, 2 * np.pi),
        "bend": rng.normal(0, 0.2),
        "twist": rng.normal(0, 0.15),
        "opening": rng.normal(0, 0.22),
        # Lobe flux ratios of FR IIs scatter by some 40%.
        "balance": 1 / (1 + rng.lognormal(0, 0.4)),
        "clumpiness": rng.uniform(0.1, 0.45),
    }


def _compact(rng: np.random.Generator, size: float) -> Shape:
    # Elongated by a short jet or an unresolved double, seen as one.
    reach = size * rng.uniform(0, 1.5)
    return Shape(**_common(rng) | {
        "arms": (reach, reach * rng.uniform(0, 1)), "fills": (1.0, 1.0),
        "core": rng.uniform(0.3, 0.9), "core_size": size * rng.uniform(0.3, 1),
        "width": size,
    })  # fmt: skip


def _double(rng: np.random.Generator, size: float, **changes: Any) -> Shape:
    fill = rng.lognormal(-1.3, 0.5)
    return Shape(**_common(rng) | {
        "arms": _arms(rng, size, 0.07), "core": 0.0,
        "hot_spot": rng.uniform(0.05, 0.55), "fills": (fill, fill),
        "width": rng.lognormal(math.log(0.4 + 0.12 * size), 0.4),
    } | changes)  # fmt: skip


def _triple(rng: np.random.Generator, size: float, **changes: Any) -> Shape:
    core = float(np.clip(rng.lognormal(-2.3, 0.7), 0.01, 0.6))
    return _double(rng, size, core=core, **changes)


def _uneven(rng: np.random.Generator, size: float) -> Shape:
    # One lobe reaches back to the core, the other stands off.
    fills = rng.lognormal(-0.7, 0.4), rng.lognormal(-2.0, 0.4)
    first = rng.uniform(0.28, 0.5)
    return _triple(rng, size, arms=(first * size, (1 - first) * size), fills=fills)


def _double_spot(rng: np.random.Generator, size: float) -> Shape:
    return _double(
        rng, size, hot_spot=rng.uniform(0.5, 0.85),
        double_spot=float(np.clip(rng.normal(0.28, 0.08) * size, 7, 18)),
    )  # fmt: skip


def _fr1(rng: np.random.Generator, size: float) -> Shape:
    fill = rng.uniform(0.35, 0.8)
    return Shape(**_common(rng) | {
        "arms": _arms(rng, size, 0.1), "bend": rng.normal(0, 0.3),
        "core": rng.uniform(0.03, 0.3), "fills": (fill, fill), "edge_bright": False,
        "width": rng.uniform(1.0, 2.0) + 0.05 * size,
    })  # fmt: skip


def _tail(
    rng: np.random.Generator, size: float, turn: tuple[float, float], opening: float
) -> Shape:
    edge_bright = bool(rng.random() < 0.5)
    fill = rng.uniform(0.3, 0.8)
    return Shape(**_common(rng) | {
        "arms": _arms(rng, size, 0.08), "opening": opening,
        # The second arm opens towards the side to which both bend.
        "bend": -rng.uniform(*turn), "core": rng.uniform(0.02, 0.25),
        "hot_spot": rng.uniform(0, 0.3) if edge_bright else 0.0,
        "fills": (fill, fill), "edge_bright": edge_bright,
        "width": rng.uniform(1.0, 2.0) + 0.05 * size,
    })  # fmt: skip


def _wide_tail(rng: np.random.Generator, size: float) -> Shape:
    return _tail(rng, size, (0.2, 0.7), -rng.uniform(0.2, 0.9))


def _narrow_tail(rng: np.random.Generator, size: float) -> Shape:
    return _tail(rng, size * 1.2, (0.5, 1.0), -rng.uniform(0.5, 1.2))


def _head_tail(rng: np.random.Generator, size: float) -> Shape:
    return _tail(rng, size * 1.6, (0.0, 0.4), -rng.uniform(2.4, 3.1))


def _one_sided(rng: np.random.Generator, size: float) -> Shape:
    fill = rng.lognormal(-1.2, 0.6)
    return Shape(**_common(rng) | {
        "balance": rng.uniform(0.85, 1.0), "arms": (size, size * rng.uniform(0.4, 1)),
        "core": rng.uniform(0.2, 0.7), "hot_spot": rng.uniform(0, 0.7),
        "fills": (fill, fill), "width": rng.uniform(1.0, 2.0) + 0.04 * size,
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
    "fr1": _fr1,
    "wide_tail": _wide_tail,
    "narrow_tail": _narrow_tail,
    "head_tail": _head_tail,
    "one_sided": _one_sided,
    "relic": _relic,
}
