"""The data set `rgz`, from small archives in the original's layout and folders."""

import contextlib
import functools
import http.server
import importlib
import io
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tomllib
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
from astropy.io import fits
from astropy.wcs import WCS

from claran.data.fits import ImageError
from claran_rgz import Builder, originals
from claran_rgz.prepare import prepare, summary

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_TENSORFLOW = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] != "tensorflow":
            return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""
# Far from each other, so that each is a group of its own; every third one is test.
NAMES = [f"FIRSTJ{hour:02d}3000.0+{10 + hour:02d}0000" for hour in range(24)]


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def draw(box: tuple[int, int, int, int]) -> np.ndarray:
    """Returns a picture, 20 rows and 30 columns, that is red inside the box only."""
    picture = np.zeros((20, 30, 3), np.uint8)
    x0, y0, x1, y1 = box
    picture[y0:y1, x0:x1, 2] = 200
    return picture


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def voc(box: tuple[int, int, int, int], *, width: int = 30) -> bytes:
    x0, y0, x1, y1 = box
    return (
        f"<annotation><size><width>{width}</width><height>20</height></size><object>"
        f"<name>2_3</name><difficult>0</difficult><bndbox><xmin>{x0 + 1}</xmin>"
        f"<ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        "</annotation>"
    ).encode()


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def boxes() -> dict[str, tuple[int, int, int, int]]:
    return {name: (i, i // 2, i + 5, i // 2 + 7) for i, name in enumerate(NAMES)}


@pytest.fixture
def originals_folder(tmp_path):
    """Archives and lists as the original's server has them, for D4."""
    folder = tmp_path / "originals"
    folder.mkdir()
    keys = {name: f"{name}_infraredctmask" for name in NAMES}
    xml = {f"{keys[name]}.xml": voc(box) for name, box in boxes().items()}
    pictures = {f"{keys[name]}.png": png(draw(box)) for name, box in boxes().items()}
    write_tar(folder / "annotation.tar", xml)
    write_tar(folder / "D4_images.tgz", pictures | {"._junk.png": b"", "a.txt": b"x"})
    lists = {"train": [], "test": []}
    for i, name in enumerate(NAMES):
        lists["test" if i % 3 == 0 else "train"].append(keys[name])
    for split, names in lists.items():
        (folder / f"{split}D4.txt").write_text("\n".join(names) + "\n")
    return folder


@pytest.fixture
def pairs_folder(tmp_path):
    """Radio FITS with a source in the lower half, infrared PNG with it as seen."""
    folder = tmp_path / "pairs"
    (folder / "fits").mkdir(parents=True)
    lines = ["first_id,cls,cl,training,peak_ras,peak_decs,box_x0,box_y0,box_x1,box_y1"]
    rng = np.random.default_rng(1)
    for i, name in enumerate(NAMES):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
        wcs.wcs.crval = [15 * i + 7.5, 10.0 + i]
        wcs.wcs.cdelt = [-5e-4, 5e-4]
        wcs.wcs.crpix = [20.5, 15.5]
        header = wcs.to_header()
        header.update({"BUNIT": "mJy/beam", "BMAJ": 0.0015, "BMIN": 0.0015})
        values = rng.normal(0, 0.1, (30, 40)).astype(np.float32)
        values[4:9, 10:16] += 50
        fits.writeto(folder / f"fits/{name}_radio.fits", values, header)
        if i:
            picture = draw((10, 11, 16, 16))
            (folder / f"{name}_infrared.png").write_bytes(png(picture))
        ra, dec = wcs.all_pix2world([[12.5, 5.5]], 0)[0]
        training = int(i % 3 > 0)
        lines.append(f"{name},1_1,0.8,{training},{ra:.8f},{dec:.8f},10,4,16,9")
    (folder / "annotations.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def serve(monkeypatch):
    """Serves a folder in place of the original's servers."""
    with contextlib.ExitStack() as stack:

        def start(folder: Path):
            handler = functools.partial(
                http.server.SimpleHTTPRequestHandler, directory=str(folder)
            )
            monkeypatch.setattr(
                http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None
            )
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            stack.callback(server.server_close)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            address = f"http://127.0.0.1:{server.server_port}"
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            monkeypatch.setattr(originals, "SERVER", address)
            monkeypatch.setattr(originals, "LISTS", address)

        yield start


def by_name(builder, split):
    records = list(builder.as_data_source(split))
    return {record["name"].decode(): record for record in records}


def check_pictures(builder) -> None:
    expected = {f"{name}_infraredctmask": box for name, box in boxes().items()}
    splits = {split: by_name(builder, split) for split in builder.info.splits}
    assert set(splits) == {"train", "validation", "test"}
    assert set(splits["test"]) == set(list(expected)[::3])
    found = {name: record for own in splits.values() for name, record in own.items()}
    assert set(found) == set(expected)
    assert sum(map(len, splits.values())) == len(expected)
    for name, record in found.items():
        assert record["objects"]["boxes"].tolist() == [list(expected[name])]
        x0, y0, x1, y1 = expected[name]
        # TFDS gives RGB; the box holds exactly the red pixels.
        assert (record["image"][y0:y1, x0:x1, 0] == 200).all()
        assert (record["image"] > 0).sum() == (x1 - x0) * (y1 - y0)
        assert builder.info.features["objects"]["labels"].feature.names[
            record["objects"]["labels"][0]
        ] == ("2_3")


def test_pictures_from_the_manual_folder(originals_folder, tmp_path):
    builder = prepare("rgz/d4", data_dir=tmp_path, manual_dir=originals_folder)
    check_pictures(builder)
    assert "wrong" not in summary(builder)


def test_pictures_from_unpacked_archives(originals_folder, tmp_path):
    root = tmp_path / "checkout/data/RGZdevkit2017/RGZ2017"
    for name, inside in (
        ("annotation.tar", "Annotations"),
        ("D4_images.tgz", "PNGImages"),
    ):
        with tarfile.open(originals_folder / name) as archive:
            archive.extractall(root / inside, filter="data")
    lists = root / "ImageSets/Main"
    lists.mkdir(parents=True)
    for name in ("trainD4.txt", "testD4.txt"):
        (originals_folder / name).rename(lists / name)
    builder = prepare(
        "rgz/d4", data_dir=tmp_path / "data", manual_dir=tmp_path / "checkout"
    )
    check_pictures(builder)


def test_pictures_are_downloaded(originals_folder, tmp_path, serve):
    serve(originals_folder)
    check_pictures(prepare("rgz/d4", data_dir=tmp_path / "data"))


def test_server_that_is_gone_says_what_to_put_where(tmp_path, serve):
    (tmp_path / "empty").mkdir()
    serve(tmp_path / "empty")
    with pytest.raises(ImageError, match=r"Cannot download .*/trainD1\.txt") as caught:
        prepare("rgz/d1", data_dir=tmp_path / "data")
    assert "annotation.tar, D1_images.tgz from someone" in str(caught.value)
    assert "--manual_dir" in str(caught.value)
    assert not list((tmp_path / "data/rgz").glob("[!.]*/*"))


def test_unknown_server_is_given_up_soon(tmp_path, monkeypatch):
    for name in ("SERVER", "LISTS"):
        monkeypatch.setattr(originals, name, "http://127.0.0.1:9/gone")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    start = time.monotonic()
    with pytest.raises(ImageError, match="Cannot download http"):
        prepare("rgz/d3", data_dir=tmp_path)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("content", [b"<html>moved</html>", None], ids=["html", "cut"])
def test_damaged_archive_is_refused(originals_folder, tmp_path, content):
    archive = originals_folder / "D4_images.tgz"
    archive.write_bytes(content or archive.read_bytes()[:-200])
    with pytest.raises(
        ImageError, match=r"D4_images\.tgz: not a tar archive, or a dam"
    ):
        prepare("rgz/d4", data_dir=tmp_path / "data", manual_dir=originals_folder)
    assert not list((tmp_path / "data/rgz").glob("[!.]*/*"))


def test_archive_writes_no_file(originals_folder, tmp_path):
    key = f"{NAMES[0]}_infraredctmask"
    files = {f"../../{key}.png": png(draw(boxes()[NAMES[0]]))}
    write_tar(originals_folder / "D4_images.tgz", files)
    with tarfile.open(originals_folder / "annotation.tar", "a") as archive:
        link = tarfile.TarInfo(f"{NAMES[1]}.xml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    labels, report = originals.read_labels(
        originals.find_sources(_Manual(originals_folder), "D4"), ("2_3",)
    )
    found = list(
        originals.picture_examples(
            originals_folder / "D4_images.tgz", labels["test"], ("2_3",), report
        )
    )
    assert [name for name, _ in found] == [key]
    assert report.counts == {"missing image": len(labels["test"]) - 1}
    assert not list(tmp_path.rglob("*.png"))


class _Manual:
    def __init__(self, folder: Path):
        self.manual_dir = folder

    def download(self, urls):
        assert urls == {}
        return {}


def test_bad_annotations_are_counted_and_kept_in_the_metadata(
    originals_folder, tmp_path
):
    keys = [f"{name}_infraredctmask" for name in NAMES]
    xml = {f"{key}.xml": voc((0, 0, 5, 5)) for key in keys[:20]}
    xml |= {
        f"{keys[20]}.xml": b"<annotation>",
        f"{keys[21]}.xml": voc((0, 0, 5, 5), width=9),
    }
    write_tar(originals_folder / "annotation.tar", xml)
    pictures = {f"{key}.png": png(draw((0, 0, 5, 5))) for key in keys[1:]}
    pictures[f"{keys[2]}.png"] = b"no picture"
    pictures[f"copy/{keys[3]}.png"] = png(draw((0, 0, 5, 5)))
    write_tar(originals_folder / "D4_images.tgz", pictures)
    for name, extra in (("trainD4.txt", keys[4]), ("testD4.txt", keys[4])):
        with (originals_folder / name).open("a") as file:
            file.write(f"{extra}\n")
    builder = prepare("rgz/d4", data_dir=tmp_path, manual_dir=originals_folder)
    counts = {
        kind: int(count)
        for count, kind in re.findall(r"^(\d+) ([a-z ]+):", summary(builder), re.M)
    }
    assert counts == {
        "conflicting": 1,
        "duplicated": 2,  # One more entry in a list, one more picture.
        "malformed": 2,
        "missing annotation": 3,
        "missing image": 1,
        "unusable image": 1,
    }
    total = sum(split.num_examples for split in builder.info.splits.values())
    assert total == len(NAMES) - 6


def test_pairs(pairs_folder, tmp_path):
    builder = prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=pairs_folder)
    records = {}
    for split in ("train", "validation", "test"):
        own = by_name(builder, split)
        assert own
        records |= own
    assert set(records) == set(NAMES)
    for name, record in records.items():
        objects = record["objects"]
        assert record["radio"].dtype == np.float32
        assert record["radio"][4:9, 10:16].mean() == pytest.approx(0.05, rel=0.01)  # Jy
        assert record["radio"].shape == (30, 40)
        assert record["noise"] == pytest.approx(1e-4, rel=0.2)
        assert record["beam"].tolist() == pytest.approx([5.4, 5.4, 0])
        assert record["pixel_arcsec"] == pytest.approx(1.8)
        assert objects["boxes"].tolist() == [[10, 4, 16, 9]]
        assert (objects["labels"], objects["consensus"]) == ([0], pytest.approx(0.8))
        # FITS counts the center of a pixel as a whole number, an edge as half of one.
        assert objects["component_positions"][0] == pytest.approx([13, 6], abs=1e-3)
        assert np.isnan(objects["host"]).all()
        header = fits.Header.fromstring(record["wcs"].decode(), sep="\n")
        assert WCS(header).wcs.crval[1] == pytest.approx(10 + NAMES.index(name))
        assert record["has_infrared"] == (name != NAMES[0])
        if record["has_infrared"]:
            assert (record["infrared"][11:16, 10:16, 0] == 200).all()
        else:
            assert record["infrared"].shape == (30, 40, 3)


def test_bad_pairs_are_counted(pairs_folder, tmp_path):
    (pairs_folder / f"fits/{NAMES[1]}_radio.fits").unlink()
    (pairs_folder / f"fits/{NAMES[2]}_radio.fits").write_bytes(b"x")
    (pairs_folder / f"{NAMES[4]}_infrared.png").write_bytes(b"x")
    copy = (pairs_folder / f"fits/{NAMES[5]}_radio.fits").read_bytes()
    (pairs_folder / f"fits/{NAMES[5]}.fits").write_bytes(copy)
    (pairs_folder / "fits/other.fits").write_bytes(copy)
    with (pairs_folder / "annotations.csv").open("a") as file:
        file.write(f"{NAMES[7]},1_1,0.8,1,,,-3,20,20,40\n")
        file.write(f"{NAMES[8]},9_9,0.8,1,,,0,0,20,30\n")
        file.write(f"{NAMES[10]},1_1,0.8,1,,,50,0,60,30\n")
    builder = prepare("rgz/pairs", data_dir=tmp_path / "d", manual_dir=pairs_folder)
    assert builder.report.counts == {
        "cut by the edge": 1,
        "duplicated image": 1,
        "image without annotation": 1,
        "missing image": 1,
        "outside the image": 1,
        "unknown class": 1,
        "unusable image": 1,
        "unusable infrared image": 1,
    }
    records = {}
    for split in builder.info.splits:
        records |= by_name(builder, split)
    assert set(records) == set(NAMES) - {NAMES[1], NAMES[2]}
    assert records[NAMES[7]]["objects"]["boxes"][1].tolist() == [0, 20, 20, 30]
    assert [int(label) for label in records[NAMES[8]]["objects"]["labels"]] == [0, -1]
    assert records[NAMES[8]]["objects"]["ignore"].tolist() == [False, True]
    assert not records[NAMES[4]]["has_infrared"]


def test_pairs_with_classes_of_their_own(pairs_folder, tmp_path):
    table = pairs_folder / "annotations.csv"
    table.write_text(table.read_text().replace(",1_1,", ",FR-II,"))
    builder = prepare(
        "rgz/pairs",
        data_dir=tmp_path,
        manual_dir=pairs_folder,
        classes=["FR-I", "FR-II"],
    )
    folder = tmp_path / "rgz/pairs_fr-i_fr-ii/1.1.0"
    again = tfds.builder_from_directory(folder)
    assert again.info.features["objects"]["labels"].feature.names == ["FR-I", "FR-II"]
    record = next(iter(by_name(builder, "train").values()))
    assert record["objects"]["labels"] == [1]


def test_real_fields_have_their_flux_in_the_boxes(real_data, tmp_path):
    folder = real_data / "rgz_first_dev"
    builder = prepare("rgz/pairs", data_dir=tmp_path, manual_dir=folder, workers=2)
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    assert sum(counts.values()) == 153
    assert set(counts) == {"train", "validation"}
    assert builder.report.counts == {"cut by the edge": 7}
    for record in builder.as_data_source("validation"):
        inside = np.zeros(record["radio"].shape, bool)
        for x0, y0, x1, y1 in record["objects"]["boxes"].astype(int):
            inside[y0:y1, x0:x1] = True
        outside = np.abs(record["radio"][~inside]).mean()
        assert record["radio"][inside].mean() > 2 * outside
        x, y = record["objects"]["component_positions"].astype(int).T
        # The catalogue's peaks come from contours: take the brightest pixel around.
        around = cv2.dilate(record["radio"], np.ones((5, 5)))
        assert (around[y, x] > 5 * record["noise"]).all()


def test_header_of_a_simulated_field_is_astropys():
    made = importlib.import_module("claran_rgz.simulated")
    one = made.simulate(np.random.default_rng(2))
    wcs = WCS(fits.Header.fromstring(made._header(one), sep="\n"))
    assert list(wcs.to_header()) == list(one.wcs.to_header())
    places = np.array([[0.0, 0.0], [131.0, 40.0]])
    np.testing.assert_allclose(
        wcs.all_pix2world(places, 0), one.wcs.all_pix2world(places, 0), atol=1e-9
    )


def test_simulated_fields_are_the_same_again(tmp_path):
    first, second = (
        prepare("rgz/simulated_small", data_dir=tmp_path / name) for name in "ab"
    )
    counts = {name: split.num_examples for name, split in first.info.splits.items()}
    assert counts == {"train": 64, "validation": 16, "test": 16}
    for one, two in zip(
        first.as_data_source("train"), second.as_data_source("train"), strict=True
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


def test_beam_makes_the_same_fields(tmp_path):
    pytest.importorskip("apache_beam")
    plain = prepare("rgz/simulated_small", data_dir=tmp_path / "a")
    beam = prepare("rgz/simulated_small", data_dir=tmp_path / "b", beam_options=[])
    assert by_name(plain, "test").keys() == by_name(beam, "test").keys()
    for name, record in by_name(plain, "test").items():
        np.testing.assert_array_equal(
            record["radio"], by_name(beam, "test")[name]["radio"]
        )


def test_beam_is_asked_for_only_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"Apache Beam is not installed: .*\[beam\]"):
        prepare("rgz/simulated_small", data_dir=tmp_path, beam_options=[])


def test_prepared_data_is_reused_and_overwritten_on_request(pairs_folder, tmp_path):
    options = {"data_dir": tmp_path, "manual_dir": pairs_folder}
    info = Path(prepare("rgz/pairs", **options).data_path) / "dataset_info.json"
    before = info.stat().st_mtime_ns
    again = prepare("rgz/pairs", **options)
    assert info.stat().st_mtime_ns == before
    assert summary(again).startswith("rgz/pairs/1.1.0: ")
    prepare("rgz/pairs", **options, overwrite=True)
    assert info.stat().st_mtime_ns > before


def test_killed_run_leaves_no_data_set(pairs_folder, tmp_path):
    code = (
        "from claran_rgz.prepare import prepare; import sys\n"
        "prepare('rgz/simulated_1k', data_dir=sys.argv[1], workers=1)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    config = tmp_path / "rgz/simulated_1k"
    end = time.monotonic() + 60
    while not list(config.glob("incomplete.*")) and time.monotonic() < end:
        time.sleep(0.05)
    with pytest.raises(ImageError, match="another run is preparing data there"):
        prepare("rgz/pairs", data_dir=tmp_path, manual_dir=pairs_folder)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [path.name[:11] for path in config.iterdir()] == ["incomplete."]
    assert not Builder(config="simulated_1k", data_dir=tmp_path).is_prepared()
    prepare("rgz/pairs", data_dir=tmp_path, manual_dir=pairs_folder)
    assert list(config.iterdir()) == []


@pytest.mark.parametrize(
    "data, options, message",
    [
        ("rgz/d2", {}, r"There is no data set 'rgz/d2'; there are rgz/d1, .*rgz/pairs"),
        ("voc/d1", {}, "There is no data set 'voc/d1'"),
        ("rgz/d1", {"classes": ["A"]}, "rgz/d1 has its own classes"),
        ("rgz/pairs", {"manual_dir": "/none"}, "--manual_dir /none: no such folder"),
        (
            "rgz/pairs",
            {},
            "does not exist or is empty.*Give the folder with --manual_d",
        ),
    ],
)
def test_senseless_requests_are_refused(tmp_path, data, options, message):
    with pytest.raises(ValueError, match=re.compile(message, re.S)):
        prepare(data, data_dir=tmp_path, **options)


def test_folder_without_a_table_or_an_image_is_refused(pairs_folder, tmp_path):
    (tmp_path / "no").mkdir()
    (tmp_path / "no/a.fits").write_bytes(b"")
    with pytest.raises(
        ImageError, match=r"annotations\.csv: is missing; put the table"
    ):
        prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=tmp_path / "no")
    (pairs_folder / "annotations.csv").rename(tmp_path / "no/annotations.csv")
    with pytest.raises(ImageError, match=r"no field of annotations\.csv has a FITS"):
        prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=tmp_path / "no")


def test_split_without_a_usable_field_is_refused(pairs_folder, tmp_path):
    for path in (pairs_folder / "fits").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(
        ImageError, match=r"No usable field in train; .* unusable image"
    ):
        prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=pairs_folder)


