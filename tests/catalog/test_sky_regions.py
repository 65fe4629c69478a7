import time

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from claran.catalog.sky_regions import Crosses, Ellipses, Outlines, write_regions

FORMATS = {".reg": "ds9", ".crtf": "crtf"}
HOSTILE = [
    "J1200+30 {a} \"b\" 'c', [d] # e; f", "", "é|(x) ]", "} color=red text={", "a\nb",
]  # fmt: skip
SQUARE = np.array([[0.0, 0.0], [0.01, 0.0], [0.01, 0.01], [0.0, 0.01]])


def moved(ra, dec):
    return np.stack([(SQUARE[:, 0] + ra) % 360, SQUARE[:, 1] + dec], axis=1)


def outlines(count=1, **changes):
    values = {
        "polygons": [moved(10.0 * i, 5.0) for i in range(count)],
        "labels": ["a"] * count,
        "colors": ["#56b4e9"] * count,
    }
    return Outlines(**(values | changes))


def ellipses(**changes):
    values = {
        "ra": np.array([180.0, 0.001]), "dec": np.array([30.0, -5.0]),
        "major": np.array([20.0, 9.0]), "minor": np.array([10.0, 5.0]),
        "pa": np.array([30.0, 170.0]), "labels": ["a", "b"], "colors": ["red"] * 2,
    }  # fmt: skip
    return Ellipses(**(values | changes))


@pytest.fixture(params=FORMATS)
def written(request, tmp_path):
    """Writes regions and returns what the package `regions` makes of the file."""
    regions = pytest.importorskip("regions")

    def write(**parts):
        write_regions(tmp_path / f"r{request.param}", **parts)
        found = regions.Regions.read(
            tmp_path / f"r{request.param}", format=FORMATS[request.param]
        )
        return list(found)

    return write


def text(region):
    return region.meta.get("text") or region.meta.get("label") or ""


def test_outlines_are_where_they_were(written):
    polygons = [SQUARE, moved(359.995, -80.0), moved(180.0, 89.9)[:3]]
    found = written(outlines=outlines(3, polygons=polygons))
    for one, polygon in zip(found, polygons, strict=True):
        expected = SkyCoord(*polygon.T, unit="deg")
        assert (one.vertices.separation(expected) < 0.001 * u.arcsec).all()
        assert one.vertices.frame.name == "icrs"
        assert text(one) == "a"
        assert "#56b4e9" in one.visual.values()


def test_crosses_are_where_they_were(written):
    """One without a place is left out."""
    found = written(
        outlines=outlines(1),
        crosses=Crosses(
            ra=np.array([359.999, np.nan, 12.5]), dec=np.array([-80.0, 1.0, 30.25]),
            labels=["W1", "none", ""], colors=["#d55e00"] * 3,
        ),
    )[1:]  # fmt: skip
    expected = SkyCoord([359.999, 12.5], [-80, 30.25], unit="deg")
    centers = SkyCoord([one.center for one in found])
    assert (centers.separation(expected) < 0.001 * u.arcsec).all()
    assert [text(one) for one in found] == ["W1", ""]
    assert all("#d55e00" in one.visual.values() for one in found)


def test_ellipses_are_long_along_the_position_angle(written):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---SIN", "DEC--SIN"], [180.0, 30.0]
    wcs.wcs.cdelt = [-1 / 3600, 1 / 3600]
    one, other = written(ellipses=ellipses())
    assert (text(one), text(other)) == ("a", "b")
    center = SkyCoord(180, 30, unit="deg")
    for angle, radius, inside in [
        (30, 9.8, True), (30, 10.2, False), (210, 9.8, True),
        (120, 4.8, True), (120, 5.2, False), (330, 9.8, False),
    ]:  # fmt: skip
        point = center.directional_offset_by(angle * u.deg, radius * u.arcsec)
        assert one.contains(point, wcs) == inside


def test_no_label_breaks_the_file(written):
    found = written(outlines=outlines(len(HOSTILE), labels=HOSTILE))
    for one, label in zip(found, HOSTILE, strict=True):
        assert len(one.vertices) == 4
        # Braces, brackets, quotes and commas may be others; letters are the same.
        expected = label.replace("\n", r"\n")
        assert [c for c in text(one) if c.isalnum()] == [
            c for c in expected if c.isalnum()
        ]


def test_what_is_not_finite_is_left_out(written):
    polygons = [SQUARE, SQUARE * np.nan, SQUARE[:2], SQUARE[:0]]
    found = written(
        outlines=outlines(4, polygons=polygons, labels=["a", "b", "c", "d"]),
        ellipses=ellipses(major=np.array([np.nan, 1.0])),
    )
    assert [text(one) for one in found] == ["a", "b"]


def test_no_regions(written):
    assert written() == []
    assert written(outlines=outlines(0)) == []


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"r\.txt: must end in \.reg or \.crtf"):
        write_regions(tmp_path / "r.txt", outlines=outlines())


@pytest.mark.parametrize("ending", FORMATS)
def test_many_regions_are_fast(tmp_path, ending):
    corners = np.tile(SQUARE, (10, 1))
    many = outlines(10_000, polygons=[corners] * 10_000)
    start = time.process_time()
    write_regions(tmp_path / f"r{ending}", outlines=many)
    assert time.process_time() - start < 5  # It takes 0.3 s.
    assert (tmp_path / f"r{ending}").read_text().count("pol") == 10_000
