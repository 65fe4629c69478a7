"""The original's pictures: archives, lists, downloads."""

import re
import tarfile
import time
from pathlib import Path

import pytest

from claran.errors import ImageError
from claran_rgz import originals
from claran_rgz.prepare import prepare, summary


@pytest.fixture
def check_pictures(make, by_name):
    """Returns a function that compares a data set with the archives."""

    def check(builder):
        expected = {f"{name}_infraredctmask": box for name, box in make.boxes.items()}
        splits = {split: by_name(builder, split) for split in builder.info.splits}
        assert set(splits) == {"train", "validation", "test"}
        assert set(splits["test"]) == set(list(expected)[::3])
        found = {
            name: record for own in splits.values() for name, record in own.items()
        }
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

    return check


def test_pictures_from_the_manual_folder(check_pictures, originals_folder, tmp_path):
    builder = prepare("rgz/d4", data_dir=tmp_path, manual_dir=originals_folder)
    check_pictures(builder)
    assert "wrong" not in summary(builder)


def test_pictures_from_unpacked_archives(check_pictures, originals_folder, tmp_path):
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


def test_pictures_are_downloaded(check_pictures, originals_folder, tmp_path, serve):
    serve(originals_folder)
    check_pictures(prepare("rgz/d4", data_dir=tmp_path / "data"))


def test_missing_server_names_the_files_to_provide(tmp_path, serve):
    (tmp_path / "empty").mkdir()
    serve(tmp_path / "empty")
    with pytest.raises(ImageError, match=r"Cannot download .*/trainD1\.txt") as caught:
        prepare("rgz/d1", data_dir=tmp_path / "data")
    assert "annotation.tar, D1_images.tgz from someone" in str(caught.value)
    assert "--manual_dir" in str(caught.value)
    assert not list((tmp_path / "data/rgz").glob("[!.]*/*"))


def test_unknown_server_fails_soon(tmp_path, monkeypatch, capsys):
    for name in ("SERVER", "LISTS"):
        monkeypatch.setattr(originals, name, "http://127.0.0.1:9/gone")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    start = time.monotonic()
    with pytest.raises(ImageError, match="Cannot download http"):
        prepare("rgz/d3", data_dir=tmp_path)
    assert time.monotonic() - start < 20
    assert "without encryption, and no checksums" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"<html>moved</html>", None], ids=["html", "cut"])
def test_damaged_archive_is_refused(originals_folder, tmp_path, content):
    archive = originals_folder / "D4_images.tgz"
    archive.write_bytes(content or archive.read_bytes()[:-200])
    with pytest.raises(
        ImageError, match=r"D4_images\.tgz: not a tar archive, or a dam"
    ):
        prepare("rgz/d4", data_dir=tmp_path / "data", manual_dir=originals_folder)
    assert not list((tmp_path / "data/rgz").glob("[!.]*/*"))


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("trainD4.txt", b"\n", r"trainD4\.txt: is empty; download it again"),
        ("testD4.txt", b"\xff\xfe", r"testD4\.txt: cannot be read as a list of names"),
        ("annotation.tar", None, "has no annotation of a field in .*--manual_dir"),
    ],
    ids=["empty-list", "unreadable-list", "other-annotations"],
)
def test_files_that_cannot_be_used(make, originals_folder, name, content, message):
    if content is None:
        other = {"other.xml": make.voc((0, 0, 5, 5))}
        make.write_tar(originals_folder / name, other)
    else:
        (originals_folder / name).write_bytes(content)
    sources = originals.find_sources(_Manual(originals_folder), "D4")
    with pytest.raises(ImageError, match=message):
        originals.read_labels(sources, ("2_3",))


def test_archive_writes_no_file(make, originals_folder, tmp_path):
    key = f"{make.names[0]}_infraredctmask"
    files = {f"../../{key}.png": make.png(make.draw(make.boxes[make.names[0]]))}
    make.write_tar(originals_folder / "D4_images.tgz", files)
    with tarfile.open(originals_folder / "annotation.tar", "a") as archive:
        link = tarfile.TarInfo(f"{make.names[1]}.xml")
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
    make, originals_folder, tmp_path
):
    keys = [f"{name}_infraredctmask" for name in make.names]
    xml = {f"{key}.xml": make.voc((0, 0, 5, 5)) for key in keys[:20]}
    xml |= {
        f"{keys[20]}.xml": b"<annotation>",
        f"{keys[21]}.xml": make.voc((0, 0, 5, 5), width=9),
    }
    make.write_tar(originals_folder / "annotation.tar", xml)
    pictures = {f"{key}.png": make.png(make.draw((0, 0, 5, 5))) for key in keys[1:]}
    pictures[f"{keys[2]}.png"] = b"no picture"
    pictures[f"copy/{keys[3]}.png"] = make.png(make.draw((0, 0, 5, 5)))
    make.write_tar(originals_folder / "D4_images.tgz", pictures)
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
        "duplicated": 2,  # One entry in a list and one picture.
        "malformed": 2,
        "missing annotation": 3,
        "missing image": 1,
        "unusable image": 1,
    }
    total = sum(split.num_examples for split in builder.info.splits.values())
    assert total == len(make.names) - 6
