"""Source populations: class mix, families, sizes, fluxes and neighbors.

Main sources of other surveys are those of FIRST in units of the beam and of the noise:
what an image shows of a source, and so its class, depends on nothing else. Unrelated
neighbors have the sizes they have on the sky, so that a survey with a wide beam
resolves few of them. If wanted, their number and fluxes follow the number counts
(`source_counts`) at the survey's depth.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from claran.labels import RGZ_CLASSES
from claran.simulation.source_drawing import FAMILIES, choose

__all__ = [
    "BALANCED",
    "BRIGHT_MAINS",
    "CATALOG",
    "GIANT_BRIGHTNESS",
    "GIANT_SIZE",
    "SURVEYS",
    "Population",
]

# For a network for all surveys: with two components also bent jets and tails, as real
# fields of FIRST have them, giants with small hot spots, and faint lobes of which
# fragments are seen. Networks that had seen none took the parts of such sources for
# several.
_MORE_FAMILIES = {
    "1_1": {"twin_jets": 1, "faint_lobes": 1},
    "1_2": {"twin_jets": 2, "wide_tail": 0.5, "hot_spots": 2, "faint_lobes": 1},
    "1_3": {"twin_jets": 2, "hot_spots": 1, "faint_lobes": 1},
    "2_2": {
        "twin_jets": 6, "wide_tail": 3, "narrow_tail": 2, "hot_spots": 4,
        "faint_lobes": 6,
    },
    "2_3": {
        "twin_jets": 6, "wide_tail": 2, "narrow_tail": 1.5, "hot_spots": 4,
        "faint_lobes": 6,
    },
    "3_3": {"twin_jets": 4, "hot_spots": 4, "faint_lobes": 6},
}  # fmt: skip

# Largest factors on size and brightness of giants. Their lobes are up to 3' apart, and
# well-known ones are bright. A network trained with four times the size alone took
# FIRST J151227.2+454026, two lobes of 500 and 800 sigma 160" apart, for two sources.
GIANT_SIZE, GIANT_BRIGHTNESS = 6.0, 20.0

BRIGHT_MAINS = 60.0
"""Largest factor on the brightness of bright main sources: to some 5,000 sigma."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Population:
    """The mix of sources that fields are filled with.

    Attributes:
        weights: Relative number of main sources per class.
        families: Relative numbers of the families in each class.
        neighbors: Mean number of unrelated sources per 9 square arcmin.
        neighbor_compact: Fraction of neighbors that are compact; with `crowding` of
            those above 1 mJy at 1.4 GHz, and more of fainter ones. The others have the
            class mix of the catalog, whatever `weights` are. All have the fluxes of
            FIRST's counts.
        crowding: Smallest and largest factor on the number counts at the depth of the
            survey, which then give number and fluxes of the neighbors instead of
            `neighbors`; drawn uniformly in the logarithm. None for `neighbors`.
        chance_pairs: Fraction of fields with two unrelated sources placed like the
            lobes of a double.
        pair_compact: Fraction of the sources of these pairs that are compact; the
            others have one component and a class of Radio Galaxy Zoo.
        bright: Fraction of fields with an unrelated source of 100 to 5,000 sigma.
        bright_mains: Fraction of the main sources whose brightness has a further factor
            of 1 to `BRIGHT_MAINS`.
        diffuse: Fraction of fields with an unrelated shell, spiral galaxy or halo.
        empty: Fraction of fields without a main source.
        sizes: Smallest and largest factor on the catalog's sizes of all but compact
            sources. It is drawn uniformly in the logarithm.
        brightness: The same for the peak brightness of main sources.
        giants: Fraction of the main sources with two or more components that are
            giants. Their size and brightness have further factors of 1 to `GIANT_SIZE`
            and 1 to `GIANT_BRIGHTNESS`.
        whole: Whether main sources that extend beyond the field are moved into it, and
            those that do not fit are drawn again. Subjects of Radio Galaxy Zoo are
            centered on one peak, so that wide sources are cut.

    Raises:
        ValueError: A value is out of its range.
    """

    weights: Mapping[str, float]
    families: Mapping[str, Mapping[str, float]] = dataclasses.field(
        default_factory=lambda: FAMILIES
    )
    neighbors: float = 0.22
    neighbor_compact: float = 0.7
    crowding: tuple[float, float] | None = None
    chance_pairs: float = 0.0
    pair_compact: float = 1.0
    bright: float = 0.0
    bright_mains: float = 0.0
    diffuse: float = 0.0
    empty: float = 0.0
    sizes: tuple[float, float] = (1.0, 1.0)
    brightness: tuple[float, float] = (1.0, 1.0)
    giants: float = 0.0
    whole: bool = False

    def __post_init__(self) -> None:
        if set(self.weights) != set(RGZ_CLASSES) or not (
            min(self.weights.values()) >= 0 < sum(self.weights.values())
        ):
            raise ValueError(
                f"`weights` must give each of {list(RGZ_CLASSES)} a number >= 0, "
                f"not all zero, got {dict(self.weights)}."
            )
        for name in (
            "neighbor_compact", "chance_pairs", "pair_compact", "bright",
            "bright_mains", "diffuse", "empty", "giants",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must be in [0, 1], got {getattr(self, name)}."
                )
        if not self.neighbors >= 0:
            raise ValueError(f"`neighbors` must be >= 0, got {self.neighbors}.")
        for name in ("sizes", "brightness", "crowding"):
            low, high = getattr(self, name) or (1.0, 1.0)
            if not 0 < low <= high:
                raise ValueError(
                    f"`{name}` must be a range above 0, got ({low}, {high})."
                )

    def draw_class(self, rng: np.random.Generator) -> str:
        """Returns a random class of a main source."""
        return choose(rng, self.weights)

    def draw_factors(
        self, rng: np.random.Generator, code: str = "1_1"
    ) -> tuple[float, float]:
        """Returns random factors on the size and the peak brightness of a source.

        Args:
            rng: Random generator.
            code: Class of the source. Those with several components may be giants.
        """
        size, brightness = (
            low * (high / low) ** rng.random()
            for low, high in (self.sizes, self.brightness)
        )
        if not code.startswith("1") and rng.random() < self.giants:
            size *= GIANT_SIZE ** rng.random()
            brightness *= GIANT_BRIGHTNESS ** rng.random()
        if self.bright_mains and rng.random() < self.bright_mains:
            brightness *= BRIGHT_MAINS ** rng.random()
        return size, brightness


