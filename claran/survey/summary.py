"""What a user wants to read at the end of a survey."""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import QTable
from jaxtyping import Float

from claran.hosts.host_columns import count_hosts
from claran.labels import display_name

__all__ = ["summarize"]

PREFIXES = ((1.0, ""), (1e3, "m"), (1e6, "u"), (1e9, "n"))


def summarize(
    sources: QTable,
    components: QTable,
    *,
    mosaics: int,
    area_deg2: float,
    seconds: float,
    files: Sequence[str],
    folder: str,
) -> str:
    """Returns the summary of a survey, in a few lines.

    Args:
        sources: Table of sources.
        components: Table of components.
        mosaics: Number of mosaics that were searched.
        area_deg2: Area that was searched; NaN if it is unknown.
        seconds: Time that it took.
        files: Names of the files that were written.
        folder: Where they are.
    """
    many = f"{mosaics} mosaics" if mosaics > 1 else "1 mosaic"
    lines = [f"Searched {many}{_area(area_deg2, seconds)} in {_duration(seconds)}."]
    grouped = int(np.sum(np.asarray(components["source"]) != ""))
    lines.append(
        f"Sources:    {len(sources):,}, with {grouped:,} of {len(components):,} "
        "components"
    )
    counts = collections.Counter(np.asarray(sources["label"]).tolist())
    if counts:
        most = [f"{display_name(k)}: {n:,}" for k, n in sorted(counts.items())]
        lines.append(f"Classes:    {', '.join(most)}")
        rms, flux = (_numbers(sources, name) for name in ("rms", "flux"))
        brightest = int(np.nanargmax(flux))
        most = f"{sources['name'][brightest]}, {_flux(float(flux[brightest]))}"
        lines += [
            f"Noise:      {_flux(float(np.nanmedian(rms)), '/beam')} (at sources)",
            f"Brightest:  {most}",
        ]
        flagged = int(np.sum(np.asarray(sources["flags"]) != 0))
        if "host_probability" in sources.colnames:
            lines.append(f"Hosts:      {count_hosts(sources)}")
        lines.append(f"Flagged:    {flagged:,} sources; docs/catalog.md has the bits")
    lines.append(f"Written to {folder}: {', '.join(files)}")
    return "\n".join(lines)


def _numbers(table: QTable, name: str) -> Float[np.ndarray, "n"]:
    column: Any = table[name]
    return np.asarray(column.value, float)


def _area(area_deg2: float, seconds: float) -> str:
    if not area_deg2 > 0:
        return ""
    return f", {area_deg2:.4g} deg2 ({area_deg2 / seconds:.3g} deg2/s),"


def _duration(seconds: float) -> str:
    """Returns a time in words.

    >>> _duration(7.44), _duration(3725)
    ('7.4 s', '1 h 2 min')
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _flux(jansky: float, per: str = "") -> str:
    """Returns a flux with the prefix that suits it.

    >>> _flux(1.5e-4, "/beam"), _flux(2.0)
    ('150 uJy/beam', '2 Jy')
    """
    fitting = [one for one in PREFIXES if abs(jansky) * one[0] >= 1]
    factor, prefix = fitting[0] if fitting else PREFIXES[-1]
    return f"{jansky * factor:.3g} {prefix}Jy{per}"
