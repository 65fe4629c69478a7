"""The tables of the true sources of a simulated mosaic, and of their components."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units
from astropy.table import Column, Table

from claran.simulation.mosaic_plan import MosaicPlan, is_blank
from claran.simulation.mosaic_sky import Rendered

__all__ = ["Truth"]

# Unit and meaning of each column of the truth.
_SOURCE_COLUMNS = {
    "source": ("", "number of the source"),
    "ra": ("deg", "flux-weighted right ascension"),
    "dec": ("deg", "flux-weighted declination"),
    "x": ("pix", "flux-weighted column, in pixel edges"),
    "y": ("pix", "flux-weighted row, in pixel edges"),
    "core_x": ("pix", "column of the core"),
    "core_y": ("pix", "row of the core"),
    "flux": ("Jy", "total flux"),
    "peak_flux": ("Jy/beam", "highest brightness"),
    "snr": ("", "highest brightness in units of the noise"),
    "rms": ("Jy/beam", "noise at its place"),
    "class": ("", "components (islands) and peaks without noise; 0_0 if too faint"),
    "family": ("", "morphology"),
    "n_components": ("", "islands above 5.196 sigma"),
    "n_peaks": ("", "peaks by Radio Galaxy Zoo's rule"),
    "n_gaussians": ("", "rows in the table of components"),
    "las": ("arcsec", "largest distance between pixels of its islands"),
    "x0": ("pix", "left edge of the box around its islands"),
    "y0": ("pix", "lower edge"),
    "x1": ("pix", "right edge"),
    "y1": ("pix", "upper edge"),
    "inside": ("", "fraction of its flux on pixels that are not blank"),
}
_COMPONENT_COLUMNS = {
    "component": ("", "number of the component"),
    "source": ("", "number of its source"),
    "ra": ("deg", "right ascension of the peak"),
    "dec": ("deg", "declination of the peak"),
    "x": ("pix", "column of the peak, in pixel edges"),
    "y": ("pix", "row of the peak, in pixel edges"),
    "peak_flux": ("Jy/beam", "brightness of the peak"),
    "flux": ("Jy", "flux of the pixels from which one climbs to the peak"),
    "snr": ("", "brightness in units of the noise"),
    "rms": ("Jy/beam", "noise at its place"),
    "island": ("", "island of the source, from 0; -1 outside"),
}
_FORMATS = {
    **dict.fromkeys(("ra", "dec"), ".8f"),
    **dict.fromkeys(("x", "y", "core_x", "core_y"), ".5f"),
    **dict.fromkeys(("flux", "peak_flux", "rms"), ".7e"),
    **dict.fromkeys(("snr", "las", "inside"), ".4f"),
    **dict.fromkeys(("x0", "y0", "x1", "y1"), ".0f"),
}


class Truth:
    """Collects the sources of a mosaic that show in it, in the order of their cells."""

    def __init__(self, plan: MosaicPlan) -> None:
        self.plan = plan
        self.sources: list[dict[str, Any]] = []
        self.components: list[dict[str, Any]] = []

    def add(self, rendered: Sequence[Rendered]) -> None:
        """Adds sources of which a component lies on a pixel that is not blank."""
        for one in rendered:
            places = [(part["y"], part["x"]) for part in one.components]
            seen = [not self._blank(np.array([y]), np.array([x])) for y, x in places]
            if not any(seen):
                continue
            number = len(self.sources) + 1
            about = dict(one.source, source=number, inside=self._inside(one))
            about |= zip(("x0", "y0", "x1", "y1"), about.pop("box"), strict=True)
            self.sources.append(about)
            for part, shown in zip(one.components, seen, strict=True):
                if shown:
                    place = len(self.components) + 1
                    self.components.append(dict(part, source=number, component=place))

    def _blank(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return is_blank(self.plan, y, x)

    def _inside(self, one: Rendered) -> float:
        low, left, stamp = one.stamps[0]
        rows, columns = (np.arange(side) + 0.5 for side in stamp.shape)
        seen = ~self._blank(rows + low, columns + left)
        return float(stamp[seen].sum() / stamp.sum())

    def tables(self) -> tuple[Table, Table]:
        """Returns the tables of sources and components."""
        return (
            self._table(self.sources, _SOURCE_COLUMNS),
            self._table(self.components, _COMPONENT_COLUMNS),
        )

    def _table(self, rows: list[dict[str, Any]], columns: dict[str, Any]) -> Table:
        values = {name: np.array([row.get(name) for row in rows]) for name in columns}
        if not rows:
            values = dict.fromkeys(columns, np.zeros(0))
        places = np.stack([values["x"], values["y"]], axis=1)
        # A WCS counts from the center of the first pixel, positions from its edge.
        sky = np.asarray(self.plan.wcs.all_pix2world(places - 0.5, 0))
        values["ra"], values["dec"] = sky.T
        plan = self.plan
        meta = {
            "SEED": plan.seed, "KIND": plan.kind, "SURVEY": plan.survey.name,
            "NX": plan.shape[1], "NY": plan.shape[0], "DEG2": round(plan.deg2, 6),
        }  # fmt: skip
        made = [
            Column(
                values[name], name, description=description, unit=_unit(unit),
                format=_FORMATS.get(name) if rows else None,
            )
            for name, (unit, description) in columns.items()
        ]  # fmt: skip
        return Table(made, meta=meta)


def _unit(name: str) -> units.UnitBase | None:
    return units.Unit(name) if name else None
