"""Pictures with labels of COCO or PASCAL VOC in a user's folder become fields."""

import json
import shutil

import cv2
import numpy as np
import pytest

from claran.data.sources import open_source
from claran.errors import ImageError
from claran.fields.framing import Picture
from claran.fields.preprocessing import network_boxes

NAMES = [f"J{hour:02d}3000.0+100000" for hour in range(6)]


def write_pictures(folder):
    """Six pictures, 20 rows and 30 columns, red inside of a box only."""
    folder.mkdir(parents=True)
    boxes = {name: (i, 2 * i, i + 5, 2 * i + 7) for i, name in enumerate(NAMES)}
    for name, (x0, y0, x1, y1) in boxes.items():
        picture = np.zeros((20, 30, 3), np.uint8)
        picture[y0:y1, x0:x1, 2] = 200
        cv2.imwrite(str(folder / f"{name}.png"), picture)
    return boxes


def write_coco(folder):
    boxes = write_pictures(folder / "images")
    content = {
        "images": [
            {"id": i, "file_name": f"{name}.png", "height": 20, "width": 30}
            for i, name in enumerate(boxes)
        ],
        "categories": [{"id": 4, "name": "FR-I"}, {"id": 2, "name": "FR-II"}],
        "annotations": [
            {
                "id": i, "image_id": i, "category_id": 2 + 2 * (i % 2),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "num_keypoints": 1, "keypoints": [x0, y0, 2],
            }
            for i, (x0, y0, x1, y1) in enumerate(boxes.values())
        ],
    }  # fmt: skip
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    return path


def write_voc(folder, *, below=""):
    boxes = write_pictures(folder / (below and "PNGImages"))
    for i, (name, (x0, y0, x1, y1)) in enumerate(boxes.items()):
        where = folder / (below and "Annotations") / f"{name}.xml"
        where.parent.mkdir(exist_ok=True)
        where.write_text(
            f"<annotation><filename>{name}.png</filename><object><name>"
            f"{'AB'[i % 2]}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin>"
            f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object></annotation>"
        )
    return folder


def as_seen(preprocessor, field):
    """Returns what a network sees of a field, and the boxes there."""
    scene = preprocessor(field)
    return scene.view().image, network_boxes(field.objects.boxes, scene, field)


def assert_boxes_are_on_the_red(source):
    for i in range(len(source)):
        image, boxes = as_seen(Picture(image_size=30), source[i])
        x0, y0, x1, y1 = boxes[0].astype(int)
        assert (image[y0:y1, x0:x1, 2] == 200).all()
        assert (image[:20] == 200).sum() == (x1 - x0) * (y1 - y0)


def test_pictures_take_a_beam_without_using_it(tmp_path):
    source = open_source(write_coco(tmp_path / "coco"), "all", beam_arcsec=5.0)
    assert not source[0].has_radio


def test_coco_file(tmp_path):
    source = open_source(write_coco(tmp_path / "coco"), "all")
    assert source.class_names == ("FR-II", "FR-I")  # By their numbers.
    assert [source[i].objects.labels.item() for i in range(6)] == [1, 2] * 3
    assert_boxes_are_on_the_red(source)
    # The key point is the first pixel of the box, upper left.
    field = source[2]
    x0, _, _, y1 = field.objects.boxes[0]
    np.testing.assert_allclose(field.objects.host, [[x0 + 0.5, y1 - 0.5]])


@pytest.mark.parametrize("below", ["", "devkit"])
def test_voc_folder(tmp_path, below):
    source = open_source(write_voc(tmp_path / "voc", below=below), "all")
    assert source.class_names == ("A", "B")
    assert len(source) == 6
    assert_boxes_are_on_the_red(source)


