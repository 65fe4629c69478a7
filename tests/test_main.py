import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from absl import flags
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from claran import examples
from claran.detection import presets
from claran.detection.engine import Engine
from claran.io import resuming

COLUMNS = ["image", "label", "score", "x0", "y0", "x1", "y1"]
SKY = ["center", "width", "height"]
EXAMPLES = Path(examples.__file__).parent


@pytest.fixture
def fields(tmp_path, rng):
    """Three fields in `radio` and `infrared`, the last one without a WCS."""
    (tmp_path / "radio").mkdir()
    (tmp_path / "infrared").mkdir()
    header = fits.Header(
        {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "EQUINOX": 2000.0}
    )
    header["CRVAL1"], header["CRVAL2"] = 180.0, 30.0
    header["CRPIX1"], header["CRPIX2"] = 20.5, 20.5
    header["CDELT1"], header["CDELT2"] = -2 / 3600, 2 / 3600
    for name in "abc":
        values = rng.normal(size=(40, 40)).astype(np.float32)
        values[20:28, 10:30] += 50
        fits.PrimaryHDU(values, header if name != "c" else None).writeto(
            tmp_path / "radio" / f"{name}_radio.fits"
        )
        cv2.imwrite(
            str(tmp_path / "infrared" / f"{name}_infrared.png"),
            rng.integers(0, 255, (40, 40, 3), np.uint8),
        )
    return tmp_path


@pytest.fixture(scope="session")
def channels_path(tiny_channels, tmp_path_factory):
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("models") / "channels.keras"
    tiny_channels().save(path)
    return path


@pytest.mark.usefixtures("fields")
class TestChannels:
    """Networks that see radio images, with or without infrared."""

    def test_fields_without_a_beam(self, claran, channels_path):
        predict = ["--mode=predict", "--radio=radio", "--output=out.csv"]
        status, output, _ = claran(*predict, model=channels_path)
        assert status == 0
        assert "3 pixels wide (FIRST), in 1 of 3 fields (first " in output
        assert "FIRST's, 5.4 arcsec, in 2 of 3 fields (first " in output
        status, output, errors = claran(*predict, "--beam=5.4", model=channels_path)
        assert status == 1 and "(FIRST)" not in output and "in 2 fields" in output
        assert "Note: it has no unit, and Jy/beam is assumed, in 2 of 2" in output
        assert "Skipped: c_radio.fits: has no WCS, so that the width" in errors

    def test_one_field(self, claran, channels_path):
        demo = ["--mode=demo", "--radio=radio/a_radio.fits", "--score_threshold=0.01"]
        status, output, _ = claran(*demo, "--output=.", model=channels_path)
        assert status == 0
        assert (
            "a_radio.fits: no beam: assumed FIRST's, 5.4 arcsec; give --survey"
            in output
        )
        # The only island is the only thing that can be a source.
        (x0,) = set(QTable.read("a_radio_pred.ecsv")["x0"])
        assert x0 == 10

    def test_hosts(self, claran, channels_path):
        predict = ["--mode=predict", "--radio=radio/[ab]*", "--score_threshold=0.01"]
        given = ("--hosts", "--output=x.fits")
        status, output, _ = claran(*predict, *given, model=channels_path)
        assert status == 0
        assert "hosts have a place at most, and no counterpart" in output
        table = QTable.read("x.fits")
        assert len(table) and "host_id" not in table.colnames
        assert np.isfinite(table["place_error"]).all()

    def test_pictures_are_refused(self, claran, channels_path, assert_fails):
        found = claran(
            "--mode=predict", "--image=infrared", "--output=x.csv", model=channels_path
        )
        assert_fails(found, "is a picture, but the network needs a radio image")


