"""What is measured of the sources of fields; tests/survey compares with a survey."""

import dataclasses

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable

from claran.catalog.tables import format_table, table_format, write_table
from claran.detection.counting import FieldIslands, count_groups, recount
from claran.detection.field_photometry import FIELDS_AT_ONCE
from claran.evaluation.prediction_files import read_predictions
from claran.fields.field import Field
from claran.fields.reading import read_picture_field
from claran.labels import RGZ_CLASSES

SKY = {"ra", "dec", "e_ra", "e_dec", "width", "height", "las", "e_las", "pa"}


def detect(detector, fields, **options):
    options = {"score_threshold": 0.0, "measured": True} | options
    return [one.detections for one in detector.engine.detect(fields, **options)]


def assert_equal(one, other):
    assert one.columns.keys() == other.columns.keys()
    for name, column in one.columns.items():
        assert column.tobytes() == other[name].tobytes(), name
    assert one.boxes.tobytes() == other.boxes.tobytes()


@pytest.fixture(scope="module")
def lobes(make_sky_field):
    """A field with two sources of a known flux in units of the noise."""
    places = [(30, 30, 100), (52, 40, 60)]
    return make_sky_field("lobes", (80, 90), places, infrared=False)


def test_alone_and_among_others(channels_detector, sky_fields):
    together = detect(channels_detector, sky_fields)
    assert sum(map(len, together)) > 5
    for field, found in zip(sky_fields, together, strict=True):
        (alone,) = detect(channels_detector, [field])
        assert_equal(alone, found)
    assert SKY <= together[0].columns.keys()
    assert "alternative" not in together[0].columns


def test_rows_are_those_of_the_catalog(channels_detector, sky_fields):
    options = {"measured": False, "score_threshold": 0.05}
    wanted = detect(channels_detector, sky_fields, **options)
    found = detect(channels_detector, sky_fields, score_threshold=0.05)
    for one, other in zip(wanted, found, strict=True):
        assert list(one.columns) == ["alternative", "probability"] or not len(one)
        np.testing.assert_array_equal(one.catalog().boxes, other.boxes)
        np.testing.assert_array_equal(one.catalog().scores, other.scores)


def test_fluxes_in_jansky(channels_detector, lobes):
    """Gaussians of variance 1.6, nearly that of the beam."""
    (found,) = detect(channels_detector, [lobes])
    row = np.argmax(found["flux"])  # Both of them.
    assert found["n_components"][row] == 2 and found["islands"][row] == "1;2"
    assert found["peak_flux"][row] == pytest.approx(100, rel=0.03)
    beam = np.pi / (4 * np.log(2)) * 9
    assert found["flux"][row] == pytest.approx(160 * 2 * np.pi * 1.6 / beam, rel=0.05)
    milli = dataclasses.replace(lobes.image, unit="mJy/beam")
    (other,) = detect(channels_detector, [lobes.replace(image=milli)])
    np.testing.assert_allclose(other["flux"], found["flux"] / 1e3, rtol=1e-4)
    np.testing.assert_allclose(other["rms"], found["rms"] / 1e3, rtol=1e-6)
    np.testing.assert_array_equal(other["n_peaks"], found["n_peaks"])


def test_kelvin_without_a_frequency(channels_detector, lobes):
    image = dataclasses.replace(lobes.image, unit="K", wcs=None)
    field = lobes.replace(image=image)
    (found,) = detect(channels_detector, [field])
    for name in ("flux", "e_flux", "peak_flux", "e_peak_flux", "rms"):
        assert np.isnan(found[name]).all()
    assert (found["snr"] > 5).all() and not SKY & found.columns.keys()
    table = channels_detector.detect(field, score_threshold=0)
    assert "there are no fluxes: the image is in K, but" in table.meta["NOTES"]
    hertz = dataclasses.replace(image, frequency_hz=1.4e9)
    (found,) = detect(channels_detector, [lobes.replace(image=hertz)])
    assert (found["flux"] > 0).all()