def test_works_without_tensorflow(originals_folder, pairs_folder, tmp_path):
    code = f"""{WITHOUT_TENSORFLOW}
from claran_rgz.prepare import prepare
builder = prepare("rgz/d4", data_dir=sys.argv[1], manual_dir=sys.argv[2], workers=1)
print(builder.as_data_source("train")[0]["image"].shape)
builder = prepare("rgz/pairs", data_dir=sys.argv[1], manual_dir=sys.argv[3], workers=1)
print(builder.as_data_source("train")[0]["radio"].shape)
import tensorflow_datasets as tfds
source = tfds.builder_from_directory(sys.argv[1] + "/rgz/d4/1.1.0").as_data_source()
print(sorted(source))
print(sorted({{"jax", "keras", "tensorflow"}} & set(sys.modules)))
"""
    done = run_python(code, str(tmp_path), str(originals_folder), str(pairs_folder))
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line[0] in "(["]
    assert lines == ["(20, 30, 3)", "(30, 40)", "['test', 'train', 'validation']", "[]"]


def test_configuration_of_another_kind_is_refused(tmp_path):
    config = tfds.core.BuilderConfig(name="other", version="1.1.0")
    with pytest.raises(TypeError, match="`config` must be an RgzConfig, got"):
        Builder(config=config, data_dir=tmp_path)