@pytest.mark.usefixtures("fields")
class TestDemo:
    def test_example(self, claran, tmp_path):
        status, output, errors = claran(
            "--mode=demo", "--output=new/out", "--score_threshold=0.01"
        )
        assert (status, errors) == (0, "")
        picture = tmp_path / "new" / "out" / "simulated_radio_pred.png"
        table = QTable.read(picture.with_suffix(".ecsv"))
        assert table.colnames == COLUMNS + SKY and len(table)
        assert f"{len(table)} found with a probability above 0.01" in output
        assert str(picture.relative_to(tmp_path)) in output
        assert cv2.imread(str(picture)).std() > 10
        assert {path.suffix for path in picture.parent.iterdir()} == {".png", ".ecsv"}

    def test_threshold(self, claran):
        assert claran("--mode=demo", "--output=.", "--score_threshold=1")[0] == 0
        assert len(QTable.read("simulated_radio_pred.ecsv")) == 0

    def test_radio_alone(self, claran, d1_path):
        radio = "--radio=radio/a_radio.fits"
        assert claran("--mode=demo", radio, "--output=.", model=d1_path)[0] == 0
        assert Path("a_radio_pred.png").is_file()

    def test_picture(self, claran):
        image = "--image=infrared/a_infrared.png"
        arguments = ("--mode=demo", image, "--output=.", "--score_threshold=0")
        assert claran(*arguments)[0] == 0
        table = QTable.read("a_infrared_pred.ecsv")
        assert table.colnames == COLUMNS and set(table["image"]) == {"a_infrared.png"}

    def test_untrained_preset_says_so(self, claran, narrow, monkeypatch):
        monkeypatch.setitem(presets.PRESETS, "claran_v0.1", narrow)
        demo = ["--mode=demo", "--model=claran_v0.1", "--output=."]
        status, output, errors = claran(*demo, model=None)
        assert (status, errors) == (0, "")
        assert "Note: claran_v0.1 is untrained: its weights are random" in output
        assert len(QTable.read("simulated_radio_pred.ecsv"))  # Not cut at 0.8.

    @pytest.mark.parametrize("size", [3, 8, 11])
    def test_real_field(self, claran, real_data, size):
        pair = real_data / "first_wise_pairs"
        (infrared,) = pair.glob("2279p454*.fits")
        radio = pair / f"FIRSTJ151227.2+454026_{size}.fits"
        found = claran(
            "--mode=demo", f"--radio={radio}", f"--ir={infrared}", "--output=.",
            "--score_threshold=0.01",
        )  # fmt: skip
        assert (found[0], found[2]) == (0, "")
        table = QTable.read(f"{radio.stem}_pred.ecsv")
        assert len(table) and table["x1"].max() <= {3: 100, 8: 267, 11: 367}[size]
        wcs = WCS(fits.getheader(radio), naxis=2)
        x, y = wcs.world_to_pixel(table["center"])
        np.testing.assert_allclose(x + 0.5, (table["x0"] + table["x1"]) / 2, atol=1e-4)
        np.testing.assert_allclose(y + 0.5, (table["y0"] + table["y1"]) / 2, atol=1e-4)


PREDICT = ("--mode=predict", "--ir=infrared", "--score_threshold=0.05")


