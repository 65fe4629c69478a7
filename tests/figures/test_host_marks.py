"""Marks of hosts in figures."""

import numpy as np
import pytest
from astropy.table import Table
from astropy.wcs import WCS
from matplotlib.figure import Figure

from claran.catalog.columns import finish_table
from claran.figures.host_marks import draw_hosts


@pytest.fixture
def wcs():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.crval, wcs.wcs.crpix = [180, 30], [30, 20]
    wcs.wcs.cdelt = [-2 / 3600, 2 / 3600]
    return wcs


@pytest.fixture
def axes():
    axes = Figure().add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 60)
    return axes


def hosts(wcs, places, probability, error):
    """A table with hosts at some places, in pixels of the WCS."""
    ra, dec = wcs.wcs_pix2world(np.array(places), 0).T
    return finish_table(
        {
            "host_ra": ra, "host_dec": dec, "host_probability": probability,
            "place_ra": ra, "place_dec": dec, "place_error": error,
        },
        "sources",
    )  # fmt: skip


def test_likely_hosts_and_known_places_are_marked(axes, wcs):
    table = hosts(wcs, [(10, 12), (40, 30)], [0.9, 0.2], [4.0, np.nan])
    legend = draw_hosts(axes, table, wcs, 2.0)
    (line,), (circle,) = axes.lines, axes.patches
    np.testing.assert_allclose(line.get_xydata(), [[10, 12]], atol=1e-3)
    np.testing.assert_allclose(circle.center, [10, 12], atol=1e-3)
    assert circle.radius == pytest.approx(1.516 * 4 / 2, rel=1e-3)
    assert [one.get_label() for one in legend] == ["place of host, 68%", "host"]
    assert axes.get_xlim() == (0, 60)


def test_written_tables_are_taken_too(axes, wcs, tmp_path):
    path = tmp_path / "table.csv"
    hosts(wcs, [(10, 12)], [0.9], [4.0]).write(path, format="ascii.csv")
    assert len(draw_hosts(axes, Table.read(path), wcs, 2.0)) == 2


def test_nothing_is_drawn_without_hosts(axes, wcs):
    table = hosts(wcs, [(10, 12)], [0.9], [4.0])
    assert draw_hosts(axes, table, None, 2.0) == []
    assert draw_hosts(axes, Table({"label": ["1_1"]}), wcs, 2.0) == []
    table = hosts(wcs, [(np.nan, np.nan)], [np.nan], [np.nan])
    assert draw_hosts(axes, table, wcs, 2.0) == []
    assert not axes.lines and not axes.patches
