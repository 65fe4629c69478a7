"""Small archives in the original's layout, and folders of pairs."""

import contextlib
import functools
import http.server
import io
import tarfile
import threading
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from claran_rgz import originals

# Far apart on the sky, so that none are linked. Every third field is test.
NAMES = [f"FIRSTJ{hour:02d}3000.0+{10 + hour:02d}0000" for hour in range(24)]


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
def make():
    """Names, boxes and functions for making archives and folders."""
    return types.SimpleNamespace(
        names=NAMES, boxes=boxes(), draw=draw, png=png, voc=voc, write_tar=write_tar
    )


@pytest.fixture
def by_name():
    """Returns a function from builder and split to the records by name."""

    def read(builder, split):
        records = list(builder.as_data_source(split))
        return {record["name"].decode(): record for record in records}

    return read


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
    """Radio FITS with a source in the lower half, and infrared PNG with the same."""
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