@pytest.mark.usefixtures("fields")
class TestPredict:
    @pytest.mark.parametrize(
        "radio",
        [
            pytest.param("radio", id="folder"),
            pytest.param("radio/*.fits", id="pattern"),
            pytest.param("@list.txt", id="list"),
            pytest.param(
                "radio/a_radio.fits,radio/b_radio.fits,radio/c_radio.fits", id="commas"
            ),
        ],
    )
    def test_fields(self, claran, radio):
        Path("list.txt").write_text("radio/[ab]*\nradio/c_radio.fits\n")
        given = (f"--radio={radio}", "--output=out")
        status, output, errors = claran(*PREDICT, *given)
        assert (status, errors) == (0, "")
        table = QTable.read("out/predictions.ecsv")
        assert table.colnames == COLUMNS + SKY
        assert list(dict.fromkeys(table["image"])) == [
            "a_radio.fits", "b_radio.fits", "c_radio.fits"
        ]  # fmt: skip
        without_wcs = table["image"] == "c_radio.fits"
        np.testing.assert_array_equal(np.isnan(table["center"].ra), without_wcs)
        said = f"{len(table)} detections in 3 fields: out/predictions.ecsv (a catalog: "
        assert f"{said}probabilities above 0.05)\n" in output

    def test_fields_of_one_name_are_told_apart(self, claran):
        for field in "xy":
            Path(field).mkdir()
            shutil.copy("radio/a_radio.fits", f"{field}/a.fits")
        predict = ("--mode=predict", "--radio=x,y", "--output=x.csv")
        status, _, errors = claran(*predict, model=None)
        assert (status, errors) == (0, "")
        assert set(QTable.read("x.csv")["image"]) == {"x/a.fits", "y/a.fits"}

    @pytest.mark.parametrize("batch_size", [1, 2, 8])
    def test_pictures(self, claran, batch_size):
        given = ("--image=infrared", "--output=x.csv", f"--batch_size={batch_size}")
        assert claran("--mode=predict", *given, "--all_hypotheses")[0] == 0
        table = QTable.read("x.csv")
        assert table.colnames == [*COLUMNS, "alternative"]
        assert list(dict.fromkeys(table["image"])) == [
            f"{name}_infrared.png" for name in "abc"
        ]
        assert table["score"].min() > 0.05

    @pytest.mark.parametrize("ending", ["ecsv", "csv", "fits", "vot", "xml"])
    def test_formats(self, claran, ending):
        given = ("--radio=radio", f"--output=new/x.{ending}")
        assert claran(*PREDICT, *given)[0] == 0
        form = {"xml": "votable", "csv": "ascii.csv"}.get(ending)
        table = QTable.read(f"new/x.{ending}", format=form)
        sky = SKY if ending == "ecsv" else ["ra", "dec", *SKY[1:]]
        assert table.colnames == COLUMNS + sky and len(table)

    def test_a_bad_file_among_good_ones(self, claran):
        Path("radio/b_radio.fits").write_bytes(b"SIMPLE  = no")
        arguments = (*PREDICT, "--radio=radio", "--output=x.ecsv")
        status, _, errors = claran(*arguments)
        assert status == 1
        assert "Skipped: radio/b_radio.fits: not a FITS file" in errors
        assert errors.splitlines()[-1] == (
            "claran: 1 of 3 files could not be used: b_radio.fits; the table has the "
            "rest."
        )
        assert set(QTable.read("x.ecsv")["image"]) == {"a_radio.fits", "c_radio.fits"}

    def test_an_interrupted_run_resumes(self, claran, monkeypatch):
        Path("radio/b_radio.fits").write_bytes(b"SIMPLE  = no")
        arguments = (*PREDICT, "--radio=radio", "--output")
        claran(*arguments, "whole.ecsv")
        monkeypatch.setattr(resuming, "SECONDS", 0.0)  # A part for each file.
        finished = []
        finish = Engine.finish

        def interrupt_at_the_last(self, look, *args, **options):
            finished.append(look.field.name)
            if finished == ["a_radio.fits", "c_radio.fits"]:
                raise KeyboardInterrupt
            return finish(self, look, *args, **options)

        monkeypatch.setattr(Engine, "finish", interrupt_at_the_last)
        with pytest.raises(KeyboardInterrupt):
            claran(*arguments, "x.ecsv")
        assert Path("x.ecsv.unfinished").is_dir() and not Path("x.ecsv").exists()
        status, output, errors = claran(*arguments, "x.ecsv")
        assert "Resuming: 2 of 3 files are done." in output
        assert finished == ["a_radio.fits", "c_radio.fits", "c_radio.fits"]
        assert status == 1 and "1 of 3 files could not be used: b_radio" in errors
        assert Path("x.ecsv").read_text() == Path("whole.ecsv").read_text()
        assert not Path("x.ecsv.unfinished").exists()

    def test_only_bad_files_leave_the_old_table(self, claran):
        Path("x.ecsv").write_text("precious")
        for path in Path("radio").iterdir():
            path.write_bytes(b"")
        arguments = (*PREDICT, "--radio=radio", "--output=x.ecsv")
        status, _, errors = claran(*arguments)
        assert status == 1 and errors.count("Skipped: ") == 3
        assert "claran: None of 3 files could be used" in errors
        assert Path("x.ecsv").read_text() == "precious"

    def test_real_fields_with_and_without_wcs(self, claran, real_data, d1_path):
        status, _, errors = claran(
            "--mode=predict", f"--radio={real_data / 'rgz_subject_fits'}",
            "--output=x.ecsv", "--all_hypotheses", model=d1_path,
        )  # fmt: skip
        assert (status, errors) == (0, "")
        table = QTable.read("x.ecsv")
        has_wcs = table["image"] == "FIRSTJ124646.7+224554.fits"
        assert has_wcs.any() and not has_wcs.all()
        np.testing.assert_array_equal(np.isnan(table["width"]), ~has_wcs)
        center = table["center"][has_wcs]
        assert center.ra.deg == pytest.approx(191.69, abs=0.04)
        assert center.dec.deg == pytest.approx(22.76, abs=0.04)


