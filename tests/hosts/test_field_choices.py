"""The hosts of sources in several fields, judged together."""

import dataclasses

import numpy as np
import pytest
from astropy.wcs import WCS

from claran.hosts.candidates import Candidates
from claran.hosts.fetched_sky import Sky
from claran.hosts.field_choices import FieldSources, choose_in_fields
from claran.hosts.position_density import HostDensity


def sky(ra):
    """A field of 100 x 100 pixels of an arcsec."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra, 30], [50, 50]
    wcs.wcs.cdelt = [-1 / 3600, 1 / 3600]
    return Sky(wcs, (100, 100), 1.0)


def density(x, y):
    return HostDensity(np.ones(1), np.array([[x, y]]), np.eye(2)[None], 0.5)


def candidates_at(shown, places, name="table", **more):
    ra, dec = shown.wcs.wcs_pix2world(np.array(places) - 0.5, 0).T
    count = len(ra)
    return Candidates(
        ra=ra, dec=dec, error_arcsec=np.full(count, 0.3),
        magnitude=np.full(count, 15.0), area_deg2=1.0, name=name,
        ids=[f"{name}{i}" for i in range(count)], **more,
    )  # fmt: skip


@pytest.fixture
def fields():
    """Two sources in one field and one in another."""
    return [
        FieldSources(sky=sky(10.0), densities=[density(20, 30), density(70, 60)]),
        FieldSources(sky=sky(20.0), densities=[density(40, 40)]),
    ]


def test_one_table_for_all_fields(fields):
    parts = [
        candidates_at(fields[1].sky, [(40, 41)], "b"),
        candidates_at(fields[0].sky, [(71, 60), (20, 31)], "a"),
    ]
    columns, about = choose_in_fields(fields, Candidates.joined(parts))
    assert columns["host_id"].tolist() == ["a1", "a0", "b0"]
    assert (columns["host_probability"] > 0.9).all()
    assert about["HOSTCAT"].startswith("2 images: 3 candidates in 2 deg2")
    assert columns["host_dec"][0] - columns["place_dec"][0] == pytest.approx(1 / 3600)


def test_each_field_has_candidates_of_its_own(fields):
    """Those of one field are not looked at in another, even of the same sky."""
    shown = fields[0].sky
    fields[1] = dataclasses.replace(fields[1], sky=shown)
    own = [
        candidates_at(shown, [(21, 30), (70, 61), (40, 41)], "a"),
        candidates_at(shown, [(40, 39)], "b"),
    ]
    fields = [
        dataclasses.replace(one, candidates=some)
        for one, some in zip(fields, own, strict=True)
    ]
    columns, _ = choose_in_fields(fields)
    assert columns["host_id"].tolist() == ["a0", "a1", "b0"]
    assert columns["host_2_id"].tolist() == ["", "", ""]


def test_fields_without_sky_or_candidates_have_no_hosts(fields):
    known = dataclasses.replace(
        fields[0], candidates=candidates_at(fields[0].sky, [(20, 30)])
    )
    off = FieldSources(sky=Sky(None, (9, 9), None), densities=[density(5, 5)])
    columns, _ = choose_in_fields([off, known, fields[1]])
    assert columns["host_id"].tolist() == ["", "table0", "", ""]
    assert np.isnan(columns["host_none"]).tolist() == [True, False, False, True]
    assert np.isnan(columns["place_ra"]).tolist() == [True, False, False, False]
    columns, about = choose_in_fields([off, fields[1]])
    assert (sorted(columns), about) == (["place_dec", "place_error", "place_ra"], {})


def test_a_source_in_two_fields_shares_its_host_with_none(fields):
    shown = fields[0].sky
    twice = [
        FieldSources(sky=shown, densities=[density(20, 30)]),
        FieldSources(sky=shown, densities=[density(20, 30)]),
    ]
    candidates = candidates_at(shown, [(20, 30)])
    assert choose_in_fields(twice, candidates)[0]["host_shared"].tolist() == [0, 0]
    both = [FieldSources(sky=shown, densities=[density(20, 30), density(21, 30)])]
    assert choose_in_fields(both, candidates)[0]["host_shared"].tolist() == [1, 1]


def test_magnitudes_without_a_zero_point_are_not_given(fields):
    candidates = candidates_at(fields[0].sky, [(20, 30)], relative=True)
    columns, _ = choose_in_fields(fields[:1], candidates)
    assert np.isnan(columns["host_mag"]).all()


def test_the_prior_follows_from_many_fields(fields):
    shown = fields[0].sky
    many = [
        dataclasses.replace(one, candidates=candidates_at(shown, [(80, 80)]))
        for one in [FieldSources(sky=shown, densities=[density(20, 30)])] * 60
    ]
    assert choose_in_fields(many)[1]["HOSTQ"] < 0.1
    assert choose_in_fields(many[:9])[1]["HOSTQ"] == 0.8
