"""A survey's files: the same whatever the tiles, workers, order and interruptions."""

import errno
import json
import random
import shutil
import threading
from collections import Counter

import cv2
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable

from claran.errors import ImageError
from claran.simulation.mosaic_plan import MosaicPlan
from claran.simulation.simulated_mosaic import write_mosaic
from claran.sky import mosaic_maps
from claran.survey.mosaic_islands import find_mosaic_islands
from claran.survey.mosaic_search import search_mosaic
from claran.survey.products import PRODUCTS
from claran.survey.run import SurveyOptions, run_survey
from claran.survey.tile_files import FILE

TILE = 160  # Of the run that others are compared with: 3 x 3 tiles.


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory):
    """A crowded sky of 380 x 420 pixels with blank pixels."""
    path = tmp_path_factory.mktemp("mosaic") / "M.fits"
    plan = MosaicPlan(shape=(380, 420), seed=3, density=8.0, blank=("corners", "holes"))
    write_mosaic(plan, path)
    return path


@pytest.fixture(scope="module")
def survey(detector):
    """Returns a function that runs a survey in this process and returns its catalog."""

    def run(paths, folder, tell=lambda _: None, **options):
        return run_survey(detector, paths, folder, SurveyOptions(**options), tell=tell)

    return run


@pytest.fixture(scope="module")
def expected(survey, mosaic, tmp_path_factory):
    """The files of one run, by name."""
    folder = tmp_path_factory.mktemp("expected")
    found = survey([mosaic], folder, tile_size=TILE)
    assert len(found.sources) > 15 and len(found.components) > 30
    assert Counter(found.sources["label"]).keys() - {"1_1"}
    return contents(folder)