def test_beam_makes_only_simulated_fields(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    options = types.SimpleNamespace(PipelineOptions=list)
    monkeypatch.setitem(sys.modules, "apache_beam.options.pipeline_options", options)
    with pytest.raises(ValueError, match="makes simulated fields, not rgz/pairs"):
        prepare("rgz/pairs", data_dir=tmp_path, beam_options=[])


def test_tfds_finds_it_by_name(tmp_path):
    builder = tfds.builder("rgz/simulated_1k", data_dir=tmp_path)
    assert isinstance(builder, Builder)
    assert builder.info.full_name == "rgz/simulated_1k/1.1.0"


def test_metadata_is_found_and_shipped():
    builder = Builder(config="pairs", data_dir="/none")
    assert builder.name == "rgz"
    assert "Radio Galaxy Zoo for ClaRAN" in builder.info.description
    assert "wu2019claran" in builder.info.citation
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
        "setuptools"
    ]
    assert settings["package-dir"]["claran_rgz"] == "datasets/rgz"
    files = {path for path in (ROOT / "datasets/rgz").iterdir() if path.is_file()}
    shipped = {
        path
        for pattern in ["*.py", *settings["package-data"]["claran_rgz"]]
        for path in (ROOT / "datasets/rgz").glob(pattern)
    }
    assert files == shipped
    # It would hide Hugging Face's package of that name inside of the checkout.
    assert not (ROOT / "datasets/__init__.py").exists()
