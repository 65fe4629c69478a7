"""Simulated fields as examples, with and without Apache Beam."""

import importlib
import sys
import types

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from claran_rgz import simulated
from claran_rgz.prepare import prepare


def test_header_of_a_simulated_field_equals_astropys():
    made = importlib.import_module("claran_rgz.simulated")
    one = made.simulate(np.random.default_rng(2))
    wcs = WCS(fits.Header.fromstring(made._header(one), sep="\n"))
    assert list(wcs.to_header()) == list(one.wcs.to_header())
    places = np.array([[0.0, 0.0], [131.0, 40.0]])
    np.testing.assert_allclose(
        wcs.all_pix2world(places, 0), one.wcs.all_pix2world(places, 0), atol=1e-9
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The smallest configuration, prepared without Beam."""
    return prepare("rgz/simulated_small", data_dir=tmp_path_factory.mktemp("small"))


def test_simulated_fields_are_reproducible(small, tmp_path):
    again = prepare("rgz/simulated_small", data_dir=tmp_path)
    counts = {name: split.num_examples for name, split in small.info.splits.items()}
    assert counts == {"train": 64, "validation": 16, "test": 16}
    for one, two in zip(
        small.as_data_source("train"), again.as_data_source("train"), strict=True
    ):
        assert one["name"] == two["name"]
        np.testing.assert_array_equal(one["radio"], two["radio"])
        objects = one["objects"]
        assert one["has_infrared"]
        assert one["radio"].shape == (132, 132)
        for (x0, y0, x1, y1), components in zip(
            objects["boxes"].astype(int), objects["components"], strict=True
        ):
            if components:
                assert one["radio"][y0:y1, x0:x1].max() > 5 * one["noise"]
        owners = np.bincount(
            objects["component_objects"], minlength=len(objects["boxes"])
        )
        assert owners.tolist() == objects["components"].tolist()


@pytest.fixture
def beam():
    """Skips the test where Apache Beam is missing."""
    pytest.importorskip("apache_beam", reason="needs Apache Beam (extra beam)")


@pytest.mark.usefixtures("beam")
def test_beam_makes_the_same_fields(small, by_name, tmp_path):
    beam = prepare("rgz/simulated_small", data_dir=tmp_path, beam_options=[])
    for split in ("train", "validation", "test"):
        expected, found = by_name(small, split), by_name(beam, split)
        assert found.keys() == expected.keys()
        for name, record in found.items():
            for key in ("radio", "infrared", "wcs"):
                np.testing.assert_array_equal(record[key], expected[name][key])
            boxes = expected[name]["objects"]["boxes"]
            np.testing.assert_array_equal(record["objects"]["boxes"], boxes)


@pytest.mark.usefixtures("beam")
def test_failed_beam_run_leaves_no_data_set(tmp_path, monkeypatch):
    def fail(place):
        raise ValueError("no more sky")

    monkeypatch.setattr(simulated, "make_example", fail)
    with pytest.raises(Exception, match="no more sky"):
        prepare("rgz/simulated_small", data_dir=tmp_path, beam_options=[])
    assert not list((tmp_path / "rgz/simulated_small").iterdir())


def test_beam_must_be_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"Apache Beam is not installed: .*\[beam\]"):
        prepare("rgz/simulated_small", data_dir=tmp_path, beam_options=[])


def test_beam_makes_only_simulated_fields(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    options = types.SimpleNamespace(PipelineOptions=list)
    monkeypatch.setitem(sys.modules, "apache_beam.options.pipeline_options", options)
    with pytest.raises(ValueError, match="not rgz/pairs; leave out --beam_op"):
        prepare("rgz/pairs", data_dir=tmp_path, beam_options=[])
