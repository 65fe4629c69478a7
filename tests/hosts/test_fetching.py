import http.server
import io
import threading
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from astropy.io.votable import from_table
from astropy.table import QTable, Table

from claran import examples
from claran.errors import ImageError
from claran.hosts.fetching import SERVICES, fetch_candidates
from claran.sky.images import read_sky_image

pytest.importorskip("pyvo")


class Tap(http.server.BaseHTTPRequestHandler):
    """A TAP service that fails as often as it is told, then answers a table."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.request = urllib.parse.parse_qs(body)
        self.server.asked += 1
        if self.server.asked <= self.server.failures:
            self.send_error(503)
            return
        ra, dec = self.server.center
        table = Table({
            "source_name": ["J1", "J2"],
            "ra": [ra, ra + 0.01], "dec": [dec, dec + 0.01],
            "sigra": [0.1, 0.2], "sigdec": [0.1, 0.2], "w1mpro": [14.0, 15.0],
        })  # fmt: skip
        file = from_table(table)
        file.resources[0].type = "results"
        text = io.BytesIO()
        file.to_xml(text)
        body = text.getvalue().replace(
            b"<TABLE", b'<INFO name="QUERY_STATUS" value="OK"/>\n<TABLE', 1
        )
        if self.server.overflows:  # As DALI says: after the table.
            info = b'</TABLE>\n<INFO name="QUERY_STATUS" value="OVERFLOW"/>'
            body = body.replace(b"</TABLE>", info, 1)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-votable+xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tap) as server:
        server.asked = server.failures = 0
        server.overflows = False
        server.center = (10.0, 5.0)
        server.url = f"http://127.0.0.1:{server.server_port}/tap"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server, folder, **more):
    return fetch_candidates(
        "catwise", (10.0, 5.0), 0.1, cache=folder, url=server.url, wait=0.01, **more
    )


def test_candidates_are_fetched_once(server, tmp_path):
    server.failures = 2
    first = fetch(server, tmp_path)
    assert server.asked == 3
    again = fetch(server, tmp_path, offline=True)
    assert server.asked == 3
    for found in (first, again):
        assert list(found.ids) == ["J1", "J2"]
        assert found.area_deg2 == pytest.approx(np.pi * 0.01, rel=1e-4)


@pytest.mark.parametrize(
    "catalog, columns, table, place",
    [
        ("catwise", "source_name, ra, dec, sigra, sigdec, w1mpro", "catwise_2020",
         "ra, dec"),
        ("allwise", "designation, ra, dec, sigra, sigdec, w1mpro", "allwise_p3as_psd",
         "ra, dec"),
        ("unwise", "*", '"II/363/unwise"', "RAJ2000, DEJ2000"),
    ],
)  # fmt: skip
def test_query_is_that_of_the_circle(server, tmp_path, catalog, columns, table, place):
    fetch_candidates(catalog, (370.0, 5.0), 0.1, cache=tmp_path, url=server.url)
    assert server.request["QUERY"] == [
        f"SELECT {columns} FROM {table} WHERE CONTAINS(POINT('ICRS', {place}), "
        "CIRCLE('ICRS', 10.000000, 5.000000, 0.100000)) = 1"
    ]
    assert server.request["LANG"] == ["ADQL"]
    assert int(server.request["MAXREC"][0]) == 500_000


def test_answer_that_is_cut_off_is_refused(server, tmp_path):
    server.overflows = True
    with pytest.raises(ImageError, match="cut its answer off after 2 rows"):
        fetch(server, tmp_path)
    assert server.asked == 1
    assert not list(tmp_path.iterdir())


def test_service_away_is_one_line(server, tmp_path):
    server.failures = 9
    with pytest.raises(ImageError, match="no answer in 2 tries") as error:
        fetch(server, tmp_path, tries=2)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_offline_uses_the_cache_only(server, tmp_path):
    with pytest.raises(ImageError, match="not in the cache"):
        fetch(server, tmp_path, offline=True)
    assert server.asked == 0


def test_predict_asks_a_service_and_its_cache(
    server, tmp_path, claran, assert_fails, monkeypatch
):
    """A service that is away at first; offline, the table has the same bytes."""
    catwise = SERVICES["catwise"]._replace(url=server.url)
    monkeypatch.setitem(SERVICES, "catwise", catwise)
    path = Path(examples.__file__).with_name("simulated_radio.fits")
    row, column = (side / 2 - 0.5 for side in read_sky_image(path).values.shape)
    ((ra, dec),) = read_sky_image(path).wcs.wcs_pix2world([[column, row]], 0)
    server.center, server.failures = (ra, dec), 1
    given = ["--mode=predict", f"--radio={path}", "--fetch=catwise"]
    cache = f"--fetch_cache={tmp_path / 'cache'}"
    status, _, errors = claran(*given, cache, "--output=one.ecsv", model=None)
    assert not status, errors
    assert server.asked == 2 and len(list((tmp_path / "cache").iterdir())) == 1
    table = QTable.read(tmp_path / "one.ecsv")
    assert "J1" in table["host_id"]
    status, _, errors = claran(
        *given, cache, "--offline", "--output=two.ecsv", model=None
    )
    assert not status, errors
    assert server.asked == 2
    assert (tmp_path / "one.ecsv").read_bytes() == (tmp_path / "two.ecsv").read_bytes()
    empty = f"--fetch_cache={tmp_path / 'empty'}"
    assert_fails(
        claran(*given, empty, "--offline", "--output=three.ecsv", model=None),
        "this sky is not in the cache",
    )
    assert not (tmp_path / "three.ecsv").exists()


def test_damaged_cache_is_named(server, tmp_path):
    fetch(server, tmp_path)
    next(tmp_path.iterdir()).write_text("no")
    with pytest.raises(ImageError, match="damaged"):
        fetch(server, tmp_path)


def test_arguments_out_of_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no such catalog"):
        fetch_candidates("iras", (1, 2), 0.1, cache=tmp_path)
    with pytest.raises(ValueError, match="radius"):
        fetch_candidates("catwise", (1, 2), 20, cache=tmp_path)
    with pytest.raises(ValueError, match="tries"):
        fetch_candidates("catwise", (1, 2), 0.1, cache=tmp_path, tries=0)
