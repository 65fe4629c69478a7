import http.server
import io
import threading

import numpy as np
import pytest
from astropy.io.votable import from_table
from astropy.table import Table

from claran.errors import ImageError
from claran.hosts.fetching import fetch_candidates

pytest.importorskip("pyvo")


class Tap(http.server.BaseHTTPRequestHandler):
    """A TAP service that fails as often as it is told, then answers a table."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        if self.server.asked <= self.server.failures:
            self.send_error(503)
            return
        table = Table({
            "source_name": ["J1", "J2"], "ra": [10.0, 10.01], "dec": [5.0, 5.01],
            "sigra": [0.1, 0.2], "sigdec": [0.1, 0.2], "w1mpro": [14.0, 15.0],
        })  # fmt: skip
        file = from_table(table)
        file.resources[0].type = "results"
        text = io.BytesIO()
        file.to_xml(text)
        body = text.getvalue().replace(
            b"<TABLE", b'<INFO name="QUERY_STATUS" value="OK"/>\n<TABLE', 1
        )
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
