import os
from pathlib import Path

import pytest

from claran.errors import ImageError
from claran.fields.reading import read_infrared
from claran.io.paths import (
    bare_name,
    expand,
    expand_home,
    field_name,
    from_ascii,
    infrared_name,
    pair_infrared,
    readable,
    table_names,
    to_ascii,
)
from claran.sky.images import read_picture, read_sky_image

FITS = (".fits", ".fits.gz")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with some files in `fields`."""
    (tmp_path / "fields" / "deep").mkdir(parents=True)
    names = ("b.fits", "a.FITS", "c.fits.gz", "notes.txt", "d.png", "deep/e.fits")
    for name in names:
        (tmp_path / "fields" / name).touch()
    (tmp_path / "odd[1].fits").touch()
    (tmp_path / "list.txt").write_text("fields/d.png\n\n  odd[1].fits\n@more.txt\n")
    (tmp_path / "more.txt").write_text("fields/b*\n")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "names, endings, expected",
    [
        pytest.param(["fields/d.png"], FITS, ["fields/d.png"], id="file"),
        pytest.param(
            ["fields"],
            FITS,
            ["fields/a.FITS", "fields/b.fits", "fields/c.fits.gz"],
            id="folder",
        ),
        pytest.param(
            ["fields/"],
            None,
            ["fields/a.FITS", "fields/b.fits", "fields/c.fits.gz", "fields/d.png"],
            id="any-ending",
        ),
        pytest.param(
            ["fields/[bd]*"], FITS, ["fields/b.fits", "fields/d.png"], id="pattern"
        ),
        pytest.param(
            ["fields/**/*.fits"],
            FITS,
            ["fields/b.fits", "fields/deep/e.fits"],
            id="deep-pattern",
        ),
        pytest.param(["odd[1].fits"], FITS, ["odd[1].fits"], id="brackets-in-a-name"),
        pytest.param(
            ["@list.txt"],
            FITS,
            ["fields/d.png", "odd[1].fits", "fields/b.fits"],
            id="list",
        ),
        pytest.param(
            ["fields/d.png", "fields/b.fits"],
            FITS,
            ["fields/d.png", "fields/b.fits"],
            id="order-given",
        ),
        pytest.param([], FITS, [], id="nothing"),
    ],
)
def test_expand(folder, names, endings, expected):
    assert expand(names, endings) == [Path(name) for name in expected]


@pytest.mark.parametrize(
    "name, message",
    [
        pytest.param("x.fits", r"^x\.fits: no such file; check the path\.", id="file"),
        pytest.param("x*.fits", r"^x\*\.fits: no such file, and none of", id="pattern"),
        pytest.param("~nosuch/x.fits", r"^~nosuch/x\.fits: no such home", id="home"),
        pytest.param("a" * 5000, r"^a+: no such file", id="long"),
        pytest.param("field[s]", r"^field\[s\]: no such file", id="only-a-folder"),
        pytest.param("fields/deep", r"^fields/deep: no \.jpg in this", id="folder"),
        pytest.param("@x.txt", r"^x\.txt: cannot be read .*No such file", id="list"),
        pytest.param("@binary.txt", r"^binary\.txt: cannot be read", id="binary-list"),
        pytest.param("@empty.txt", r"^empty\.txt: is empty; write", id="empty-list"),
    ],
)
def test_names_that_stand_for_no_file(folder, name, message):
    with pytest.raises(ImageError, match=message):
        expand([name], (".jpg",))


def paths(*names):
    return [Path(name) for name in names]


@pytest.mark.parametrize(
    "radio, infrared",
    [
        pytest.param(["r/x.fits"], ["i/y.png"], id="one-and-one"),
        pytest.param(["r/x.fits", "r/y.fits"], ["i/x.png", "i/y.png"], id="same-names"),
        pytest.param(["x.fits", "y.fits"], ["x_infrared.png", "y_ir.png"], id="kinds"),
        pytest.param(
            ["x_radio.fits.gz", "y_radio.fits"],
            ["x_W1.fits", "y-wise.JPEG"],
            id="endings",
        ),
        pytest.param(
            ["J1.5+2.fits", "J1.5+3.fits"], ["J1.5+2.png", "J1.5+3.png"], id="dots"
        ),
        pytest.param(["x.fts", "y.fits.fz"], ["x.tiff", "y.jpeg"], id="rare-endings"),
        pytest.param(["spw1.fits", "x.fits"], ["spw1_w1.fits", "x.png"], id="w1"),
        pytest.param([], ["x.png"], id="none"),
    ],
)
@pytest.mark.parametrize("turned", [False, True], ids=["in-order", "turned"])
def test_pair_infrared(radio, infrared, turned):
    order = -1 if turned else 1
    found = pair_infrared(paths(*radio), paths(*infrared[::order]))
    assert found == dict(zip(paths(*radio), paths(*infrared), strict=False))


@pytest.mark.parametrize(
    "infrared, message",
    [
        pytest.param(
            ["a.png", "c.png"],
            r"^r/b\.fits: no file among .* name one b_infrared\.png",
            id="missing",
        ),
        pytest.param(
            ["a.png", "b.png", "b_w1.fits"], r"^r/b\.fits: 2 files among", id="two"
        ),
        pytest.param([], r"^r/a\.fits: no file among", id="none"),
    ],
)
def test_infrared_that_does_not_fit(infrared, message):
    with pytest.raises(ImageError, match=message):
        pair_infrared(paths("r/a.fits", "r/b.fits"), paths(*infrared))


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """The working directory and home, with odd names in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("d [1]/a.fits", "d [1]/b[2].FIT.GZ", "sky/é.fits", "sky/日本.FITS"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    for hidden in (".DS_Store", "._é.fits", ".hidden.fits"):
        Path("sky", hidden).touch()
    return tmp_path


def test_folders_with_brackets_are_taken_by_their_names(odd):
    assert expand(["d [1]/*.fits"], FITS) == [Path("d [1]/a.fits")]
    assert expand(["d [1]/*[[]2]*"], FITS) == [Path("d [1]/b[2].FIT.GZ")]
    assert expand([f"{odd}/d [1]/?.fits"], FITS) == [odd / "d [1]/a.fits"]
    assert expand(["d [1]"], FITS) == [Path("d [1]/a.fits")]


def test_hidden_files_in_folders_are_passed_over(odd):
    assert expand(["sky"], FITS) == paths("sky/é.fits", "sky/日本.FITS")


def test_home_is_expanded_in_names_and_lists(odd):
    Path("list.txt").write_text("\ufeff~/sky/é.fits\r\n~/d [1]\r\n", "utf-8")
    wanted = [odd / "sky/é.fits", odd / "d [1]/a.fits"]
    assert expand(["@~/list.txt"], FITS) == wanted
    assert expand(["~/sky/*.fits"], FITS) == wanted[:1]
    Path("~a.fits").touch()
    assert expand(["~a.fits"], FITS) == [Path("~a.fits")]  # It is there.
    assert expand_home("x/~/y") == "x/~/y"


def test_broken_links_are_kept_in_folders_and_refused_alone(odd):
    Path("sky/lost.fits").symlink_to("nowhere")
    Path("sky/ring.fits").symlink_to("ring.fits")
    Path("sky/good.fits").symlink_to("é.fits")
    found = ["good", "lost", "ring", "é"]
    assert expand(["sky"], FITS) == paths(
        *(f"sky/{n}.fits" for n in found), "sky/日本.FITS"
    )
    assert expand(["sky/*.fits"], FITS) == paths(*(f"sky/{n}.fits" for n in found))
    with pytest.raises(
        ImageError, match=r"^sky/lost\.fits: is a link to nowhere, which"
    ):
        expand(["sky/lost.fits"], FITS)


def test_devices_and_pipes_are_refused(odd):
    os.mkfifo("pipe.fits")
    Path("zero.png").symlink_to("/dev/zero")
    for name in ("/dev/zero", "pipe.fits", "zero.png"):
        with pytest.raises(ImageError, match="is a device or a pipe; give a file"):
            expand([name], FITS)
        for read in (read_sky_image, read_picture, read_infrared):  # None waits.
            with pytest.raises(ImageError, match="is a device or a pipe; give a file"):
                read(name)


def test_pipes_in_folders_are_kept_as_broken_links_are(odd):
    Path("some.fits").mkdir()
    os.mkfifo("some.fits/a.fits")
    Path("some.fits/b.fits").mkdir()
    for name in ("some.fits", "some.fits/*.fits"):
        assert expand([name], FITS) == paths("some.fits/a.fits")


def test_a_file_that_is_named_twice_is_read_once(odd):
    names = ["sky/é.fits", "./sky/../sky/é.fits", "sky"]
    assert len(expand(names, FITS)) == len(expand(["sky"], FITS))


def test_lists_that_are_no_lists(odd):
    Path("loop.txt").write_text("@loop.txt")
    with pytest.raises(ImageError, match=r"^loop\.txt: names itself"):
        expand(["@loop.txt"], FITS)
    Path("utf16.txt").write_text("a.fits", "utf-16")
    with pytest.raises(ImageError, match=r"^utf16\.txt: .* save it as UTF-8"):
        expand(["@utf16.txt"], FITS)
    with pytest.raises(ImageError, match=r"^sky: cannot be read as a list"):
        expand(["@sky"], FITS)


UNDECODABLE = os.fsdecode(b"champ\xe9.fits")


def test_a_name_in_latin1_is_found_and_spelled(odd):
    Path(UNDECODABLE).touch()
    Path("list.txt").write_bytes(b"champ\xe9.fits\n")
    assert expand(["@list.txt"], FITS) == [Path(UNDECODABLE)]
    assert table_names([Path(UNDECODABLE)]) == {Path(UNDECODABLE): r"champ\xe9.fits"}
    assert field_name(Path(UNDECODABLE)) == r"champ\xe9"


@pytest.mark.parametrize(
    "name, spelled",
    [
        ("a b$é日本.fits", "a b$é日本.fits"),
        (UNDECODABLE, r"champ\xe9.fits"),
        ("two\nlines\t\x1b[31m", r"two\nlines\t\x1b[31m"),
        ("\ud800", r"\ud800"),
    ],
)
def test_readable_names(name, spelled):
    assert readable(name) == spelled
    spelled.encode("utf-8")


@pytest.mark.parametrize(
    "text", ["a.fits", "é.fits", "日本𝄞", r"champ\xe9.fits", r"a\b"]
)
def test_ascii_and_back(text):
    assert to_ascii(text).isascii() and from_ascii(to_ascii(text)) == text


@pytest.mark.parametrize(
    "name, bare",
    [
        ("a_radio.FITS", "a_radio"), ("a.fit.gz", "a"), ("a.fitted.fits", "a.fitted"),
        ("a.JPG", "a"), ("a.b.fts", "a.b"),
    ],
)  # fmt: skip
def test_bare_names(name, bare):
    assert bare_name(Path("x", name)) == bare


@pytest.mark.parametrize(
    "name, infrared",
    [
        ("a_W1.FITS", True), ("a_ir.fts", True), ("a_wise.fits.fz", True),
        ("a.fit_ir.Fit.GZ", True), ("a_w1.fits[1]", True), ("a_radio.FITS", False),
        ("air.fits", False), ("a_ir.b.fits", False),
    ],
)  # fmt: skip
def test_names_of_infrared_images(name, infrared):
    assert infrared_name(Path("ir", name)) is infrared