def test_lists_of_voc_make_the_splits(tmp_path):
    folder = write_voc(tmp_path / "voc", below="devkit")
    lists = folder / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join([*NAMES[:3], "gone"]))
    (lists / "val.txt").write_text(NAMES[3])
    (lists / "test.txt").write_text(f"{NAMES[4]}\n{NAMES[3]}\n")
    source = open_source(folder, "test")
    assert [source[i].name for i in range(len(source))] == NAMES[3:5]
    assert source.report.counts == {
        "conflicting": 1, "in no list": 1, "missing annotation": 1,
    }  # fmt: skip
    (lists / "val.txt").write_bytes(b"\xff")
    with pytest.raises(ImageError, match=r"val\.txt: cannot be read as text"):
        open_source(folder, "test")


def test_sky_makes_the_splits_that_labels_lack(tmp_path):
    coco = write_coco(tmp_path / "coco")
    names = {}
    for split in ("train", "validation", "test"):
        try:
            source = open_source(coco, split)
        except ValueError:
            continue
        names[split] = {source[i].name for i in range(len(source))}
    assert sorted(name for own in names.values() for name in own) == NAMES
    assert source.report.counts == {}
    text = coco.read_text()
    for i, name in enumerate(NAMES):
        (coco.parent / f"images/{name}.png").rename(coco.parent / f"images/{i}.png")
        text = text.replace(name, str(i))
    coco.write_text(text)
    assert open_source(coco, "train").report.counts == {"without a position": 6}


def test_bad_pictures_are_counted(tmp_path):
    coco = write_coco(tmp_path / "coco")
    images = coco.parent / "images"
    (images / f"{NAMES[0]}.png").unlink()
    (images / f"{NAMES[1]}.png").write_bytes(b"x")
    cv2.imwrite(str(images / f"{NAMES[2]}.png"), np.zeros((9, 9, 3), np.uint8))
    (images / "again").mkdir()
    shutil.copy(images / f"{NAMES[3]}.png", images / "again")
    source = open_source(coco, "all")
    assert len(source) == 3
    assert source.report.counts == {
        "missing image": 1, "unusable image": 1, "malformed": 1, "duplicated image": 1,
    }  # fmt: skip


def test_labels_reach_no_file_outside_of_their_folder(tmp_path):
    coco = write_coco(tmp_path / "coco")
    secret = tmp_path / "secret.png"
    (coco.parent / f"images/{NAMES[0]}.png").rename(secret)
    coco.write_text(coco.read_text().replace(f"{NAMES[0]}.png", "../secret.png"))
    assert open_source(coco, "all").report.counts["missing image"] == 1


def test_real_pictures_of_coco(real_data):
    """Hosts are in their boxes, and the radio channel is bright there, y down."""
    source = open_source(real_data / "radiogalaxynet_dev/annotations.json", "all")
    assert source.class_names == ("FR-II", "FR-I", "FR-X", "R")
    inside, bright, mirrored = [], [], []
    for i in range(len(source)):
        field = source[i]
        x, y = field.objects.host.T
        x0, y0, x1, y1 = field.objects.boxes.T
        inside += ((x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)).tolist()
        image, boxes = as_seen(Picture(image_size=450), field)
        for x0, y0, x1, y1 in boxes.astype(int):
            bright.append(image[y0:y1, x0:x1, 0].mean())
            mirrored.append(image[::-1][y0:y1, x0:x1, 0].mean())
    assert len(inside) == 176
    assert np.mean(inside) > 0.95
    assert np.mean(bright) > 1.5 * np.mean(mirrored)


def test_labels_without_a_picture_are_refused(tmp_path):
    coco = write_coco(tmp_path / "coco")
    shutil.rmtree(coco.parent / "images")
    with pytest.raises(
        ImageError, match=r"none of 6 labelled pictures is there; .*annotations\.csv"
    ):
        open_source(coco)


def write_picture(path, rows=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((rows, 30, 3), np.uint8))


def coco_of(folder, *files):
    """Writes COCO with a box at x = 1, 2 ... for each file name."""
    numbered = list(enumerate(files, start=1))
    content = {
        "images": [{"id": i, "file_name": file} for i, file in numbered],
        "categories": [{"id": 1, "name": "A"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [i, 2, 5, 6]}
            for i, _ in numbered
        ],
    }
    (folder / "x.json").write_text(json.dumps(content))
    return folder / "x.json"


