import copy
import pickle

import cv2
import jax
import keras
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from claran.detection import loading, presets
from claran.detection.detections import Detections
from claran.detection.detector import Detector, UntrainedWarning
from claran.detection.prediction import predict_files
from claran.errors import ImageError
from claran.fields.reading import read_field, read_picture_field
from claran.models.weights import WeightsError
from claran.sky.images import SkyImage, read_sky_image
from claran.sky.surveys import SURVEYS

COLUMNS = ["image", "label", "score", "x0", "y0", "x1", "y1"]
SKY = ["center", "width", "height"]


@pytest.fixture(scope="module")
def detector(narrow):
    keras.utils.set_random_seed(1)
    return Detector(narrow())


@pytest.fixture(scope="module")
def d1_detector(narrow):
    return Detector(narrow(method="D1"))


@pytest.fixture
def field(rng):
    """A noisy field with one source and a WCS, 40 rows by 60 columns of 2 arcsec."""
    values = rng.normal(size=(40, 60)).astype(np.float32)
    values[25:30, 10:20] += 100
    header = fits.Header({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"})
    header["CRVAL1"], header["CRVAL2"] = 180.0, 30.0
    header["CRPIX1"], header["CRPIX2"] = 30.5, 20.5
    header["CDELT1"], header["CDELT2"] = -2 / 3600, 2 / 3600
    header["BMAJ"] = header["BMIN"] = 5.4 / 3600
    return fits.PrimaryHDU(values, header)


@pytest.fixture
def infrared(rng):
    return rng.integers(0, 255, (80, 120, 3), np.uint8)


@pytest.fixture
def pictures(rng):
    shapes = [(64, 64), (40, 90), (132, 132), (1, 7), (300, 20)]
    return [rng.integers(0, 255, (*shape, 3), np.uint8) for shape in shapes]


class TestDetect:
    @pytest.fixture
    def expected(self, detector, field, infrared):
        table = detector.detect(field, infrared, score_threshold=0)
        assert len(table) > 1
        return table

    @staticmethod
    def assert_same(found, expected):
        assert found.colnames == expected.colnames
        for name in COLUMNS[2:]:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-3)

    def test_table(self, expected):
        assert isinstance(expected, QTable)
        assert expected.colnames == COLUMNS + SKY
        assert expected["center"].frame.name == "icrs"
        assert (np.diff(expected["score"]) <= 0).all()
        assert set(expected["label"]) <= {"1_1", "1_2", "1_3", "2_2", "2_3", "3_3"}
        np.testing.assert_allclose(
            expected["width"].to_value(u.arcsec), 2 * (expected["x1"] - expected["x0"])
        )
        # In pixels of the field, not of the picture, which is twice as large.
        assert 30 < expected["x1"].max() <= 60 and expected["y1"].max() <= 40

    @pytest.mark.parametrize("kind", ["path", "str", "HDUList", "array", "SkyImage"])
    def test_kinds_of_radio(self, detector, field, infrared, expected, kind, tmp_path):
        path, wcs = tmp_path / "field.fits", None
        field.writeto(path)
        if kind == "array":
            source, wcs = field.data, WCS(field.header)
        elif kind == "HDUList":
            source = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(*_parts(field))])
        elif kind == "SkyImage":
            source = SkyImage(values=field.data, wcs=WCS(field.header), name="field")
        else:
            source = path if kind == "path" else str(path)
        found = detector.detect(source, infrared, wcs=wcs, score_threshold=0)
        self.assert_same(found, expected)
        name = {"HDUList": "array", "array": "array", "SkyImage": "field"}
        assert set(found["image"]) == {name.get(kind, "field.fits")}

    def test_infrared_picture_file(self, detector, field, infrared, expected, tmp_path):
        cv2.imwrite(str(tmp_path / "x.png"), infrared)
        found = detector.detect(field, tmp_path / "x.png", score_threshold=0)
        self.assert_same(found, expected)

    def test_infrared_fits_file(self, detector, field, rng, tmp_path):
        values = rng.normal(size=(40, 60)).astype(np.float32)
        hdu = fits.PrimaryHDU(values, field.header)
        hdu.writeto(tmp_path / "x.FITS")
        found = detector.detect(field, tmp_path / "x.FITS", score_threshold=0)
        self.assert_same(found, detector.detect(field, hdu, score_threshold=0))
        # On another part of the sky there is nothing to see.
        hdu.header["CRVAL1"] = 190.0
        with pytest.raises(ImageError, match="shows nothing of the sky area of array"):
            detector.detect(field, hdu)

    def test_without_wcs(self, detector, field, infrared, expected):
        found = detector.detect(field.data, infrared, score_threshold=0)
        assert found.colnames == COLUMNS
        np.testing.assert_array_equal(found["x0"], expected["x0"])

    def test_radio_alone(self, d1_detector, field):
        assert len(d1_detector.detect(field, score_threshold=0))

    def test_infrared_is_needed(self, detector, field):
        with pytest.raises(ValueError, match="has no infrared picture, which D4"):
            detector.detect(field)

    def test_score_threshold(self, detector, field, infrared, expected):
        middle = expected["score"][len(expected) // 2]
        found = detector.detect(field, infrared, score_threshold=middle)
        assert len(found) == (expected["score"] > middle).sum() < len(expected)
        assert not len(detector.detect(field, infrared, score_threshold=1))

    def test_plot(self, detector, field, infrared, expected):
        (axes,) = detector.plot(field, infrared, expected).axes
        assert len(axes.patches) == len(expected)
        (axes,) = detector.plot(field, infrared, score_threshold=1).axes
        assert not axes.patches and axes.get_title() == "array: 0 sources"


class TestChannels:
    """A network that sees the survey's own pixels, here of 1.8" for a 5.4" beam."""

    @pytest.fixture
    def detector(self, channels_detector):
        return channels_detector

    @pytest.mark.parametrize("shape", [(40, 60), (300, 12)], ids=str)
    def test_any_size_of_field(self, detector, field, shape):
        field.data = np.resize(field.data, shape)
        field.header["CDELT1"], field.header["CDELT2"] = -1.2 / 3600, 1.2 / 3600
        scene = detector.engine.prepare(read_field(field)).scene
        assert scene.scale == pytest.approx(3 / (5.4 / 1.2), rel=1e-6)
        table = detector.detect(field, score_threshold=0)
        assert len(table) or max(shape) > 100
        assert (table["x1"] <= shape[1]).all()
        assert (table["y1"] <= shape[0]).all() and (table["y0"] >= 0).all()

    def test_beam_may_be_given(self, detector, field):
        header = detector.detect(field, score_threshold=0)
        given = detector.detect(field, beam_arcsec=5.4, score_threshold=0)
        np.testing.assert_array_equal(given["x0"], header["x0"])
        wider = detector.detect(field, beam_arcsec=10.8, score_threshold=0)
        # Counting gives the same boxes, but the network sees another picture.
        assert list(wider["score"]) != list(header["score"])
        with pytest.raises(ValueError, match=r"`beam_arcsec` must be positive"):
            detector.detect(field, beam_arcsec=-1)

    def test_a_survey_says_what_the_header_does_not(self, detector, field):
        del field.header["BMAJ"], field.header["BMIN"]
        lotss = detector.detect(field, survey=SURVEYS["lotss"], score_threshold=0)
        same = detector.detect(field, beam_arcsec=6.0, score_threshold=0)
        np.testing.assert_array_equal(lotss["score"], same["score"])
        assert lotss.meta["SURVEY"] == "LoTSS" and "ASSUMED" not in lotss.meta
        assumed = detector.detect(field, score_threshold=0)
        assert assumed.meta["ASSUMED"] == "no beam: assumed FIRST's, 5.4 arcsec"

    def test_a_beam_needs_the_size_of_a_pixel(self, detector, field):
        with pytest.raises(ImageError, match=r"array: has no WCS, so that the width"):
            detector.detect(field.data, beam_arcsec=5.4)

    def test_a_wcs_may_be_given(self, detector, field):
        image, moved = read_sky_image(field), WCS(field.header)
        moved.wcs.crval += (0, 1)
        found = detector.detect(image, wcs=moved, score_threshold=0)["center"].dec.deg
        own = detector.detect(image, score_threshold=0)["center"].dec.deg
        np.testing.assert_allclose(found - own, 1, rtol=1e-3)

    def test_no_pictures(self, detector, infrared):
        picture = read_picture_field(infrared)
        with pytest.raises(ValueError, match="is a picture, but the network needs"):
            list(detector.engine.detect([picture], score_threshold=0))

    def test_saved_and_loaded(self, detector, field, tmp_path):
        detector.save(tmp_path / "tiny.keras")
        loaded = Detector.from_preset(tmp_path / "tiny.keras")
        assert loaded.model.preprocessor == detector.model.preprocessor
        assert loaded.model.finisher == detector.model.finisher
        found, expected = (
            one.detect(field, score_threshold=0) for one in (loaded, detector)
        )
        np.testing.assert_array_equal(found["score"], expected["score"])
        assert found.meta["MODELSHA"] == loaded.fingerprint[:16]

    def test_metadata(self, detector, field):
        meta = detector.detect(field, score_threshold=0.25).meta
        assert meta["MODEL"] == "claran_first" and meta["MINSCORE"] == 0.25
        assert meta["NMSIOU"] == 0.3 and meta["RPNIOU"] == 0.7
        assert all(len(name) <= 8 for name in meta)  # As FITS wants it.

    def test_repr_tells_what_it_is(self, detector):
        text = repr(detector)
        for part in ("'claran_first'", "weights", "1_1, 1_2", "Channels(", "Island"):
            assert part in text


def _parts(hdu):
    return hdu.data, hdu.header


def test_place_of_a_known_detection(detector, field):
    """Near the top and left of the picture: large y and right ascension."""
    wcs = WCS(field.header)
    sky_field = read_field(SkyImage(values=field.data, wcs=wcs, name="field.fits"))
    found = Detections(
        boxes=np.array([[2.0, 34.0, 12.0, 39.0]]), labels=np.array([5]),
        scores=np.array([0.75]),
    )  # fmt: skip
    (row,) = detector.table(sky_field, found, score_threshold=0.5)
    assert (row["image"], row["label"], row["score"]) == ("field.fits", "2_3", 0.75)
    assert [row[name] for name in COLUMNS[3:]] == [2, 34, 12, 39]
    # The middle, x 7, y 36.5, lies half a pixel beyond a pixel's center.
    want = wcs.pixel_to_world(6.5, 36.0).icrs
    assert row["center"].ra.deg == pytest.approx(want.ra.deg, abs=1e-9)
    assert row["center"].dec.deg == pytest.approx(want.dec.deg, abs=1e-9)
    assert row["center"].ra.deg > 180 and row["center"].dec.deg > 30
    assert row["width"].to_value(u.arcsec) == pytest.approx(20)
    assert row["height"].to_value(u.arcsec) == pytest.approx(10)


def test_copies_detect_the_same(d1_detector, field, monkeypatch):
    """As for pools of spawned processes, Dask and Ray; thresholds included."""
    monkeypatch.setattr(d1_detector.model.network.decoder, "iou_threshold", 0.2)
    detector = Detector(d1_detector.model)
    table = detector.detect(field, score_threshold=0.0)
    for copied in pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector):
        found = copied.detect(field, score_threshold=0.0)
        assert len(found) == len(table) > 0 and found.meta == table.meta
        for name in ("score", "x0", "y1"):
            np.testing.assert_array_equal(found[name], table[name])


