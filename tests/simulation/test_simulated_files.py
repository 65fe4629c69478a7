import csv
from importlib import resources

import cv2
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

import claran.examples
from claran.simulation import infrared_sky as infrared
from claran.simulation import simulated_field as field
from claran.simulation import simulated_files as files
from claran.sky.islands import find_islands
from claran.sky.noise import noise


@pytest.fixture(scope="module")
def fields():
    rng = np.random.default_rng(12)
    return [field.simulate(rng) for _ in range(4)]


def test_radio_fits_and_infrared_png(fields, tmp_path):
    one = fields[0]
    radio_path, infrared_path = files.write_field(one, tmp_path, "a")
    data, header = fits.getdata(radio_path, header=True)
    np.testing.assert_array_equal(data, one.radio)
    assert header["BUNIT"] == "JY/BEAM"
    assert header["BMAJ"] == header["BMIN"] == pytest.approx(5.4 / 3600)
    assert WCS(header).has_celestial
    png = cv2.imread(str(infrared_path), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(png[::-1], infrared.picture(one.infrared))


def test_infrared_fits(fields, tmp_path):
    _, path = files.write_field(fields[0], tmp_path, "a", infrared_fits=True)
    np.testing.assert_array_equal(fits.getdata(path), fields[0].infrared)
    assert fits.getheader(path)["MAGZP"] == 20.5


def test_table(fields, tmp_path):
    assert files.write_fields(fields, tmp_path / "new") == 4
    with (tmp_path / "new" / "annotations.csv").open() as file:
        table = list(csv.DictReader(file))
    assert not list(tmp_path.glob("new/*.part"))
    sources = [source for one in fields for source in one.sources]
    assert [row["cls"] for row in table] == [source.code for source in sources]
    row = table[0]
    header = fits.getheader(tmp_path / "new" / f"{row['first_id']}_radio.fits")
    sky = [float(row[key].split(";")[0]) for key in ("peak_ras", "peak_decs")]
    x, y = WCS(header).all_world2pix(*sky, 0)
    place = sources[0].component_positions[0]
    assert (x + 0.5, y + 0.5) == pytest.approx(tuple(place), abs=1e-3)
    image = fits.getdata(tmp_path / "new" / f"{row['first_id']}_radio.fits")
    box = [int(row[f"box_{key}"]) for key in ("x0", "y0", "x1", "y1")]
    assert box[0] <= x <= box[2] and box[1] <= y <= box[3]
    assert image[round(float(y)), round(float(x))] > 5 * float(row["sigma_jy"])


def test_an_old_table_is_removed_before_new_fields_are_written(fields, tmp_path):
    files.write_fields(fields, tmp_path)

    def interrupted():
        yield fields[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_fields(interrupted(), tmp_path)
    assert not (tmp_path / "annotations.csv").exists()


def test_no_fields(tmp_path):
    assert files.write_fields([], tmp_path) == 0
    assert (tmp_path / "annotations.csv").read_text().split(",")[0] == "first_id"


def test_example_is_small_and_shows_four_islands():
    folder = resources.files(claran.examples)
    paths = [folder / f"simulated_{n}" for n in ("radio.fits", "infrared.png")]
    assert sum(len(path.read_bytes()) for path in paths) < 150_000
    with paths[0].open("rb") as file:
        image = fits.getdata(file)
    islands = find_islands(image, noise(image), min_pixels=7)
    assert len(islands) == 4
