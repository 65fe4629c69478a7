"""Hosts of the sources that are found in fields."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table

from claran.detection.detector import Detector
from claran.detection.field_hosts import candidates_in_field, place_hosts_in
from claran.detection.prediction import predict_files
from claran.errors import ImageError
from claran.fields.reading import read_picture_field
from claran.hosts.fetched_sky import Sky
from claran.hosts.host_search import HostSearch
from claran.sky.images import SkyImage

PLACES = [(20, 30, 60), (40, 32, 40)]


def w1_image(field, places, *, zoom=1):
    """A W1 image of a field with sources at some places of it."""
    ny, nx = (zoom * side for side in field.shape)
    rows, columns = (np.mgrid[:ny, :nx] + 0.5) / zoom
    values = np.random.default_rng(0).normal(30, 1, (ny, nx))
    for x, y in places:
        square = (columns - x) ** 2 + (rows - y) ** 2
        values += 60 * np.exp(-0.5 * square / (6.1 / 1.8 / 2.3548) ** 2)
    return values.astype(np.float32)


@pytest.fixture
def table(sky_fields, tmp_path):
    """A catalog with a source at each place of all fields."""
    sky = [
        field.wcs.pixel_to_world(*(np.array(one[:2]) - 0.5))
        for field, places in zip(sky_fields[:2], (PLACES, [(60, 12, 90)]), strict=True)
        for one in places
    ]
    path = tmp_path / "w1.csv"
    Table({
        "designation": [f"W{i}" for i in range(3)], "ra": [one.ra.deg for one in sky],
        "dec": [one.dec.deg for one in sky], "sigra": np.full(3, 0.3),
        "w1mpro": np.full(3, 14.0),
    }).write(path)  # fmt: skip
    return path


def detect(detector, field, *arguments, **options):
    return detector.detect(field, *arguments, score_threshold=0.01, **options)


def test_a_place_by_the_radio_image_alone(channels_detector, sky_fields):
    before = detect(channels_detector, sky_fields[0])
    table = detect(channels_detector, sky_fields[0], hosts=HostSearch())
    assert len(table)
    new = ["place_ra", "place_dec", "place_error"]
    assert table.colnames == [*before.colnames, *new]
    assert "HOSTCAT" not in table.meta
    away = np.abs((table["place_dec"] - table["center"].dec).to_value("arcsec"))
    assert np.median(away) < 3


def test_hosts_of_a_table(channels_detector, sky_fields, table):
    found = detect(channels_detector, sky_fields[1], hosts=HostSearch(catalog=table))
    assert found["host_id"].tolist() == ["W2"]
    assert found["host_probability"][0] > 0.9
    assert found["host_ra"].unit == "deg" and found["host_mag"][0].value == 14
    assert found.meta["HOSTCAT"].startswith("w1.csv: 3 candidates")


def test_hosts_in_many_files(channels_detector, sky_fields, write_field, table):
    """As in each alone, but that hosts of other sources are no unrelated ones."""
    search = HostSearch(catalog=table)
    paths = [write_field(sky_fields[i]) for i in (0, 3, 1)]
    told = []
    predicted = predict_files(
        channels_detector, paths, table.with_name("out.ecsv"), score_threshold=0.01,
        hosts=search, tell=told.append,
    )  # fmt: skip
    written = QTable.read(table.with_name("out.ecsv"))
    assert written.meta["HOSTQ"] == predicted.table.meta["HOSTQ"] == 0.8
    assert told == []
    for path in paths:
        rows = written[written["image"] == path.name]
        alone = detect(channels_detector, path, hosts=search)
        assert len(rows) == len(alone)
        if not len(rows):
            continue
        for name in ("host_id", "host_2_id", "place_ra"):
            assert (rows[name] == alone[name]).all(), name
        assert rows["host_probability"] == pytest.approx(
            np.asarray(alone["host_probability"]), abs=0.05
        )
    assert {"W2"} < set(written["host_id"]) <= {"W0", "W1", "W2"}


def test_an_interrupted_run_keeps_the_places(
    channels_detector, sky_fields, write_field, table, tmp_path
):
    """A service that is away ends the run after the detection."""
    paths = [write_field(field) for field in sky_fields[:2]]
    path = tmp_path / "model.keras"
    channels_detector.save(path)
    detector = Detector(channels_detector.model, file=path)

    def predict(hosts, tell):
        return predict_files(
            detector, paths, tmp_path / "out.fits", score_threshold=0.01,
            hosts=hosts, tell=tell,
        ).table  # fmt: skip

    away = HostSearch(fetch="allwise", cache=tmp_path / "cache", offline=True)
    with pytest.raises(ImageError, match="this sky is not in the cache"):
        predict(away, tell=print)
    told = []
    resumed = predict(HostSearch(catalog=table), told.append)
    assert told == ["Resuming: 2 of 2 files are done."]
    whole = predict(HostSearch(catalog=table), tell=print)
    assert (resumed["host_id"] == whole["host_id"]).all()
    assert (resumed["place_error"] == whole["place_error"]).all()


def test_infrared_images_keep_their_brightness(
    channels_detector, sky_fields, write_field, tmp_path
):
    pytest.importorskip("sep")
    field = sky_fields[0]
    radio = write_field(field)
    header = field.wcs.to_header()
    header.update({"TELESCOP": "WISE", "BAND": 1, "MAGZP": 20.5})
    infrared = tmp_path / "a_w1.fits"
    values = w1_image(field, [(20, 31), (40, 32)])
    fits.writeto(infrared, values, header)
    search = HostSearch(images=True)
    alone = detect(channels_detector, radio, infrared, hosts=search)
    flux = 60 * 2 * np.pi * (6.1 / 1.8 / 2.3548) ** 2
    magnitude = 20.5 - 0.222 - 2.5 * np.log10(flux)
    magnitudes = alone["host_mag"].to_value("mag")
    assert np.median(magnitudes) == pytest.approx(magnitude, abs=0.1)
    assert all(name.startswith("IR J1") for name in alone["host_id"])
    damaged = write_field(field.replace(name="damaged"))
    bare = tmp_path / "bare.fits"
    fits.writeto(bare, values)
    told = []
    predicted = predict_files(
        channels_detector, [radio, damaged], tmp_path / "out.csv",
        infrared={radio: infrared, damaged: bare}, score_threshold=0.01,
        hosts=search, tell=told.append,
    ).table  # fmt: skip
    own = predicted["image"] == radio.name
    assert (predicted["host_id"][own] == alone["host_id"]).all()
    assert np.isnan(predicted["host_none"][~own]).all()
    assert "no candidates for hosts from" in told[0] and "no celestial WCS" in told[0]


@pytest.mark.parametrize("zoom", [1, 3])
def test_candidates_on_pictures(make_sky_field, zoom):
    """A picture has other pixels than the radio image, and rows from the top down."""
    pytest.importorskip("sep")
    field = make_sky_field("a", (60, 64), PLACES)
    values = np.clip(w1_image(field, [(20, 31)], zoom=zoom), 0, 255).astype(np.uint8)
    picture = np.repeat(values[::-1, :, None], 3, axis=2)
    sky = Sky(field.wcs, field.shape, field.pixel_arcsec)
    found = candidates_in_field(HostSearch(images=True), sky, picture)
    x, y = field.wcs.world_to_pixel_values(found.ra, found.dec)
    assert np.hypot(x + 0.5 - 20, y + 0.5 - 31).min() < 0.3
    assert found.relative


def test_candidates_are_not_measured_unasked(make_sky_field):
    field = make_sky_field("a", (60, 64), PLACES)
    sky = Sky(field.wcs, field.shape, field.pixel_arcsec)
    for search in HostSearch(), HostSearch(images=True, fetch="allwise"):
        assert candidates_in_field(search, sky, field.picture) is None
    off = Sky(None, field.shape, None)
    assert candidates_in_field(HostSearch(images=True), off, field.picture) is None


def test_islands_are_those_of_the_column(make_sky_field):
    field = make_sky_field("a", (60, 64), PLACES)
    assert len(field.islands) == 2
    first, second, both = place_hosts_in(field, ["1", "2", "1;2"])
    assert np.hypot(*(first.best()[0] - [20, 30])) < 1
    assert np.hypot(*(second.best()[0] - [40, 32])) < 1
    assert len(both.weights) > len(first.weights)


def test_what_cannot_be_looked_for(channels_detector, picture_detector, sky_fields):
    for detector, options in (
        (picture_detector, {}), (channels_detector, {"all_hypotheses": True})
    ):  # fmt: skip
        with pytest.raises(ValueError, match="--hosts, --ir_catalog, --fetch"):
            detector.detect(sky_fields[0], hosts=HostSearch(), **options)
    picture = read_picture_field(np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(ValueError, match="needs radio images"):
        picture_detector.detect(picture, hosts=HostSearch())


def test_a_field_off_the_sky_has_no_place(channels_detector, sky_fields):
    values = sky_fields[0].image.values
    image = SkyImage(values=values, name="x", pixel_arcsec=1.8, beam=(5.4, 5.4, 0.0))
    table = detect(channels_detector, image, hosts=HostSearch())
    assert len(table) and np.isnan(table["place_ra"]).all()