def voc_of(path, filename=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    named = "" if filename is None else f"<filename>{filename}</filename>"
    path.write_text(
        f"<annotation>{named}<object><name>A</name><bndbox><xmin>2</xmin><ymin>3</ymin>"
        "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )


def shapes(source):
    """Returns the rows of each field, which tell the pictures apart."""
    fields = [source[i] for i in range(len(source))]
    return {field.name: field.shape[0] for field in fields}


@pytest.mark.parametrize(
    "files, names",
    [
        (("train/a.png", "val/a.png"), ("train/a", "val/a")),
        (("a.png", "a.jpg"), ("a.png", "a.jpg")),
        (("a.png", "x/a.png", "x/b.png"), ("a", "x/a", "b")),
        (("x/a.png", "x/a.jpg", "y/a.png"), ("x/a.png", "x/a.jpg", "y/a")),
        (("a.png", "a.jpg", "a.png.tif"), ("a.png", "a.jpg", "a.png.tif")),
        (("train\\a.png", "val\\a.png"), ("train/a", "val/a")),
    ],
)
@pytest.mark.parametrize("below", ["", "images"])
def test_coco_pictures_of_one_name_are_two_fields(tmp_path, files, names, below):
    for i, file in enumerate(files):
        write_picture(tmp_path / below / file.replace("\\", "/"), rows=20 + i)
    source = open_source(coco_of(tmp_path, *files), "all")
    assert shapes(source) == {name: 20 + i for i, name in enumerate(names)}
    assert [source[i].objects.boxes[0, 0] for i in range(len(files))] == [
        *range(1, len(files) + 1)
    ]
    assert not source.report.counts


@pytest.mark.parametrize("labels, pictures", [("", ""), ("Annotations", "JPEGImages")])
def test_voc_pictures_of_one_name_are_two_fields(tmp_path, labels, pictures):
    for rows, split in ((20, "train"), (21, "val")):
        write_picture(tmp_path / pictures / split / "a.png", rows)
        voc_of(tmp_path / labels / split / "a.xml", "a.png")
    source = open_source(tmp_path, "all")
    assert shapes(source) == {"train/a": 20, "val/a": 21}
    assert not source.report.counts


def test_voc_takes_the_picture_in_the_folder_of_that_name(tmp_path):
    for rows, split in ((20, "train"), (21, "val")):
        write_picture(tmp_path / "JPEGImages" / split / "a.png", rows)
    voc_of(tmp_path / "Annotations/val/a.xml", "a.png")
    source = open_source(tmp_path, "all")
    assert shapes(source) == {"a": 21}
    assert source.report.counts == {"duplicated image": 1}


def test_voc_takes_the_picture_with_the_ending_it_names(tmp_path):
    for rows, ending in ((20, "jpg"), (21, "png")):
        write_picture(tmp_path / f"JPEGImages/a.{ending}", rows)
    voc_of(tmp_path / "Annotations/a.xml", "a.png")
    source = open_source(tmp_path, "all")
    assert shapes(source) == {"a": 21}
    assert source.report.counts == {"duplicated image": 1}


def test_voc_files_that_name_one_picture_have_their_own(tmp_path):
    for rows, name in ((20, "a"), (21, "b")):
        write_picture(tmp_path / f"{name}.png", rows)
        voc_of(tmp_path / f"{name}.xml", "b.png")  # As a copy of a file says.
    assert shapes(open_source(tmp_path, "all")) == {"a": 20, "b": 21}


@pytest.mark.parametrize(
    "name",
    ["../a.png", "x/../../a.png", "{outside}/a.png", "~/a.png", "C:\\a.png",
     "..\\a.png", "file:///a.png", "https://x.org/a.png"],
)  # fmt: skip
@pytest.mark.parametrize("inside", [True, False])
def test_no_name_leads_out_of_the_folder(tmp_path, name, inside):
    folder = tmp_path / "data/deep"
    for place in (tmp_path, tmp_path / "data"):
        write_picture(place / "a.png", rows=99)
    write_picture(folder / "b.png")
    if inside:  # The name alone is still good.
        write_picture(folder / "a.png", rows=20)
    coco = coco_of(folder, name.format(outside=tmp_path), "b.png")
    source = open_source(coco, "all")
    assert set(shapes(source).values()) == {20}
    missing = {} if inside else {"missing image": 1}
    assert source.report.counts == {"outside of the folder": 1} | missing


def test_a_picture_of_another_folder_is_not_taken(tmp_path):
    for name in ("train/a.png", "val/b.png", "c.png"):
        write_picture(tmp_path / name)
    path = coco_of(tmp_path, "val/a.png", "val/b.png", "images/c.png")
    source = open_source(path, "all")
    assert [source[i].name for i in range(len(source))] == ["b", "c"]
    (said,) = source.report.messages["image of another folder"]
    assert said.startswith("val/a.png: ") and "train/a.png is not taken" in said
    assert source.report.counts["missing image"] == 1


def test_links_in_the_folder_are_followed(tmp_path):
    write_picture(tmp_path / "elsewhere/a.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.png").symlink_to(tmp_path / "elsewhere/a.png")
    assert len(open_source(coco_of(tmp_path / "data", "a.png"), "all")) == 1


@pytest.mark.parametrize("name", ["\0", "a\0.png", 5000 * "x" + ".png", "..", ".", "/"])
def test_names_that_no_file_has(tmp_path, name):
    write_picture(tmp_path / "b.png")
    source = open_source(coco_of(tmp_path, name, "b.png"), "all")
    assert shapes(source) == {"b": 20}
    assert sum(source.report.counts.values()) >= 1


@pytest.mark.parametrize(
    "names, text",
    [
        ("ab", b"\xef\xbb\xbfa\nb\n"), ("ab", "a\nb\n".encode("utf-16")),
        ("ab", b"a.png\nb.png\n"), ("ab", b"a\r\nb\r\n\r\n"), ("ab", b" a \n\tb"),
        (["a 1"], b"a 1\n"), (["a 1", "a"], b"a\na 1\n"), ("ab", b"a  1\nb -1\n"),
        (["a b"], b"a b.png\n"), ("ab", b"JPEGImages/a.png\nJPEGImages\\b.png"),
        (["\u00e9 x"], "\u00e9 x 1".encode()),
    ],
)  # fmt: skip
def test_lists_of_voc_as_others_write_them(tmp_path, names, text):
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_bytes(text)
    (tmp_path / "ImageSets/Main/val.txt").write_text("other")
    for name in (*names, "other"):
        write_picture(tmp_path / f"{name}.png")
        voc_of(tmp_path / f"{name}.xml", f"{name}.png")
    source = open_source(tmp_path, "train")
    assert set(shapes(source)) == set(names)
    assert not source.report.counts


def test_a_list_of_one_field_leaves_it_in_its_split(tmp_path):
    folder = write_voc(tmp_path / "voc")
    (folder / "ImageSets/Main").mkdir(parents=True)
    for name in NAMES:  # Some of the names would draw validation.
        (folder / "ImageSets/Main/train.txt").write_text(name)
        assert set(shapes(open_source(folder, "train"))) == {name}


def test_the_list_of_train_and_validation_is_for_the_others(tmp_path):
    folder = write_voc(tmp_path / "voc")
    lists = folder / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "trainval.txt").write_text("\n".join(NAMES[:5]))
    (lists / "val.txt").write_text("\n".join(NAMES[3:5]))
    (lists / "test.txt").write_text("\n".join(NAMES[4:]))
    source = open_source(folder, "train")
    assert set(shapes(source)) == set(NAMES[:3])
    assert set(shapes(open_source(folder, "validation"))) == {NAMES[3]}
    assert source.report.counts == {"conflicting": 1}  # In val and in test.