@pytest.fixture
def bad_files(fields):
    good = (fields / "radio" / "a_radio.fits").read_bytes()
    (fields / "short.fits").write_bytes(good[: len(good) // 2])
    fits.PrimaryHDU(np.ones((3, 9, 9), np.float32)).writeto(fields / "cube.fits")
    blank = fits.PrimaryHDU(np.full((9, 9), np.nan, np.float32))
    blank.writeto(fields / "blank.fits")
    (fields / "bad.png").write_text("text")
    (fields / "bad.keras").write_text("text")


ANY = "--radio=radio/a_radio.fits"
PAIR = "--ir=infrared/a_infrared.png"


@pytest.mark.usefixtures("bad_files")
@pytest.mark.parametrize("mode", ["demo", "predict"])
@pytest.mark.parametrize(
    "arguments, message",
    [
        pytest.param(["--radio=x.fits", PAIR], "x.fits: ", id="missing"),
        pytest.param(["--radio=short.fits", PAIR], "truncated", id="truncated"),
        pytest.param(["--radio=cube.fits", PAIR], "is a cube of shape", id="cube"),
        pytest.param(["--radio=blank.fits", PAIR], "no finite pixel", id="all-nan"),
        pytest.param([ANY, "--ir=bad.png"], "bad.png: not a picture", id="infrared"),
        pytest.param([ANY, "--ir=x.png"], "x.png: ", id="missing-infrared"),
        pytest.param([ANY], "give --ir.", id="no-infrared"),
        pytest.param(["--image=bad.png"], "bad.png: not a picture", id="picture"),
        pytest.param([ANY, PAIR, "--model=bad.keras"], "bad.keras: not a", id="model"),
        pytest.param([ANY, PAIR, "--model=v9"], "no preset of that name", id="preset"),
        pytest.param(
            [ANY, PAIR, "--device_index=99"],
            "--device_index=99: there",
            id="device",
        ),
        pytest.param([ANY, "radio/b.fits"], "Unexpected argument", id="argument"),
        pytest.param([ANY, "--rado=x"], "Unknown command line flag 'rado'", id="flag"),
    ],
)
def test_errors(claran, mode, arguments, message):
    kept = Path("out") / "predictions.ecsv"
    kept.parent.mkdir()
    kept.write_text("precious")
    status, _, errors = claran(f"--mode={mode}", "--output=out", *arguments)
    lines = [line for line in errors.splitlines() if not line.startswith("Skipped: ")]
    assert status == 1 and len(lines) == 1 and lines[0].startswith("claran: ")
    assert message in errors and "Traceback" not in errors
    assert list(kept.parent.iterdir()) == [kept] and kept.read_text() == "precious"


@pytest.mark.parametrize(
    "arguments, message",
    [
        pytest.param([], "Give --mode, one of demo, predict, survey", id="no-mode"),
        pytest.param(
            ["--mode=predict", "--radio=radio", "--output=x.txt"],
            "x.txt: must end in one of .csv, .ecsv",
            id="ending",
        ),
        pytest.param(
            ["--mode=predict", "--radio=infrared"], "infrared: no .fits", id="folder"
        ),
        pytest.param(
            ["--mode=predict", "--radio=radio", PAIR],
            "b_radio.fits: no file among the infrared images",
            id="no-pair",
        ),
        pytest.param(
            ["--mode=demo", "--radio=a.fits,b.fits", PAIR],
            "--mode=demo takes one --radio, got 2.",
            id="two-fields",
        ),
        pytest.param(
            ["--mode=predict", "--radio=radio", "--hosts"],
            "finds boxes, not islands of emission, so that the places of hosts are",
            id="hosts",
        ),
    ],
)
def test_usage_errors(claran, fields, arguments, message, assert_fails):
    assert_fails(claran(*arguments), message)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: 8 GB")], ids=repr
)
def test_out_of_memory(claran, monkeypatch, assert_fails, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Engine, "detect", fail)
    assert_fails(claran("--mode=demo"), "Out of memory: give a smaller --batch_size")


@pytest.mark.parametrize("flag", ["--help", "-h", "--helpshort"])
def test_help(claran, flag):
    status, output, errors = claran(flag)
    assert (status, errors) == (0, "")
    assert "--mode=predict --radio='fields/*.fits'" in output
    modules = flags.FLAGS.flags_by_module_dict()
    ours = [
        flag.name
        for name, module in modules.items()
        if name.startswith("claran.")
        for flag in module
    ]
    assert len(ours) >= 17
    assert [name for name in ours if f"--{name}" not in output] == []
