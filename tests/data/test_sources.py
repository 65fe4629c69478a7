"""Whatever a user names becomes fields: prepared data, or FITS and a table."""

import dataclasses
import gzip
import pickle
import shutil

import cv2
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from claran.data.sources import open_source
from claran.errors import ImageError
from claran.fields import field as field_module
from claran.fields.batches import PipelineOptions, validation_batches
from claran.fields.channels import Channels
from claran.fields.framing import Picture
from claran.fields.objects import Objects
from claran.fields.preprocessing import network_boxes
from claran.sky.noise import noise
from claran.sky.surveys import SURVEYS
from claran_rgz.prepare import prepare

NAMES = [f"J{hour:02d}3000.0+100000" for hour in range(6)]
HEADER = (
    "name,cls,cl,split,peak_ras,peak_decs,host_ra,host_dec,box_x0,box_y0,box_x1,box_y1"
)


def write_pairs(
    folder, splits=("train", "train", "train", "validation", "test", "test")
):
    """Six fields with a bright block in columns 10 to 15, rows 4 to 8, y up."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    lines = [HEADER]
    for i, (name, split) in enumerate(zip(NAMES, splits, strict=True)):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
        wcs.wcs.crval = [15 * i + 7.5, 10.0]
        wcs.wcs.cdelt = [-5e-4, 5e-4]
        wcs.wcs.crpix = [20.5, 15.5]
        header = wcs.to_header()
        header.update({"BUNIT": "mJy/beam", "BMAJ": 0.002, "BMIN": 0.002})
        values = rng.normal(0, 0.1, (30, 40)).astype(np.float32)
        values[4:9, 10:16] += 50
        fits.writeto(folder / f"{name}.fits", values, header)
        if i:
            picture = np.zeros((60, 80, 3), np.uint8)
            picture[2 * 21 : 2 * 26, 20:32] = (0, 0, 200)  # The same place, y down.
            cv2.imwrite(str(folder / f"{name}_infrared.png"), picture)
        ra, dec = wcs.all_pix2world([[12.5, 5.5]], 0)[0]
        sky = f"{ra:.8f},{dec:.8f},{ra:.8f},{dec:.8f}"
        lines.append(f"{name},{i % 2 + 1}_2,0.8,{split},{sky},10,4,16,9")
    (folder / "annotations.csv").write_text("\n".join(lines) + "\n")
    return folder


def as_seen(preprocessor, field):
    """Returns what a network sees of a field, and the boxes there."""
    scene = preprocessor(field)
    return scene.view().image, network_boxes(field.objects.boxes, scene, field)


def test_fits_with_a_table(tmp_path):
    folder = write_pairs(tmp_path / "own")
    source = open_source(folder, "train")
    assert source.class_names[:2] == ("1_1", "1_2")
    field = source[1]
    assert field.name == NAMES[1]
    assert field.image.values[4:9, 10:16].mean() == pytest.approx(0.05, rel=0.01)  # Jy.
    assert field.noise == pytest.approx(1e-4, rel=0.2)
    assert field.beam_pixels == pytest.approx(4)
    assert field.pixel_arcsec == pytest.approx(1.8)
    assert field.objects.boxes.tolist() == [[10, 4, 16, 9]]
    assert field.objects.labels.tolist() == [4] and field.objects.ignored.tolist() == [
        False
    ]
    assert field.objects.consensus == pytest.approx(0.8)
    # FITS counts the center of a pixel as a whole number, an edge as half of one.
    np.testing.assert_allclose(field.objects.host, [[13, 6]], atol=1e-3)
    np.testing.assert_allclose(field.objects.component_positions, [[13, 6]], atol=1e-3)
    assert field.objects.component_objects.tolist() == [0]
    image, boxes = as_seen(Picture(method="D3", image_size=80), field)
    x0, y0, x1, y1 = boxes[0].astype(int)
    assert image[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4, 2].mean() > 190
    assert source[0].picture is None


def test_prepared_data_gives_the_same_fields(tmp_path):
    folder = write_pairs(tmp_path / "own")
    builder = prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=folder)
    direct, prepared = open_source(folder, "all"), open_source(builder.data_path, "all")
    assert direct.class_names == prepared.class_names
    found = {field.name: field for field in (prepared[i] for i in range(6))}
    for field in (direct[i] for i in range(6)):
        other = found[field.name]
        np.testing.assert_array_equal(field.image.values, other.image.values)
        np.testing.assert_equal(field.picture, other.picture)
        for key in ("noise", "beam_pixels", "pixel_arcsec"):
            assert getattr(field, key) == pytest.approx(getattr(other, key), rel=1e-6)
        for part in dataclasses.fields(Objects):
            one, same = (getattr(o.objects, part.name) for o in (field, other))
            np.testing.assert_equal(one, same, err_msg=part.name)


@pytest.mark.parametrize("kind", ["files", "prepared"])
def test_a_beam_or_a_survey_in_place_of_the_files(tmp_path, kind):
    data = folder = write_pairs(tmp_path / "own")
    if kind == "prepared":
        data = prepare(
            "rgz/pairs", data_dir=tmp_path / "data", manual_dir=folder
        ).data_path
    emu = SURVEYS["emu"]
    sources = [
        open_source(data, "all"),
        open_source(data, "all", survey=emu),
        open_source(data, "all", beam_arcsec=3.6),
    ]
    beams = [source[0].beam_pixels for source in sources]
    assert beams == pytest.approx([4, 4, 2])  # The header knows better than a survey.
    assert [source[0].survey for source in sources] == [None, emu, None]
    assert len({source.fingerprint for source in sources}) == 3
    noise = {source[0].noise for source in sources}
    assert len(noise) == 1


def test_a_survey_says_what_a_header_does_not(tmp_path):
    folder = write_pairs(tmp_path / "own")
    for path in folder.glob("*.fits"):
        with fits.open(path, mode="update") as hdus:
            del hdus[0].header["BMAJ"], hdus[0].header["BMIN"]
    source = open_source(folder, "all", survey=SURVEYS["emu"])
    assert source[0].beam_pixels == pytest.approx(15 / 1.8)
    assert open_source(folder, "all")[0].beam_pixels == pytest.approx(3)


def test_the_noise_is_measured_when_the_files_are_checked(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        field_module, "noise", lambda values: calls.append(1) or noise(values)
    )
    source = open_source(write_pairs(tmp_path / "own"), "all")
    assert len(calls) == 6
    assert all(source[i].noise > 0 for i in range(6)) and source[3].measure()
    assert len(calls) == 6


def test_named_splits_are_kept(tmp_path):
    folder = write_pairs(tmp_path / "own")
    sizes = {split: len(open_source(folder, split)) for split in ("train", "test")}
    assert sizes == {"train": 3, "test": 2}
    assert open_source(folder, "validation")[0].name == NAMES[3]


def test_parts_and_sums_of_splits(tmp_path):
    folder = write_pairs(tmp_path / "own")
    source = open_source(folder, "train[1:]+test")
    names = [source[i].name for i in range(len(source))]
    assert names == [*NAMES[1:3], *NAMES[4:]]


@pytest.mark.parametrize("split", ["test", "all[:50%]", "train[", "train[:9]", ""])
def test_unknown_split_is_refused(tmp_path, split):
    folder = write_pairs(tmp_path / "own", splits=["train"] * 5 + ["validation"])
    builder = prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=folder)
    for data in (folder, builder.data_path):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words follow
            open_source(data, split)
        assert str(caught.value).startswith(f"{data}: has no split {split!r} (")
        assert str(caught.value).endswith("; it has train (5), validation (1).")
        # TFDS counts files too; what is not prepared is one.
        assert len(open_source(data, "train[0shard]")) == 5


def test_classes_that_are_given(tmp_path):
    folder = write_pairs(tmp_path / "own")
    builder = prepare("rgz/pairs", data_dir=tmp_path / "data", manual_dir=folder)
    for data, report in (
        (folder, {"unknown class": 3}),
        (builder.data_path, {"class without a label": 5}),
    ):
        source = open_source(data, "all", class_names=["2_2", "new"])
        assert source.class_names == ("2_2", "new")
        assert source.report.counts == report
        found = [
            (source[i].objects.labels.item(), source[i].objects.ignored.item())
            for i in range(6)
        ]
        assert sorted(found) == [(0, True)] * 3 + [(1, False)] * 3


def test_fingerprint_is_that_of_the_data(tmp_path):
    folder = write_pairs(tmp_path / "own")
    first = open_source(folder, "train").fingerprint
    shutil.copytree(folder, tmp_path / "copy")
    assert open_source(tmp_path / "copy", "train").fingerprint == first
    assert open_source(folder, "test").fingerprint != first
    assert open_source(folder, class_names=["1_2"]).fingerprint != first
    table = folder / "annotations.csv"
    table.write_text(table.read_text().replace("10,4,16,9", "10,4,16,8", 1))
    assert open_source(folder, "train").fingerprint != first
    prepared = [
        open_source(
            prepare("rgz/pairs", data_dir=tmp_path / name, manual_dir=folder).data_path,
            split,
        ).fingerprint
        for name, split in (("a", "train"), ("b", "train"), ("b", "test"))
    ]
    assert prepared[0] == prepared[1] != prepared[2]


def test_bad_files_and_labels_are_counted(tmp_path):
    folder = write_pairs(tmp_path / "own", splits=["train"] * 6)
    (folder / f"{NAMES[0]}.fits").unlink()
    (folder / f"{NAMES[1]}.fits").write_bytes(b"x")
    (folder / f"{NAMES[2]}_infrared.png").write_bytes(b"x")
    fits.writeto(folder / f"{NAMES[3]}.fits", np.zeros((30, 40)), overwrite=True)
    with (folder / "annotations.csv").open("a") as table:
        table.write(f"{NAMES[4]},1_1,0.8,train,,,,,50,0,60,30\n")
        table.write(f"{NAMES[5]},1_1,0.8,train,,,,,30,-5,35,8\n")
    source = open_source(folder, "all")
    assert [source[i].name for i in range(len(source))] == [NAMES[2], *NAMES[4:]]
    assert repr(source).startswith("<FieldSource: 3 radio fields, classes 1_1, 1_2")
    assert repr(source[1].objects) == "<Objects: 1, 0 of them ignored>"
    assert source.report.counts == {
        "missing image": 1, "unusable image": 2, "unusable infrared image": 1,
        "outside the image": 1, "cut by the edge": 1,
    }  # fmt: skip
    assert "set blank pixels to NaN" in str(source.report)
    assert source[2].objects.boxes.tolist() == [[10, 4, 16, 9], [30, 0, 35, 8]]


def test_file_that_goes_bad_later_is_named(tmp_path):
    folder = write_pairs(tmp_path / "own")
    source = open_source(folder, "train")
    (folder / f"{NAMES[0]}.fits").write_bytes(b"x")
    with pytest.raises(ImageError, match=rf"{NAMES[0]}\.fits".replace("+", r"\+")):
        source[0]


def test_pickled_source_feeds_worker_processes(tmp_path):
    source = open_source(write_pairs(tmp_path / "own"), "train")
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again[2].image.values, source[2].image.values)
    options = PipelineOptions(batch_size=3, size=(64, 64), workers=1)
    preprocessor = Channels(beam_pixels=None, image_size=64)
    with validation_batches(source, preprocessor, options=options) as batches:
        assert next(batches)["names"].tolist() == NAMES[:3]


def test_nothing_usable_is_refused(tmp_path):
    with pytest.raises(ImageError, match="none: no such file or folder; give a folder"):
        open_source(tmp_path / "none")
    with pytest.raises(ImageError, match=r"no labelled data; give a folder with data"):
        open_source(tmp_path)
    folder = write_pairs(tmp_path / "own")
    for path in folder.glob("*.fits"):
        path.write_bytes(b"x")
    with pytest.raises(ImageError, match="own: has no usable field; 6 unusable image"):
        open_source(folder)
    (tmp_path / "odd").mkdir()
    for info in ("{}", "[", '{"name": 5}', '{"other": 1}'):
        (tmp_path / "odd/dataset_info.json").write_text(info)
        with pytest.raises(ValueError, match="odd: has no prepared data set"):
            open_source(tmp_path / "odd")
    (tmp_path / "odd/dataset_info.json").write_bytes(b"\xff")
    with pytest.raises(ImageError, match=r"info\.json: cannot be read as text"):
        open_source(tmp_path / "odd")


def test_real_first_fields(real_data):
    source = open_source(real_data / "rgz_first_dev", "all")
    assert len(source) == 153
    assert source.report.counts == {"cut by the edge": 7}
    counts = np.bincount(
        np.concatenate([source[i].objects.labels for i in range(153)]), minlength=7
    )
    assert counts.tolist() == [0, 26, 25, 58, 4, 33, 22]
    for i in range(0, 153, 8):
        field = source[i]
        x, y = field.objects.component_positions.astype(int).T
        # The catalog's peaks come from contours: take the brightest pixel around.
        around = cv2.dilate(field.image.values, np.ones((5, 5)))
        assert (around[y, x] > 5 * field.noise).all()


def write_table(folder, *lines, header="name,cls,box_x0,box_y0,box_x1,box_y1"):
    (folder / "annotations.csv").write_text("\n".join([header, *lines]) + "\n")


def keep_one(folder, *names):
    """Leaves the first field, under other names."""
    content = (folder / f"{NAMES[0]}.fits").read_bytes()
    for path in [*folder.glob("*.fits"), *folder.glob("*.png")]:
        path.unlink()
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        packed = gzip.compress(content) if name.endswith(".gz") else content
        (folder / name).write_bytes(packed)


@pytest.mark.parametrize(
    "files, lines, boxes",
    [
        (["a.fits"], ["a.fits,1_1,1,2,3,4"], {"a.fits": 1}),
        (["a.fits", "a.fits.gz"], ["a.fits,1_1,1,2,3,4", "a.fits.gz,1_1,2,2,3,4"],
         {"a.fits": 1, "a.fits.gz": 2}),
        (["x/a.fits", "y/a.fits"], ["y/a,1_1,2,2,3,4", "x/a,1_1,1,2,3,4"],
         {"x/a": 1, "y/a": 2}),
        (["x/a_radio.fits"], ["a,1_1,1,2,3,4"], {"a": 1}),
    ],
)  # fmt: skip
def test_the_table_may_name_files(tmp_path, files, lines, boxes):
    folder = write_pairs(tmp_path / "own")
    keep_one(folder, *files)
    write_table(folder, *lines)
    source = open_source(folder, "all")
    fields = [source[i] for i in range(len(source))]
    assert {field.name: field.objects.boxes[0, 0] for field in fields} == boxes
    assert not source.report.counts


@pytest.mark.parametrize(
    "radio, infrared",
    [
        ("a.FITS", "a_W1.FITS"), ("a.fts", "a_ir.fts"), ("a.fits", "WISE/a.fits"),
        ("ir/a_radio.fits", "ir/a.fits"),
    ],
)  # fmt: skip
def test_infrared_fits_are_known_by_their_names(tmp_path, radio, infrared):
    folder = write_pairs(tmp_path / "own")
    keep_one(folder, radio, infrared)
    write_table(folder, "a,1_1,1,2,3,4")
    source = open_source(folder, "all")
    assert source[0].picture is not None and not source.report.counts


def test_a_name_of_two_files_is_said(tmp_path):
    folder = write_pairs(tmp_path / "own")
    keep_one(folder, "a.fits", "a.fits.gz", "other.fits")
    write_table(folder, "a,1_1,1,2,3,4")
    source = open_source(folder, "all")
    assert source.report.counts == {
        "duplicated image": 1,
        "image without annotation": 1,
    }


def test_no_column_leads_out_of_the_folder(tmp_path):
    folder = write_pairs(tmp_path / "own")
    keep_one(folder, "in.fits", "../out.fits")
    header = "name,cls,image,infrared,box_x0,box_y0,box_x1,box_y1"
    write_table(
        folder, "in,1_1,in.fits,../x.png,1,2,3,4", "out,1_1,../out.fits,,1,2,3,4",
        f"abs,1_1,{tmp_path}/out.fits,,1,2,3,4", header=header,
    )  # fmt: skip
    source = open_source(folder, "all")
    assert [source[i].name for i in range(len(source))] == ["in"]
    assert source.report.counts == {
        "outside of the folder": 3, "missing image": 2, "missing infrared image": 1,
    }  # fmt: skip


def test_a_table_without_its_files_names_one(tmp_path):
    folder = write_pairs(tmp_path / "own")
    write_table(folder, "a.fits,1_1,1,2,3,4")
    with pytest.raises(ImageError, match=r"FITS file of its name, such as a\.fits"):
        open_source(folder, "all")


def test_prepared_data_with_a_huge_description_is_refused(tmp_path):
    with (tmp_path / "dataset_info.json").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(ImageError, match=r"dataset_info\.json: has 100 MB"):
        open_source(tmp_path)
