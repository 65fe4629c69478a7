"""Twin jets: FR I sources that are brightest on both sides of a core hardly seen.

Real FIRST fields have such sources of two components, and some with tails. Networks
that had seen none took their arms for two sources.
"""

import copy
import dataclasses

import numpy as np

from claran.simulation import morphology

__all__ = ["draw_core", "draw_twin_jets"]

# Relative numbers of the families whose spines they follow.
_BENT = {"fr1": 0.5, "wide_tail": 0.25, "narrow_tail": 0.15, "triple": 0.1}


def draw_core(rng: np.random.Generator) -> float:
    """Returns the fraction of the flux in a core, which may be too faint to be seen."""
    return 10 ** rng.uniform(-3, -0.4)


def draw_twin_jets(rng: np.random.Generator, size: float) -> np.ndarray:
    """Returns jets that are brightest near the core, and plumes along them, (n, 4).

    Args:
        rng: Random generator.
        size: Length from end to end along the spine, arcsec.
    """
    bent = str(rng.choice(list(_BENT), p=list(_BENT.values())))
    shape = morphology.draw_shape(rng, bent, size)
    near, far = rng.uniform(0.08, 0.35), rng.uniform(0.3, 1.0)
    share = rng.uniform(0.15, 0.9)  # Of the jets in the flux.
    jets = dataclasses.replace(
        shape, core=draw_core(rng), core_jet=0.0, hot_spot=0.0, double_spot=0.0,
        edge_bright=False, cocoon=0.0, width=shape.width * rng.uniform(0.2, 0.6),
        fills=tuple(np.clip(near * rng.lognormal(0, 0.25, 2), 0.05, 0.6)),
        balance=1 / (1 + rng.lognormal(0, 0.8)),
    )  # fmt: skip
    plumes = dataclasses.replace(
        shape, core=0.0, fills=(far, far * rng.lognormal(0, 0.2)),
        width=shape.width * rng.uniform(0.7, 1.3),
    )  # fmt: skip
    # The same random numbers give both the same spines.
    (spines,) = rng.spawn(1)
    parts = [morphology.build(copy.deepcopy(spines), part) for part in (jets, plumes)]
    for part, flux in zip(parts, (share, 1 - share), strict=True):
        part[:, 2] *= flux
    return np.concatenate(parts)