def test_a_copy_needs_no_file(d1_path, field, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(d1_path.read_bytes())
    detector = Detector.from_preset(path)
    fingerprint, packed = detector.fingerprint, pickle.dumps(detector)
    path.unlink()
    table = pickle.loads(packed).detect(field)
    assert table.meta["MODELSHA"] == fingerprint[:16]


def test_64_bits_in_jax_change_nothing(d1_detector, field):
    table = d1_detector.detect(field, score_threshold=0.0)
    jax.config.update("jax_enable_x64", True)
    try:
        fresh = Detector(d1_detector.model)
        found = fresh.detect(field, score_threshold=0.0)
    finally:
        jax.config.update("jax_enable_x64", False)
    for name in ("score", "x0", "y1"):
        np.testing.assert_array_equal(found[name], table[name])


class TestPictures:
    def test_of_any_shape(self, detector, pictures):
        fields = [read_picture_field(picture) for picture in pictures]
        found = list(detector.engine.detect(fields, score_threshold=0))
        assert sum(len(one.detections) for one in found) > len(fields)
        for one in found:
            rows, columns = one.field.shape
            assert (one.detections.boxes[:, 2] <= columns).all()
            # ClaRAN holds the lower ends, in y down, at the upper border alone.
            assert (one.detections.boxes[:, 3] <= rows).all()

    def test_tables_count_rows_from_the_top(self, d1_detector, pictures, tmp_path):
        """As the network does, as figures draw it, and as `--predictions` reads it."""
        picture = pictures[1]
        field = read_picture_field(picture)
        ((_, _, (raw,)),) = d1_detector.engine.network_outputs([field])
        seen = raw.boxes[raw.valid][np.argsort(-raw.scores[raw.valid], kind="stable")]
        options = {"score_threshold": 0, "all_hypotheses": True}
        (table,) = d1_detector.detect_many([field], **options)
        boxes = np.stack([table[name] for name in COLUMNS[3:]], axis=1)
        np.testing.assert_allclose(boxes, seen, atol=1e-3)
        assert cv2.imwrite(str(tmp_path / "a.png"), picture)
        written = predict_files(
            d1_detector, [tmp_path / "a.png"], tmp_path / "a.ecsv", pictures=True,
            **options,
        ).table  # fmt: skip
        for name in COLUMNS[3:]:
            np.testing.assert_array_equal(written[name], table[name])

    def test_no_picture(self, detector):
        assert list(detector.engine.detect([], score_threshold=0)) == []


class TestPreset:
    @pytest.fixture
    def path(self, narrow_path):
        return narrow_path

    @pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "path"])
    def test_file(self, path, kind):
        detector = Detector.from_preset(kind(path))
        assert detector.trained and detector.model.network.image_size == 64
        assert detector.model.network.decoder.iou_threshold == 0.3
        assert detector.model.network.proposals.iou_threshold == 0.7

    def test_thresholds(self, path):
        detector = Detector.from_preset(path, nms_threshold=0, rpn_nms_threshold=1)
        assert detector.model.network.decoder.iou_threshold == 0
        assert detector.model.network.proposals.iou_threshold == 1

    def test_threshold_is_used(self, path, pictures):
        field = read_picture_field(pictures[0])
        counts = [
            len(next(detector.engine.detect([field], score_threshold=0)).detections)
            for detector in (
                Detector.from_preset(path, nms_threshold=0),
                Detector.from_preset(path, nms_threshold=1),
            )
        ]
        assert counts[0] < counts[1]

    @pytest.mark.parametrize("name", ["nms_threshold", "rpn_nms_threshold"])
    @pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
    def test_no_threshold(self, path, name, value):
        message = rf"`{name}` must be in \[0, 1\], got {value}"
        with pytest.raises(ValueError, match=message):
            Detector.from_preset(path, **{name: value})

    def test_untrained(self, narrow, monkeypatch):
        monkeypatch.setitem(presets.PRESETS, "x", narrow)
        with pytest.warns(UntrainedWarning, match="x is untrained: its weights are"):
            assert not Detector.from_preset("x").trained

    def test_trained_weights_give_no_warning(self, path):
        Detector.from_preset(path)  # Any warning is an error here.

    def test_preset_with_weights(self, path, narrow, monkeypatch):
        monkeypatch.setitem(presets.PRESETS, "x", narrow)
        monkeypatch.setattr(loading, "preset_weights", lambda name: path)
        detector = Detector.from_preset("x")
        expected = Detector.from_preset(path).model.get_weights()
        np.testing.assert_array_equal(detector.model.get_weights()[0], expected[0])

    @pytest.mark.parametrize("name", ["claran_v9", "x/model.keras", "."])
    def test_unknown(self, name):
        message = r"no such file, and no preset of that name \(claran_v0\.1, claran"
        with pytest.raises(WeightsError, match=message):
            Detector.from_preset(name)

    @pytest.mark.parametrize("keep", [0, 10, 0.3, 0.99], ids=str)
    def test_truncated(self, path, tmp_path, keep):
        content = path.read_bytes()
        end = keep if keep > 1 else int(keep * len(content))
        (tmp_path / "x.keras").write_bytes(content[:end])
        message = r"x\.keras: not a model of claran, or damaged .*--mode=convert"
        with pytest.raises(WeightsError, match=message):
            Detector.from_preset(tmp_path / "x.keras")

    @pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
    def test_damaged(self, path, tmp_path, where):
        content = bytearray(path.read_bytes())
        start = int(where * len(content))
        content[start : start + 2000] = bytes(2000)
        (tmp_path / "x.keras").write_bytes(content)
        with pytest.raises(WeightsError, match="not a model of claran, or damaged"):
            Detector.from_preset(tmp_path / "x.keras")

    @pytest.mark.parametrize("name", ["x.keras", "x.txt", "x.h5"])
    def test_other_file(self, tmp_path, name):
        (tmp_path / name).write_text("weights")
        with pytest.raises(WeightsError, match=f"{name}: not a model of claran"):
            Detector.from_preset(tmp_path / name)

    def test_other_model(self, tmp_path):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Flatten()])
        model.save(tmp_path / "x.keras")
        with pytest.raises(WeightsError, match=r"holds a Sequential, not a claran Det"):
            Detector.from_preset(tmp_path / "x.keras")