# These weights of main sources give, with neighbors and noise, the catalog's fractions
# of all sources: 0.504, 0.116, 0.104, 0.093, 0.087, 0.095. They were adjusted on runs
# of 3,000 fields. FIRST has 946,432 sources in 10,575 square degrees (Helfand et al.
# 2015), which is 0.22 per field of 9 square arcmin.
CATALOG = Population(
    weights={"1_1": 44, "1_2": 8.5, "1_3": 15, "2_2": 8.5, "2_3": 14, "3_3": 12.5},
)

# For training: equal classes and more cases that are hard to associate. The range of
# sizes and fluxes is wide enough to include samples that were selected in other ways.
BALANCED = Population(
    weights=dict.fromkeys(RGZ_CLASSES, 1.0),
    neighbors=0.4,
    neighbor_compact=0.85,
    chance_pairs=0.03,
    empty=0.02,
    sizes=(0.9, 2.0),
    brightness=(0.7, 3.0),
    giants=0.4,
    whole=True,
)

# For a network for all surveys. How often two sources are unrelated is to follow from
# the density of the field: up to four times that of the counts, as in the Galactic
# plane. Chance pairs in more fields teach to part the lobes of real doubles. Only
# sources above a thousand sigma have many sidelobes that look like sources; they are
# main sources, as bright ones without relation to it would be far too frequent beside
# others, and teach the same.
SURVEYS = dataclasses.replace(
    BALANCED,
    families={code: own | _MORE_FAMILIES[code] for code, own in FAMILIES.items()},
    crowding=(0.5, 4.0),
    chance_pairs=0.02,
    pair_compact=0.4,
    bright=0.04,
    bright_mains=0.35,
    diffuse=0.06,
    giants=0.5,
)