def test_no_sources_have_the_same_columns(channels_detector, make_sky_field, lobes):
    empty = make_sky_field("empty", (50, 50), [], infrared=False)
    (none,), (some,) = (detect(channels_detector, [one]) for one in (empty, lobes))
    assert not len(none) and none.columns.keys() == some.columns.keys()
    table = channels_detector.detect(empty)
    assert table.colnames == channels_detector.detect(lobes).colnames
    assert "NOTES" not in table.meta


def test_pictures_stay_as_they_are(picture_detector, rng):
    picture = read_picture_field(rng.integers(0, 255, (64, 64, 3), np.uint8))
    (found,) = detect(picture_detector, [picture])
    assert len(found) and list(found.columns) == ["alternative"]


def test_what_comes_before_an_error_is_not_lost(channels_detector, lobes):
    def load(number):
        if number == 3:
            raise RuntimeError("the disk is on fire")
        return lobes

    found = channels_detector.engine.detect(
        range(5), load, score_threshold=0.0, measured=True
    )
    assert [next(found).item for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="the disk is on fire"):
        next(found)


def test_fields_that_cannot_be_used_keep_their_place(channels_detector, lobes):
    flat = Field(
        "flat", image=dataclasses.replace(lobes.image, values=np.ones((9, 9), "f4"))
    )
    fields = [lobes, flat] * (FIELDS_AT_ONCE // 2 + 1)
    found = list(
        channels_detector.engine.detect(
            fields, score_threshold=0.5, measured=True, skip_unusable=True
        )
    )
    assert [one.item for one in found] == fields
    assert [one.error is None for one in found] == [True, False] * (len(found) // 2)


@pytest.mark.parametrize("ending", [".csv", ".ecsv", ".fits", ".vot"])
def test_tables_of_all_formats(channels_detector, lobes, tmp_path, ending):
    table = channels_detector.detect(lobes, score_threshold=0)
    write_table(table, tmp_path / f"x{ending}")
    found = QTable.read(tmp_path / f"x{ending}", format=table_format(f"x{ending}"))
    assert len(found) == len(table) > 0
    for name in ("flux", "las", "pa", "flags", "p_1_1"):
        column = u.Quantity(found[name]).value
        wanted = u.Quantity(table[name]).value
        np.testing.assert_allclose(column, wanted, rtol=1e-6)
    assert [str(text) for text in found["islands"]] == table["islands"].tolist()
    read = read_predictions(tmp_path / f"x{ending}", [lobes], RGZ_CLASSES).fields[0]
    np.testing.assert_array_equal(read.scores, table["score"])


def test_printed_table(channels_detector, lobes):
    table = channels_detector.detect(lobes, score_threshold=0)
    lines = format_table(table).splitlines()
    assert max(map(len, lines)) <= 100
    names = "ra dec label score flux e_flux peak_flux las pa snr flags"
    assert lines[0].split() == names.split()
    assert "mJy" in lines[1]
    pixels = dataclasses.replace(lobes.image, wcs=None)
    table = channels_detector.detect(lobes.replace(image=pixels), score_threshold=0)
    assert format_table(table).split()[:6] == ["x0", "y0", "x1", "y1", "label", "score"]


def test_groups_know_their_islands_and_the_next_best():
    boxes = np.array([[0, 0, 4, 4], [10, 0, 14, 4], [30, 0, 34, 4.0]])
    islands = FieldIslands(boxes, np.ones((3, 1), int), np.array([7, 2, 5]))
    found = np.array([[0, 0, 14, 4], [0, 0, 4, 4], [30, 0, 34, 4.0]])
    given = found, np.array([4, 1, 1]), np.array([0.6, 0.3, 0.8]), islands
    groups = count_groups(*given, RGZ_CLASSES, trust=1.0)
    total = groups.classes.sum(axis=1)
    places = {members: row for row, members in enumerate(groups.members)}
    rows = recount(*given, RGZ_CLASSES, trust=1.0)["group"]
    by_islands = {tuple(row.islands.tolist()): row for row in rows}
    pair, single, other = (by_islands[key] for key in ((7, 2), (7,), (5,)))
    assert pair.second == total[places[0,]] and single.second == total[places[0, 1]]
    assert other.second == 0 and other.classes.sum() == total[places[2,]]
