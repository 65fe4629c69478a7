"""The host galaxies of the sources that were found in fields."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.table import QTable
from astropy.wcs import WCS

from claran.catalog.columns import finish_table
from claran.catalog.iau_names import iau_names
from claran.detection.detection_model import DetectionModel
from claran.errors import ImageError
from claran.fields.field import Field
from claran.fields.reading import read_infrared
from claran.hosts.candidates import Candidates
from claran.hosts.fetched_sky import Sky, fetch_around
from claran.hosts.field_choices import FieldSources, choose_in_fields
from claran.hosts.host_search import HostSearch
from claran.hosts.infrared_sources import measure_candidates, picture_candidates
from claran.hosts.landmarks import find_landmarks
from claran.hosts.packed_densities import PackedDensities
from claran.hosts.position_density import HostDensity, host_densities
from claran.sky.images import SkyImage

__all__ = [
    "PlacedField",
    "add_hosts",
    "candidates_in_field",
    "find_hosts",
    "find_hosts_in_fields",
    "host_notes",
    "place_hosts_in",
    "require_measured_sources",
]

Columns = dict[str, np.ndarray]


class PlacedField(NamedTuple):
    """A field with sources whose hosts can be at known places."""

    sky: Sky
    infrared: Any  # See `claran.read_field`.
    densities: Sequence[HostDensity]


def require_measured_sources(
    model: DetectionModel, *, pictures: bool = False, all_hypotheses: bool = False
) -> None:
    """Checks that hosts can be looked for.

    Args:
        model: The model.
        pictures: Whether fields are pictures.
        all_hypotheses: Whether alternatives are asked for.

    Raises:
        ValueError: Detections are no groups of islands, or alternatives are among them.
    """
    if pictures or not model.finisher.counts_islands:
        raise ValueError(
            "`hosts` (--hosts, --ir_catalog, --fetch) needs radio images and a model "
            "that counts islands, such as claran_v1."
        )
    if all_hypotheses:
        raise ValueError(
            "`hosts` (--hosts, --ir_catalog, --fetch) are those of a catalog's sources;"
            " leave out `all_hypotheses`."
        )


def place_hosts_in(field: Field, islands: Iterable[str]) -> PackedDensities:
    """Returns where the hosts of sources can be, by the radio image alone.

    Args:
        field: The field.
        islands: Numbers of the islands of each source, from 1, with semicolons between
            them, as in the column of that name.
    """
    groups = [[int(number) - 1 for number in text.split(";")] for text in islands]
    return PackedDensities.of(
        host_densities([
            find_landmarks(
                field.signal_to_noise, field.islands, group, field.beam_pixels
            )
            for group in groups
        ])
    )  # fmt: skip


def find_hosts(
    search: HostSearch,
    fields: Sequence[FieldSources],
    table: Candidates | None = None,
) -> tuple[Columns, dict[str, Any]]:
    """Returns the columns of the hosts of all sources, and metadata on them.

    Args:
        search: Where candidates come from.
        fields: The fields, with their own candidates if these are measured on images.
        table: The candidates in the table, if there is one.

    Raises:
        ImageError: The service is away, or no field has a WCS that is needed for it.
    """
    if not fields:
        return {}, {}
    if search.catalog is None and search.fetch:
        table = fetch_around(search, [one.sky for one in fields])
    return choose_in_fields(fields, table)


def find_hosts_in_fields(
    search: HostSearch,
    placed: Iterable[PlacedField],
    table: Candidates | None,
    tell: Callable[[str], None],
) -> tuple[Columns, dict[str, Any]]:
    """Returns the columns of the hosts of all sources, and metadata on them.

    Args:
        search: Where candidates come from.
        placed: The fields, each looked at once.
        table: The candidates in the table, if there is one.
        tell: Receives messages for the user.

    Raises:
        ImageError: As for `find_hosts`.
    """
    fields, faults = [], []
    for sky, infrared, densities in placed:
        try:
            own = candidates_in_field(search, sky, infrared)
        except ImageError as error:  # It must not end the work on the others.
            faults.append(str(error))
            own = None
        fields.append(FieldSources(sky=sky, densities=densities, candidates=own))
    if faults:
        more = f" (and {len(faults) - 1} others)" if len(faults) > 1 else ""
        tell(f"Note: no candidates for hosts from {faults[0].rstrip('.')}{more}.")
    columns, about = find_hosts(search, fields, table)
    if fields:
        for line in host_notes(about):
            tell(line)
    return columns, about


def host_notes(about: Mapping[str, Any]) -> list[str]:
    """Returns what a user should read about hosts.

    Args:
        about: Metadata of the table, with those on hosts.
    """
    if "HOSTCAT" not in about:
        return [
            "Note: without candidates (--ir, --ir_catalog or --fetch) and a WCS, hosts "
            "have a place at most, and no counterpart."
        ]
    notes = about.get("HOSTNOTE")
    return [f"Note on the candidates for hosts: {notes}."] if notes else []


def candidates_in_field(
    search: HostSearch, sky: Sky, infrared: Any
) -> Candidates | None:
    """Returns the candidates on the infrared image of a field, if it is asked for.

    Args:
        search: Where candidates come from.
        sky: What the field shows.
        infrared: See `claran.read_field`. A picture counts as without brightness.

    Raises:
        ImageError: The image cannot be read or measured.
    """
    given = search.catalog is not None or bool(search.fetch)
    if given or not search.images or sky.wcs is None:
        return None
    shown = read_infrared(infrared)
    if shown is None:
        return None
    if isinstance(shown, SkyImage):
        found = measure_candidates(shown)
    else:
        found = picture_candidates(shown, _picture_wcs(sky, shown.shape))
    # Numbers are those of one image.
    names = iau_names(found.ra, found.dec, "IR", digits=1)
    return dataclasses.replace(found, ids=names)


def add_hosts(
    table: QTable, field: Field, search: HostSearch, infrared: Any = None
) -> None:
    """Adds the hosts of a field's sources to their table, and what is known of them.

    Args:
        table: Of `claran.Detector.detect`.
        field: The field.
        search: Where candidates come from.
        infrared: Infrared image of the field; that of the field if None.

    Raises:
        ImageError: A table, an image or a service cannot be used.
    """
    known = search.read_table()
    if not len(table):
        return
    sky = Sky(field.wcs, field.shape, field.pixel_arcsec)
    shown = field.picture if infrared is None else infrared
    islands: Any = table["islands"]
    sources = FieldSources(
        sky=sky, densities=list(place_hosts_in(field, islands)),
        candidates=candidates_in_field(search, sky, shown),
    )  # fmt: skip
    columns, about = find_hosts(search, [sources], known)
    added = finish_table(columns, "sources")
    for name in added.colnames:
        table[name] = added[name]
    table.meta = {**(table.meta or {}), **about}


def _picture_wcs(sky: Sky, shape: tuple[int, ...]) -> WCS:
    """Returns the WCS of a picture of a field, for its rows from the lowest up."""
    assert sky.wcs is not None  # noqa: S101 - without it there are no candidates.
    if sky.wcs.sip is not None:
        raise ImageError(
            "the radio image has a distorted WCS (SIP), so that a picture shows no "
            "candidates for hosts; give --ir as FITS."
        )
    scale = np.array(shape[1::-1]) / np.array(sky.shape[::-1])
    wcs = sky.wcs.deepcopy()
    wcs.wcs.crpix = (wcs.wcs.crpix - 0.5) * scale + 0.5
    if wcs.wcs.has_cd():
        wcs.wcs.cd = wcs.wcs.cd / scale
    else:
        wcs.wcs.pc = wcs.wcs.get_pc() / scale
    wcs.wcs.set()
    return wcs
