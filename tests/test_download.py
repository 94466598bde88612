"""Downloads against a server that misbehaves."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep as pause  # imported under another name: `_no_waiting` replaces time.sleep

import pytest

from sqa_core import download
from sqa_core.errors import CorpusError

BODY = b"sound" * 40_000
HASH = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """`faults` lists what the next requests meet, one each; then all goes well."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: list[str] = []
        self.requests = 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        fault = self.server.faults.pop(0) if self.server.faults else "none"
        if fault == "500":
            self.send_error(500)
            return
        body = {"wrong": b"another file", "html": b"<html>busy</html>"}.get(fault, BODY)
        self.send_response(200)
        promised = len(body) + {"lies longer": 1000, "lies shorter": -1000}.get(fault, 0)
        promised = {"drips": 10**9, "endless": 10**9, "nothing": 0}.get(fault, promised)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        if fault in ("drips", "endless"):
            while True:
                try:
                    self.wfile.write(b"x" if fault == "drips" else BODY)
                    pause(0.05 if fault == "drips" else 0)
                except OSError:
                    return
        if fault in ("drops", "lies longer"):
            self.wfile.write(body[: len(body) // 2] if fault == "drops" else body)
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()


def get(server, folder, names=("a.wav",), digest=HASH):
    return download.fetch(f"http://127.0.0.1:{server.server_port}/", dict.fromkeys(names, digest), folder, timeout_s=5)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)


@pytest.mark.parametrize("fault", ["drops", "500", "lies longer", "lies shorter", "wrong", "html"])
def test_one_fault_is_overcome(server, tmp_path, fault):
    server.faults = [fault]
    (path,) = get(server, tmp_path)
    assert path.read_bytes() == BODY
    assert server.requests == 2


@pytest.mark.parametrize("fault", ["drops", "500", "lies longer", "lies shorter", "wrong"])
def test_a_lasting_fault_leaves_nothing_and_says_which_file(server, tmp_path, fault):
    server.faults = [fault] * 20
    with pytest.raises(CorpusError, match=r"a\.wav"):
        get(server, tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_broken_fetch_goes_on_where_it_stopped(server, tmp_path):
    server.faults = ["none", *["drops"] * 20]
    with pytest.raises(CorpusError, match="1 files are here and kept"):
        get(server, tmp_path, ("a.wav", "b/c.wav"))
    server.faults, server.requests = [], 0
    get(server, tmp_path, ("a.wav", "b/c.wav"))
    assert server.requests == 1


def test_what_is_there_but_wrong_is_fetched_again(server, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"half of it")
    (path,) = get(server, tmp_path)
    assert path.read_bytes() == BODY


def test_a_name_that_climbs_out_is_refused(server, tmp_path):
    with pytest.raises(CorpusError, match="leads out"):
        get(server, tmp_path / "inside", ("../outside.wav",))
    assert server.requests == 0


@pytest.mark.parametrize(
    ("fault", "said"), [("drips", r"longer than 0.05 min, in which 0\.0 MB arrived"), ("endless", "larger than 0.000976562 GiB")]
)
def test_a_server_that_never_ends_is_given_up(server, tmp_path, monkeypatch, fault, said):
    monkeypatch.setattr(download, "MAX_SECONDS", 3.0 if fault == "drips" else 60.0)
    monkeypatch.setattr(download, "MAX_BYTES", 2**20)
    server.faults = [fault] * 20
    with pytest.raises(CorpusError, match=said):
        get(server, tmp_path)
    assert server.requests == 1, "it would not end another time either"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(("fault", "said"), [("nothing", "nothing arrived"), ("500", "the server answered 500")])
def test_what_failed_is_said(server, tmp_path, fault, said):
    server.faults = [fault] * 20
    with pytest.raises(CorpusError, match=rf"a\.wav: could not be fetched \({said}\)"):
        get(server, tmp_path)


def test_no_server_at_all(tmp_path):
    with pytest.raises(CorpusError, match="could not be fetched"):
        download.fetch("http://127.0.0.1:9/", {"a.wav": HASH}, tmp_path, timeout_s=1)


def test_nisqa_weights_and_p835_come_by_hash(server, tmp_path, monkeypatch):
    """The whole commands against the server: what it serves is not what they expect, and nothing is left."""
    from sqa_core.corpora import p835
    from sqa_core.models import weights

    monkeypatch.setenv("SQA_CACHE", str(tmp_path))
    url = f"http://127.0.0.1:{server.server_port}/"
    with pytest.raises(CorpusError, match="not the file expected"):
        weights.fetch_official(url)
    with pytest.raises(CorpusError, match="not the file expected"):
        p835.fetch(tmp_path / "p835", url)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