def contents(folder):
    """The bytes of all files; when and how a run was made is left out."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    about = json.loads(found["provenance.json"])
    del about["run"]
    assert about["inputs"] and about["outputs"]
    return found | {"provenance.json": about}


def assert_equal(folder, expected):
    found = contents(folder)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


def test_all_files_are_there(expected):
    assert set(expected) == set(PRODUCTS)


@pytest.mark.parametrize("tile_size", [97, 2048])
def test_tiles_of_any_size(survey, mosaic, expected, tmp_path, tile_size):
    survey([mosaic], tmp_path / "out", tile_size=tile_size)
    assert_equal(tmp_path / "out", expected)


@pytest.mark.slow
def test_workers(survey, mosaic, expected, tmp_path):
    """The others run without workers, that is, by threads."""
    pytest.importorskip("distributed")
    survey([mosaic], tmp_path / "out", tile_size=TILE, workers=2)
    assert_equal(tmp_path / "out", expected)


def test_interrupted(survey, mosaic, expected, tmp_path):
    """Some results of each stage are there, some are not, one is damaged."""
    folder = tmp_path / "out"
    (folder / "sources.ecsv").mkdir(parents=True)  # The last step fails.
    with pytest.raises(OSError, match=r"sources\.ecsv"):
        survey([mosaic], folder, tile_size=TILE)
    (folder / "sources.ecsv").rmdir()
    rng, kept = random.Random(1), 0
    for stage in sorted((folder / "unfinished" / "stages").iterdir()):
        tiles = sorted(stage.glob("*/*.npz"))
        assert tiles and all(FILE.fullmatch(tile.name) for tile in tiles)
        kept += len(tiles)
        for tile in rng.sample(tiles, len(tiles) // 2):
            tile.unlink()
            kept -= 1
    tile.with_name(f".{tile.stem}.{'0' * 16}.partial.npz").write_bytes(b"begun")
    (folder / f".overview.{'0' * 16}.partial.png").write_bytes(b"begun")
    left = sorted(stage.glob("*/[!.]*.npz"))[-1]
    left.write_bytes(left.read_bytes()[:-100])
    lines = []
    survey([mosaic], folder, lines.append, tile_size=TILE)
    assert_equal(folder, expected)
    assert kept > 5 and sum("damaged" in line for line in lines) == 1
    assert any(line.startswith("Resuming: ") for line in lines)


def test_another_run_is_not_taken_for_this_one(survey, mosaic, expected, tmp_path):
    """Results of another score or mosaic are there."""
    folder = tmp_path / "out"
    (folder / "sources.ecsv").mkdir(parents=True)
    with pytest.raises(OSError, match=r"sources\.ecsv"):
        survey([mosaic], folder, tile_size=TILE, score_threshold=0.9)
    (folder / "sources.ecsv").rmdir()
    survey([mosaic], folder, tile_size=TILE)
    assert_equal(folder, expected)


def test_mosaics_in_any_order(survey, sky, tmp_path):
    """Two that overlap, one that cannot be used, and one elsewhere without sources."""
    wide = sky.draw((300, 500), [sky.source(x, 150.0, 0.01) for x in (60, 250, 440)])
    wcs = sky.wcs(wide.shape)
    for name, columns in (("a", slice(0, 320)), ("b", slice(180, 500))):
        sky.write(tmp_path / f"{name}.fits", wide[:, columns], wcs[:, columns])
    sky.write(tmp_path / "c.fits", sky.draw((200, 200)), sky.wcs((200, 200), 10.0))
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE  =")
    paths = [tmp_path / f"{name}.fits" for name in ("a", "broken", "b", "c")]
    found = survey(paths, tmp_path / "out", tile_size=256)
    assert found.skipped == ("broken.fits",) and found.mosaics == 3
    assert len(found.sources) == 3
    assert Counter(found.sources["image"]).keys() == {"a.fits", "b.fits"}
    true = wcs.pixel_to_world([440 - 0.5, 250 - 0.5, 60 - 0.5], [149.5] * 3)
    near = found.sources["center"].separation(SkyCoord(true).icrs).arcsec
    assert (near < 0.2).all()
    expected = contents(tmp_path / "out")
    survey(paths[::-1], tmp_path / "again", tile_size=2048)
    assert_equal(tmp_path / "again", expected)


@pytest.mark.parametrize("tile_size, together", [(256, True), (30, False)])
def test_small_mosaics_side_by_side(
    survey, sky, tmp_path, monkeypatch, tile_size, together
):
    """Two of one tile meet; two with tiles enough for all cores do not."""
    for number in range(2):
        image = sky.draw((90, 300), [sky.source(60, 40, 0.01)], seed=number)
        place = sky.wcs(image.shape, 20.0 * number)
        sky.write(tmp_path / f"m{number}.fits", image, place)
    meeting, met = threading.Barrier(2), []

    def search(*arguments, **options):
        try:
            meeting.wait(60 if together else 0.5)
            met.append(True)
        except threading.BrokenBarrierError:
            meeting.reset()
        return search_mosaic(*arguments, **options)

    monkeypatch.setattr("claran.survey.run.search_mosaic", search)
    monkeypatch.setattr("claran.survey.jobs.cores", lambda: 2)
    found = survey(sorted(tmp_path.glob("*.fits")), tmp_path, tile_size=tile_size)
    assert len(found.sources) == 2 and bool(met) == together


def test_a_full_disk_ends_all_mosaics(survey, sky, tmp_path, monkeypatch):
    """Those that are not begun are left, and no thread works on."""
    for number in range(12):
        sky.write(tmp_path / f"m{number:02d}.fits", sky.draw((64, 64), seed=number))
    begun = []

    def make(function, context, item, path):
        begun.append(path)
        raise OSError(errno.ENOSPC, "no space", str(path))

    monkeypatch.setattr("claran.survey.jobs.make_tile", make)
    monkeypatch.setattr("claran.survey.jobs.cores", lambda: 1)
    with pytest.raises(OSError, match="no space"):
        survey(sorted(tmp_path.glob("*.fits")), tmp_path / "out")
    assert 0 < len(begun) < 12
    assert not [one for one in threading.enumerate() if "ThreadPool" in one.name]


def test_the_same_mosaic_twice(survey, mosaic, expected, tmp_path):
    """Each source once, as if there were one mosaic."""
    for name in ("M.fits", "N.fits"):
        shutil.copy(mosaic, tmp_path / name)
    paths = [tmp_path / "N.fits", tmp_path / "M.fits"]
    survey(paths, tmp_path / "out", tile_size=256)
    for name in ("sources.dat", "components.dat", "components.reg", "sources.reg"):
        assert (tmp_path / "out" / name).read_bytes() == expected[name]


def test_nothing_can_be_used(survey, sky, tmp_path):
    blank = sky.write(tmp_path / "m.fits", np.full((50, 60), np.nan, np.float32))
    with pytest.raises(ImageError, match=r"m\.fits.* has no finite pixel"):
        survey([blank], tmp_path / "one")
    with pytest.raises(ImageError, match="None of 2 mosaics could be used"):
        survey([blank, tmp_path / "gone.fits"], tmp_path / "two")
    with pytest.raises(ImageError, match="give at least one"):
        survey([], tmp_path / "none")
    assert not list(tmp_path.glob("*/sources*"))


def test_maps(survey, sky, tmp_path):
    path = sky.write(tmp_path / "m.fits", sky.draw((200, 200)))
    survey([path], tmp_path / "out", write_maps=True)
    noise, header = fits.getdata(tmp_path / "out" / "m_noise.fits", header=True)
    assert noise.shape == (200, 200) and header["CTYPE1"] == "RA---SIN"
    assert np.median(noise) == pytest.approx(1e-4, rel=0.1)


def test_a_mosaic_vanishes(survey, mosaic, expected, tmp_path, monkeypatch):
    """One line; when it is back, the same command ends with the same files."""
    own, away = tmp_path / "M.fits", tmp_path / "away.fits"
    shutil.copy(mosaic, own)

    def find_islands(*arguments):
        own.rename(away)
        return find_mosaic_islands(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("claran.survey.mosaic_search.find_mosaic_islands", find_islands)
        with pytest.raises(
            ImageError, match=r"M\.fits: was there and is no longer; put"
        ):
            survey([own], tmp_path / "out", tile_size=TILE)
    assert not list((tmp_path / "out").glob("sources*"))
    away.rename(own)
    lines = []
    survey([own], tmp_path / "out", lines.append, tile_size=TILE)
    assert any("parts of noise are done" in line for line in lines)
    for name in set(PRODUCTS) - {"provenance.json"}:
        assert (tmp_path / "out" / name).read_bytes() == expected[name], name


def test_a_mosaic_is_changed(survey, sky, tmp_path):
    """It is searched anew, whatever is there of its former self."""
    path = sky.write(tmp_path / "m.fits", sky.draw((200, 200)))
    (tmp_path / "out" / "sources.ecsv").mkdir(parents=True)
    with pytest.raises(OSError, match=r"sources\.ecsv"):
        survey([path], tmp_path / "out")
    (tmp_path / "out" / "sources.ecsv").rmdir()
    path.unlink()
    sky.write(path, sky.draw((200, 200), [sky.source(60, 70, 0.01)]))
    assert len(survey([path], tmp_path / "out").sources) == 1


def test_mosaics_of_all_kinds_at_once(survey, sky, tmp_path):
    """Also without a WCS, at RA 0, at a pole, and blank but for a corner."""
    source = sky.source(60.0, 70.0, 0.01)
    image, places = sky.draw((200, 200), [source]), {"zero": (0, 5), "pole": (0, 90)}
    for name, place in places.items():
        sky.write(tmp_path / f"{name}.fits", image, sky.wcs(image.shape, *place))
    fits.writeto(tmp_path / "nowhere.fits", image * 1e4)  # In 0.1 mJy/beam.
    image[:100] = image[:, 120:] = np.nan
    sky.write(tmp_path / "corner.fits", image, sky.wcs(image.shape, 50.0, -20.0))
    lines = []
    found = survey(sorted(tmp_path.glob("*.fits")), tmp_path / "out", lines.append)
    names = dict(zip(found.sources["image"], found.sources["name"], strict=True))
    assert names.keys() == {"zero.fits", "pole.fits", "nowhere.fits"}
    assert names["nowhere.fits"].startswith("CLARAN nowhere.fits:60.0,70.0")
    assert names["zero.fits"].startswith("CLARAN J0000") and "+90" not in names.values()
    assert np.isnan(found.sources["center"].ra.deg).sum() == 1
    assert sum("no beam and no pixel size" in line for line in lines) == 1
    assert sum("probably wrong, and the fluxes with it" in line for line in lines) == 1
    for name in ("sources.ecsv", "sources.fits", "sources.vot"):
        assert len(QTable.read(tmp_path / "out" / name)) == 3
    assert (tmp_path / "out" / "overview.png").stat().st_size > 10_000


def test_other_readers_open_all_files(survey, sky, tmp_path):
    image = sky.draw((300, 300), [sky.source(60, 70, 0.01, 6, 4, 30)])
    found = survey([sky.write(tmp_path / "m.fits", image)], tmp_path)
    (center,) = found.sources["center"]
    picture = cv2.imread(str(tmp_path / "overview.png"))
    assert picture is not None and min(picture.shape[:2]) > 500
    regions = pytest.importorskip("regions")
    for name, kind in (("reg", "ds9"), ("crtf", "crtf")):
        (outline,) = regions.Regions.read(tmp_path / f"sources.{name}", format=kind)
        inside = outline.vertices.separation(center).arcsec
        assert (inside < 30).all() and len(inside) >= 4
        (ellipse,) = regions.Regions.read(tmp_path / f"components.{name}", format=kind)
        assert ellipse.center.separation(center).arcsec < 0.1
    moc = pytest.importorskip("mocpy").MOC.from_fits(tmp_path / "coverage.fits")
    assert moc.contains_skycoords(center)
    assert moc.sky_fraction * 41252.96 == pytest.approx(found.area_deg2, rel=0.05)
    about = json.loads((tmp_path / "provenance.json").read_text())
    assert {one["path"] for one in about["outputs"]} == set(PRODUCTS) - {
        "provenance.json"
    }
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = parquet.read_table(tmp_path / "sources.parquet").to_pydict()
    assert columns["name"] == [found.sources["name"][0]]


def test_tables_hold_the_catalog(survey, sky, tmp_path):
    image = sky.draw((300, 300), [sky.source(60, 70, 0.01)])
    image[200:] = np.nan
    found = survey([sky.write(tmp_path / "m.fits", image)], tmp_path / "out")
    assert found.area_deg2 == pytest.approx(200 * 300 * (1.8 / 3600) ** 2, rel=1e-6)
    assert "Searched 1 mosaic" in found.summary
    for ending in (".ecsv", ".fits", ".vot"):
        table = QTable.read(tmp_path / "out" / f"sources{ending}")
        assert table["name"][0] == found.sources["name"][0]
        assert table["flux"].unit == "Jy"
        assert float(table["flux"][0].value) == pytest.approx(0.01, rel=0.05)


def test_faint_components_of_no_source_are_left_out(
    survey, mosaic, tmp_path, monkeypatch
):
    counts = []
    for least, crowd in ((5.0, 1.0), (4.5, 2.0)):
        monkeypatch.setattr(mosaic_maps, "confusion", lambda _, crowd=crowd: crowd)
        found = survey([mosaic], tmp_path / f"{least:g}", component_snr=least)
        components = found.components
        faint = components["snr"] < least * crowd
        assert (components["source"][faint] != "").all()
        assert components.meta["COMPSNR"] == least
        assert ("with confusion" in components.meta["MOSAICS"]) == (crowd > 1)
        counts.append((len(found.sources), len(components)))
    assert counts[0][0] == counts[1][0] and counts[0][1] > counts[1][1]
